"""The independent client of the reference protocol, with `g2disk serve`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.reference.peers import Peers
from tests.support.processes import Server, target_server

SIZE = 5 << 20
MESSAGE = 4 << 20
"""gRPC's default limit, in bytes."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The reference's own ramdisk of 5 MiB, as our server has it."""
    directory = tmp_path_factory.mktemp("server")
    with target_server(directory, "memory:", "--disk", "default=5MiB", "--disk", "other=1MiB") as running:
        yield running


def test_the_size_is_that_of_the_default_disk(peers: Peers, server: Server) -> None:
    """GetSize answers in bytes."""
    assert peers.client(server.endpoint, "size").stdout == b"%d\n" % SIZE


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 1), (12345, 100_000), (SIZE - 4096, 4096), (0, MESSAGE - 64), (SIZE, 0)]
)
def test_written_bytes_are_read_back(peers: Peers, server: Server, offset: int, length: int) -> None:
    """At any place, and up to what fits the client's own message limit."""
    data = hashlib.shake_128(b"%d" % length).digest(length)
    wrote = peers.client(server.endpoint, "write", offset, data=data)
    assert (wrote.returncode, wrote.stderr) == (0, b"")
    read = peers.client(server.endpoint, "read", offset, length)
    assert (read.returncode, read.stdout) == (0, data)


def test_a_write_larger_than_grpcs_default_limit_is_taken(peers: Peers, server: Server) -> None:
    """Our end has no limit below that of a request."""
    data = hashlib.shake_128(b"large").digest(SIZE)
    assert peers.client(server.endpoint, "write", 0, data=data).returncode == 0
    for offset in (0, SIZE // 2):
        assert peers.client(server.endpoint, "read", offset, SIZE // 2).stdout == data[offset : offset + SIZE // 2]


@pytest.mark.parametrize("offset", [SIZE - 1, (1 << 63) - 1, (1 << 64) - 1])
def test_requests_beyond_the_end_are_refused_and_change_nothing(peers: Peers, server: Server, offset: int) -> None:
    """OUT_OF_RANGE near every power of two where numbers overflow."""
    before = peers.client(server.endpoint, "read", SIZE - 512, 512).stdout
    for done in (
        peers.client(server.endpoint, "read", offset, 2),
        peers.client(server.endpoint, "write", offset, data=b"no"),
    ):
        assert (done.returncode, done.stderr.partition(b":")[0]) == (1, b"OUT_OF_RANGE")
    assert peers.client(server.endpoint, "read", SIZE - 512, 512).stdout == before


def test_a_read_of_2_to_the_64_bytes_is_refused(peers: Peers, server: Server) -> None:
    """A length that no memory holds is an error like any other."""
    done = peers.client(server.endpoint, "read", 0, (1 << 64) - 1)
    assert (done.returncode, done.stderr.partition(b":")[0]) == (1, b"OUT_OF_RANGE")
    assert peers.client(server.endpoint, "size").returncode == 0


def test_without_a_default_disk_it_says_so(peers: Peers, tmp_path: Path) -> None:
    """Two disks and none called default: the error names what to do."""
    with target_server(tmp_path, "memory:", "--disk", "a=1MiB", "--disk", "b=1MiB") as server:
        done = peers.client(server.endpoint, "size")
    assert (done.returncode, done.stderr.partition(b":")[0]) == (1, b"NOT_FOUND")
    assert b"default" in done.stderr
