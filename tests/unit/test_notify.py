"""Telling a service manager."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from g2disk.attach.notify import READY, notify


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_the_manager_is_told(kind: str, tmp_path: Path) -> None:
    """One datagram to the socket that the environment names, a file or an abstract one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(10)
        manager.bind(str(tmp_path / "notify") if kind == "path" else f"\0{tmp_path}")
        notify({"NOTIFY_SOCKET": str(tmp_path / "notify") if kind == "path" else f"@{tmp_path}"}, READY)

        assert manager.recv(100) == b"READY=1"


def test_without_a_manager_nothing_happens() -> None:
    """A process that a person started tells nobody."""
    notify({}, READY)
    notify({"NOTIFY_SOCKET": ""}, READY)


def test_a_manager_that_cannot_be_told_is_an_error(tmp_path: Path) -> None:
    """It would wait for the message, and end the service."""
    with pytest.raises(FileNotFoundError):
        notify({"NOTIFY_SOCKET": str(tmp_path / "gone")}, READY)
