"""Target servers that share no code with g2disk, behind our remote disk and behind our nbdkit plugin."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbd
import pytest

from g2disk.disk import Disk
from g2disk.remote.connection import Connection
from g2disk.remote.negotiation import open_remote_disk
from g2disk.testing import check_disk
from tests.examples.node import node_server
from tests.interop.reference.peers import Peers, generate
from tests.support.nbd_client import connected
from tests.support.processes import nbdkit

MIB = 1 << 20
SIZE = 16 * MIB


@dataclass(frozen=True)
class Foreign:
    """A running server, and an NBD gateway to it."""

    kind: str
    endpoint: str
    socket: Path

    @property
    def uri(self) -> str:
        """The gateway, as NBD's tools name it."""
        return f"nbd+unix:///?socket={self.socket}"


PROTOCOLS = {
    "sessions": "g2disk.v1 in sessions",
    "calls": "g2disk.v1, a call for each request",
    "reference": "the reference protocol",
}


@pytest.fixture(scope="module", params=list(PROTOCOLS))
def foreign(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreign]:
    """Node.js with g2disk.v1, with and without Session, and Python's plain grpc with the reference protocol."""
    directory = tmp_path_factory.mktemp(request.param)
    if request.param != "reference":
        env = {"SESSION": "no"} if request.param == "calls" else {}
        with (
            node_server(directory, SIZE, env=env) as server,
            nbdkit(directory, f"endpoint={server.endpoint}") as (socket, _),
        ):
            yield Foreign(request.param, server.endpoint, socket)
    else:
        generate(directory)
        with (
            Peers(directory).server(directory, SIZE) as endpoint,
            nbdkit(directory, f"endpoint={endpoint}") as (socket, _),
        ):
            yield Foreign("reference", endpoint, socket)


def tool(*command: str | Path) -> bytes:
    """Run one of libnbd's tools; what it printed."""
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, timeout=50).stdout


async def test_the_best_protocol_is_spoken(foreign: Foreign, caplog: pytest.LogCaptureFixture) -> None:
    """Sessions, else a call for each request, else the reference protocol; a line of the log says which."""
    caplog.set_level("INFO", "g2disk.remote.negotiation")
    connection = Connection(foreign.endpoint, timeout=20)
    try:
        await open_remote_disk(connection)
    finally:
        await connection.close()
    (line,) = [record.getMessage() for record in caplog.records if record.name == "g2disk.remote.negotiation"]
    assert line.startswith(f"= {foreign.endpoint} speaks {PROTOCOLS[foreign.kind]}")


async def test_the_remote_disk_keeps_every_promise(foreign: Foreign) -> None:
    """The contract of Disk holds with a server of somebody else at the other end."""

    @asynccontextmanager
    async def open_disk() -> AsyncIterator[Disk]:
        connection = Connection(foreign.endpoint, timeout=20)
        try:
            yield await open_remote_disk(connection)
        finally:
            await connection.close()

    await check_disk(open_disk, seed=2)


def test_nbdinfo_sees_what_the_server_can_do(foreign: Foreign) -> None:
    """Capabilities that the server's protocol has are advertised, and no other."""
    (export,) = json.loads(tool("nbdinfo", "--json", foreign.uri))["exports"]
    names = ("can_flush", "can_fua", "can_trim", "can_fast_zero", "can_multi_conn", "is_read_only")
    full = foreign.kind != "reference"
    assert export["export-size"] == SIZE
    assert {name: export[name] for name in names} == {name: full and name != "is_read_only" for name in names}


def test_the_listed_export_can_be_opened(foreign: Foreign) -> None:
    """nbdinfo --list opens the one export by its name."""
    (export,) = json.loads(tool("nbdinfo", "--list", "--json", foreign.uri))["exports"]
    assert export["export-size"] == SIZE


def test_nbdcopy_there_and_back_changes_nothing(foreign: Foreign, tmp_path: Path) -> None:
    """A whole disk goes in, in parallel requests, and comes back the same."""
    data = random.Random(foreign.kind).randbytes(SIZE)
    data = data[: 5 * MIB] + bytes(3 * MIB) + data[8 * MIB :]
    (tmp_path / "in").write_bytes(data)
    tool("nbdcopy", tmp_path / "in", foreign.uri)
    tool("nbdcopy", foreign.uri, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == data


def test_random_requests_behave_like_an_array_of_bytes(foreign: Foreign) -> None:
    """Writes, zeroes, trims and reads of 1 byte to 9 MiB, many in flight at once, through libnbd."""
    rng = random.Random(7)
    with connected(foreign.socket) as handle:
        model = bytearray(SIZE)
        handle.zero(SIZE, 0)
        for _ in range(60):
            for offset, length in apart(rng, rng.choice([1, 4, 12])):
                change(rng, handle, model, offset, length)
            while handle.aio_in_flight():
                handle.poll(-1)
            offset, length = next(apart(rng, 1))
            assert handle.pread(length, offset) == model[offset : offset + length]
        assert handle.pread(SIZE, 0) == model


def apart(rng: random.Random, count: int) -> Iterator[tuple[int, int]]:
    """Up to `count` ranges (offset, length) that do not overlap."""
    scale = rng.choice([5000, MIB, SIZE])
    start = rng.randrange(SIZE - scale + 1)
    cuts = sorted({start + rng.randrange(scale) for _ in range(count + 1)})
    for one, other in zip(cuts, [*cuts[1:], start + scale], strict=True):
        yield one, min(other - one, 9 * MIB)


def change(rng: random.Random, handle: Any, model: bytearray, offset: int, length: int) -> None:
    """One change of the disk, in flight, and of the model."""
    what = rng.choice(["write", "write", "zero"])
    flag = nbd.CMD_FLAG_FUA if handle.can_fua() and rng.random() < 0.2 else 0
    if what == "write":
        data = rng.randbytes(length)
        handle.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(data)), offset, flags=flag, completion=succeeded)
        model[offset : offset + length] = data
    else:
        handle.aio_zero(length, offset, flags=flag, completion=succeeded)
        model[offset : offset + length] = bytes(length)


def succeeded(error: Any) -> int:
    """Retire a command, which must have no error."""
    assert error.value == 0
    return 1


def test_requests_beyond_the_end_never_reach_the_server(foreign: Foreign) -> None:
    """They are refused with NBD's own errors, and the connection goes on."""
    with connected(foreign.socket) as handle:
        for offset in (SIZE, SIZE - 1, (1 << 63) - 2):
            with pytest.raises(nbd.Error) as failure:
                handle.pread(2, offset)
            assert failure.value.errno == "EINVAL"
            with pytest.raises(nbd.Error) as failure:
                handle.pwrite(b"no", offset)
            assert failure.value.errno == "ENOSPC"
        assert len(handle.pread(2, SIZE - 2)) == 2
