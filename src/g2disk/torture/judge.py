"""Whether what was read may be there, given all that was asked for and answered.  Pure: bytes and events in, violations
out.

Each block of the disk is a register of its own; see `g2disk.torture.history` for what it may hold.  A client that keeps
a record of what is not flushed hides the server's restarts, so that everything acknowledged stays; only where the
client itself is thrown away, and the server says another instance then, may what no flush and no FUA covered be lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from g2disk.torture.blocks import ANYTHING, ZEROES, Blocks
from g2disk.torture.history import BlockHistory, Change

Kind: TypeAlias = Literal["lost", "torn", "foreign", "unanswered", "failed"]
"""lost: an older version, or zeroes, than what the disk must hold; torn: no version as a whole, and none in flight;
foreign: bytes that nobody wrote there; unanswered: a request had no answer; failed: it had an error that nothing
explains."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A block that does not hold what it must."""

    kind: Kind
    offset: int
    """Bytes."""
    length: int
    """Bytes."""
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class Range:
    """Blocks, by their numbers."""

    first: int
    count: int

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.first + self.count))


class Pending:
    """A change that was asked for and not answered."""

    def __init__(self, parts: list[tuple[BlockHistory, Change]], fua: bool) -> None:
        self.parts = parts
        self.fua = fua


class Judge:
    """The histories of all blocks that were touched, and the count of events.

    `unit` is the disk's minimum block in bytes: what a change that was not answered may tear a block into.
    """

    def __init__(self, blocks: Blocks, unit: int = 1) -> None:
        self._blocks = blocks
        self._unit = min(unit, blocks.size)
        self._histories: dict[int, BlockHistory] = {}
        self._now = 0

    def tick(self) -> int:
        """The time of an event: the next one."""
        self._now += 1
        return self._now

    def settled(self, block: int) -> bool:
        """See `BlockHistory.settled`."""
        history = self._histories.get(block)
        return history is not None and history.settled

    def begin(self, where: Range, version: int, writer: int = 0, fua: bool = False) -> Pending:
        """A write of that version, a zero (`ZEROES`) or a trim (`ANYTHING`) is about to be asked for."""
        begun = self.tick()
        parts = []
        for block in where:
            history = self._histories.setdefault(block, _unknown())
            change = Change(version, writer, begun)
            history.begin(change)
            parts.append((history, change))
        return Pending(parts, fua)

    def acknowledged(self, pending: Pending) -> None:
        """It was answered."""
        now = self.tick()
        for history, change in pending.parts:
            history.acknowledge(change, now, pending.fua)

    def failed(self, pending: Pending) -> None:
        """It failed: done or not, and nothing of it happens any more."""
        now = self.tick()
        for _, change in pending.parts:
            change.ended = now

    def flushed(self, begun: int) -> None:
        """A flush that was asked for at that `tick` was answered."""
        self.tick()
        for history in self._histories.values():
            history.flushed(begun)

    def reopened(self, lossy: bool, fenced: bool = True) -> None:
        """See `BlockHistory.reopened`."""
        now = self.tick()
        for history in self._histories.values():
            history.reopened(now, lossy, fenced)

    def forget(self) -> None:
        """Nothing is in flight: keep no more of the past than matters."""
        for history in self._histories.values():
            history.forget()

    def read(self, begun: int, where: Range, data: bytes | bytearray | memoryview) -> list[Finding]:
        """What is wrong with what a read gave that was asked for at that `tick`."""
        now, size, view = self.tick(), self._blocks.size, memoryview(data)
        findings: list[Finding] = []
        for number, block in enumerate(where):
            found = self._look(block, bytes(view[number * size : (number + 1) * size]), begun, now)
            if found is not None:
                findings.append(found)
        return findings

    def _look(self, block: int, data: bytes, begun: int, now: int) -> Finding | None:
        history = self._histories.get(block)
        if history is None:
            return None
        allowed = history.allowed(begun, now)
        version = self._blocks.version_of(block, data)
        if version is not None and any(change.version == version for change in allowed):
            history.seen(version, begun, now)
            return None
        if any(change.version == ANYTHING for change in allowed) or self._is_mixture(block, data, allowed):
            return None
        found = self._blocks.describe(block, data)
        return Finding(_kind(version, found), block * len(data), len(data), _expected(allowed), found)

    def _is_mixture(self, block: int, data: bytes, allowed: list[Change]) -> bool:
        """Whether every piece that the disk writes as a whole is that of a version which is allowed."""
        contents = [self._blocks.content(block, change.version, change.writer) for change in allowed]
        pieces = range(0, len(data), self._unit)
        return all(
            any(data[at : at + self._unit] == content[at : at + self._unit] for content in contents) for at in pieces
        )


def _unknown() -> BlockHistory:
    """Of a block that was never written in this run."""
    history = BlockHistory()
    history.begin(Change(ANYTHING, 0, begun=0, ended=0))
    return history


def _kind(version: int | None, found: str) -> Kind:
    if version is not None:
        return "lost"
    return "torn" if found.startswith("torn") else "foreign"


def _expected(allowed: Iterable[Change]) -> str:
    names = [f"{_name(change.version)} ({_state(change)})" for change in allowed]
    return " or ".join(dict.fromkeys(names))


def _name(version: int) -> str:
    return "zeroes" if version == ZEROES else f"version {version}"


def _state(change: Change) -> str:
    if change.durable:
        return "durable"
    if change.kept:
        return "acknowledged"
    return "acknowledged before a loss" if change.acknowledged else "not acknowledged"
