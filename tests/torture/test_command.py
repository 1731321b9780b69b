"""`g2disk torture` as a person or a script runs it."""

from __future__ import annotations

import json
import shlex
import tempfile
from collections.abc import Iterator

import pytest

from tests.cli.command import Command
from tests.support.processes import ROOT

FORGETFUL = f"{ROOT}/tests/support/session_disks.py:ForgetfulDisk"
"""Says that it is the same disk after a restart, and is empty."""


@pytest.fixture
def g2disk() -> Iterator[Command]:
    with tempfile.TemporaryDirectory(prefix="g2-") as directory:
        yield Command({"TMPDIR": directory})


def test_a_store_that_keeps_its_promises_ends_well(g2disk: Command) -> None:
    """Exit code 0, a verdict for programs, and progress elsewhere."""
    done = g2disk("torture", "memory:", "--rounds", "10", "--seed", "4", "--json")
    verdict = json.loads(done.out)

    assert 0 == done.code, done.err
    assert ("kept", 4, 10, []) == tuple(verdict[name] for name in ("verdict", "seed", "rounds", "violations"))
    assert "10 of 10 rounds" in done.err


def test_a_broken_disk_is_told_with_the_command_that_shows_it_again(g2disk: Command) -> None:
    """Exit code 13, where and what, and the round alone finds it too."""
    done = g2disk("torture", FORGETFUL, "--yes", "--json")
    verdict = json.loads(done.out)
    violation = verdict["violations"][0]
    again = g2disk(*shlex.split(violation["replay"])[1:])

    assert (13, "broken") == (done.code, verdict["verdict"])
    assert ("lost", "zeroes") == (violation["kind"], violation["found"])
    assert "round" in done.err
    assert 13 == again.code
    assert f"round {violation['round']}" in again.out


def test_nobody_elses_disk_is_overwritten_without_asking(g2disk: Command) -> None:
    """A server's disk takes --yes where nobody can be asked."""
    for target in ("localhost:1", "unix:/nowhere/s", FORGETFUL):
        done = g2disk("torture", target)

        assert 3 == done.code
        assert "--yes" in done.error


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("unix:/nowhere/s", "--yes"), 10, "/nowhere/s"),
        (("localhost:1", "--yes", "--restart-command", "true"), 3, "--pid-file"),
        (("nothing", "--yes"), 3, "no endpoint"),
        (("memory:", "--kill-command", "true"), 3, "leave the commands out"),
        (("memory:", "--size", "100"), 3, "512"),
    ],
)
def test_mistakes_are_one_line(arguments: tuple[str, ...], code: int, says: str, g2disk: Command) -> None:
    """What cannot be done is said with what to do instead."""
    done = g2disk("torture", *arguments, "--rounds", "1")

    assert code == done.code, done.err
    assert says in done.error
