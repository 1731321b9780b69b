"""The simulated disk of a machine keeps what was synced, and may lose and tear all else when the power is cut."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import pytest

from g2disk.errors import Busy, OutOfSpace, Unavailable
from tests.simulation.loop import Process, VirtualLoop
from tests.volume_simulation.drive import SECTOR, Drive, DriveFiles


def run(main: Callable[[Drive, DriveFiles], Coroutine[Any, Any, None]], seed: int = 1) -> None:
    """`main` with a drive and a directory on it."""
    loop = VirtualLoop()  # type: ignore[abstract]
    drive = Drive(loop, Random(seed), 0.01)
    loop.run(main(drive, DriveFiles(drive, "journal", Process("server"))))


def test_a_killed_process_leaves_the_page_cache() -> None:
    """Without a power cut everything written is there, synced or not."""

    async def main(drive: Drive, files: DriveFiles) -> None:
        file = await files.open("a", 4096)
        file.write(100, [b"one", b"two"])
        again = await DriveFiles(drive, "other", Process("next")).open("a", 1)
        assert bytes(again.read(0, 1)) == b"\0"
        assert bytes((await files.open("a")).read(100, 6)) == b"onetwo"

    run(main)


def test_what_was_synced_survives_a_power_cut() -> None:
    """A write that was there when the sync began is never lost, whatever follows it."""
    for seed in range(50):

        async def main(drive: Drive, files: DriveFiles) -> None:
            file = await files.open("a", 4096)
            file.write(0, [b"1" * 4096])
            await file.sync()
            file.write(0, [b"2" * 1024])
            drive.cut_power()
            held = bytes((await files.open("a")).read(0, 4096))
            assert held[1024:] == b"1" * 3072
            assert {held[:SECTOR], held[SECTOR:1024]} <= {b"1" * SECTOR, b"2" * SECTOR}

        run(main, seed)


def test_a_power_cut_tears_between_sectors() -> None:
    """Of one unsynced write, some sectors survive and others do not, not always the first ones."""
    held: set[str] = set()
    for seed in range(50):

        async def main(drive: Drive, files: DriveFiles) -> None:
            file = await files.open("a", 2048)
            file.write(0, [b"1" * 2048])
            drive.cut_power()
            data = bytes((await files.open("a")).read(0, 2048))
            held.add("".join(str(data[at]) for at in range(0, 2048, SECTOR)).replace("49", "x"))

        run(main, seed)
    assert {"0000", "xxxx"} <= held
    assert any(each.startswith("0") and "x" in each for each in held)


def test_overlapping_syncs_keep_what_each_has_seen() -> None:
    """Two syncs at once, with a write between their beginnings: both writes are durable when both have returned."""

    async def main(drive: Drive, files: DriveFiles) -> None:
        file = await files.open("a", 512)
        file.write(0, [b"1" * 512])
        first = drive.loop.create_task(file.sync())
        await drive.loop.after_steps(2)
        file.write(0, [b"2" * 512])
        await file.sync()
        await first
        drive.cut_power()
        assert bytes((await files.open("a")).read(0, 512)) == b"2" * 512

    for seed in range(20):
        run(main, seed)


def test_what_a_failed_sync_left_is_not_there_for_who_opens_the_file_again() -> None:
    """The kernel takes the pages for clean, and no later sync writes them."""

    async def main(drive: Drive, files: DriveFiles) -> None:
        file = await files.open("a", 512)
        file.write(0, [b"1" * 512])
        drive.failing_syncs = 1.0
        with pytest.raises(Unavailable):
            await file.sync()
        drive.failing_syncs = 0.0
        with pytest.raises(Unavailable):
            await file.sync()
        assert bytes(file.read(0, 1)) == b"1"
        again = await files.open("a")
        await again.sync()
        assert bytes(again.read(0, 512)) == bytes(512)

    run(main)


def test_a_removed_file_may_come_back() -> None:
    """Sometimes, and only after a power cut; never when another one was made in its place."""
    back = 0
    for seed in range(30):

        async def main(drive: Drive, files: DriveFiles) -> None:
            nonlocal back
            for name in ("a", "b"):
                (await files.open(name, 512)).write(0, [b"1"])
                await files.remove(name)
            await files.open("b", 1024)
            assert files.names() == ["b"]
            drive.cut_power()
            back += "a" in files.names()
            assert (await files.open("b")).size == 1024

        run(main, seed)
    assert 0 < back < 30


def test_a_full_disk_makes_no_file_and_a_held_directory_has_one_owner() -> None:
    """`OutOfSpace`, and `Busy` until the owner has died."""

    async def main(drive: Drive, files: DriveFiles) -> None:
        drive.full = True
        with pytest.raises(OutOfSpace):
            await files.open("a", 512)
        assert files.names() == []
        owner = drive.holders["journal"]
        with pytest.raises(Busy):
            DriveFiles(drive, "journal", Process("second"))
        owner.kill()
        DriveFiles(drive, "journal", Process("second"))

    run(main)
