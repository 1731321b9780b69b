"""A real distributed store, and the death of a part of it."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from g2disk.clock import SystemClock
from g2disk.objects.opening import open_object_store
from g2disk.objects.probing import probe
from g2disk.testing import check_object_store
from tests.objects.test_contract import opening
from tests.support.object_servers import ceph

URL = "s3://g2disk/some/prefix"


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_radosgw_keeps_the_contract_while_an_osd_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ceph's gateway passes with three OSDs and with two; creates in flight when one is killed all come true."""
    with ceph() as cluster:
        for name, value in cluster.environment.items():
            monkeypatch.setenv(name, value)
        await check_object_store(opening(URL), seed=1)
        bodies = {f"osd/{number}": Random(number).randbytes(500_000) for number in range(60)}
        store = await open_object_store(URL)
        try:
            await probe(store, SystemClock())
            in_flight = asyncio.Semaphore(6)

            async def create(key: str, body: bytes) -> None:
                async with in_flight:
                    await store.create(key, [body])

            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(create(key, body)) for key, body in bodies.items()]
                await asyncio.wait(tasks[:15])
                await asyncio.to_thread(cluster.kill_osd, 1)
            for key, body in bodies.items():
                assert await store.get(key) == body
        finally:
            await store.close()
        await check_object_store(opening(URL), seed=2)
