"""Listening sockets: whose they are, and what clients get of them."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from g2disk.errors import Busy
from g2disk.servers.listening import forget_path, listen


def test_a_socket_is_forgotten_by_who_made_it_last(tmp_path: Path) -> None:
    """A server that stops leaves the socket alone that another one has put in its place."""
    path = tmp_path / "socket"
    (first,), address = listen(f"unix:{path}")
    path.unlink()
    (second,), _ = listen(address)

    first.close()
    forget_path(address)
    assert path.is_socket()

    second.close()
    forget_path(address)
    assert not path.exists()
    forget_path(address)


def test_a_server_that_accepts_nobody_is_still_there(tmp_path: Path) -> None:
    """Whoever wants its path is told at once, and does not wait until it has time."""
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as client:
        busy.bind(str(path))
        busy.listen(0)
        client.connect(str(path))

        with pytest.raises(Busy, match="another server listens"):
            listen(f"unix:{path}")


def test_a_socket_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    """A server that was killed does not keep the next one from its path."""
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))

    (listening,), _ = listen(f"unix:{path}")

    with listening, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_clients_that_vanish_are_noticed() -> None:
    """The kernel asks connections that are silent for long whether the other end is there."""
    (listening,), address = listen("127.0.0.1:0")
    host, _, port = address.rpartition(":")
    with listening, socket.create_connection((host, int(port))):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
