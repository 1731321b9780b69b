"""Sequential writes until all is in the store, and cold sequential reads, against the bare object store with objects of
the same size and as many calls at once.
"""

from __future__ import annotations

import os
import re
import socket
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from bench.processes import can_reach, running
from bench.volumes.site import CLOCK, VOLUME, Site, in_flight, in_memory, seeded, site
from g2disk.disk import Buffer
from g2disk.objects.store import ObjectStore
from g2disk.units import GIB, MIB
from g2disk.volume.settings import Settings
from g2disk.volume.stored import MOST_AT_ONCE

_REQUEST = MIB
_DEPTH = 4
_SETTINGS = Settings(gc_ratio=0, scrub=False)
_GET = MOST_AT_ONCE * 128 * 1024
_GETS = _SETTINGS.readahead // _GET


@dataclass(frozen=True, slots=True)
class _Stream:
    """What is written and read."""

    size: int
    data: bytes

    def piece(self, offset: int, length: int) -> memoryview:
        start = offset % (len(self.data) - length + 1)
        return memoryview(self.data)[start : start + length]


async def on_a_directory(directory: Path, share: float) -> dict[str, float]:
    """Bytes a second on `objects:DIR`, with the journal in memory: a device of its own, as a bucket is one."""
    with in_memory(directory) as journals:
        async with site(f"objects:{directory}/store", journals) as here:
            return await _measure(here, round(512 * MIB * share), lambda: _forget(directory))


async def on_one_device(directory: Path, share: float) -> dict[str, float]:
    """Bytes a second on `objects:DIR`, with the journal on the same device, so that each byte is written twice."""
    async with site(f"objects:{directory}/store", directory) as here:
        return await _measure(here, round(512 * MIB * share), lambda: _forget(directory))


async def on_s3(directory: Path, share: float) -> dict[str, float]:
    """Bytes a second on S3 over HTTP, served by moto."""
    os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test")  # noqa: S106 - moto looks at neither
    port = _free_port()
    with running("moto", ["moto_server", "-H", "127.0.0.1", "-p", str(port)], directory) as moto:
        moto.wait_until("it listened", lambda: can_reach(port))
        endpoint = f"http://127.0.0.1:{port}"
        urllib.request.urlopen(urllib.request.Request(f"{endpoint}/bench", method="PUT")).close()  # noqa: ASYNC210, S310
        async with site(f"s3://bench/disks?endpoint={endpoint}&region=us-east-1", directory) as here:
            return await _measure(here, round(256 * MIB * share), lambda: None)


async def _measure(here: Site, size: int, forget: Callable[[], None]) -> dict[str, float]:
    segment = _SETTINGS.segment_bytes
    stream = _Stream(max(size // segment, 1) * segment, seeded(7).randbytes(segment + 3 * MIB))
    await here.create(GIB)
    seconds = {"write-bare": 0.0, "write-volume": 0.0, "read-bare": 0.0, "read-volume": 0.0}

    async def timed(name: str, work: Awaitable[None]) -> None:
        begin = CLOCK.now()
        await work
        seconds[name] += CLOCK.now() - begin

    # Once before it counts: the journal's files are there then.  Then there and back, so that both are first once.
    async with here.opened(_SETTINGS) as volume:
        await _write(volume.write, volume.drain, stream)
    await timed("write-bare", _put(here.objects, stream))
    for _ in range(2):
        async with here.opened(_SETTINGS) as volume:
            await timed("write-volume", _write(volume.write, volume.drain, stream))
    await timed("write-bare", _put(here.objects, stream))
    names = ["read-bare", "read-volume", "read-volume", "read-bare"]
    for name in names:
        forget()
        if name == "read-bare":
            await timed(name, _get(here.objects, stream))
        else:
            async with here.opened(_SETTINGS) as volume:
                await timed(name, _read(volume.read, stream))
    return {name: 2 * stream.size / spent for name, spent in seconds.items()}


async def _put(objects: ObjectStore, stream: _Stream) -> None:
    step = _SETTINGS.segment_bytes
    keys = (f"bare/{offset:016x}" for offset in range(0, stream.size, step))
    await in_flight(_SETTINGS.upload_concurrency, (objects.put(key, [memoryview(stream.data)[:step]]) for key in keys))


async def _get(objects: ObjectStore, stream: _Stream) -> None:
    step = _SETTINGS.segment_bytes
    places = ((f"bare/{first:016x}", at) for first in range(0, stream.size, step) for at in range(0, step, _GET))
    await in_flight(_GETS, (objects.get_range(key, at, _GET) for key, at in places))


async def _write(
    write: Callable[[int, Buffer], Awaitable[None]], drain: Callable[[], Awaitable[None]], stream: _Stream
) -> None:
    pieces = ((offset, stream.piece(offset, _REQUEST)) for offset in range(0, stream.size, _REQUEST))
    await in_flight(_DEPTH, (write(offset, piece) for offset, piece in pieces))
    await drain()


async def _read(read: Callable[[int, int], Awaitable[Buffer]], stream: _Stream) -> None:
    async def checked(offset: int) -> None:
        data = await read(offset, _REQUEST)
        assert bytes(data[:64]) == stream.piece(offset, _REQUEST)[:64]

    await in_flight(_DEPTH, (checked(offset) for offset in range(0, stream.size, _REQUEST)))


def _forget(directory: Path) -> None:
    """Have the kernel forget what it keeps in memory of the store's objects."""
    for path in directory.rglob("*"):
        if path.is_file() and re.search(f"bare/|{VOLUME}/segments/", str(path)):
            file = os.open(path, os.O_RDONLY)
            os.fdatasync(file)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(file)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
