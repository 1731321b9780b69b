"""The contract of Disk, held by the disks of our own stores, on every kind of file system."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from g2disk.disk import Disk
from g2disk.disk.layers import Checked
from g2disk.stores.file import FileStore
from g2disk.stores.memory import MemoryStore
from g2disk.testing import check_disk
from g2disk.units import MAXIMUM_DISK_SIZE, MIB
from tests.bad_input import filesystems

SMALL = 65 * MIB + 512


@pytest.mark.parametrize("size", [512, SMALL, MAXIMUM_DISK_SIZE])
@pytest.mark.parametrize("seed", range(3))
async def test_memory_disks_keep_the_contract(size: int, seed: int) -> None:
    """check_disk passes for memory disks from the smallest to the largest."""

    @contextlib.asynccontextmanager
    async def open_disk() -> AsyncIterator[Disk]:
        store = MemoryStore()
        await store.create("a", size)
        yield Checked(await store.open("a"))
        await store.close()

    await check_disk(open_disk, seed=seed, effort=3)


async def check_file_disk(directory: Path, size: int, seed: int) -> None:
    """check_disk on a disk of a file store, which is closed and opened again."""

    @contextlib.asynccontextmanager
    async def open_disk() -> AsyncIterator[Disk]:
        store = await FileStore.at(directory)
        if not await store.list():
            await store.create("a", size)
        yield Checked(await store.open("a"))
        await store.close()

    await check_disk(open_disk, seed=seed, durable=True, effort=3)


@pytest.mark.parametrize("size", [512, SMALL])
@pytest.mark.parametrize("seed", range(3))
async def test_file_disks_keep_the_contract(size: int, seed: int, tmp_path: Path) -> None:
    """check_disk passes for file disks on the file system that the tests run on."""
    await check_file_disk(tmp_path, size, seed)


@pytest.mark.parametrize("size", [512, SMALL, MAXIMUM_DISK_SIZE])
async def test_file_disks_keep_the_contract_on_xfs(size: int, tmp_path: Path) -> None:
    """check_disk passes on XFS, which writes without blocking and holds 8 EiB in a file."""
    with filesystems.xfs(tmp_path / "xfs") as place:
        await check_file_disk(place, size, seed=4)


@pytest.mark.parametrize("size", [512, SMALL, MAXIMUM_DISK_SIZE])
async def test_file_disks_keep_the_contract_on_tmpfs(size: int, tmp_path: Path) -> None:
    """check_disk passes on tmpfs, which can neither zero a range nor tell what is cached."""
    with filesystems.tmpfs(tmp_path / "tmpfs", "512m") as place:
        await check_file_disk(place, size, seed=5)


async def test_file_disks_keep_the_contract_on_ext4_without_extents(tmp_path: Path) -> None:
    """check_disk passes on the oldest layout, which punches holes but cannot zero a range."""
    filesystems.require_root()
    filesystems.make_ext4(tmp_path / "image", "512M", "-O", "^extents,^64bit")
    with filesystems.mounted(tmp_path / "ext4", "-o", "loop", tmp_path / "image") as place:
        await check_file_disk(place, SMALL, seed=6)


async def test_file_disks_keep_the_contract_on_btrfs(tmp_path: Path) -> None:
    """check_disk passes on a file system that writes every block to another place."""
    filesystems.require_root()
    filesystems.run("truncate", "-s", "1G", tmp_path / "image")
    filesystems.run("mkfs.btrfs", "-q", tmp_path / "image")
    with filesystems.mounted(tmp_path / "btrfs", "-o", "loop", tmp_path / "image") as place:
        await check_file_disk(place, SMALL, seed=9)


async def test_file_disks_keep_the_contract_on_ramfs(tmp_path: Path) -> None:
    """check_disk passes where nothing works but reading and writing; capabilities are not claimed there."""
    with filesystems.mounted(tmp_path / "ramfs", "-t", "ramfs", "none") as place:
        await check_file_disk(place, SMALL, seed=7)
        store = await FileStore.at(place)
        info = (await store.open("a")).info()
        assert (info.trim, info.zero, info.fast_zero) == (False, False, False)
        await store.close()


async def test_read_only_disks_keep_the_contract(tmp_path: Path) -> None:
    """check_disk passes for a disk of a store that was opened read-only."""
    store = await FileStore.at(tmp_path)
    await store.create("a", SMALL)
    await (await store.open("a")).write(12345, b"x" * MIB)
    await store.close()

    @contextlib.asynccontextmanager
    async def open_disk() -> AsyncIterator[Disk]:
        store = await FileStore.at(tmp_path, read_only=True)
        yield Checked(await store.open("a"))
        await store.close()

    await check_disk(open_disk, seed=8, durable=True)
