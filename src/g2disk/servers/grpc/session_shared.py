"""What all sessions of a server share: limits, who has which attempt, and the bytes in flight.

Source: proto/g2disk/v1/disk.proto, "SURVIVAL" and "BOUNDS".
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, Protocol

from g2disk.errors import Fenced, Invalid
from g2disk.servers.exports import Exports
from g2disk.units import MIB

MOST_CLIENTS = 10_000
"""Clients without a session that are remembered."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server takes, per session but for the last."""

    requests: int = 1024
    """In flight."""
    data: int = 64 * MIB
    """Bytes of reads and writes in flight."""
    message: int = 8 * MIB
    """Bytes of one message."""
    all_data: int = 256 * MIB
    """Bytes in flight over all sessions."""

    def within(self, requests: int, data: int) -> Limits:
        """These limits, no larger than what a client wants; 0 wants nothing special."""
        return replace(
            self, requests=min(requests or self.requests, self.requests), data=min(data or self.data, self.data)
        )


class TooMuch(Invalid):
    """The client does not keep within the limits."""


class Attempt(Protocol):
    """A session, as the one that follows it sees it."""

    attempt: int

    def supersede(self) -> None:
        """End: take no more requests, and send nothing any more."""

    async def finished(self) -> None:
        """Return when nothing of it can happen any more."""


class Attempts:
    """The last attempt of each client and disk: of those that have a session, and of the last ones that had one."""

    def __init__(self) -> None:
        self._sessions: dict[tuple[bytes, str], Attempt] = {}
        self._gone: OrderedDict[tuple[bytes, str], int] = OrderedDict()

    async def enter(self, client: bytes, disk: str, session: Attempt) -> None:
        """Let `session` be the client's only one for this disk; return when the one before it is over.

        Raises `Fenced` unless its attempt is newer than all before.
        """
        key = client, disk
        older = self._sessions.get(key)
        newest = older.attempt if older is not None else self._gone.get(key, 0)
        if session.attempt <= newest:
            raise Fenced(f"attempt {session.attempt} comes after attempt {newest} of the same client; a stale session")
        self._sessions[key] = session
        self._gone.pop(key, None)
        if older is not None:
            older.supersede()
            await older.finished()

    def leave(self, client: bytes, disk: str, session: Attempt) -> None:
        """`session` is over; its attempt stays known until MOST_CLIENTS others have left after it."""
        key = client, disk
        if self._sessions.get(key) is session:
            del self._sessions[key]
            self._gone[key] = session.attempt
            if len(self._gone) > MOST_CLIENTS:
                self._gone.popitem(last=False)


class Paused(Protocol):
    """A session that takes no more for now."""

    def go_on(self) -> None:
        """There is room again."""


class Budget:
    """The bytes in flight of all sessions; who finds it full pauses, and is told when there is room again."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._paused: set[Paused] = set()

    @property
    def full(self) -> bool:
        """Whether as much is in flight as may be."""
        return self._used >= self._limit

    def take(self, count: int) -> None:
        """`count` bytes more are in flight."""
        self._used += count

    def give(self, count: int) -> None:
        """`count` bytes are no longer in flight."""
        self._used -= count
        if self._paused and self._used <= self._limit // 2:
            paused, self._paused = self._paused, set()
            for session in paused:
                session.go_on()

    def wait(self, session: Paused) -> None:
        """Tell `session` when there is room."""
        self._paused.add(session)

    def forget(self, session: Paused) -> None:
        """`session` is over."""
        self._paused.discard(session)


@dataclass(frozen=True, slots=True)
class Shared:
    """What the sessions of one server have in common."""

    exports: Exports
    limits: Limits
    attempts: Attempts
    budget: Budget
    spawn: Callable[[Coroutine[Any, Any, None]], object]
    """Runs a coroutine that raises nothing in a task that somebody awaits."""
