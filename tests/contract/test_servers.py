"""The contract of Disk, held by what clients see: over gRPC, and over real NBD from every server of ours."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from g2disk.disk import Disk
from g2disk.stores.remote import RemoteStore
from g2disk.testing import check_disk
from tests.support import disks
from tests.support.nbd_disk import nbd_disk
from tests.support.nbd_servers import DIRECT, GATEWAY, NBDKIT, nbd_server
from tests.support.processes import ROOT, target_server

MIB = 1 << 20
EXAMPLES = ROOT / "examples"


@dataclass(frozen=True)
class Subject:
    """What to serve, and what to expect of it."""

    arguments: tuple[str, ...]
    durable: bool = False


@pytest.fixture(
    params=["memory", "giant", "file", "ramdisk", "encrypted", "plain", "slow"],
)
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
    """Our stores, the examples, and a synchronous class that is no Disk."""
    store = f"file:{tmp_path}/store"
    encrypted = f"{EXAMPLES}/encrypted_disk.py:encrypted?store={store}&key_file={tmp_path}/key"
    (tmp_path / "key").write_bytes(bytes(range(64)))
    if request.param == "encrypted":
        with target_server(tmp_path, store, "--disk", "default=16MiB"):
            pass
    subjects = {
        "memory": Subject(("memory:", "--disk", "default=64MiB")),
        "giant": Subject(("memory:", "--disk", "default=8EiB")),
        "file": Subject((store, "--disk", "default=64MiB"), durable=True),
        "ramdisk": Subject((f"{EXAMPLES}/ramdisk.py:RamDisk",)),
        "encrypted": Subject((encrypted,), durable=True),
        "plain": Subject((f"{disks.__file__}:Plain",)),
        "slow": Subject((f"{disks.__file__}:SlowDisk?seconds=0.001",)),
    }
    return subjects[request.param]


@pytest.mark.timeout(180)
async def test_a_disk_keeps_the_contract_over_grpc(subject: Subject, tmp_path: Path) -> None:
    """check_disk passes for the remote disk; a durable one's server is killed between the openings."""

    @contextlib.asynccontextmanager
    async def open_disk() -> AsyncIterator[Disk]:
        with target_server(tmp_path, *subject.arguments, listen=f"unix:{tmp_path}/s") as server:
            store = RemoteStore(server.endpoint, 20)
            try:
                yield await store.open("")
            finally:
                await store.close()
            server.process.kill()

    await check_disk(open_disk, seed=1, durable=subject.durable)


async def check_over_nbd(subject: Subject, directory: Path, kind: str) -> None:
    """check_disk with an NBD client that has several connections; a durable disk's server is killed in between."""

    @contextlib.contextmanager
    def served() -> Iterator[Path]:
        with nbd_server(directory, kind, *subject.arguments) as server:
            yield server.socket
            server.target.process.kill()

    @contextlib.asynccontextmanager
    async def open_disk() -> AsyncIterator[Disk]:
        with served() as socket:
            async with nbd_disk(socket) as disk:
                yield disk

    await check_disk(open_disk, seed=2, durable=subject.durable)


@pytest.mark.parametrize("kind", [DIRECT, NBDKIT])
@pytest.mark.timeout(180)
async def test_a_disk_keeps_the_contract_over_nbd(subject: Subject, tmp_path: Path, kind: str) -> None:
    """check_disk passes over our NBD server with nothing in between, and through nbdkit with our plugin."""
    await check_over_nbd(subject, tmp_path, kind)


@pytest.mark.parametrize("subject", ["memory", "giant", "file", "slow"], indirect=True)
@pytest.mark.timeout(180)
async def test_a_disk_keeps_the_contract_through_our_gateway(subject: Subject, tmp_path: Path) -> None:
    """check_disk passes over our NBD server in front of a target server."""
    await check_over_nbd(subject, tmp_path, GATEWAY)
