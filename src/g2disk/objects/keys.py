"""The names of objects."""

from __future__ import annotations

import re

from g2disk.errors import Invalid

_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")

LONGEST_KEY = 700
"""Characters; S3 and Google Cloud Storage take 1,024 bytes, Azure as many characters, all with the prefix."""


def check_key(key: str) -> str:
    """`key`, if it is one.  Raises `Invalid`."""
    if len(key) > LONGEST_KEY or not _KEY.fullmatch(key):
        raise Invalid(f"'{key}' is no object's key: letters, digits, '_', '-' and '.' in parts joined by '/'")
    return key
