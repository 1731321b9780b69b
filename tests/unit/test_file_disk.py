"""`FileDisk`: bytes in a sparse file, on several file systems."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.bad_input import filesystems

from g2disk.disk import Extent, coalesce
from g2disk.errors import NotFound, OutOfRange, Unsupported
from g2disk.stores.file import FileDisk, FileStore
from g2disk.testing.clock import turns
from g2disk.units import MAXIMUM_DISK_SIZE, MIB

PAGE = 4096


@pytest.fixture(params=["checkout", "tmpfs", "xfs"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A directory on the file system that the tests run on, on a tmpfs and on an XFS."""
    with ExitStack() as stack:
        if request.param == "tmpfs":
            yield stack.enter_context(filesystems.tmpfs(tmp_path / "tmpfs", "256m"))
        elif request.param == "xfs":
            yield stack.enter_context(filesystems.xfs(tmp_path / "xfs"))
        else:
            yield tmp_path


@pytest.fixture
async def store(place: Path) -> AsyncIterator[FileStore]:
    store = await FileStore.at(place / "store")
    yield store
    await store.close()


async def made(store: FileStore, size: int) -> FileDisk:
    """A new disk of the store."""
    await store.create("a", size)
    disk = await store.open("a")
    assert isinstance(disk, FileDisk)
    return disk


def answered_at_once(request: Coroutine[Any, Any, Any]) -> bool:
    """Whether a request is answered without waiting for anything, such as a thread."""
    try:
        request.send(None)
    except StopIteration:
        return True
    request.close()
    return False


async def test_it_behaves_like_a_bytearray(store: FileStore) -> None:
    """Writes, trims and zeroes of any alignment, durable or not, change their range alone; extents tell the truth."""
    rng = Random(7)
    size = 2 * MIB + 1536
    disk, model = await made(store, size), bytearray(size)
    for _ in range(500):
        offset = rng.choice([rng.randrange(size), rng.randrange(0, size, PAGE)])
        longest = min(size - offset, rng.choice([1, 700, PAGE, 3 * PAGE, 300000, size]))
        length = rng.choice([longest, rng.randint(1, longest)])
        kind, fua = rng.randrange(4), rng.random() < 0.05
        if kind == 0:
            data = rng.randbytes(length)
            await disk.write(offset, memoryview(data) if rng.random() < 0.5 else data, fua)
            model[offset : offset + length] = data
        elif kind == 1:
            await disk.zero(offset, length, fua, may_trim=rng.random() < 0.5)
            model[offset : offset + length] = bytes(length)
        elif kind == 2:
            await disk.trim(offset, length, fua)
            model[offset : offset + length] = bytes(length)
        assert bytes(await disk.read(offset, length)) == model[offset : offset + length]
        extents = await disk.extents(offset, length)
        assert extents == coalesce(extents)
        assert (extents[0].offset, extents[-1].end) == (offset, offset + length)
        for extent in extents:
            assert extent.hole == extent.zero
            assert not extent.zero or not any(model[extent.offset : extent.end])
    await disk.flush()
    assert bytes(await disk.read(0, size)) == model
    assert Path(f"{store.url[5:]}/a/data").read_bytes() == model  # noqa: ASYNC240


async def test_the_largest_requests(store: FileStore) -> None:
    """32 MiB are written and read in one request, and ranges of 4 GiB trimmed and zeroed in one."""
    disk = await made(store, 5 << 30)
    data = Random(1).randbytes(MIB) * 32
    await disk.write(12345, data)
    assert bytes(await disk.read(12345, len(data))) == data
    await disk.trim(0, 1 << 32)
    assert not any(await disk.read(12345, MIB))
    await disk.zero(512, 1 << 32, fast=True)
    assert await disk.extents(0, disk.size) == [Extent(0, disk.size, hole=True, zero=True)]


async def test_trim_and_zero_give_space_back(store: FileStore) -> None:
    """What was written takes up space, and trim and zero give it back."""
    disk = await made(store, 64 * MIB)
    assert (await store.get("a")).allocated < MIB
    for give_back in (disk.trim, disk.zero):
        await disk.write(0, bytes(8 * MIB), fua=True)
        assert (await store.get("a")).allocated >= 8 * MIB
        await give_back(0, 64 * MIB)
        assert (await store.get("a")).allocated < MIB


async def test_zero_keeps_space_where_it_must(store: FileStore) -> None:
    """Without `may_trim` the range stays allocated, or becomes so; with `fast` only where that needs no writing."""
    disk = await made(store, 16 * MIB)
    await disk.write(0, b"x" * MIB, fua=True)
    try:
        await disk.zero(0, 2 * MIB, may_trim=False, fast=True)
    except Unsupported:
        assert bytes(await disk.read(0, MIB)) == b"x" * MIB
        assert (await store.get("a")).allocated < 2 * MIB
        await disk.zero(0, 2 * MIB, may_trim=False)
    assert not any(await disk.read(0, 2 * MIB))
    assert (await store.get("a")).allocated >= 2 * MIB


async def test_concurrent_requests_do_not_disturb_each_other(store: FileStore) -> None:
    """Many writes at once to neighbouring ranges all arrive, and flushes among them change nothing."""
    disk = await made(store, 4 * MIB)
    rng = Random(5)
    pieces = [(number * 1000, rng.randbytes(1000)) for number in range(4000)]
    requests = [disk.write(offset, data, fua=rng.random() < 0.01) for offset, data in pieces]
    await asyncio.gather(*requests, *(disk.flush() for _ in range(20)))
    assert bytes(await disk.read(0, 4000000)) == b"".join(data for _, data in pieces)


async def test_a_cancelled_write_is_over_when_it_says_so(store: FileStore) -> None:
    """After a cancelled write has ended its buffer is not used any more, and nothing of it arrives later."""
    disk = await made(store, 64 * MIB)
    await disk.write(0, b"o" * (64 * MIB))
    buffers = [bytearray(b"n" * (2 * MIB)) for _ in range(32)]
    tasks = [asyncio.create_task(disk.write(number * 2 * MIB, buffer)) for number, buffer in enumerate(buffers)]
    await turns(2)
    for number, task in enumerate(tasks):
        if number % 2:
            task.cancel()
    for number, task in enumerate(tasks):
        await asyncio.wait([task])
        if task.cancelled():
            buffers[number][:] = b"z" * (2 * MIB)
            before = bytes(await disk.read(number * 2 * MIB, 2 * MIB))
            assert set(before) <= {ord("o"), ord("n")}
    await disk.flush()
    after = bytes(await disk.read(0, 64 * MIB))
    assert set(after) <= {ord("o"), ord("n")}
    assert all(after[start : start + 2 * MIB] == b"n" * (2 * MIB) for start in range(0, 64 * MIB, 4 * MIB))


async def test_flushes_share_syncs(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many flushes and durable writes wait at once, the file is synced at most twice."""
    disk = await made(store, MIB)
    syncs = []
    fdatasync = os.fdatasync

    def counted(file: int) -> None:
        syncs.append(file)
        fdatasync(file)

    monkeypatch.setattr(os, "fdatasync", counted)
    await asyncio.gather(*(disk.flush() for _ in range(100)))
    assert 1 <= len(syncs) <= 2


async def test_every_request_beyond_the_end_is_refused(store: FileStore) -> None:
    """Requests that a shrink overtook fail and leave nothing behind the end."""
    disk = await made(store, 512)
    for request in (
        disk.read(512, 1),
        disk.write(1, bytes(512)),
        disk.trim(0, 513),
        disk.zero(0, 513),
        disk.extents(1, 512),
        disk.cache(0, 513),
    ):
        with pytest.raises(OutOfRange):
            await request
    assert os.stat(f"{store.url[5:]}/a/data").st_size == 512


async def test_a_closed_disk_refuses_everything(store: FileStore) -> None:
    """When the disk is gone no request reaches the file's number, which may be another file's by then."""
    disk = await made(store, MIB)
    pending = [asyncio.create_task(disk.write(0, bytes(MIB // 2), fua=True)) for _ in range(10)]
    await turns(1)
    await store.delete("a")
    outcomes = await asyncio.gather(*pending, return_exceptions=True)
    assert all(outcome is None or isinstance(outcome, NotFound) for outcome in outcomes)
    for request in (
        disk.read(0, 1),
        disk.write(0, b"x"),
        disk.flush(),
        disk.trim(0, 1),
        disk.zero(0, 1),
        disk.extents(0, 1),
        disk.cache(0, 1),
    ):
        with pytest.raises(NotFound, match="deleted"):
            await request


async def test_cached_bytes_are_read_without_a_thread(tmp_path: Path) -> None:
    """A read of what is in the page cache is answered at once; one of what is only on the device takes a thread."""
    filesystems.require_root()
    filesystems.make_ext4(tmp_path / "image", "64M")
    data = Random(1).randbytes(MIB)
    with filesystems.mounted(tmp_path / "disks", "-o", "loop", tmp_path / "image") as place:
        store = await FileStore.at(place)
        disk = await made(store, MIB)
        await disk.write(0, data)
        assert answered_at_once(disk.read(0, MIB))
        await store.close()
    with filesystems.mounted(tmp_path / "disks", "-o", "loop", tmp_path / "image") as place:
        store = await FileStore.at(place)
        again = await store.open("a")
        assert not answered_at_once(again.read(0, MIB))
        assert bytes(await again.read(0, MIB)) == data
        assert answered_at_once(again.read(0, MIB))
        await store.close()


async def test_a_giant_disk_on_xfs(tmp_path: Path) -> None:
    """8 EiB in a file: written and read at both ends and in the middle; extents and trim cost what was written."""
    with filesystems.xfs(tmp_path / "xfs") as place:
        store = await FileStore.at(place)
        disk = await made(store, MAXIMUM_DISK_SIZE)
        middle, last = 1 << 62, MAXIMUM_DISK_SIZE - PAGE
        for offset in (0, middle, last):
            await disk.write(offset, b"x" * PAGE, fua=True)
            assert bytes(await disk.read(offset, PAGE)) == b"x" * PAGE
        extents = await disk.extents(0, MAXIMUM_DISK_SIZE)
        assert [(extent.offset, extent.length) for extent in extents if not extent.hole] == [
            (0, PAGE),
            (middle, PAGE),
            (last, PAGE),
        ]
        assert (await store.get("a")).allocated < 10 * MIB
        await disk.trim(0, MAXIMUM_DISK_SIZE)
        assert (await disk.extents(0, MAXIMUM_DISK_SIZE)) == [Extent(0, MAXIMUM_DISK_SIZE, hole=True, zero=True)]
        assert (await store.get("a")).allocated == 0
        await store.resize("a", MIB)
        await store.resize("a", MAXIMUM_DISK_SIZE)
        await store.close()


async def test_extents_end_early_and_go_on_where_they_ended(tmp_path: Path) -> None:
    """Extents of very many pieces come in bounded answers, which together say what one would."""
    store = await FileStore.at(tmp_path)
    disk = await made(store, 1 << 30)
    await asyncio.gather(*(disk.write(number * 16 * PAGE, b"x" * PAGE) for number in range(2000)))
    at, answers, data = 0, 0, 0
    while at < disk.size:
        extents = await disk.extents(at, disk.size - at)
        assert len(extents) <= 1100
        at, answers, data = extents[-1].end, answers + 1, data + sum(not extent.hole for extent in extents)
    assert data == 2000
    assert answers > 1
    await store.close()
