"""The socket by which commands speak with the daemon of an attachment: one line of JSON asked, one answered."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from g2disk.errors import DiskError, Unavailable, kind_named, kind_of_error

_LONGEST_LINE = 1 << 16
_GOODBYE = 5.0
"""Seconds that an asker may take to ask or to read."""

Order: TypeAlias = Literal["status", "detach", "accept"]


class Ask(msgspec.Struct, frozen=True):
    """What a command wants."""

    do: Order


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """How an attachment is."""

    condition: Literal["starting", "connected", "waiting", "failed"]
    since: float
    """Unix time."""
    cause: str = ""
    """One line for people; empty when connected."""
    size: int = 0
    """Bytes, as the kernel was told; 0 before the device is connected."""
    target: str = ""
    """The device; empty before it is connected."""
    in_flight: int = 0
    """Requests that were not answered yet."""
    unflushed_bytes: int = 0
    unflushed_requests: int = 0
    reconnects: int = 0
    request_timeout: int = 0
    """Seconds after which the kernel gives up a socket on which a request was not answered."""
    sockets_lost: int = 0
    """How often the kernel gave one up."""


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the daemon says: how it is, now that the order was carried out, or an error."""

    report: Report | None = None
    kind: str = ""
    """The name of the error's kind."""
    message: str = ""


Handler: TypeAlias = Callable[[Order], Awaitable[Report]]


@asynccontextmanager
async def serve_control(path: Path, handler: Handler) -> AsyncIterator[None]:
    """Answer at `path` while the block runs.  What `handler` raises, a `DiskError`, goes to whoever asked."""
    answering: set[asyncio.Task[Any]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        answering.add(task)
        task.add_done_callback(answering.discard)
        # Whoever asks may leave without an answer.
        with contextlib.suppress(OSError, TimeoutError, ValueError), contextlib.closing(writer):
            async with asyncio.timeout(_GOODBYE):
                line = await reader.readline()
            writer.write(msgspec.json.encode(await _reply(line, handler)) + b"\n")
            async with asyncio.timeout(_GOODBYE):
                await writer.drain()

    _remove(path)
    server = await asyncio.start_unix_server(answer, path, limit=_LONGEST_LINE)
    try:
        yield
    finally:
        server.close()
        _remove(path)
        if answering:  # the one who had it end hears of it
            await asyncio.wait(answering, timeout=_GOODBYE)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


async def ask(path: Path, order: Order, timeout: float) -> Report:
    """Have the daemon that listens at `path` do something.  Raises what it raised, and `Unavailable` where it does not
    answer within `timeout` seconds.
    """
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_unix_connection(path, limit=_LONGEST_LINE)
            with contextlib.closing(writer):
                writer.write(msgspec.json.encode(Ask(order)) + b"\n")
                answer = msgspec.json.decode(await reader.readline(), type=Answer)
    except (OSError, TimeoutError, ValueError) as error:
        reason = str(error) or f"nothing within {timeout:g} s"
        raise Unavailable(f"daemon does not answer: {reason}") from error
    if answer.report is None:
        raise (kind_named(answer.kind) or Unavailable)(answer.message)
    return answer.report


async def _reply(line: bytes, handler: Handler) -> Answer:
    try:
        return Answer(await handler(msgspec.json.decode(line, type=Ask).do))
    except msgspec.DecodeError as error:
        return Answer(kind="Invalid", message=f"that is no order: {error}")
    except DiskError as error:
        return Answer(kind=kind_of_error(error).__name__, message=str(error))
