"""What all commands that serve have in common."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import sys

DRAIN_SECONDS = 30.0
"""How long requests in flight may take when the server is told to stop."""

STOPPING = "g2disk: stopping: finishing requests in flight; a second signal ends them"

_MOST_FILES = 1 << 20


def log_to_standard_error(verbose: bool) -> None:
    """Set up logging; with `verbose` every request is logged."""
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, stream=sys.stderr, format="%(message)s")
    for library in ("asyncio", "hpack"):
        logging.getLogger(library).setLevel(logging.WARNING)


def allow_many_files() -> None:
    """Raise the limit of open files as far as is allowed: each open disk and each client takes one, and the usual
    limit of 1024 is there for programs that use select(2).
    """
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if most == resource.RLIM_INFINITY else min(most, _MOST_FILES)
    if wanted > now != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def stop_signal() -> asyncio.Event:
    """Set by the first SIGINT or SIGTERM.  The next one ends the process at once, whatever a disk is stuck in; so does
    one that comes before this is called.
    """
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)

    def first() -> None:
        stop.set()
        for number in numbers:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in numbers:
        loop.add_signal_handler(number, first)
    return stop
