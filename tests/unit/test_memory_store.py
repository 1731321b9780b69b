"""`memory:`: disks that cost what was written to them."""

from __future__ import annotations

import asyncio
import gc
import mmap
import subprocess
import sys
import textwrap
from pathlib import Path
from random import Random

import pytest

from g2disk.disk import Extent, coalesce
from g2disk.errors import Exists, Invalid, NotFound, OutOfRange
from g2disk.stores.chunks import CHUNK, PAGE
from g2disk.stores.memory import MemoryDisk, MemoryStore
from g2disk.units import MAXIMUM_DISK_SIZE, MIB

LAST = MAXIMUM_DISK_SIZE - PAGE
MIDDLE = 1 << 62


def in_a_process(script: str) -> str:
    """What a fresh Python process prints that runs `script`; fails with its error output."""
    program = textwrap.dedent(PROLOGUE) + textwrap.dedent(script)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


PROLOGUE = """
import asyncio, resource
from pathlib import Path
from random import Random
from g2disk.errors import OutOfSpace
from g2disk.stores.memory import MemoryDisk
from g2disk.units import MAXIMUM_DISK_SIZE, MIB

def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

def mappings() -> int:
    return Path("/proc/self/maps").read_text().count("\\n")
"""


def mappings() -> int:
    """The number of mappings of this process."""
    return Path("/proc/self/maps").read_text().count("\n")


async def test_it_behaves_like_a_bytearray() -> None:
    """Writes, trims and zeroes of any alignment change their range and nothing else; extents tell the truth."""
    rng = Random(7)
    size = 3 * CHUNK + 1536
    disk, model = MemoryDisk(size), bytearray(size)
    for _ in range(1500):
        offset = rng.choice([rng.randrange(size), rng.randrange(0, size, PAGE), CHUNK - 1, CHUNK])
        longest = min(size - offset, rng.choice([1, 700, PAGE, 3 * PAGE, CHUNK + PAGE, size]))
        length = rng.choice([longest, rng.randint(1, longest)])
        kind = rng.randrange(4)
        if kind == 0:
            data = rng.randbytes(length)
            await disk.write(offset, data)
            model[offset : offset + length] = data
        elif kind == 1:
            await disk.zero(offset, length, may_trim=rng.random() < 0.5, fast=True)
            model[offset : offset + length] = bytes(length)
        elif kind == 2:
            await disk.trim(offset, length)
            model[offset : offset + length] = bytes(length)
        assert bytes(await disk.read(offset, length)) == model[offset : offset + length]
        extents = await disk.extents(offset, length)
        assert extents == coalesce(extents)
        assert (extents[0].offset, extents[-1].end) == (offset, offset + length)
        for extent in extents:
            assert extent.hole == extent.zero
            assert not extent.zero or not any(model[extent.offset : extent.end])
    assert bytes(await disk.read(0, size)) == model


async def test_the_largest_disk_costs_what_is_written() -> None:
    """An 8 EiB disk with three written pages holds three pages in three chunks, and its extents are those."""
    disk = MemoryDisk(MAXIMUM_DISK_SIZE)
    assert (disk.allocated, disk.chunks) == (0, 0)
    for offset in (0, MIDDLE, LAST):
        await disk.write(offset, b"x")
    assert (disk.allocated, disk.chunks) == (3 * PAGE, 3)
    assert await disk.extents(0, MAXIMUM_DISK_SIZE) == [
        Extent(0, PAGE),
        Extent(PAGE, MIDDLE - PAGE, hole=True, zero=True),
        Extent(MIDDLE, PAGE),
        Extent(MIDDLE + PAGE, LAST - MIDDLE - PAGE, hole=True, zero=True),
        Extent(LAST, PAGE),
    ]
    await disk.trim(0, MAXIMUM_DISK_SIZE)
    assert (disk.allocated, disk.chunks) == (0, 0)
    assert await disk.extents(0, MAXIMUM_DISK_SIZE) == [Extent(0, MAXIMUM_DISK_SIZE, hole=True, zero=True)]


async def test_reading_costs_no_memory() -> None:
    """Reads of what was never written add no page and no chunk."""
    disk = MemoryDisk(MAXIMUM_DISK_SIZE)
    assert not any(await disk.read(MIDDLE, 4096))
    assert bytes(await disk.read(CHUNK - 1, 32 * MIB)) == bytes(32 * MIB)
    assert (disk.allocated, disk.chunks) == (0, 0)


async def test_extents_end_early_and_go_on_where_they_ended() -> None:
    """Extents of very many pieces come in bounded answers, which together say what one would."""
    disk = MemoryDisk(MAXIMUM_DISK_SIZE)
    step = 5 * CHUNK
    for number in range(3000):
        await disk.write(number * step, b"x")
    at, answers, data = 0, 0, 0
    while at < MAXIMUM_DISK_SIZE:
        extents = await disk.extents(at, MAXIMUM_DISK_SIZE - at)
        assert len(extents) <= 2100
        assert extents[0].offset == at
        at, answers, data = extents[-1].end, answers + 1, data + sum(not extent.hole for extent in extents)
    assert data == 3000
    assert answers > 1


async def test_extents_look_at_a_bounded_number_of_full_chunks() -> None:
    """One extent that covers many chunks may end early too."""
    disk = MemoryDisk(2000 * CHUNK)
    for number in range(2000):
        await disk.write(number * CHUNK, b"x")
        disk._chunks[number].written = (1 << (CHUNK // PAGE)) - 1  # as if all of it had been written
    (first,) = await disk.extents(0, disk.size)
    assert first.length < disk.size
    (second,) = await disk.extents(first.end, disk.size - first.end)
    assert second.end == disk.size


async def test_a_kept_view_never_shows_another_range() -> None:
    """A view of a trimmed range shows what was there or zeroes, even when its memory was wanted for other ranges."""
    disk = MemoryDisk(64 * CHUNK)
    await disk.write(0, b"a" * CHUNK)
    view = await disk.read(0, CHUNK)
    assert isinstance(view, memoryview)
    assert view.readonly
    await disk.trim(0, CHUNK)
    for number in range(1, 64):
        await disk.write(number * CHUNK, b"b" * CHUNK)
    assert set(bytes(view)) <= {ord("a"), 0}
    other = MemoryDisk(64 * CHUNK)
    await other.write(0, b"c" * CHUNK)
    assert set(bytes(view)) <= {ord("a"), 0}


async def test_cleared_memory_is_used_again() -> None:
    """Writing and trimming for ever takes no more address space than is needed at once."""
    disk = MemoryDisk(MAXIMUM_DISK_SIZE)
    rng = Random(3)
    for _ in range(500):
        offset = rng.randrange(MAXIMUM_DISK_SIZE >> 20) << 20
        await disk.write(offset, b"y" * PAGE)
        assert bytes(await disk.read(offset, 2 * PAGE)) == b"y" * PAGE + bytes(PAGE)
        await disk.trim(offset, MIB)
        assert len(disk._pool.arenas) <= 1
    assert disk.chunks == 0


async def test_memory_is_zeroes_again_when_it_is_used_again() -> None:
    """Chunks that were dropped with all others show nothing of their bytes in their next place."""
    disk = MemoryDisk(4 * CHUNK)
    await disk.write(0, b"a" * (4 * CHUNK))
    view = await disk.read(0, CHUNK)  # keeps the arena
    await disk.trim(0, disk.size)
    for number in range(4):
        await disk.write(number * CHUNK, b"b")
        assert bytes(await disk.read(number * CHUNK, CHUNK)) == b"b" + bytes(CHUNK - 1)
    assert len(view) == CHUNK


async def test_an_arena_without_chunks_is_unmapped() -> None:
    """When the last chunk is trimmed and no view is left, the address space goes back too."""
    disk = MemoryDisk(MAXIMUM_DISK_SIZE)
    await disk.write(0, b"x" * CHUNK)
    view = await disk.read(0, CHUNK)
    await disk.trim(0, CHUNK)
    assert [len(arena.free) for arena in disk._pool.arenas] == [63]
    del view
    assert not disk._pool.arenas


def test_memory_follows_what_is_written() -> None:
    """Resident memory of an 8 EiB disk stays far below 150 MB, grows with writes and falls with trims."""
    out = in_a_process("""
        async def main() -> None:
            disk = MemoryDisk(MAXIMUM_DISK_SIZE)
            rng = Random(1)
            for offset in (0, 1 << 62, MAXIMUM_DISK_SIZE - MIB):
                await disk.write(offset, b"x" * MIB)
                await disk.read(offset, MIB)
            for _ in range(1000):
                await disk.write(rng.randrange(MAXIMUM_DISK_SIZE >> 12) << 12, b"x" * 4096)
            await disk.extents(0, MAXIMUM_DISK_SIZE)
            small = resident()
            for number in range(200):
                await disk.write(number * MIB, b"x" * MIB)
            large = resident()
            await disk.trim(512, 200 * MIB)
            after = resident()
            print(small, large - small, after - small)
        asyncio.run(main())
        """)
    small, grown, left = map(int, out.split())
    assert small < 150e6
    assert 190 * MIB < grown < 215 * MIB
    assert left < 10 * MIB


def test_scattered_writes_use_few_mappings() -> None:
    """Writes all over 8 EiB, and trimming every other one, do not use up the kernel's limit of mappings."""
    out = in_a_process("""
        async def main() -> None:
            disk = MemoryDisk(MAXIMUM_DISK_SIZE)
            before = mappings()
            for number in range(20000):
                await disk.write(number << 48, b"x")
            for number in range(0, 20000, 2):
                await disk.trim(number << 48, 4096)
            print(disk.chunks, mappings() - before)
        asyncio.run(main())
        """)
    chunks, added = map(int, out.split())
    assert chunks == 10000
    assert added < 200


def test_memory_that_the_system_refuses_is_out_of_space() -> None:
    """Where address space is limited the write fails with OutOfSpace, and what was written before is still there."""
    out = in_a_process("""
        async def main() -> None:
            disk = MemoryDisk(MAXIMUM_DISK_SIZE)
            now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (now + 300 * MIB, now + 300 * MIB))
            written = 0
            try:
                while True:
                    await disk.write(written << 40, b"x")
                    written += 1
            except OutOfSpace as error:
                print(error)
            for number in range(written):
                assert await disk.read(number << 40, 2) == b"x\\0"
            await disk.trim(0, MAXIMUM_DISK_SIZE)
            await disk.write(5, b"y")
        asyncio.run(main())
        """)
    assert out == "getting memory for a memory disk: Cannot allocate memory"


async def test_a_disk_regrown_reads_as_zeroes() -> None:
    """What a shrink cut off is gone, also inside a page."""
    disk = MemoryDisk(4 * CHUNK)
    await disk.write(0, b"x" * disk.size)
    disk.resize(CHUNK + 512)
    assert disk.info().size == CHUNK + 512
    assert disk.allocated == CHUNK + PAGE
    with pytest.raises(OutOfRange):
        await disk.write(CHUNK, b"y" * 513)
    disk.resize(4 * CHUNK)
    assert bytes(await disk.read(CHUNK, 3 * CHUNK)) == b"x" * 512 + bytes(3 * CHUNK - 512)
    assert bytes(await disk.read(0, CHUNK)) == b"x" * CHUNK


async def test_every_request_beyond_the_end_is_refused() -> None:
    """Requests that a shrink overtook fail and leave nothing behind the end."""
    disk = MemoryDisk(512)
    with pytest.raises(OutOfRange):
        await disk.read(512, 1)
    with pytest.raises(OutOfRange):
        await disk.trim(0, 513)
    with pytest.raises(OutOfRange):
        await disk.zero(0, 513)
    with pytest.raises(OutOfRange):
        await disk.extents(1, 512)
    assert disk.chunks == 0


async def test_each_disk_is_another_one() -> None:
    """Identity and instance are new for every disk, also of one name, and stay when it is resized."""
    store = MemoryStore()
    seen = set()
    for _ in range(2):
        await store.create("a", 512)
        info = (await store.open("a")).info()
        await store.resize("a", 1024)
        again = (await store.open("a")).info()
        assert (again.identity, again.instance) == (info.identity, info.instance)
        seen |= {info.identity, info.instance}
        await store.delete("a")
    assert len(seen) == 4


async def test_the_catalogue() -> None:
    """Disks are created, listed in order, opened as one object, resized and deleted."""
    store = MemoryStore()
    assert store.url == "memory:"
    assert list(await store.list()) == []
    await store.create("b", 4096, "the second")
    made = await store.create("a", MAXIMUM_DISK_SIZE)
    assert made.description == "memory"
    disk = await store.open("b")
    assert disk is await store.open("b")
    await disk.write(0, b"x")
    assert [(entry.name, entry.size, entry.allocated) for entry in await store.list()] == [
        ("a", MAXIMUM_DISK_SIZE, 0),
        ("b", 4096, PAGE),
    ]
    assert (await store.get("b")).description == "the second"
    assert (await store.resize("b", 8192)).size == 8192
    assert disk.info().size == 8192
    await store.delete("b")
    assert [entry.name for entry in await store.list()] == ["a"]


async def test_a_deleted_disk_is_not_found_and_costs_nothing() -> None:
    """Requests on a deleted disk fail with NotFound, whatever they are, and its memory is given back."""
    store = MemoryStore()
    await store.create("a", CHUNK)
    disk = await store.open("a")
    assert isinstance(disk, MemoryDisk)
    await disk.write(0, b"x" * CHUNK)
    await store.delete("a")
    assert (disk.allocated, disk.chunks) == (0, 0)
    for request in (disk.read(0, 1), disk.write(0, b"x"), disk.trim(0, 1), disk.zero(0, 1), disk.extents(0, 1)):
        with pytest.raises(NotFound, match="deleted"):
            await request
    for missing in (store.open("a"), store.get("a"), store.resize("a", 512), store.delete("a")):
        with pytest.raises(NotFound):
            await missing


async def test_wrong_names_and_sizes_are_refused() -> None:
    """A store checks names and sizes itself, and nothing is made or changed."""
    store = MemoryStore()
    await store.create("a", 512)
    for name in ("", ".", "..", "a/b", ".a", "a\n", "x" * 300):
        with pytest.raises(Invalid):
            await store.create(name, 512)
    for size in (0, -512, 513, MAXIMUM_DISK_SIZE + 512, 1 << 64):
        with pytest.raises(Invalid):
            await store.create("b", size)
        with pytest.raises(Invalid):
            await store.resize("a", size)
    with pytest.raises(Exists):
        await store.create("a", 512)
    assert [(entry.name, entry.size) for entry in await store.list()] == [("a", 512)]


async def test_closing_gives_everything_back() -> None:
    """After `close` no mapping of the store is left."""
    gc.collect()
    before = mappings()
    store = MemoryStore()
    for name in ("a", "b"):
        await store.create(name, MAXIMUM_DISK_SIZE)
        await (await store.open(name)).write(1 << 40, b"x" * (2 * MIB))
    await store.close()
    assert list(await store.list()) == []
    assert mappings() <= before + 1


async def test_concurrent_requests_do_not_disturb_each_other() -> None:
    """Many writes at once to neighbouring ranges, some of them cancelled, leave only old or new bytes."""
    disk = MemoryDisk(CHUNK * 2)
    await disk.write(0, b"o" * disk.size)
    tasks = [asyncio.create_task(disk.write(number * 100, b"n" * 100)) for number in range(20000)]
    for task in tasks[::3]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    data = bytes(await disk.read(0, disk.size))
    for number in range(20000):
        assert data[number * 100 : number * 100 + 100] in (
            (b"n" * 100, b"o" * 100) if number % 3 == 0 else (b"n" * 100,)
        )


def test_chunks_are_whole_pages() -> None:
    """The sizes that the code divides by fit each other on this machine."""
    assert CHUNK % PAGE == 0
    assert mmap.PAGESIZE == PAGE


def test_a_batch_survives_that_there_is_no_memory() -> None:
    """A request that the system has no memory for fails alone; the others of its batch are done."""
    script = """
    from g2disk.request import READ, WRITE, Request

    disk = MemoryDisk(1 << 30)
    asyncio.run(disk.write(0, b"abc"))
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 32 * MIB, -1))
    requests = [Request(READ, 0, 0, 3), Request(READ, 0, 0, 64 * MIB), Request(WRITE, 0, 9, 1, data=b"x")]
    finished = []
    assert disk.submit(requests, finished.extend) == []
    assert finished == requests
    print([type(request.error).__name__ for request in requests])
    """
    assert in_a_process(script) == "['NoneType', 'OutOfSpace', 'NoneType']"
