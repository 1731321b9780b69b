"""File stores whose server is killed, whose machine loses power, or whose device fails."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from pathlib import Path
from random import Random

import pytest

from g2disk.disk import Disk
from g2disk.errors import DiskError, Fenced
from g2disk.stores.file import FileDisk, FileStore
from g2disk.units import MIB
from tests.bad_input import filesystems


@pytest.mark.parametrize("operation", ["create", "grow", "shrink", "delete"])
def test_killed_at_every_step(operation: str) -> None:
    """Wherever kill -9 hits a change of the catalogue, it has happened as a whole or not at all, and leaves nothing."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:  # where syncs cost nothing
        command = [sys.executable, "-m", "tests.bad_input.killed", f"{place}/store", operation]
        done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    assert all(int(steps) >= 3 for steps in done.stdout.split())


class Machine:
    """A file system that can lose its power."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._image = place / "image"
        self._cuts = 0
        filesystems.make_ext4(self._image, "64M")

    @property
    def disks(self) -> Path:
        """Where it is mounted while the machine runs."""
        return self._place / "running"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FileStore]:
        """A store on it."""
        with filesystems.mounted(self.disks, "-o", "loop,commit=600", self._image):
            store = await FileStore.at(self.disks / "store")
            try:
                yield store
            finally:
                await store.close()

    @asynccontextmanager
    async def after_power_cut(self) -> AsyncIterator[FileStore]:
        """The store as another machine finds it that is given the device as it is now, without what is in memory."""
        self._cuts += 1
        copy = self._place / f"image{self._cuts}"
        filesystems.run("cp", "--sparse=always", self._image, copy)
        with filesystems.mounted(self._place / f"after{self._cuts}", "-o", "loop", copy) as place:
            store = await FileStore.at(place / "store")
            try:
                yield store
            finally:
                await store.close()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    filesystems.require_root()
    return Machine(tmp_path)


async def test_what_is_durable_survives_a_power_cut(machine: Machine) -> None:
    """Flushed writes, and writes, trims and zeroes with FUA are there after a power cut; the others were in memory."""
    async with machine.running() as store:
        await store.create("a", 8 * MIB)
        disk = await store.open("a")
        await disk.write(0, b"f" * MIB)
        await disk.write(4 * MIB, b"f" * MIB)
        await disk.flush()
        await disk.write(MIB, b"u" * MIB, fua=True)
        await disk.trim(4 * MIB, 4096, fua=True)
        await disk.zero(4 * MIB + 8192, 4096, fua=True)
        await disk.zero(4 * MIB + 16384, 4096, fua=True, may_trim=False)
        async with machine.after_power_cut() as later:
            found = await later.open("a")
            assert bytes(await found.read(0, 2 * MIB)) == b"f" * MIB + b"u" * MIB
            expected = bytes(4096) + b"f" * 4096 + bytes(4096) + b"f" * 4096 + bytes(4096) + b"f" * 4096
            assert bytes(await found.read(4 * MIB, 6 * 4096)) == expected
        await disk.write(2 * MIB, b"n" * MIB)
        async with machine.after_power_cut() as later:
            assert not any(await (await later.open("a")).read(2 * MIB, MIB)), "this is no power cut"
        await asyncio.gather(disk.flush(), disk.flush())
        async with machine.after_power_cut() as later:
            assert bytes(await (await later.open("a")).read(2 * MIB, MIB)) == b"n" * MIB


async def test_the_catalogue_survives_a_power_cut(machine: Machine) -> None:
    """What create, resize and delete answered is so after a power cut."""
    async with machine.running() as store:

        async def found() -> dict[str, int]:
            async with machine.after_power_cut() as later:
                for entry in await later.list():
                    assert not any(await (await later.open(entry.name)).read(0, 512))
                return {entry.name: entry.size for entry in await later.list()}

        await store.create("a", MIB)
        assert await found() == {"a": MIB}
        await store.resize("a", 2 * MIB)
        assert await found() == {"a": 2 * MIB}
        await store.resize("a", 512)
        assert await found() == {"a": 512}
        await store.create("b", 1 << 40)
        assert await found() == {"a": 512, "b": 1 << 40}
        await store.delete("a")
        assert await found() == {"b": 1 << 40}


async def overfill(disk: Disk) -> None:
    """Write more than the device below holds."""
    for number in range(1, 128):
        await disk.write(number * MIB, Random(number).randbytes(MIB))


@asynccontextmanager
async def failing_device(tmp_path: Path) -> AsyncIterator[tuple[FileStore, FileDisk, Callable[[], Awaitable[None]]]]:
    """A disk on a device that runs out of space behind the file system's back, and a way to mend the device."""
    with filesystems.tmpfs(tmp_path / "device", "48m") as device:
        filesystems.make_ext4(device / "image", "512M", "-O", "^has_journal")
        with filesystems.mounted(tmp_path / "disks", "-o", "loop", device / "image") as place:
            store = await FileStore.at(place)
            try:
                await store.create("a", 256 * MIB)
                disk = await store.open("a")
                assert isinstance(disk, FileDisk)
                await disk.write(0, b"g" * MIB, fua=True)

                async def mend() -> None:
                    filesystems.run("mount", "-o", "remount,size=1g", device)

                yield store, disk, mend
            finally:
                with suppress(Fenced):
                    await store.close()


@pytest.mark.parametrize("how", ["flush", "fua", "cancelled"])
async def test_a_failed_sync_is_never_followed_by_a_good_one(how: str, tmp_path: Path) -> None:
    """When the kernel could not write the file out, no flush succeeds any more, though fdatasync itself would."""
    async with failing_device(tmp_path) as (store, disk, mend):
        await overfill(disk)
        if how == "cancelled":
            task = asyncio.create_task(disk.flush())
            await asyncio.wait([task], timeout=0)
            task.cancel()
            await asyncio.wait([task])
            await disk.settled()
        else:
            request = disk.flush() if how == "flush" else disk.write(0, b"h", fua=True)
            with pytest.raises(Fenced, match="since its last flush may be lost"):
                await request
        await mend()
        os.fdatasync(disk._file)  # the kernel has told once, and forgotten
        for again in (
            disk.flush(),
            disk.write(0, b"h"),
            disk.write(0, b"h", fua=True),
            disk.trim(0, 512),
            disk.zero(0, 512),
        ):
            with pytest.raises(Fenced, match="since its last flush may be lost"):
                await again
        assert bytes(await disk.read(0, MIB)) in (b"g" * MIB, b"h" + b"g" * (MIB - 1))
        before = disk.info()
        with pytest.raises(Fenced):
            await store.close()

        later = await FileStore.at(tmp_path / "disks")
        after = await later.open("a")
        assert after.info().identity == before.identity
        assert after.info().instance != before.instance
        await after.write(0, b"i" * MIB)
        await after.flush()
        await later.close()


async def test_a_failure_before_the_start_is_noticed(tmp_path: Path) -> None:
    """When what a killed server wrote could not be written out, the next one has another instance."""
    async with failing_device(tmp_path) as (store, disk, mend):
        before = disk.info()
        await store.close()
        script = f"""
import asyncio, os, signal
from g2disk.stores.file import FileStore
from tests.bad_input.test_file_store_crashes import overfill
async def main():
    store = await FileStore.at({str(tmp_path / "disks")!r})
    await overfill(await store.open("a"))
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
        await asyncio.to_thread(subprocess.run, [sys.executable, "-c", script], timeout=30)
        for attempt in range(3):
            if attempt == 2:
                await mend()
            server = await FileStore.at(tmp_path / "disks")
            with suppress(DiskError) if attempt < 2 else nullcontext():
                assert (await server.open("a")).info().instance != before.instance
            with suppress(DiskError) if attempt < 2 else nullcontext():
                await server.close()
