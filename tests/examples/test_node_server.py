"""The target server in Node.js does what proto/g2disk/v1/disk.proto says, asked by a plain gRPC client."""

from __future__ import annotations

import errno
import hashlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from g2disk.remote.pb import disk_pb2 as pb
from tests.examples.node import FOLDER, SIZE, node_server
from tests.support.processes import Server

DATA = hashlib.shake_128(b"node").digest(1 << 20)
BEYOND = [(SIZE, 1), (SIZE - 1, 2), (0, SIZE + 1), ((1 << 64) - 1, 1), ((1 << 64) - 512, 512), (1 << 53, 1)]


class Client:
    """The Disk service, with nothing but grpc and the generated messages."""

    def __init__(self, endpoint: str) -> None:
        self.channel = grpc.insecure_channel(endpoint)

    def call(self, method: str, /, **fields: Any) -> Any:
        """One call; the reply."""
        request, reply = getattr(pb, f"{method}Request"), getattr(pb, f"{method}Reply")
        path = f"/g2disk.v1.Disk/{method}"
        return self.channel.unary_unary(path, request.SerializeToString, reply.FromString)(
            request(**fields), timeout=20, wait_for_ready=True
        )

    def refused(self, method: str, /, **fields: Any) -> tuple[grpc.StatusCode, str, int]:
        """One call that must fail; its status, kind and errno."""
        with pytest.raises(grpc.RpcError) as caught:
            self.call(method, **fields)
        failure: Any = caught.value
        trailers = dict(failure.trailing_metadata())
        return failure.code(), trailers.get("g2disk-kind", ""), int(trailers.get("g2disk-errno", 0))


@pytest.fixture
def client(node: Server) -> Iterator[Client]:
    """A client of the server that the module's tests share."""
    client = Client(node.endpoint)
    with client.channel:
        yield client


def test_describe_says_what_it_is(client: Client) -> None:
    """Size, name, identifiers and capabilities are there, and the same for the empty name."""
    said = client.call("Describe")
    can = said.capabilities
    assert (said.disk, said.size, said.read_only) == ("default", SIZE, False)
    assert said.identity
    assert said.instance
    assert (can.flush, can.trim, can.zero, can.fast_zero, can.multi_conn) == (True,) * 5
    assert (can.extents, can.cache) == (False, False)
    assert client.call("Describe", disk="default", identity=said.identity) == said


def test_written_bytes_are_read_back(client: Client) -> None:
    """At both ends and in between, one byte and a megabyte; each change is answered with the instance."""
    instance = client.call("Describe").instance
    for offset, length in [(0, 1), (SIZE - 1, 1), (12345, 1 << 20), (4096, 4096)]:
        assert client.call("Write", offset=offset, data=DATA[:length], fua=True).instance == instance
        assert client.call("Read", offset=offset, length=length).data == DATA[:length]
    assert client.call("Flush").instance == instance


@pytest.mark.parametrize("method", ["Trim", "Zero"])
def test_trim_and_zero_change_their_range_alone(client: Client, method: str) -> None:
    """The range reads as zeroes, and its neighbours as before."""
    client.call("Write", offset=0, data=DATA[:8192])
    assert client.call(method, offset=1000, length=3000).instance
    assert client.call("Read", offset=0, length=8192).data == DATA[:1000] + bytes(3000) + DATA[4000:8192]


def test_zero_reaches_over_the_whole_disk(client: Client) -> None:
    """Lengths are not bound by the size of a message."""
    client.call("Write", offset=SIZE - 8, data=DATA[:8])
    client.call("Zero", offset=0, length=SIZE)
    assert client.call("Read", offset=SIZE - 8, length=8).data == bytes(8)


@pytest.mark.parametrize(("offset", "length"), BEYOND)
def test_ranges_beyond_the_end_are_refused_and_change_nothing(client: Client, offset: int, length: int) -> None:
    """Also where offset and length overflow 64 bits or JavaScript's 53."""
    client.call("Write", offset=0, data=DATA)
    client.call("Write", offset=SIZE - len(DATA), data=DATA)
    expected = (grpc.StatusCode.OUT_OF_RANGE, "OutOfRange", errno.EINVAL)

    assert client.refused("Read", offset=offset, length=length) == expected
    assert client.refused("Trim", offset=offset, length=length) == expected
    assert client.refused("Zero", offset=offset, length=length) == expected
    if length <= len(DATA):
        assert client.refused("Write", offset=offset, data=b"!" * length) == expected

    assert client.call("Read", offset=0, length=len(DATA)).data == DATA
    assert client.call("Read", offset=SIZE - len(DATA), length=len(DATA)).data == DATA


@pytest.mark.parametrize("method", ["Describe", "Read", "Write", "Flush", "Trim", "Zero"])
def test_another_disk_is_not_served(client: Client, method: str) -> None:
    """A name that is not there is NotFound, an identity that has gone is Fenced, at every method."""
    assert client.refused(method, disk="other") == (grpc.StatusCode.NOT_FOUND, "NotFound", errno.ENOENT)
    fenced = (grpc.StatusCode.FAILED_PRECONDITION, "Fenced", errno.ESTALE)
    assert client.refused(method, identity="00000000-0000-0000-0000-000000000000") == fenced


@pytest.mark.parametrize("method", ["Read", "Trim", "Zero"])
def test_length_0_does_nothing(client: Client, method: str) -> None:
    """An empty range is no error, at the disk's end neither."""
    client.call(method, offset=0, length=0)
    client.call(method, offset=SIZE, length=0)


@pytest.mark.parametrize("method", ["Extents", "Cache"])
def test_what_is_left_out_is_unimplemented(client: Client, method: str) -> None:
    """gRPC's own answer, without a kind."""
    assert client.refused(method, length=512) == (grpc.StatusCode.UNIMPLEMENTED, "", 0)


def test_a_restart_is_another_disk(tmp_path: Path) -> None:
    """Its bytes are gone, so identity and instance are new, and the old identity is refused."""
    seen = []
    for _ in range(2):
        with node_server(tmp_path) as server:
            client = Client(server.endpoint)
            with client.channel:
                seen.append(client.call("Describe"))
                if len(seen) == 2:
                    assert client.refused("Read", identity=seen[0].identity, length=1)[1] == "Fenced"
    assert seen[0].identity != seen[1].identity
    assert seen[0].instance != seen[1].instance


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_well(tmp_path: Path, number: int) -> None:
    """Stopped, also with a client connected, it exits with 0."""
    with node_server(tmp_path) as server:
        client = Client(server.endpoint)
        with client.channel:
            client.call("Flush")
            assert server.process.stop(number) == 0


def test_it_listens_on_a_unix_socket(tmp_path: Path) -> None:
    """unix:PATH is an address like any other."""
    with node_server(tmp_path, address=f"unix:{tmp_path}/node.sock") as server:
        client = Client(server.endpoint)
        with client.channel:
            assert client.call("Describe").size == SIZE


@pytest.mark.parametrize("size", ["0", "-512", "1000", "many", "512.5"])
def test_an_impossible_size_is_refused(size: str) -> None:
    """One line, and exit code 2."""
    done = subprocess.run(["node", FOLDER / "server.js", size], capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
