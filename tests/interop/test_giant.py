"""Giant disks: what is not written costs nothing, whatever the size."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from g2disk.clock import SystemClock
from g2disk.disk import Disk
from g2disk.errors import Invalid
from g2disk.stores.remote import RemoteStore
from g2disk.units import MAXIMUM_DISK_SIZE, parse_size
from tests.support.nbd_client import connected
from tests.support.processes import Server, nbdkit, target_server, wait_until

MIB = 1 << 20
GIB = 1 << 30
BLOCK = 4096
PLACES = (0, 1 << 62, MAXIMUM_DISK_SIZE - BLOCK)
MOST_RESIDENT = 150 * MIB
SOON = 2.0
"""Seconds; a hundred times what it takes, and a small part of what it would take to visit the disk."""


@contextlib.asynccontextmanager
async def opened(server: Server, name: str = "") -> AsyncIterator[Disk]:
    store = RemoteStore(server.endpoint, 30)
    try:
        yield await store.open(name)
    finally:
        await store.close()


def resident(server: Server) -> int:
    """Bytes of memory of the server's process."""
    pages = int(Path(f"/proc/{server.process.popen.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def walk(disk: Disk) -> None:
    """Write and read at both ends and in the middle, map, trim everything, and find nothing."""
    assert MAXIMUM_DISK_SIZE == disk.info().size
    clock = SystemClock()
    for place in PLACES:
        await disk.write(place, place.to_bytes(8, "big") * 512)
    for place in PLACES:
        assert place.to_bytes(8, "big") * 512 == bytes(await disk.read(place, BLOCK))
    started = clock.now()
    for place in PLACES:
        found = await disk.extents(place, disk.info().size - place)
        assert (place, BLOCK, False) == (found[0].offset, found[0].length, found[0].zero)
    everything = await disk.extents(0, disk.info().size)
    assert list(PLACES) == [extent.offset for extent in everything if not extent.zero]
    await disk.trim(0, disk.info().size)
    assert clock.now() - started < SOON
    for place in PLACES:
        assert bytes(BLOCK) == bytes(await disk.read(place, BLOCK))


@pytest.fixture
def xfs(tmp_path: Path) -> Iterator[Path]:
    """A file system that holds files of 8 EiB less a little."""
    image, mountpoint = tmp_path / "xfs.img", tmp_path / "xfs"
    mountpoint.mkdir()
    with image.open("wb") as file:
        file.truncate(400 * MIB)
    subprocess.run(["mkfs.xfs", "-q", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(mountpoint)], check=True)
    try:
        yield mountpoint
    finally:
        subprocess.run(["umount", str(mountpoint)], check=True)


async def test_a_giant_disk_in_memory_costs_what_is_written(tmp_path: Path) -> None:
    """8 EiB in memory: both ends and the middle, extents and trims at once, below 150 MB of memory."""
    with target_server(tmp_path, "memory:", "--disk", "giant=8EiB") as server:
        async with opened(server) as disk:
            await walk(disk)
        assert resident(server) < MOST_RESIDENT


async def test_a_giant_disk_in_a_file_costs_what_is_written(tmp_path: Path, xfs: Path) -> None:
    """8 EiB in a file of xfs: the same, and next to no space on the file system."""
    with target_server(tmp_path, f"file:{xfs}/store", "--disk", "giant=8EiB") as server:
        async with opened(server) as disk:
            await walk(disk)
            store = RemoteStore(server.endpoint, 30)
            assert (await store.get("giant")).allocated < MIB
            await store.close()
        assert resident(server) < MOST_RESIDENT


async def test_a_file_system_that_holds_no_such_file_says_so(tmp_path: Path) -> None:
    """ext4 ends at 16 TiB: a clear error, and no half-made disk."""
    stat = await asyncio.create_subprocess_exec("stat", "-f", "-c", "%T", str(tmp_path), stdout=asyncio.subprocess.PIPE)
    kind = (await stat.communicate())[0].decode()
    if "ext" not in kind:
        pytest.fail(f"this test needs its temporary directory on ext4, not {kind.strip()}; set TMPDIR")
    with target_server(tmp_path, f"file:{tmp_path}/store") as server:
        store = RemoteStore(server.endpoint, 30)
        with pytest.raises(Invalid, match="file system"):
            await store.create("giant", MAXIMUM_DISK_SIZE)
        assert [] == list(await store.list())
        assert 1 << 40 == (await store.create("large", 1 << 40)).size
        await store.close()


def test_a_giant_disk_is_read_and_written_over_nbd(tmp_path: Path) -> None:
    """nbdkit serves all of it: both ends and the middle, and everything trimmed at the ends."""
    with target_server(tmp_path, "memory:", "--disk", "giant=8EiB") as server:
        with nbdkit(tmp_path, f"endpoint={server.endpoint}") as (socket, _), connected(socket) as handle:
            assert MAXIMUM_DISK_SIZE == handle.get_size()
            for place in PLACES:
                handle.pwrite(b"x" * BLOCK, place)
                assert b"x" * BLOCK == handle.pread(BLOCK, place)
            handle.trim(GIB, MAXIMUM_DISK_SIZE - GIB)
            assert bytes(BLOCK) == handle.pread(BLOCK, PLACES[-1])


@pytest.mark.soak  # the kernel does it in tests/vm, too
@pytest.mark.timeout(120)
def test_mkfs_xfs_works_on_a_pebibyte(tmp_path: Path) -> None:
    """mkfs.xfs makes its file system on 1 PiB, through nbdkit and nbdfuse, and xfs_repair finds nothing wrong."""
    with target_server(tmp_path, "memory:", "--disk", "big=1PiB") as server:
        with nbdkit(tmp_path, f"endpoint={server.endpoint}") as (socket, _):
            file = tmp_path / "disk"
            file.touch()
            fuse = subprocess.Popen(
                ["nbdfuse", str(file), f"nbd+unix:///?socket={socket}"],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            try:
                wait_until("the file is there", lambda: file.exists() and file.stat().st_size == parse_size("1PiB"))
                subprocess.run(["mkfs.xfs", "-q", "-K", "-l", "size=64m", str(file)], check=True, timeout=90)
                subprocess.run(["xfs_repair", "-n", "-f", str(file)], check=True, capture_output=True, timeout=90)
            finally:
                subprocess.run(["fusermount3", "-u", "-z", str(file)], check=True)
                fuse.wait(20)
        assert resident(server) < MOST_RESIDENT + 256 * MIB
