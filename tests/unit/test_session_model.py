"""Random requests over streams that break at random, against a model of what each block may hold."""

from __future__ import annotations

import asyncio
import random

import pytest
from tests.support.session import SIZE, Server, TaskDisk, remote, server_of, submitted, turns

from g2disk.request import READ, WRITE, Request
from g2disk.servers.grpc.session_shared import Limits

BLOCK = 512
BLOCKS = 40


class LateDisk(TaskDisk):
    """Does what it is asked some iterations of the event loop later."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(SIZE)
        self._rng = rng

    async def read(self, offset: int, length: int) -> bytes:
        await self._wait()
        return bytes(await super().read(offset, length))

    async def write(self, offset: int, data: bytes | bytearray | memoryview, fua: bool = False) -> None:
        await self._wait()
        await super().write(offset, data, fua)

    async def _wait(self) -> None:
        await turns(self._rng.choice([0, 0, 1, 5, 40]))


class Model:
    """What each block may hold."""

    def __init__(self) -> None:
        self.may = [{bytes(BLOCK)} for _ in range(BLOCKS)]

    def check(self, request: Request) -> None:
        first, count = request.offset // BLOCK, request.length // BLOCK
        for at in range(count):
            block = bytes(request.data[at * BLOCK : (at + 1) * BLOCK])
            if request.operation == READ:
                assert block in self.may[first + at]
                self.may[first + at] = {block}
            else:
                self.may[first + at] = {block}


async def work(server: Server, rng: random.Random, model: Model) -> None:
    """Batches of disjoint requests, one after the other, while streams break."""
    disk = await remote(server)
    for _ in range(60):
        starts = sorted(rng.sample(range(0, BLOCKS, 4), 6))
        requests = [
            Request(READ, 0, start * BLOCK, length)
            if rng.random() < 0.4
            else Request(WRITE, 0, start * BLOCK, length, data=rng.randbytes(length))
            for start in starts
            for length in [rng.randint(1, 4) * BLOCK]
        ]
        payloads = [request.data for request in requests]
        finished = asyncio.create_task(submitted(disk, requests))
        if rng.random() < 0.4:
            await turns(rng.randrange(12))
            server.streams.opened[-1].cut()
        await finished
        for request, payload in zip(requests, payloads, strict=True):
            if request.operation == WRITE:
                request.data = payload
            assert request.error is None
            model.check(request)
    final = Request(READ, 0, 0, BLOCK * BLOCKS)
    final.data = await disk.read(0, BLOCK * BLOCKS)
    model.check(final)


@pytest.mark.parametrize("seed", range(5))
async def test_nothing_is_lost_or_done_late_when_streams_break(seed: int) -> None:
    """Every request succeeds, and reads see the model's bytes: what was in flight is sent again, and lands once."""
    rng = random.Random(seed)
    limits = Limits(requests=4, data=8 * BLOCK) if seed % 2 else None
    async with server_of(LateDisk(rng), limits) as server:
        await work(server, rng, Model())
        assert len(server.streams.opened) > 5
