"""The plugin's key=value parameters.  Pure: read before nbdkit forks, when nothing may be started."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

from g2disk.errors import Invalid
from g2disk.remote.endpoint import endpoints_of
from g2disk.units import check_export_name

HELP = """\
endpoint=HOST:PORT|unix:PATH  (required) the target server; several, with commas between them, are tried in order
disk=NAME                     serve this disk only; else the client's export name chooses
timeout=SECONDS               how long a request waits for a server that is away, then EIO (default 0: for ever)
readonly=BOOL                 take no writes (default false)
record=DIR                    keep unflushed changes there, so that the next nbdkit with this DIR can send them again
marker=DIR                    only remember there that something is unflushed; the next nbdkit then does not hide a loss
client=HEX                    16 bytes that name this client to the server, for all that use the disk one after another
generation=NUMBER             larger for each of them (default 0)
identity=TEXT                 of the disk that it must be; another one fails every request"""
"""For people, a line each."""

_LONGEST = 1e9
"""Seconds: thirty years, which every timer can count."""

_CLIENT_BYTES = 16
_MOST_GENERATIONS = 1 << 32

_NAMES = [line.partition("=")[0] for line in HELP.splitlines()]
_TRUE, _FALSE = {"1", "true", "t", "yes", "y", "on"}, {"0", "false", "f", "no", "n", "off"}


@dataclass(slots=True)
class Parameters:
    """What was given so far."""

    endpoint: str = ""
    disk: str = ""
    timeout: float = math.inf
    """Seconds."""
    readonly: bool = False
    record: str = ""
    marker: str = ""
    client: bytes = b""
    generation: int = 0
    identity: str = ""

    def set(self, key: str, value: str) -> None:
        """Take one parameter.  Raises `Invalid`."""
        match key:
            case "endpoint":
                endpoints_of(value)
                self.endpoint = value
            case "disk":
                self.disk = check_export_name(value)
            case "timeout":
                self.timeout = _seconds(value)
            case "readonly":
                self.readonly = _boolean(value)
            case "record":
                self.record = os.path.abspath(value)
            case "marker":
                self.marker = os.path.abspath(value)
            case "client":
                self.client = _client(value)
            case "generation":
                self.generation = _generation(value)
            case "identity":
                self.identity = value
            case _:
                raise Invalid(f"there is no parameter '{key}'; there are {', '.join(_NAMES)}")

    def check(self) -> None:
        """Raise `Invalid` unless all that is required was given."""
        if not self.endpoint:
            raise Invalid("the parameter endpoint is missing; give endpoint=HOST:PORT or endpoint=unix:PATH")
        if not self.disk and (self.record or self.marker or self.client or self.identity):
            raise Invalid("record, marker, client and identity are for a single disk; give disk=NAME, too")
        if self.record and self.marker:
            raise Invalid("record and marker exclude each other; give record=DIR to keep what is unflushed")


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= _LONGEST:
        raise Invalid(f"timeout={value} is no time; give seconds, up to {_LONGEST:g}, or timeout=0 to wait for ever")
    return seconds or math.inf


def _client(value: str) -> bytes:
    try:
        client = bytes.fromhex(value)
    except ValueError:
        client = b""
    if len(client) != _CLIENT_BYTES:
        raise Invalid(
            f"client={value} is no client; give {_CLIENT_BYTES} bytes as {_CLIENT_BYTES * 2} hexadecimal digits"
        )
    return client


def _generation(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and int(value) < _MOST_GENERATIONS):
        raise Invalid(f"generation={value} is no number; give one from 0 up to {_MOST_GENERATIONS - 1}")
    return int(value)


def _boolean(value: str) -> bool:
    if value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    raise Invalid(f"readonly={value} is neither true nor false; give readonly=true or readonly=false")
