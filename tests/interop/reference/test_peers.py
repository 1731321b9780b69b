"""The independent server and client understand each other, and the server misbehaves as told."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from .peers import Peers

SIZE = 1 << 20


def test_what_the_client_writes_the_server_gives_back(peers: Peers, tmp_path: Path) -> None:
    """Size, write and read agree between the two."""
    data = hashlib.shake_128(b"data").digest(10_000)
    with peers.server(tmp_path, SIZE) as endpoint:
        assert peers.client(endpoint, "size").stdout == b"%d\n" % SIZE
        assert peers.client(endpoint, "write", 5000, data=data).returncode == 0
        assert peers.client(endpoint, "read", 4999, 10_002).stdout == b"\0" + data + b"\0"


def test_the_server_refuses_what_lies_behind_its_end(peers: Peers, tmp_path: Path) -> None:
    """Reading beyond the end is gRPC's OUT_OF_RANGE."""
    with peers.server(tmp_path, SIZE) as endpoint:
        done = peers.client(endpoint, "read", SIZE - 1, 2)
    assert (done.returncode, done.stderr[:13]) == (1, b"OUT_OF_RANGE:")


@pytest.mark.parametrize(
    ("way", "answer"),
    [("short", (0, b"\0" * 9)), ("empty", (0, b"")), ("long", (0, b"\0" * 10 + b"!")), ("error", (1, b""))],
)
def test_the_server_misbehaves_as_told(peers: Peers, tmp_path: Path, way: str, answer: tuple[int, bytes]) -> None:
    """The wrong replies that the gateway's tests need really are sent."""
    with peers.server(tmp_path, SIZE, "--misbehave", way) as endpoint:
        done = peers.client(endpoint, "read", 0, 10)
    assert (done.returncode, done.stdout) == answer
