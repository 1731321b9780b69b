"""Telling systemd how a service is (sd_notify(3)), over the socket that it names in the environment."""

from __future__ import annotations

import socket
from collections.abc import Mapping

READY = "READY=1"
STOPPING = "STOPPING=1"


def notify(environment: Mapping[str, str], state: str) -> None:
    """Say `state`, such as "READY=1" or "STATUS=…", to the manager that NOTIFY_SOCKET names; nothing without one.

    Raises OSError when the manager cannot be told: a service that is never ready would be ended by it.
    """
    address = environment.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # no file, but a name in the kernel: unix(7), "abstract"
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
        manager.connect(address)
        manager.sendall(state.encode())
