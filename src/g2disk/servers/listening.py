"""Sockets to listen on, made from addresses as people write them."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from g2disk.errors import Busy, Denied, Invalid
from g2disk.remote.endpoint import check_endpoint

_BACKLOG = 4096
"""Clients that may wait for `accept`; the kernel's own limit (net.core.somaxconn) is usually this."""


def listen(address: str) -> tuple[list[socket.socket], str]:
    """Listening sockets for HOST:PORT (port 0 takes a free one) or unix:PATH, and the address as a client gives it.

    Raises `Busy`, `Denied`, `Invalid`.
    """
    if address.startswith("unix:"):
        return [_listen_on_path(Path(address.removeprefix("unix:")))], address
    host, colon, asked = address.rpartition(":")
    if asked != "0":
        check_endpoint(address)
    sockets: list[socket.socket] = []
    port = int(asked) if asked.isdecimal() else 0
    try:
        for family, kind, protocol, _, where in _resolve(address, host, asked):
            # All of a name's addresses share the port that the first was given.
            sockets.append(_listen_on_host(address, family, kind, protocol, (where[0], port, *where[2:])))
            port = sockets[0].getsockname()[1]
    except BaseException:
        for listening in sockets:
            listening.close()
        raise
    return sockets, f"{host}{colon}{port}"


def forget_path(address: str) -> None:
    """Remove the socket of a unix:PATH that is listened on no more.  Another server's, which took its place, stays."""
    if address.startswith("unix:"):
        path = Path(address.removeprefix("unix:"))
        if isinstance(_answer_of(path), ConnectionRefusedError):
            path.unlink(missing_ok=True)


def _resolve(address: str, host: str, port: str) -> list[tuple[int, int, int, str, tuple[Any, ...]]]:
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, ValueError) as error:
        raise Invalid(f"cannot listen on {address}: {error}; write HOST:PORT or unix:PATH") from error
    return list(dict.fromkeys(found))


def _listen_on_host(address: str, family: int, kind: int, protocol: int, where: tuple[Any, ...]) -> socket.socket:
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Handed on to what is accepted: else a client whose host has lost its power is connected for ever.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        listening.bind(where)
        listening.listen(_BACKLOG)
    except PermissionError as error:
        listening.close()
        raise Denied(f"not allowed to listen on {address}; take a port above 1023 with --listen") from error
    except OSError as error:
        listening.close()
        raise Busy(f"cannot listen on {address}: {error.strerror}; take another address with --listen") from error
    return listening


def _listen_on_path(path: Path) -> socket.socket:
    _make_way(path)
    listening = socket.socket(socket.AF_UNIX)
    try:
        listening.bind(str(path))
        listening.listen(_BACKLOG)
    except PermissionError as error:
        listening.close()
        raise Denied(f"not allowed to make the socket {path}; take another path with --listen") from error
    except OSError as error:
        listening.close()
        raise Invalid(f"cannot listen on {path}: {error.strerror or error}; take another path with --listen") from error
    return listening


def _make_way(path: Path) -> None:
    """Remove the socket that a server left behind; a live one is `Busy`."""
    if not path.parent.is_dir():
        raise Invalid(f"there is no directory {path.parent} to make the socket in; create it first")
    if not path.exists():
        return
    if not path.is_socket():
        raise Invalid(f"{path} is there already and is no socket; take another path with --listen")
    answer = _answer_of(path)
    if isinstance(answer, ConnectionRefusedError):
        path.unlink(missing_ok=True)
    elif answer is None or isinstance(answer, BlockingIOError):
        raise Busy(f"another server listens on {path}; stop it, or take another path with --listen")
    else:
        raise Busy(f"cannot listen on {path}: {answer.strerror}; take another path with --listen") from answer


def _answer_of(path: Path) -> OSError | None:
    """What a client that connects is told: nothing where a server listens, `BlockingIOError` where it has too many
    clients to accept, `ConnectionRefusedError` where a server has left its socket behind.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except OSError as error:
            return error
    return None
