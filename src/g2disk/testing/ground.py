"""What promises are checked on: a disk, seeded randomness, and windows that remember what the disk must hold."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable, Iterator
from random import Random
from typing import Any, NoReturn, TypeVar

from g2disk.disk import Disk
from g2disk.errors import DiskError
from g2disk.units import KIB

T = TypeVar("T")

PAGE = 4 * KIB
"""Bytes; the unit of most caches and file systems, so the edges where mistakes live."""


class BrokenPromise(AssertionError):
    """A disk does not keep a promise of `g2disk.disk.Disk`."""

    def __init__(self, promise: str, detail: str, seed: int) -> None:
        super().__init__(promise, detail, seed)
        self.promise = promise
        self.detail = detail
        self.seed = seed

    def __str__(self) -> str:
        return f"{self.promise}: {self.detail} (seed {self.seed})"


class Ground:
    """A disk under test, for one promise."""

    def __init__(self, disk: Disk, promise: str, seed: int, effort: int = 1) -> None:
        self.disk = disk
        self.info = disk.info()
        self.promise = promise
        self.seed = seed
        self.effort = effort
        # A stream of its own for each promise: what one draws does not change what the next one does.
        self.rng = Random(f"{seed} {promise}")

    @property
    def block(self) -> int:
        """`DiskInfo.minimum_block`."""
        return self.info.minimum_block

    @property
    def writable(self) -> bool:
        """Whether the disk takes writes."""
        return not self.info.read_only

    def broken(self, detail: str) -> NoReturn:
        """The promise is not kept."""
        raise BrokenPromise(self.promise, detail, self.seed)

    def require(self, kept: bool, detail: str) -> None:
        """The promise is not kept, unless `kept`."""
        if not kept:
            self.broken(detail)

    def noise(self, length: int) -> bytes:
        """`length` random bytes, none of them zero, so that no zero is taken for them."""
        return self.rng.randbytes(length).replace(b"\0", b"\x55")

    def align(self, number: float) -> int:
        """The largest multiple of the disk's block that is not larger than `number`."""
        return int(number) // self.block * self.block

    def pieces(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """The range as (offset, length) of requests that the disk takes."""
        limit = self.align(self.info.maximum_request)
        for at in range(offset, offset + length, limit):
            yield at, min(limit, offset + length - at)

    async def read(self, offset: int, length: int) -> bytes:
        """Exactly these bytes of the disk, copied."""
        parts = [bytes(await self.disk.read(at, step)) for at, step in self.pieces(offset, length)]
        data = b"".join(parts)
        self.require(len(data) == length, f"read({offset}, {length}) gave {len(data)} bytes")
        return data

    async def write(self, offset: int, data: bytes, fua: bool = False) -> None:
        """Store all of `data`."""
        view = memoryview(data)
        for at, step in self.pieces(offset, len(data)):
            await self.disk.write(at, view[at - offset : at - offset + step], fua)

    async def expect(self, offset: int, data: bytes, after: str) -> None:
        """The disk holds `data` at `offset`."""
        got = await self.read(offset, len(data))
        wrong = first_difference(got, data)
        if wrong is not None:
            self.broken(f"after {after}, {_differing(offset, wrong, got, data)}")

    async def refusal(self, request: Awaitable[Any], what: str, *kinds: type[DiskError]) -> None:
        """`request` raises one of `kinds`."""
        wanted = " or ".join(kind.__name__ for kind in kinds)
        try:
            await request
        except kinds:
            return
        except DiskError as error:
            self.broken(f"{what} raised {type(error).__name__} ({error}), not {wanted}")
        self.broken(f"{what} succeeded, and must raise {wanted}")

    def window(self, where: float = 0.4, length: int = 4 * PAGE) -> Window:
        """A window that begins at that part of the disk (0 its start, 1 its end), on the edge of a page, mostly.

        Longer than `length` where blocks are large, shorter where the disk is.
        """
        length = min(max(length, 8 * self.block), self.info.size)
        start = self.align((self.info.size - length) * where) if 0 < where < 1 else 0
        start -= start % max(PAGE, self.block)
        return Window(self, self.info.size - length if where >= 1 else start, length)

    def windows(self, length: int) -> list[Window]:
        """Windows at the start, within and at the end of the disk; one of all the disk where these would overlap."""
        three = [self.window(where, length) for where in (0, 0.4, 1)]
        if self.info.size < 4 * three[0].length:
            return [Window(self, 0, self.info.size)]
        return three


class Window:
    """A range of the disk together with the bytes that it must hold; positions count from the window's start."""

    def __init__(self, ground: Ground, offset: int, length: int) -> None:
        self.ground = ground
        self.offset = offset
        self.length = length
        self._bytes = bytearray(length)
        self._known = bytearray(length)
        self._last = "nothing"

    async def fill(self) -> None:
        """Write noise all over it; or, where the disk is read-only, see what it holds."""
        if self.ground.writable:
            await self.write(0, self.length)
        else:
            self.note(0, await self.ground.read(self.offset, self.length), "the first read")

    async def write(self, start: int, end: int, fua: bool = False) -> None:
        """Write noise."""
        data = self.ground.noise(end - start)
        await self.ground.write(self.offset + start, data, fua)
        self.note(start, data, f"write({self.offset + start}, {end - start} bytes{', fua=True' if fua else ''})")

    async def zero(self, start: int, end: int, fua: bool = False, may_trim: bool = True) -> None:
        """Zero a range."""
        await self.ground.disk.zero(self.offset + start, end - start, fua, may_trim)
        self.note(start, bytes(end - start), f"zero({self.offset + start}, {end - start}, {fua=}, {may_trim=})")

    async def trim(self, start: int, end: int, fua: bool = False) -> None:
        """Trim a range, which may hold anything then."""
        await self.ground.disk.trim(self.offset + start, end - start, fua)
        self._known[start:end] = bytes(end - start)
        self._last = f"trim({self.offset + start}, {end - start}, {fua=})"

    def note(self, start: int, data: bytes, after: str) -> None:
        """The window must hold `data` there, after what was done."""
        self._bytes[start : start + len(data)] = data
        self._known[start : start + len(data)] = b"\xff" * len(data)
        self._last = after

    def held(self, start: int, end: int) -> bytes:
        """What the window must hold there."""
        return bytes(self._bytes[start:end])

    async def check(self, start: int = 0, end: int | None = None) -> None:
        """The disk holds what it must, byte for byte."""
        end = self.length if end is None else end
        self.compare(start, await self.ground.read(self.offset + start, end - start))

    def compare(self, start: int, got: bytes) -> None:
        """`got`, which the disk says it holds from `start` on, is what it must hold."""
        want = self._bytes[start : start + len(got)]
        wrong = first_difference(got, want, self._known[start : start + len(got)])
        if wrong is not None:
            self.ground.broken(f"after {self._last}, {_differing(self.offset + start, wrong, got, want)}")

    async def check_around(self, start: int, end: int) -> None:
        """As `check`, all but this range."""
        kept = self._known[start:end]
        self._known[start:end] = bytes(end - start)
        await self.check()
        self._known[start:end] = kept

    def spans(self, count: int) -> list[tuple[int, int]]:
        """`count` ranges (start, end): at the window's edges, around those of pages and sectors, and at random."""
        edges = sorted({0, self.length, *self._near(PAGE), *self._near(512)})
        block = min(self.ground.block, self.length)
        page = max(PAGE, block)
        fixed = [(page - block, page + block), (0, block), (block, page - block), (0, self.length)]
        fixed += [(self.length - block, self.length), (block, self.length - block), (page, 2 * page)]
        spans = [(start, end) for start, end in fixed if 0 <= start < end <= self.length]
        while len(spans) < count:
            choices = edges if self.ground.rng.random() < 0.5 else range(0, self.length + 1, block)
            start, end = sorted((self.ground.rng.choice(choices), self.ground.rng.choice(choices)))
            if start < end:
                spans.append((start, end))
        return spans[:count]

    def apart(self, count: int) -> list[tuple[int, int]]:
        """Up to `count` ranges (start, end) that do not overlap, in order; many touch."""
        block = self.ground.block
        total = self.length // block
        cuts = sorted(self.ground.rng.sample(range(1, total), min(count, total) - 1))
        return [(start * block, end * block) for start, end in zip([0, *cuts], [*cuts, total], strict=True)]

    def _near(self, step: int) -> Iterable[int]:
        block = self.ground.block
        for edge in range(0, self.length + 1, max(step, block)):
            yield from (at for at in (edge - block, edge, edge + block) if 0 <= at <= self.length)


def first_difference(got: bytes | bytearray, want: bytes | bytearray, mask: bytes | bytearray = b"") -> int | None:
    """Where two strings of one length differ first, or None; only where `mask`, if given, has bits set."""
    if got == want:
        return None
    differing = int.from_bytes(got, "big") ^ int.from_bytes(want, "big")
    if mask:
        differing &= int.from_bytes(mask, "big")
    return len(got) - (differing.bit_length() + 7) // 8 if differing else None


def first_stranger(got: bytes, *allowed: bytes) -> int | None:
    """Where `got` has a byte that none of `allowed` has there, or None."""
    if got in allowed:
        return None
    return next(
        (at for at, choices in enumerate(zip(got, *allowed, strict=True)) if choices[0] not in choices[1:]), None
    )


async def together(*requests: Coroutine[Any, Any, Any]) -> list[Any]:
    """What the requests answer that run at once; if some fail, what the first of them raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(request) for request in requests]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    return [task.result() for task in tasks]


def _differing(offset: int, wrong: int, got: bytes | bytearray, want: bytes | bytearray) -> str:
    return f"byte {offset + wrong} is {got[wrong]:#04x} and must be {want[wrong]:#04x}"
