"""The plugin's key=value parameters.  Pure: read before nbdkit forks, when nothing may be started."""

from __future__ import annotations

import math
from dataclasses import dataclass

from g2disk.errors import Invalid
from g2disk.remote.endpoint import DEFAULT_TIMEOUT, check_endpoint
from g2disk.units import check_disk_name

HELP = f"""\
endpoint=HOST:PORT|unix:PATH  (required) the target server
disk=NAME                     serve this disk only; else the client's export name chooses
timeout=SECONDS               how long a request waits for a server that is away, then EIO (default {DEFAULT_TIMEOUT:g})
readonly=BOOL                 take no writes (default false)"""
"""For people, a line each."""

_LONGEST = 1e9
"""Seconds: thirty years, which every timer can count."""

_TRUE, _FALSE = {"1", "true", "t", "yes", "y", "on"}, {"0", "false", "f", "no", "n", "off"}


@dataclass(slots=True)
class Parameters:
    """What was given so far."""

    endpoint: str = ""
    disk: str = ""
    timeout: float = DEFAULT_TIMEOUT
    """Seconds."""
    readonly: bool = False

    def set(self, key: str, value: str) -> None:
        """Take one parameter.  Raises `Invalid`."""
        match key:
            case "endpoint":
                check_endpoint(value)
                self.endpoint = value
            case "disk":
                self.disk = check_disk_name(value)
            case "timeout":
                self.timeout = _seconds(value)
            case "readonly":
                self.readonly = _boolean(value)
            case _:
                raise Invalid(f"there is no parameter '{key}'; there are endpoint, disk, timeout and readonly")

    def check(self) -> None:
        """Raise `Invalid` unless all that is required was given."""
        if not self.endpoint:
            raise Invalid("the parameter endpoint is missing; give endpoint=HOST:PORT or endpoint=unix:PATH")


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _LONGEST:
        raise Invalid(
            f"timeout={value} is no time; give seconds, more than 0 and up to {_LONGEST:g}, such as timeout=30"
        )
    return seconds


def _boolean(value: str) -> bool:
    if value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    raise Invalid(f"readonly={value} is neither true nor false; give readonly=true or readonly=false")
