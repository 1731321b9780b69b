"""g2disk's own NBD server as its clients meet it: forms of the protocol, names, and disks that change meanwhile."""

from __future__ import annotations

import re
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.nbd_replies import BLOCK_STATUS, CACHE, DF, FLUSH, FUA, READ, REQ_ONE, TRIM, WRITE, WRITE_ZEROES
from tests.support.nbd_servers import DIRECT, GATEWAY, OURS, NbdServer, nbd_server
from tests.support.nbd_wire import ALLOCATION, EXPORT_NAME, GO, INFO, INVALID, UNKNOWN, Refused, info_data, option
from tests.support.processes import G2DISK

MIB = 1 << 20
READ_ONLY = 1 << 1
EIO, EPERM = 5, 1
DISKS = {"default": 8 * MIB, "a.long-name_1": MIB, "x" * 128: 2 * MIB}


@pytest.fixture(scope="module", params=[(kind, tcp) for kind in OURS for tcp in (False, True)], ids=str)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NbdServer]:
    kind, tcp = request.param
    made = [argument for name, size in DISKS.items() for argument in ("--disk", f"{name}={size}")]
    with nbd_server(tmp_path_factory.mktemp("nbd"), kind, "memory:", *made, tcp=tcp) as running:
        yield running


def g2disk(server: NbdServer, command: str, *arguments: str) -> None:
    """A command for the target server."""
    line = [G2DISK, command, *arguments, "--endpoint", server.target.endpoint]
    done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert 0 == done.returncode, done.stderr


@pytest.mark.parametrize(
    ("form", "use_go"),  # EXPORT_NAME is refused after EXTENDED_HEADERS
    [("simple", True), ("structured", True), ("extended", True), ("simple", False), ("structured", False)],
)
def test_every_request_in_every_form(server: NbdServer, form: str, use_go: bool) -> None:
    """Simple, structured and extended replies, after GO and after EXPORT_NAME: all requests of the protocol."""
    with server.client() as wire:
        wire.negotiate(structured=form != "simple", extended=form == "extended", use_go=use_go)
        assert DISKS["default"] == wire.size
        wire.call(WRITE_ZEROES, 0, wire.size)
        assert 0 == wire.call(WRITE, 4096, flags=FUA, data=b"ab" * 4096).error
        assert b"bab" == wire.call(READ, 4097, 3).data
        assert b"ab" * 4096 == wire.call(READ, 4096, 8192, DF if form != "simple" else 0).data
        for command, length in ((FLUSH, 0), (TRIM, 4096), (WRITE_ZEROES, 4096), (CACHE, 4096)):
            assert 0 == wire.call(command, 8192 if length else 0, length).error
        assert bytes(4096) == wire.call(READ, 8192, 4096).data
        if form != "simple":
            context = wire.contexts[ALLOCATION]
            states = wire.call(BLOCK_STATUS, 0, wire.size).status[context]
            assert [(4096, 3), (4096, 0), (wire.size - 8192, 3)] == states
            assert [(4096, 3)] == wire.call(BLOCK_STATUS, 0, wire.size, REQ_ONE).status[context]
        assert wire.disconnect()


def test_many_connections_share_a_disk(server: NbdServer) -> None:
    """30 connections of one export, in all forms: what each wrote is flushed on another and read on a third."""
    wires = [server.client() for _ in range(30)]
    try:
        for number, wire in enumerate(wires):
            wire.negotiate(structured=number % 3 > 0, extended=number % 3 > 1)
            wire.ask(WRITE, number * 1000, data=bytes([number]) * 1000)
        for number, wire in enumerate(wires):
            assert 0 == wire.next().error
            assert 0 == wires[number - 1].call(FLUSH).error if number > 1 else True
        for number in range(30):
            assert bytes([number]) * 1000 == wires[29 - number].call(READ, number * 1000, 1000).data
    finally:
        for wire in wires:
            wire.socket.close()


@pytest.mark.parametrize("name", DISKS)
def test_every_disk_is_an_export(server: NbdServer, name: str) -> None:
    """Each is found by its name, with its size, and holds its own bytes."""
    with server.client() as wire, server.client() as other:
        assert sorted(DISKS) == sorted(listed for listed, _ in wire.exports())
        wire.negotiate(name)
        assert (DISKS[name], name) == (wire.size, wire.name)
        wire.call(WRITE, 100_000, data=name.encode())
        assert name.encode() == other.negotiate(name, use_go=False).call(READ, 100_000, len(name)).data


def test_no_name_is_the_default_disk(server: NbdServer) -> None:
    """The empty export name gives the default disk, and says which that is."""
    with server.client() as wire:
        wire.negotiate("")
        assert ("default", DISKS["default"]) == (wire.name, wire.size)


@pytest.mark.parametrize(
    ("name", "kind"), [("missing", UNKNOWN), ("Ünïcode", INVALID), ("a/b", INVALID), ("../x", INVALID)]
)
def test_an_unknown_export_is_refused_and_the_client_may_ask_again(server: NbdServer, name: str, kind: int) -> None:
    """INFO and GO are refused with the reason, EXPORT_NAME ends the connection, and the list is the same as before."""
    with server.client() as wire:
        for asked in (INFO, GO):
            with pytest.raises(Refused) as refused:
                wire.options(asked, info_data(name))
            assert kind == refused.value.kind
            assert name in str(refused.value)
        assert len(DISKS) == len(wire.exports())
        wire.send(option(EXPORT_NAME, name.encode()))
        assert wire.closed()


@pytest.mark.parametrize("kind", OURS)
def test_new_clients_see_what_became_of_a_disk(tmp_path: Path, kind: str) -> None:
    """A resize, a new disk and a deletion, all while clients are connected.

    A deleted disk's clients get EIO, also when there is another disk of that name, whose bytes they never see.
    """
    with nbd_server(tmp_path, kind, "memory:", "--disk", "default=1MiB", "--disk", "other=1MiB") as server:
        with server.client() as old, server.client() as new, server.client() as late, server.client() as newest:
            old.negotiate("other")
            assert 0 == old.call(WRITE, 0, data=b"old").error
            g2disk(server, "resize", "other", "2MiB")
            assert 2 * MIB == new.negotiate("other").size
            assert 0 == new.call(WRITE, 2 * MIB - 3, data=b"end").error
            assert b"old" == old.call(READ, 0, 3).data

            g2disk(server, "delete", "other", "--yes")
            for wire in (old, new):
                for command, length in ((READ, 512), (TRIM, 512), (FLUSH, 0), (READ, 1)):
                    if (command, kind) != (FLUSH, DIRECT):  # nothing is left that a flush could lose
                        assert EIO == wire.call(command, 0, length).error, (command, length)
            with pytest.raises(Refused) as refused:
                late.negotiate("other")
            assert UNKNOWN == refused.value.kind

            g2disk(server, "create", "other", "1MiB")
            assert EIO == old.call(READ, 0, 3).error
            assert EIO == old.call(WRITE, 0, data=b"no").error
            if kind == DIRECT:
                assert bytes(3) == newest.negotiate("other").call(READ, 0, 3).data
            assert 0 == late.negotiate("default").call(READ, 0, 3).error


@pytest.mark.parametrize("kind", OURS)
def test_a_read_only_server_takes_no_writes(tmp_path: Path, kind: str) -> None:
    """The flag is advertised; a client that writes all the same is refused with EPERM, and reads on."""
    with nbd_server(tmp_path, DIRECT, f"file:{tmp_path}/store", "--disk", "default=1MiB") as server:
        with server.client() as wire:
            assert 0 == wire.negotiate().call(WRITE, 0, flags=FUA, data=b"kept").error
    options = ("--read-only",) if kind == GATEWAY else ()
    arguments = () if kind == GATEWAY else ("--read-only",)
    with nbd_server(tmp_path, kind, f"file:{tmp_path}/store", *arguments, options=options) as server:
        with server.client() as wire:
            wire.negotiate()
            assert wire.flags & READ_ONLY
            assert EPERM == wire.call(WRITE, 0, data=b"no").error
            for command in (TRIM, WRITE_ZEROES):
                assert EPERM == wire.call(command, 0, 512).error
            assert b"kept" == wire.call(READ, 0, 4).data


def test_requests_are_counted(tmp_path: Path) -> None:
    """`serve --metrics` counts what comes over NBD, by disk and operation."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with nbd_server(tmp_path, DIRECT, "memory:", "--disk", "d=1MiB", "--metrics", f"127.0.0.1:{port}") as server:
        with server.client() as wire:
            wire.negotiate()
            for _ in range(3):
                wire.call(READ, 0, 1000)
            wire.call(WRITE, 0, data=b"x" * 500)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
            text = page.read().decode()
    assert re.search(r'^g2disk_\w*requests_total{[^}]*"read"[^}]*} 3\.0$', text, re.MULTILINE), text
    assert re.search(r'^g2disk_\w*bytes_total{[^}]*"write"[^}]*} 500\.0$', text, re.MULTILINE), text
