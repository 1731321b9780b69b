"""Asking before something is lost."""

from __future__ import annotations

import sys

import typer

from g2disk.cli.exit_codes import DECLINED
from g2disk.cli.output import note, printable
from g2disk.errors import Invalid


def check_somebody_is_there(doubt: str) -> None:
    """Raise `Invalid` where nobody can answer: `doubt` says what would have been asked ("whether 'a' is …")."""
    if not sys.stdin.isatty():
        raise Invalid(f"nobody is there to ask {doubt}; say --yes if it is")


def ask(question: str, otherwise: str) -> None:
    """Return if the answer is yes; else end the command, saying `otherwise`."""
    if not typer.confirm(printable(question), err=True):
        note(otherwise)
        raise typer.Exit(DECLINED)
