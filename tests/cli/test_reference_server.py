"""The commands with a server that speaks the reference protocol only: one disk, no name, no catalogue."""

from __future__ import annotations

import random
from pathlib import Path

from tests.cli.command import Command
from tests.interop.reference.peers import Peers, generate

SIZE = 4 << 20


def test_the_only_disk_of_a_reference_server_is_used_without_a_name(tmp_path: Path) -> None:
    """It is listed, shown, attached, written, detached and exported as ''; what it cannot do is an error."""
    generate(tmp_path)
    content = random.Random(1).randbytes(SIZE)
    file, copy = tmp_path / "file", tmp_path / "copy"
    with Peers(tmp_path).server(tmp_path, SIZE) as endpoint, Command.in_directory(endpoint) as g2disk:
        assert [SIZE] == [disk["size"] for disk in g2disk.json("list")["disks"]]
        assert g2disk.json("info", "")["capabilities"]["flush"] is False

        g2disk.ok("attach", "", "--fuse", file)
        with file.open("r+b") as opened:
            opened.write(content)
        g2disk.ok("detach", file)
        g2disk.ok("export", "", copy)
        created = g2disk("create", "a", "1MiB")

    assert content == copy.read_bytes()
    assert 11 == created.code
    assert created.error
