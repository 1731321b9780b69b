"""Rollbacks beside other work."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from g2disk.disk import Buffer
from g2disk.errors import NotFound
from g2disk.objects.layers.wrapper import Wrapper
from g2disk.objects.memory import MemoryObjects
from g2disk.units import KIB, MIB
from g2disk.volume.snapshots import create_snapshot, delete_snapshot, rollback
from tests.volume.harness import Site


class Held(Wrapper):
    """A store whose creates wait while it is told to hold them."""

    def __init__(self) -> None:
        super().__init__(MemoryObjects())
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.held = asyncio.Event()

    async def create(self, key: str, data: Sequence[Buffer]) -> None:
        if not self.go_on.is_set():
            self.held.set()
            await self.go_on.wait()
        await super().create(key, data)


async def test_two_rollbacks_at_once_let_writers_go_on(site: Site) -> None:
    """A writer that waits for either of them is woken, and both are done."""
    site.objects = store = Held()
    await site.create(8 * MIB)
    async with site.opened() as volume:
        await volume.write(0, b"a" * 4096)
        await create_snapshot(volume, "s")
        await volume.write(0, b"b" * 4096)
        store.go_on.clear()
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            for _ in range(2):
                tasks.create_task(rollback(volume, "s"))
            await store.held.wait()
            tasks.create_task(volume.write(4096, b"c" * 4096))
            await site.clock.sleep(0)
            store.go_on.set()
        assert await volume.read(0, 4096) == b"a" * 4096


async def test_a_part_of_a_block_that_waits_for_a_rollback_keeps_the_rest_as_it_is_then(site: Site) -> None:
    """Nothing that the rollback gave up comes back with the block."""
    await site.create(8 * MIB)
    async with site.opened() as volume:
        await volume.write(0, b"a" * 4096)
        await create_snapshot(volume, "s")
        await volume.write(0, b"b" * 4096)
        back = asyncio.create_task(rollback(volume, "s"))
        await site.clock.sleep(0)
        assert volume.changes.closed is not None
        part = asyncio.create_task(volume.write(0, b"new"))
        await asyncio.gather(back, part)
        assert await volume.read(0, 4096) == b"new" + b"a" * 4093


async def test_a_rollback_that_is_cancelled_while_it_is_committed_is_done(site: Site) -> None:
    """The open volume is what the store says."""
    site.objects = store = Held()
    await site.create(8 * MIB)
    async with site.opened() as volume:
        await volume.write(0, b"a" * 64 * KIB)
        await create_snapshot(volume, "s")
        await volume.resize(9 * MIB)
        await volume.write(0, b"b" * 64 * KIB)
        store.go_on.clear()
        task = asyncio.create_task(rollback(volume, "s"))
        await store.held.wait()
        task.cancel()
        store.go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert volume.manifest.size == volume.size == volume.info().size == 8 * MIB
        assert await volume.read(0, 64 * KIB) == b"a" * 64 * KIB


async def test_a_snapshot_that_was_deleted_meanwhile_is_not_gone_back_to(site: Site) -> None:
    """Garbage collection may have taken what it needs."""
    site.objects = store = Held()
    await site.create(8 * MIB)
    async with site.opened() as volume:
        await volume.write(0, b"a" * 64 * KIB)
        await create_snapshot(volume, "s")
        await volume.write(0, b"b" * 64 * KIB)
        store.go_on.clear()
        delete = asyncio.create_task(delete_snapshot(volume, "s"))
        await store.held.wait()
        back = asyncio.create_task(rollback(volume, "s"))
        await site.clock.sleep(0)
        store.go_on.set()
        await delete
        with pytest.raises(NotFound, match="deleted meanwhile"):
            await back
        assert await volume.read(0, 64 * KIB) == b"b" * 64 * KIB
