"""docs/performance.md: what is generated stands between two marks for each part; what stands outside them is kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.errors import BenchError
from bench.results import Record
from g2disk.units import format_size


def marks(part: str) -> tuple[str, str]:
    """The lines before and after the generated text of a part."""
    return f"<!-- {part}, written by ./dev bench: begin -->", f"<!-- {part}, written by ./dev bench: end -->"


def insert(page: Path, part: str, text: str) -> None:
    """Put `text` between the part's marks; a page that is not there is made.  Raises `BenchError`."""
    first, last = marks(part)
    before = page.read_text() if page.exists() else f"# Performance\n\n{first}\n{last}\n"
    head, begin, rest = before.partition(first)
    _, end, tail = rest.partition(last)
    if not begin or not end:
        raise BenchError(f"{page} lacks the lines {first} and {last}; put them where the tables belong")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(f"{head}{first}\n\n{text.strip()}\n\n{last}{tail}")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """In Markdown; the first column is text, the others are figures."""
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, rule, *rows))


def spread(values: Sequence[float], middle: float) -> str:
    """The middle of sorted values, with the lowest and the highest where there are several."""
    return f"{middle:.2f}" if len(values) == 1 else f"{middle:.2f} ({values[0]:.2f} to {values[-1]:.2f})"


def origin(record: Record, raws: Sequence[str]) -> list[str]:
    """Paragraphs: how the record was made, and on what machine.  `raws` are the links to it and its parts."""
    links = ", ".join(f"[{Path(raw).name}]({raw})" for raw in raws)
    return [
        f"Made on {record.date} at commit {record.commit or 'unknown'} with",
        f"    {record.command}",
        f"Medians of {record.rounds} interleaved rounds of {record.seconds:g} s on {format_size(record.size)} "
        f"of every disk. Every figure of every round: {links}.",
        "\n".join(
            ["| machine | |", "| --- | --- |", *(f"| {name} | {text} |" for name, text in record.machine.items())]
        ),
        *(f"- {note}" for note in record.notes),
    ]
