"""`StoreUrl`, the parts of an object store's URL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from g2disk.errors import Invalid
from g2disk.objects.keys import check_key

_BUCKET = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._-]{0,221}")
_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


@dataclass(frozen=True)
class StoreUrl:
    """SCHEME://BUCKET/PREFIX?NAME=VALUE&NAME=VALUE"""

    scheme: str
    bucket: str
    prefix: str
    """Without a slash at its ends; may be empty."""
    options: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}" + (f"/{self.prefix}" if self.prefix else "")

    def flag(self, name: str, default: bool) -> bool:
        """An option that is true or false.  Raises `Invalid`."""
        value = self.options.get(name)
        if value is None:
            return default
        if value.lower() not in _FLAGS:
            raise Invalid(f"?{name}={value}: write true or false")
        return _FLAGS[value.lower()]

    def number(self, name: str, default: float) -> float:
        """An option that is a number above 0.  Raises `Invalid`."""
        value = self.options.get(name)
        if value is None:
            return default
        if not re.fullmatch(r"\d{1,6}(\.\d{1,6})?", value) or float(value) == 0:
            raise Invalid(f"?{name}={value}: write a number above 0")
        return float(value)


def parse_store_url(url: str) -> StoreUrl:
    """The parts of `url`.  Raises `Invalid`, also for credentials, which everybody on the machine would see."""
    try:
        parts = urlsplit(url)
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise Invalid(f"'{url}' is no URL: {error}") from error
    if "@" in parts.netloc:
        raise Invalid("credentials do not belong into a URL, where everybody sees them: use the environment")
    if not _BUCKET.fullmatch(parts.netloc):
        raise Invalid(f"'{url}': write {parts.scheme}://BUCKET/PREFIX")
    if parts.fragment:
        raise Invalid(f"'{url}': '#' has no place in it")
    prefix = parts.path.strip("/")
    if prefix:
        check_key(prefix)
    doubled = [name for name, _ in options if [other for other, _ in options].count(name) > 1]
    if doubled:
        raise Invalid(f"?{doubled[0]} is given twice")
    return StoreUrl(parts.scheme, parts.netloc, prefix, dict(options))
