"""The handshake with a gateway on a Unix socket, after which the kernel can have the socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from pathlib import Path

from g2disk.errors import DiskError, Unavailable
from g2disk.nbd.client_handshake import ClientHandshake, Negotiated

PATIENCE = 60.0
"""Seconds that the gateway may take, which opens the disk meanwhile."""
_MOST = 4096
"""Bytes to receive at once."""


async def connect_nbdkit(path: Path, export: str, patience: float = PATIENCE) -> tuple[socket.socket, Negotiated]:
    """Connect to the gateway at `path` and enter the export; the socket and what the server said of the disk.

    The socket does not block, and nothing is left unread on it: the next to speak is the client.  The caller closes it.
    Raises what `ClientHandshake` raises, and `Unavailable` when nobody is there, or not within `patience` seconds.
    """
    with contextlib.ExitStack() as undo:
        connection = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC))
        connection.setblocking(False)
        try:
            async with asyncio.timeout(patience):
                negotiated = await _shake_hands(connection, path, ClientHandshake(export))
        except TimeoutError:
            raise Unavailable(f"the gateway at {path} did not answer within {patience:g} s; see its log") from None
        except OSError as error:
            raise Unavailable(f"cannot reach the gateway at {path}: {error.strerror}; see its log") from error
        undo.pop_all()
    return connection, negotiated


async def _shake_hands(connection: socket.socket, path: Path, handshake: ClientHandshake) -> Negotiated:
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, os.fspath(path))
    while True:
        data = await loop.sock_recv(connection, _MOST)
        if not data:
            raise handshake.receive_eof()
        try:
            negotiated = handshake.receive(data)
        except DiskError:
            with contextlib.suppress(OSError):  # a farewell; what was refused is what counts
                await loop.sock_sendall(connection, handshake.data_to_send())
            raise
        if negotiated is not None:
            return negotiated
        await loop.sock_sendall(connection, handshake.data_to_send())
