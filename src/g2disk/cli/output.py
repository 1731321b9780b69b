"""What commands print: data on standard output, everything else on standard error."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from g2disk.stores.store import DiskEntry
from g2disk.units import MAXIMUM_DISK_SIZE, check_disk_size, format_size, parse_size

_WIDE = 1000
"""Columns for a reader that is no terminal: nothing is cut or folded."""


def print_json(document: Any) -> None:
    """One JSON document."""
    typer.echo(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())


def print_line(text: str) -> None:
    """A line of data for people."""
    typer.echo(printable(text))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows in columns that line up."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    _console().print(table)


def print_facts(facts: Mapping[str, str]) -> None:
    """Names and values, a line each."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, Text(printable(value)))
    _console().print(table)


def note(text: str) -> None:
    """Something worth knowing that is not data."""
    typer.echo(f"g2disk: {printable(text)}", err=True)


def complain(message: str, code: int) -> int:
    """One line that says what is wrong; returns the exit code."""
    typer.echo(f"g2disk: error: {printable(message)}", err=True)
    return code


def printable(text: str) -> str:
    """`text` on one line and without what would command a terminal: names and messages may come from anywhere."""
    return "".join(char if char.isprintable() else "�" for char in " ".join(text.split()))


def wanted_size(text: str) -> int:
    """The size in bytes that a person asked for, with a note where it is not quite that.  Raises `Invalid`."""
    size = check_disk_size(parse_size(text))
    if size == MAXIMUM_DISK_SIZE and text.strip() != str(MAXIMUM_DISK_SIZE):
        note(f"note: the size is {size} bytes, the largest that there can be, not quite {text.strip()}")
    return size


def exact_size(size: int) -> str:
    """For people who want both."""
    return f"{format_size(size)} ({size} bytes)" if size >= 1024 else f"{size} bytes"


def entry_document(entry: DiskEntry) -> dict[str, Any]:
    """A disk for JSON."""
    return {
        "name": entry.name,
        "size": entry.size,
        "allocated": entry.allocated,
        "identity": entry.identity,
        "read_only": entry.read_only,
        "description": entry.description,
    }


def local_time(seconds: float) -> str:
    """Seconds since 1970 as this machine's clocks show them."""
    return f"{datetime.fromtimestamp(seconds, UTC).astimezone():%Y-%m-%d %H:%M:%S}"


def iso_time(seconds: float) -> str:
    """Seconds since 1970 for JSON, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def copy_document(file: Path, name: str, size: int, data: int, verified: bool) -> dict[str, Any]:
    """A finished copy for JSON."""
    return {"file": str(file), "disk": name, "size": size, "data": data, "verified": verified}


def copy_line(size: int, data: int, verified: bool) -> str:
    """A finished copy for people."""
    return f"{format_size(size)}, {format_size(data)} of it data, {'verified' if verified else 'not verified'}"


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)
