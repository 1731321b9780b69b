"""The real command against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import Command
from tests.support.object_servers import aws_environment, moto_endpoint, s3
from tests.support.processes import target_server

__all__ = ["aws_environment", "g2disk", "moto_endpoint", "s3"]


@pytest.fixture
def g2disk(tmp_path: Path) -> Iterator[Command]:
    """The command, with a server of memory disks behind it, and attachments in a directory of its own."""
    with target_server(tmp_path, "memory:") as server, Command.in_directory(server.endpoint) as command:
        yield command
