"""Copying one disk to another, at the level of disks."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import pytest

from g2disk.cli.copying import PIECE, PIECES_AT_ONCE, ZERO_BLOCK, Copy
from g2disk.disk import MAXIMUM_RANGE, Buffer, Disk, Extent
from g2disk.disk.layers.checked import Checked
from g2disk.errors import Corrupt, OutOfSpace
from g2disk.stores.memory import MemoryStore
from g2disk.testing import turns
from g2disk.units import GIB, MAXIMUM_DISK_SIZE, MIB


async def memory(size: int, name: str = "disk") -> Disk:
    """A fresh disk of zeroes."""
    store = MemoryStore()
    await store.create(name, size)
    return Checked(await store.open(name))


async def copied(source: Disk, destination: Disk, size: int, clean: bool = True) -> Copy:
    """A copy that was made and verified."""
    copy = Copy(source, destination, size, clean)
    advanced: list[int] = []
    total = await copy.measure()
    await copy.copy(advanced.append)
    assert total == sum(advanced)
    await copy.verify(advanced.append)
    return copy


class Watched(Disk):
    """A disk around a disk that keeps an account, and waits for leave where it is told to."""

    def __init__(self, inner: Disk, before: Callable[[], Awaitable[None]] | None = None) -> None:
        self.inner, self.size, self.identity = inner, inner.info().size, "watched"
        self.written: list[tuple[int, int]] = []
        self.busy = self.busiest = 0
        self._before = before

    async def read(self, offset: int, length: int) -> Buffer:
        return await self.inner.read(offset, length)

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        self.busy += 1
        self.busiest = max(self.busy, self.busiest)
        try:
            if self._before is not None:
                await self._before()
            self.written.append((offset, len(data)))
            await self.inner.write(offset, data)
        finally:
            self.busy -= 1

    async def extents(self, offset: int, length: int) -> list[Extent]:
        return await self.inner.extents(offset, length)


@pytest.mark.parametrize("seed", range(5))
async def test_a_copy_is_the_same_and_no_larger(seed: int) -> None:
    """Data anywhere arrives; the copy has as much space allocated as the original, to the block."""
    rng = random.Random(seed)
    size = 20 * MIB + 512 * rng.randrange(2000)
    source, destination = await memory(size), Watched(await memory(size))
    for _ in range(rng.randrange(1, 30)):
        length = rng.choice([1, 512, 4096, 70_000, 3 * MIB])
        await source.write(rng.randrange(size - length), rng.randbytes(length))

    await copied(source, destination, size)

    assert bytes(await source.read(0, size)) == bytes(await destination.read(0, size))
    blocks = [bytes(await source.read(at, min(ZERO_BLOCK, size - at))) for at in range(0, size, ZERO_BLOCK)]
    assert sum(len(block) for block in blocks if any(block)) == sum(length for _, length in destination.written)


async def test_zeroes_that_were_written_are_not_copied() -> None:
    """Blocks of zeroes become holes, whatever the original says of them."""
    source, destination = await memory(4 * MIB), Watched(await memory(4 * MIB))
    await source.write(0, bytes(4 * MIB))
    await source.write(2 * MIB + ZERO_BLOCK, b"x")

    copy = await copied(source, destination, 4 * MIB)

    assert [(2 * MIB + ZERO_BLOCK, ZERO_BLOCK)] == destination.written
    assert PIECE == copy.copied


async def test_what_was_on_the_destination_is_gone() -> None:
    """A destination that is not clean reads as the original everywhere, in holes and in zeroes too."""
    size = 8 * MIB
    source, destination = await memory(size), await memory(size)
    await source.write(0, b"a" * 10 + bytes(MIB) + b"b")
    await destination.write(0, b"\xff" * size)

    await copied(source, destination, size, clean=False)

    assert bytes(await source.read(0, size)) == bytes(await destination.read(0, size))


async def test_only_so_many_pieces_are_in_memory() -> None:
    """However large the disk and slow the destination, the requests in flight are bounded."""

    async def slowly() -> None:
        await turns(20)

    size = 64 * MIB
    source, destination = await memory(size), Watched(await memory(size), slowly)
    await source.write(0, b"x" * (32 * MIB))

    await copied(source, destination, size)

    assert PIECES_AT_ONCE == destination.busiest


@pytest.mark.parametrize("offset", [0, 5 * MIB + 12345, 8 * MIB - 1], ids=["data", "more data", "hole"])
async def test_a_wrong_byte_in_the_copy_is_found(offset: int) -> None:
    """Verifying names the place, be it data that differs or data where a hole must be."""
    source, destination = await memory(8 * MIB), await memory(8 * MIB)
    await source.write(0, random.Random(1).randbytes(6 * MIB))
    copy = Copy(source, destination, 8 * MIB, clean=True)
    await copy.copy(lambda _: None)
    old = bytes(await destination.read(offset, 1))[0]
    await destination.write(offset, bytes([old ^ 1]))

    with pytest.raises(Corrupt, match=r"differs .* do not use it") as raised:
        await copy.verify(lambda _: None)
    found = [int(word) for word in str(raised.value).replace(";", "").split() if word.isdecimal()]
    assert found[1] <= offset < found[1] + found[0]


async def test_a_write_that_fails_ends_the_copy() -> None:
    """The error is the destination's own, and requests in flight are over when it is raised."""
    left = 10

    async def fail() -> None:
        nonlocal left
        left -= 1
        await turns(3)
        if left < 0:
            raise OutOfSpace("full")

    source, destination = await memory(32 * MIB), Watched(await memory(32 * MIB), fail)
    await source.write(0, b"x" * (32 * MIB))

    with pytest.raises(OutOfSpace, match=r"^full$"):
        await Copy(source, destination, 32 * MIB, clean=True).copy(lambda _: None)
    assert 0 == destination.busy


async def test_a_sparse_exbibyte_is_copied_by_its_extents() -> None:
    """With a disk that answers for any range, holes cost nothing, however large."""
    rng = random.Random(2)
    store = MemoryStore()
    await store.create("giant", MAXIMUM_DISK_SIZE)
    await store.create("copy", MAXIMUM_DISK_SIZE)
    source, destination = await store.open("giant"), await store.open("copy")
    places = [0, GIB + 512, 1 << 40, MAXIMUM_DISK_SIZE - 5000]
    for place in places:
        await source.write(place, rng.randbytes(5000))

    await copied(source, destination, MAXIMUM_DISK_SIZE)

    for place in places:
        assert bytes(await source.read(place, 5000)) == bytes(await destination.read(place, 5000))


async def test_extents_are_asked_for_in_what_a_server_takes() -> None:
    """A disk that takes ranges of at most 4 GiB is copied too."""
    size = 3 * MAXIMUM_RANGE
    source, destination = await memory(size), await memory(size)
    await source.write(size - 10, b"0123456789")

    await copied(source, destination, size)

    assert b"0123456789" == bytes(await destination.read(size - 10, 10))
