"""What holds for every way from an NBD client to a disk: nbdkit with our plugin, our NBD server, gateway and direct.

Real processes, with libnbd as the client.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from pathlib import Path

import nbd
import pytest

from g2disk.clock import SystemClock
from tests.support.nbd_client import allocation, connected
from tests.support.nbd_servers import ALL, GATEWAY, NBDKIT, NbdServer, gateway_to, nbd_server
from tests.support.processes import target_server

MIB = 1 << 20
GIB = 1 << 30
CLOCK = SystemClock()
GATEWAYS = (GATEWAY, NBDKIT)


@pytest.fixture(scope="module", params=ALL)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NbdServer]:
    arguments = ("memory:", "--verbose", "--disk", "default=64GiB", "--disk", "other=5MiB")
    with nbd_server(tmp_path_factory.mktemp("nbd"), request.param, *arguments) as running:
        yield running


@pytest.fixture
def gateway(server: NbdServer) -> Path:
    """Its socket."""
    return server.socket


def errno_of(failure: pytest.ExceptionInfo[nbd.Error]) -> str:
    return str(failure.value.errno)


def test_everything_a_disk_can_do_is_advertised(gateway: Path) -> None:
    """A memory disk's capabilities arrive at an NBD client."""
    with connected(gateway) as handle:
        can = {
            name: getattr(handle, name)()
            for name in ("can_flush", "can_fua", "can_trim", "can_zero", "can_fast_zero", "can_multi_conn")
        }

        assert dict.fromkeys(can, True) == can
        assert not handle.is_read_only()
        assert handle.can_meta_context(nbd.CONTEXT_BASE_ALLOCATION)
        assert 64 * GIB == handle.get_size()
        assert (1, 4096, 64 * MIB) == tuple(
            handle.get_block_size(which) for which in (nbd.SIZE_MINIMUM, nbd.SIZE_PREFERRED, nbd.SIZE_MAXIMUM)
        )


@pytest.mark.parametrize("length", [1, 511, 4096, MIB, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 32 * MIB])
def test_requests_of_every_size_arrive_whole(gateway: Path, length: int) -> None:
    """Data of up to 32 MiB goes through in one NBD request, beyond gRPC's default limit of 4 MiB too."""
    data = random.Random(length).randbytes(length)
    with connected(gateway) as handle:
        handle.pwrite(data, 12345)

        assert data == handle.pread(length, 12345)
        assert bytes(1) == handle.pread(1, 12344)
        assert bytes(1) == handle.pread(1, 12345 + length)
        handle.zero(length, 12345)


def test_flush_and_fua_reach_the_disk(gateway: Path, server: NbdServer) -> None:
    """Flush, and FUA on write, trim and zero, arrive at the server's disk, and end nothing."""
    with connected(gateway) as handle:
        handle.flush()
        handle.pwrite(b"durable", 100, nbd.CMD_FLAG_FUA)
        handle.trim(4096, 8192, nbd.CMD_FLAG_FUA)
        handle.zero(4096, 8192, nbd.CMD_FLAG_FUA)

        assert b"durable" == handle.pread(7, 100)
    log = server.target.process.log_text()
    for request in ("flush", "write 100+7 fua", "trim 8192+4096 fua", "zero 8192+4096 fua"):
        assert request in log


def test_zero_of_4_gib_is_one_request_and_reads_back(gateway: Path) -> None:
    """The largest zero request that NBD has takes no time and no data."""
    length = 4 * GIB - 4096
    with connected(gateway) as handle:
        handle.pwrite(b"x" * 4096, 4096)
        handle.pwrite(b"y", 4096 + length)
        for flags in (0, nbd.CMD_FLAG_NO_HOLE, nbd.CMD_FLAG_FAST_ZERO):
            handle.zero(length, 4096, flags)

        assert bytes(4096) == handle.pread(4096, 4096)
        assert b"y" == handle.pread(1, 4096 + length)
        handle.trim(length, 4096)
        handle.zero(1, 4096 + length)


def test_holes_are_visible_and_trim_makes_them(gateway: Path) -> None:
    """base:allocation tells data from holes, and a trim turns the one into the other."""
    hole = nbd.STATE_HOLE | nbd.STATE_ZERO
    with connected(gateway) as handle:
        handle.pwrite(b"z" * MIB, 8 * GIB)

        assert [(MIB, hole), (MIB, 0), (MIB, hole)] == allocation(handle, 8 * GIB - MIB, 3 * MIB)
        handle.trim(MIB, 8 * GIB)
        assert [(3 * MIB, hole)] == allocation(handle, 8 * GIB - MIB, 3 * MIB)


def test_the_export_list_is_the_stores_disks(gateway: Path) -> None:
    """NBD_OPT_LIST gives every disk by its name; each can be opened, and no other."""
    found: list[str] = []

    def take(name: str, _description: str) -> int:
        found.append(name)
        return 0

    handle = nbd.NBD()
    handle.set_opt_mode(True)
    handle.connect_unix(str(gateway))
    handle.opt_list(take)
    handle.opt_abort()

    assert ["default", "other"] == found
    with connected(gateway, "other") as other:
        assert 5 * MIB == other.get_size()
    with pytest.raises(nbd.Error), connected(gateway, "missing"):
        pass


def test_connections_share_one_disk(gateway: Path) -> None:
    """What one connection wrote, another reads and flushes."""
    with connected(gateway) as one, connected(gateway, "default") as two:
        one.pwrite(b"shared", 777)
        two.flush()

        assert b"shared" == two.pread(6, 777)


def test_requests_beyond_the_end_are_refused(gateway: Path) -> None:
    """Reads beyond the end are EINVAL, writes ENOSPC, near 2^63 and 2^64 too; the connection goes on."""
    with connected(gateway, "other") as handle:
        for offset in (5 * MIB - 1, 1 << 62, (1 << 63) - 2, (1 << 64) - 2):
            with pytest.raises(nbd.Error) as failure:
                handle.pread(2, offset)
            assert errno_of(failure) == "EINVAL"
            with pytest.raises(nbd.Error) as failure:
                handle.pwrite(b"ab", offset)
            assert errno_of(failure) == "ENOSPC"

        assert bytes(2) == handle.pread(2, 5 * MIB - 2)


@pytest.mark.parametrize("kind", GATEWAYS)
def test_a_read_only_gateway_takes_no_writes(tmp_path: Path, kind: str) -> None:
    """Clients see a read-only disk, and writes that they send anyway are refused; other disks are not there."""
    options = ("readonly=true", "disk=other") if kind == NBDKIT else ("--read-only", "other")
    with nbd_server(
        tmp_path, kind, "memory:", "--disk", "default=1MiB", "--disk", "other=5MiB", options=options
    ) as running:
        with connected(running.socket) as handle:
            assert handle.is_read_only()
            assert 5 * MIB == handle.get_size()
            for change, what in ((handle.pwrite, b"no"), (handle.trim, 512), (handle.zero, 512)):
                with pytest.raises(nbd.Error) as failure:
                    change(what, 0)
                assert errno_of(failure) in ("EPERM", "EINVAL")
            assert bytes(2) == handle.pread(2, 0)
        with pytest.raises(nbd.Error), connected(running.socket, "default"):
            pass


@pytest.mark.parametrize("kind", GATEWAYS)
def test_requests_wait_for_a_server_that_comes_back(tmp_path: Path, kind: str) -> None:
    """A durable disk's server is killed; a request waits, and succeeds when the server is there again."""
    arguments = (f"file:{tmp_path}/store", "--disk", "d=1MiB")
    with target_server(tmp_path, *arguments) as first, gateway_to(tmp_path, kind, first) as gateway:
        with connected(gateway.socket) as handle:
            handle.pwrite(b"kept", 0)
            handle.flush()
            first.process.kill()
            cookie = handle.aio_pread(nbd.Buffer(4), 0)
            with target_server(tmp_path, *arguments, listen=first.endpoint):
                while not handle.aio_command_completed(cookie):
                    handle.poll(1000)

                assert b"kept" == handle.pread(4, 0)
                handle.pwrite(b"more", 4)
                handle.flush()


@pytest.mark.parametrize("kind", GATEWAYS)
def test_requests_fail_with_eio_after_the_timeout(tmp_path: Path, kind: str) -> None:
    """A server that stays away costs `timeout` seconds, then EIO; the gateway lives on."""
    options = ("timeout=1",) if kind == NBDKIT else ("--timeout", "1")
    with target_server(tmp_path, "memory:", "--disk", "d=1MiB") as server:
        with gateway_to(tmp_path, kind, server, options) as gateway, connected(gateway.socket) as handle:
            server.process.stop(signal.SIGKILL)
            started = CLOCK.now()
            for request in (lambda: handle.pread(512, 0), lambda: handle.pwrite(bytes(512), 0), handle.flush):
                with pytest.raises(nbd.Error) as failure:
                    request()
                assert errno_of(failure) == "EIO"

            assert CLOCK.now() - started >= 3
            assert gateway.process.popen.poll() is None
            assert "Traceback" not in gateway.process.log_text()


@pytest.mark.parametrize("kind", GATEWAYS)
def test_a_disk_that_came_back_empty_is_refused(tmp_path: Path, kind: str) -> None:
    """A restarted memory server holds another disk: every request fails, and nobody reads zeroes for data."""
    arguments = ("memory:", "--disk", "d=1MiB")
    with target_server(tmp_path, *arguments) as first, gateway_to(tmp_path, kind, first) as gateway:
        with connected(gateway.socket) as handle:
            handle.pwrite(b"precious", 0)
            handle.flush()
            first.process.kill()
            with target_server(tmp_path, *arguments, listen=first.endpoint):
                for request in (lambda: handle.pread(8, 0), lambda: handle.pwrite(b"x", 0), handle.flush):
                    with pytest.raises(nbd.Error) as failure:
                        request()
                    assert errno_of(failure) == "EIO"
                with pytest.raises(nbd.Error), connected(gateway.socket):
                    pass
        assert "another disk" in gateway.process.log_text()
