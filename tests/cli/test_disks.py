"""create, list, info, resize and delete."""

from __future__ import annotations

import os
import pty
from pathlib import Path

from tests.cli.command import Command, finish
from tests.support.processes import target_server

LARGEST = (1 << 63) - 4096


def test_a_disk_is_created_listed_and_deleted(g2disk: Command) -> None:
    """What create made, list shows, until delete."""
    assert "created a, 5MiB (5242880 bytes)\n" == g2disk.ok("create", "a", "5MiB", "--description", "for tests")
    g2disk.ok("create", "b", "1EiB")

    lines = g2disk.ok("list").splitlines()
    assert [["a", "5MiB"], ["b", "1EiB"]] == [line.split()[:2] for line in lines[1:]]
    assert "for tests" in lines[1]

    assert "deleted a\n" == g2disk.ok("delete", "a", "--yes")
    assert ["b"] == [disk["name"] for disk in g2disk.json("list")["disks"]]


def test_json_has_every_field_and_sizes_in_bytes(g2disk: Command) -> None:
    """Every command that prints data prints one document, with the fields that the reference names."""
    fields = {"name", "size", "allocated", "identity", "read_only", "description"}
    created = g2disk.json("create", "a", "5MiB")
    listed = g2disk.json("list")
    info = g2disk.json("info", "a")
    resized = g2disk.json("resize", "a", "6M")

    assert fields == set(created)
    assert (5 << 20, 6 << 20) == (created["size"], resized["size"])
    assert {"disks": [created], "default_disk": "a"} == listed
    assert created.items() <= info.items()
    assert info["capabilities"]["trim"] is True
    assert created["identity"] == resized["identity"] != ""
    assert {"deleted": "a"} == g2disk.json("delete", "a", "--yes")


def test_no_disk_is_no_error(g2disk: Command) -> None:
    """A list of nothing says what to do, on standard error; its document is an empty list."""
    done = g2disk("list")

    assert (0, "") == (done.code, done.out)
    assert "g2disk create" in done.err
    assert {"disks": [], "default_disk": None} == g2disk.json("list")


def test_the_largest_size_is_said_to_be_not_quite_the_one_asked_for(g2disk: Command) -> None:
    """8EiB is made as the largest size there is, and a note says so."""
    done = g2disk("create", "giant", "8EiB", "--json")

    assert 0 == done.code
    assert f"note: the size is {LARGEST} bytes" in done.err
    assert LARGEST == g2disk.json("info", "giant")["size"]
    assert "8EiB-4KiB" in g2disk.ok("list")


def test_a_disk_shrinks_only_when_that_is_meant(g2disk: Command) -> None:
    """Growing takes no option, shrinking takes --shrink."""
    g2disk.ok("create", "a", "5MiB")
    g2disk.ok("resize", "a", "10MiB")
    refused = g2disk("resize", "a", "1MiB")

    assert 3 == refused.code
    assert "--shrink" in refused.error
    assert 1 << 20 == g2disk.json("resize", "a", "1MiB", "--shrink")["size"]


def test_delete_asks_on_a_terminal(g2disk: Command) -> None:
    """No keeps the disk and gives exit code 1, yes deletes it."""
    g2disk.ok("create", "a", "5MiB")

    declined = answer(g2disk, "n\n")
    assert 1 == declined
    assert ["a"] == [disk["name"] for disk in g2disk.json("list")["disks"]]

    assert 0 == answer(g2disk, "y\n")
    assert [] == g2disk.json("list")["disks"]


def answer(g2disk: Command, text: str) -> int:
    ours, theirs = pty.openpty()
    try:
        with g2disk.start("delete", "a", stdin=theirs) as process:
            os.write(ours, text.encode())
            return finish(process).code
    finally:
        os.close(ours)
        os.close(theirs)


def test_delete_without_a_terminal_needs_yes(g2disk: Command) -> None:
    """Nobody to ask is an error that says so, and nothing is deleted."""
    g2disk.ok("create", "a", "5MiB")
    refused = g2disk("delete", "a")

    assert 3 == refused.code
    assert "--yes" in refused.error
    assert ["a"] == [disk["name"] for disk in g2disk.json("list")["disks"]]


def test_an_option_wins_over_the_environment(g2disk: Command, tmp_path: Path) -> None:
    """--endpoint names another server than G2DISK_ENDPOINT does, a Unix socket too."""
    with target_server(tmp_path, "memory:", "--disk", "other=1MiB", listen=f"unix:{tmp_path}/sock") as server:
        listed = g2disk.json("list", "--endpoint", server.endpoint)

    assert ["other"] == [disk["name"] for disk in listed["disks"]]


def test_the_empty_name_is_the_default_disk(g2disk: Command) -> None:
    """The only disk answers to no name."""
    g2disk.ok("create", "only", "5MiB")

    assert "only" == g2disk.json("info", "")["name"]


def test_what_a_server_says_does_not_command_the_terminal(g2disk: Command) -> None:
    """Escape sequences and line ends in a description are shown as harmless characters; JSON has them as they are."""
    evil = "\x1b[31mred\x1b]0;title\x07\nsecond line"
    g2disk.ok("create", "a", "5MiB", "--description", evil)

    for shown in (g2disk.ok("list"), g2disk.ok("info", "a")):
        assert "red" in shown
        assert not set(shown) & {"\x1b", "\x07"}
        assert "\nsecond" not in shown
    assert evil == g2disk.json("info", "a")["description"]
