"""`g2disk serve` as a process: addresses, stores, signals, and what a client sees."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from g2disk.cli.exit_codes import EXIT_CODE
from g2disk.disk import Disk
from g2disk.errors import (
    Busy,
    DiskError,
    Exists,
    Internal,
    Invalid,
    NotFound,
    OutOfRange,
    OutOfSpace,
    ReadOnly,
    Unavailable,
)
from g2disk.remote import methods
from g2disk.remote.codec import ReferenceWrite, WriteRequest
from g2disk.remote.connection import Connection
from g2disk.remote.pb import catalogue_pb2, disk_pb2, reference_pb2
from g2disk.stores.remote import RemoteStore
from g2disk.units import MAXIMUM_DISK_SIZE
from tests.support import disks
from tests.support.processes import G2DISK, running, target_server, wait_until

DISKS = disks.__file__
MIB = 1 << 20


@contextlib.asynccontextmanager
async def catalogue(endpoint: str, timeout: float = 20) -> AsyncIterator[RemoteStore]:
    store = RemoteStore(endpoint, timeout)
    try:
        yield store
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def opened(endpoint: str, name: str = "", timeout: float = 20) -> AsyncIterator[Disk]:
    async with catalogue(endpoint, timeout) as store:
        yield await store.open(name)


def fails(*arguments: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Exit code and the one line of a `g2disk serve` that cannot start."""
    done = subprocess.run(
        [G2DISK, "serve", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=30,
        env={**os.environ, **(env or {})},
    )
    assert 1 == len(done.stderr.strip().splitlines()), done.stderr
    return done.returncode, done.stderr.strip()


def test_one_line_says_the_address_and_what_to_type_next(tmp_path: Path) -> None:
    """Port 0 takes a free port and prints it; the line ends with the gateway's command."""
    with target_server(tmp_path, "memory:", "--disk", "default=5MiB") as server:
        assert server.process.first_line == (
            f"g2disk: serving memory: (default, 5MiB) on {server.endpoint}; next: g2disk nbd "
            f"--endpoint {server.endpoint} --listen unix:/tmp/g2disk.sock"
        )
        assert not server.endpoint.endswith(":0")


def test_every_service_is_healthy_and_found_by_reflection(tmp_path: Path) -> None:
    """grpc.health.v1 says SERVING, and reflection lists and describes all our services."""
    with target_server(tmp_path, "memory:") as server, grpc.insecure_channel(server.endpoint) as channel:
        reflection = ProtoReflectionDescriptorDatabase(channel)
        health = health_pb2_grpc.HealthStub(channel)
        services = [methods.DISK, methods.CATALOGUE, methods.REFERENCE]

        assert {*services, "grpc.health.v1.Health"} <= set(reflection.get_services())
        for name in ("", *services):
            status = health.Check(health_pb2.HealthCheckRequest(service=name)).status
            assert health_pb2.HealthCheckResponse.SERVING == status
        for name in services:
            assert reflection.FindFileContainingSymbol(name).service


async def test_a_server_listens_on_several_addresses(tmp_path: Path) -> None:
    """--listen may be repeated; TCP and Unix sockets serve the same disk."""
    path = f"unix:{tmp_path}/a.sock"
    command = [G2DISK, "serve", "memory:", "--disk", "d=1MiB", "--listen", path, "--listen", "127.0.0.1:0"]
    with running(command, tmp_path, ready="serving") as process:
        tcp = process.first_line.split(" on ")[1].split(";")[0].split(", ")[1]
        async with opened(path) as one, opened(tcp) as two:
            await one.write(0, b"both")

            assert b"both" == bytes(await two.read(0, 4))


async def test_port_in_the_environment_is_honoured(tmp_path: Path) -> None:
    """Without --listen the server takes $PORT, as the reference server does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    with target_server(tmp_path, "memory:", "--disk", "d=1MiB", listen=None, env={"PORT": port}) as server:
        assert server.endpoint == f"0.0.0.0:{port}"
        async with opened(f"127.0.0.1:{port}") as disk:
            assert MIB == disk.info().size


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signals_drain_flush_and_exit_0(tmp_path: Path, number: signal.Signals) -> None:
    """A write under way is answered, then the disk is flushed, then the server ends with 0."""
    with target_server(tmp_path, f"{DISKS}:SlowDisk?seconds=1") as server:
        async with opened(server.endpoint) as disk:
            writing = asyncio.create_task(disk.write(0, b"x"))
            await asyncio.to_thread(
                wait_until, "the write is there", lambda: "write started" in server.process.log_text()
            )
            server.process.popen.send_signal(number)
            await writing
        status = await asyncio.to_thread(server.process.popen.wait, 20)

        assert 0 == status
        log = server.process.log_text()
        assert log.index("write finished") < log.index("flushed")


def test_a_server_whose_log_nobody_reads_still_drains() -> None:
    """Ctrl-C also ends a `tee` that reads the log: the server finishes its requests all the same, and exits with 0."""
    command = [G2DISK, "serve", "memory:", "--disk", "d=1MiB", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            assert process.stdout
            assert process.stderr
            assert b"serving" in process.stdout.readline()
            process.stderr.close()
            process.send_signal(signal.SIGINT)

            assert 0 == process.wait(30)
        finally:
            process.kill()


async def test_a_second_signal_ends_a_server_whose_disk_is_stuck(tmp_path: Path) -> None:
    """A request that never ends holds the drain up; who asks twice is not kept waiting."""
    with target_server(tmp_path, f"{DISKS}:StuckDisk") as server:
        async with opened(server.endpoint, timeout=5) as disk:
            reading = asyncio.create_task(disk.read(0, 512))
            log = server.process.log_text
            await asyncio.to_thread(wait_until, "the read is there", lambda: "read started" in log())
            server.process.popen.send_signal(signal.SIGTERM)
            await asyncio.to_thread(wait_until, "it drains", lambda: "stopping" in log())
            server.process.popen.send_signal(signal.SIGTERM)
            status = await asyncio.to_thread(server.process.popen.wait, 20)

            assert -signal.SIGTERM == status
            with pytest.raises(Unavailable):
                await asyncio.wait_for(reading, 40)


def test_a_signal_while_the_disk_is_being_made_ends_the_server(tmp_path: Path) -> None:
    """Before anything is served there is nothing to finish."""
    command = [G2DISK, "serve", f"{DISKS}:stalls", "--listen", "127.0.0.1:0"]
    with running(command, tmp_path) as process:
        wait_until("the disk is being made", lambda: "being made" in process.log_text(), process)

        assert -signal.SIGTERM == process.stop()


def test_a_server_may_open_as_many_files_as_the_system_allows(tmp_path: Path) -> None:
    """The soft limit of open files, 1024 by default, does not limit the disks."""
    command = ["bash", "-c", f"ulimit -Sn 64; exec {G2DISK} serve file:{tmp_path}/store --listen 127.0.0.1:0"]
    with running(command, tmp_path, ready="^g2disk: serving") as process:
        limits = Path(f"/proc/{process.popen.pid}/limits").read_text()
        soft, hard = next(line for line in limits.splitlines() if line.startswith("Max open files")).split()[3:5]

        assert min(int(hard), 1 << 20) == int(soft)


def test_what_cannot_be_served_is_one_line_and_an_exit_code(tmp_path: Path) -> None:
    """Wrong stores, sizes, names, addresses and classes."""
    (tmp_path / "plain").write_text("")
    (tmp_path / "syntax.py").write_text("class")
    cases: list[tuple[list[str], type[DiskError], str]] = [
        (["nonsense"], Invalid, "is no store"),
        (["memory:x"], Invalid, "is no store"),
        (["memory:", "--disk", "d"], Invalid, "has no size"),
        (["memory:", "--disk", "d=0"], Invalid, "smallest"),
        (["memory:", "--disk", "d=-5"], Invalid, "is not a size"),
        (["memory:", "--disk", "d=1000"], Invalid, "multiple of 512"),
        (["memory:", "--disk", "d=16EiB"], Invalid, "too large"),
        (["memory:", "--disk", "a/b=1MiB"], Invalid, "cannot be a disk's name"),
        (["memory:", "--disk", f"{'x' * 300}=1MiB"], Invalid, "cannot be a disk's name"),
        (["memory:", "--listen", "nowhere"], Invalid, "nowhere"),
        (["memory:", "--metrics", f"unix:{tmp_path}/m"], Invalid, "write HOST:PORT"),
        (["memory:", "--listen", "127.0.0.1:99999"], Invalid, "99999"),
        (["memory:", "--listen", f"unix:{tmp_path}/no/such.sock"], Invalid, "no directory"),
        (["memory:", "--listen", f"unix:{tmp_path}/plain"], Invalid, "no socket"),
        (["no_such_module:Disk"], Invalid, "cannot import"),
        (["no_such_file.py:Disk"], Invalid, "no file"),
        ([f"{DISKS}:Missing"], Invalid, "no class or function Missing"),
        ([f"{DISKS}:NoDisk"], Invalid, "size"),
        ([f"{DISKS}:SlowDisk?weeks=1"], Invalid, "weeks"),
        ([f"{DISKS}:refuses?colour=green"], Invalid, "take blue"),
        ([f"{DISKS}:breaks"], Invalid, "cannot be loaded: ZeroDivisionError: by zero"),
        ([f"{tmp_path}/syntax.py:Disk"], Invalid, "SyntaxError"),
        ([f"file:{tmp_path}/plain"], Invalid, "plain"),
    ]
    for arguments, kind, says in cases:
        code, line = fails(*arguments)
        assert (EXIT_CODE[kind], True) == (code, says in line), line


def test_a_port_or_socket_or_store_in_use_is_busy(tmp_path: Path) -> None:
    """A second server on the same port, socket or store is told so."""
    store, path = f"file:{tmp_path}/store", f"unix:{tmp_path}/s"
    with target_server(tmp_path, store) as tcp, target_server(tmp_path, "memory:", listen=path):
        busy = EXIT_CODE[Busy]
        for arguments in (["memory:", "--listen", tcp.endpoint], ["memory:", "--listen", path]):
            code, line = fails(*arguments)
            assert busy == code
            assert "--listen" in line
        code, line = fails(store, "--listen", "127.0.0.1:0")
        assert busy == code
        assert str(tcp.process.popen.pid) in line


def test_a_socket_left_behind_is_replaced(tmp_path: Path) -> None:
    """After a SIGKILL the same Unix socket can be served again at once."""
    path = f"unix:{tmp_path}/s"
    with target_server(tmp_path, "memory:", listen=path) as server:
        server.process.kill()
        with target_server(tmp_path, "memory:", listen=path):
            pass


async def test_disks_persist_and_disk_creates_only_what_is_missing(tmp_path: Path) -> None:
    """--disk makes the disk once; the next server finds it with its data, and another size is refused."""
    arguments = (f"file:{tmp_path}/store", "--disk", "d=1MiB")
    with target_server(tmp_path, *arguments) as server:
        async with opened(server.endpoint) as disk:
            await disk.write(4096, b"kept")
            await disk.flush()
            identity = disk.info().identity
        server.process.kill()
    with target_server(tmp_path, *arguments) as server:
        async with opened(server.endpoint, "d") as disk:
            assert (b"kept", identity) == (bytes(await disk.read(4096, 4)), disk.info().identity)
    code, line = fails(arguments[0], "--disk", "d=2MiB")
    assert EXIT_CODE[Busy] == code
    assert "g2disk resize d" in line


async def test_a_read_only_server_takes_no_writes(tmp_path: Path) -> None:
    """--read-only holds for data and catalogue, and creates nothing."""
    store = f"file:{tmp_path}/store"
    with target_server(tmp_path, store, "--disk", "d=1MiB"):
        pass
    with target_server(tmp_path, store, "--read-only") as server:
        async with catalogue(server.endpoint) as remote:
            disk = await remote.open("d")
            assert disk.info().read_only
            for refused in (disk.write(0, b"x"), disk.trim(0, 512), disk.zero(0, 512)):
                with pytest.raises(ReadOnly):
                    await refused
            for change in (remote.create("e", 512), remote.resize("d", 512), remote.delete("d")):
                with pytest.raises(ReadOnly):
                    await change
    assert "--read-only creates none" in fails(store, "--read-only", "--disk", "e=1MiB")[1]


async def test_the_catalogue_creates_lists_resizes_and_deletes(tmp_path: Path) -> None:
    """Every call of the catalogue, its errors, and the default disk."""
    with target_server(tmp_path, "memory:") as server:
        async with catalogue(server.endpoint) as store:
            with pytest.raises(NotFound, match="g2disk create"):
                await store.open("")
            created = await store.create("b", MIB, "my disk")
            assert ("b", MIB, "my disk") == (created.name, created.size, created.description)
            assert "b" == await store.default_name()
            await store.create("a", 512)
            with pytest.raises(NotFound):
                await store.default_name()
            await store.create("default", MAXIMUM_DISK_SIZE)
            assert "default" == await store.default_name()
            assert ["a", "b", "default"] == [entry.name for entry in await store.list()]
            with pytest.raises(Exists):
                await store.create("a", 512)
            with pytest.raises(Invalid, match="shrink"):
                await store.resize("b", 512, allow_shrink=False)
            assert 2 * MIB == (await store.resize("b", 2 * MIB)).size
            await store.delete("a")
            for missing in (store.get("a"), store.delete("a"), store.resize("a", 512), store.open("a")):
                with pytest.raises(NotFound):
                    await missing


async def test_the_list_comes_in_pages(tmp_path: Path) -> None:
    """2,500 disks are listed completely, in order."""
    names = [f"d{number:04}" for number in range(2500)]
    with target_server(tmp_path, "memory:") as server:
        async with catalogue(server.endpoint) as store:
            for start in range(0, 2500, 250):
                await asyncio.gather(*(store.create(name, 512) for name in names[start : start + 250]))

            assert names == [entry.name for entry in await store.list()]


@pytest.mark.parametrize("size", [0, 1, 1000, 1 << 63, (1 << 64) - 1])
@pytest.mark.parametrize("name", ["a/b", "..", "a\x00", "", "x" * 300])
async def test_bad_names_and_sizes_over_grpc_are_invalid(tmp_path: Path, name: str, size: int) -> None:
    """What no disk can be is refused by the server itself, whatever the client checks."""
    with target_server(tmp_path, "memory:") as server:
        connection = Connection(server.endpoint, 10)
        for request in (
            catalogue_pb2.CreateRequest(name=name, size=512),
            catalogue_pb2.CreateRequest(name="ok", size=size),
        ):
            with pytest.raises(Invalid):
                await connection.call(methods.CREATE, request, repeatable=False)
        await connection.close()


async def test_requests_beyond_the_end_over_grpc_are_out_of_range(tmp_path: Path) -> None:
    """Offsets and lengths near 2^63 and 2^64, by both protocols, change nothing and end nothing."""
    with target_server(tmp_path, "memory:", "--disk", "d=1MiB") as server:
        connection = Connection(server.endpoint, 10)
        for offset in (MIB - 1, MIB, (1 << 63) - 1, 1 << 63, (1 << 64) - 1):
            calls = [
                connection.call(methods.READ, disk_pb2.ReadRequest(offset=offset, length=2), repeatable=True),
                connection.call(methods.WRITE, WriteRequest("", "", offset, False, b"ab"), repeatable=True),
                connection.call(methods.TRIM, disk_pb2.TrimRequest(offset=offset, length=2), repeatable=True),
                connection.call(methods.ZERO, disk_pb2.ZeroRequest(offset=offset, length=2), repeatable=True),
                connection.call(methods.EXTENTS, disk_pb2.ExtentsRequest(offset=offset, length=2), repeatable=True),
                connection.call(
                    methods.REFERENCE_READ, reference_pb2.ReadRequest(offset=offset, read_size=2), repeatable=True
                ),
                connection.call(methods.REFERENCE_WRITE, ReferenceWrite(offset, b"ab"), repeatable=True),
            ]
            for call in calls:
                with pytest.raises(OutOfRange):
                    await call
        huge = reference_pb2.ReadRequest(offset=0, read_size=(1 << 64) - 1)
        with pytest.raises((OutOfRange, Invalid)):
            await connection.call(methods.REFERENCE_READ, huge, repeatable=True)
        assert bytes(MIB) == bytes(
            await connection.call(methods.READ, disk_pb2.ReadRequest(length=MIB), repeatable=True)
        )
        await connection.close()


async def test_a_disk_of_ones_own_goes_wrong_alone(tmp_path: Path) -> None:
    """Short and long reads, bugs, full stores and endless messages are errors of their request; the server goes on."""
    with target_server(tmp_path, f"{DISKS}:BrokenDisk") as server:
        async with opened(server.endpoint) as disk:
            expected = {0: Internal, 1: Internal, 2: Internal, 4: OutOfSpace, 7: Invalid}
            for where, kind in expected.items():
                with pytest.raises(kind):
                    await disk.read(where << 19, 512)
            with pytest.raises(DiskError, match="Permission denied"):
                await disk.read(3 << 19, 512)
            with pytest.raises(OutOfSpace):
                await disk.write(0, b"x")

            assert bytes(512) == bytes(await disk.read(6 << 19, 512))


async def test_a_plain_class_is_a_disk(tmp_path: Path) -> None:
    """A class with size, read and write, synchronous and of no base class, is served."""
    with target_server(tmp_path, f"{DISKS}:Plain") as server:
        async with opened(server.endpoint) as disk:
            await disk.write(100, b"plain", fua=True)
            await disk.flush()

            assert b"plain" == bytes(await disk.read(100, 5))


async def test_a_server_serves_another_servers_disks(tmp_path: Path) -> None:
    """grpc:// as a store: disks compose."""
    with target_server(tmp_path, "memory:", "--disk", "d=1MiB") as inner:
        with target_server(tmp_path, f"grpc://{inner.endpoint}") as outer:
            async with opened(inner.endpoint) as direct, opened(outer.endpoint) as proxied:
                await proxied.write(0, b"through")
                await proxied.flush()

                assert b"through" == bytes(await direct.read(0, 7))
                assert direct.info() == proxied.info()
