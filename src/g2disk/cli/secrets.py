"""Where commands get the key of encrypted disks from."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from g2disk.errors import Denied, Invalid
from g2disk.volume.format.keys import KEY_LENGTH, Secret

KeyFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help=f"Encrypted disks: a file with the key, {KEY_LENGTH} bytes, or 64 hex digits."),
]

KeyEnvironment = Annotated[
    str, typer.Option(metavar="VARIABLE", help="Encrypted disks: an environment variable with the key, 64 hex digits.")
]

PassphraseFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Encrypted disks: a file whose first line is the passphrase; - asks for it."),
]


def secret_of(
    key_file: Path | None,
    key_environment: str,
    passphrase_file: Path | None,
    prompt: str = "Passphrase",
    *,
    twice: bool = False,
) -> Secret | None:
    """What the three options name; None where none of them is given.

    A passphrase is asked for with `prompt`, and again to be sure where `twice` is set.  Raises `Invalid`, `Denied`,
    OSError.
    """
    if sum(map(bool, (key_file, key_environment, passphrase_file))) > 1:
        raise Invalid("give a key file, a variable with a key or a passphrase, not several of them")
    if key_file is not None:
        data = key_file.read_bytes()
        return Secret("raw", data if len(data) == KEY_LENGTH else _key(data, str(key_file)))
    if key_environment:
        if key_environment not in os.environ:
            raise Invalid(f"there is no {key_environment} in the environment; set it to 64 hex digits")
        return Secret("raw", _key(os.fsencode(os.environ[key_environment]), f"${key_environment}"))
    if passphrase_file is not None:
        return Secret("passphrase", _passphrase(passphrase_file, prompt, twice=twice))
    return None


def _key(digits: bytes, where: str) -> bytes:
    try:
        key = bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != KEY_LENGTH:
        raise Invalid(f"{where} holds no key; make one, of 64 hex digits: openssl rand -hex {KEY_LENGTH}")
    return key


def _passphrase(file: Path, prompt: str, *, twice: bool) -> bytes:
    if str(file) == "-":
        if not sys.stdin.isatty():
            raise Denied("nobody is there to type the passphrase in; give a file with --passphrase-file")
        return str(typer.prompt(prompt, hide_input=True, confirmation_prompt=twice, err=True)).encode()
    return file.read_bytes().partition(b"\n")[0].rstrip(b"\r")
