"""Where a target server is, as people write it.  Pure: the nbdkit plugin checks it before nbdkit forks."""

from __future__ import annotations

import re

from g2disk.errors import Invalid

DEFAULT_ENDPOINT = "127.0.0.1:8080"
"""Where a target server listens, and where clients look, when nobody says otherwise."""

DEFAULT_TIMEOUT = 60.0
"""Seconds that a request may wait for a server that is away."""

_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\[\]:/\s]+):(\d{1,5})")


def endpoints_of(text: str) -> tuple[str, ...]:
    """The endpoints of a list with commas, in the order in which they are tried, each as `check_endpoint` gives it.
    Raises `Invalid`.
    """
    return tuple(check_endpoint(each.strip()) for each in text.split(","))


def check_endpoint(endpoint: str) -> str:
    """`endpoint` as gRPC takes it: HOST:PORT, or unix:PATH; a leading grpc:// may be there.  Raises `Invalid`."""
    target = endpoint.removeprefix("grpc://")
    if target.startswith("unix:") and len(target) > len("unix:"):
        return target
    match = _HOST_PORT.fullmatch(target)
    if match is None or not 0 < int(match[2]) < 65536:
        raise Invalid(f"'{endpoint}' is no endpoint; write HOST:PORT, such as localhost:8080, or unix:PATH")
    return target
