"""Every error is one line that says what to do next, and a documented exit code."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from g2disk.cli.exit_codes import EXIT_CODE, MEANING
from g2disk.errors import KINDS
from tests.cli.command import PATIENCE, Command, finish
from tests.support.processes import G2DISK, ROOT


@pytest.fixture
def alone(tmp_path: Path) -> Command:
    """The command, and no server."""
    return Command({"G2DISK_ENDPOINT": "127.0.0.1:1", "G2DISK_RUN_DIR": str(tmp_path / "run")})


def test_every_kind_of_error_has_an_exit_code_and_every_code_a_meaning() -> None:
    """The table misses no kind, and no code is one that means that all is well or that the shell uses."""
    assert set(KINDS) == set(EXIT_CODE)
    assert set(EXIT_CODE.values()) <= set(MEANING)
    assert all(2 < code < 126 for code in EXIT_CODE.values())


def test_the_reference_is_what_the_commands_say(tmp_path: Path) -> None:
    """docs/cli.md is what ./dev docs makes now: commands, options and exit codes."""
    made = tmp_path / "cli.md"
    subprocess.run([sys.executable, ROOT / "scripts" / "cli_reference.py", made], check=True, timeout=PATIENCE)

    assert (ROOT / "docs" / "cli.md").read_text() == made.read_text()
    documented = re.findall(r"^\| (\d+) \| (.+) \|$", made.read_text(), re.MULTILINE)
    assert {str(code): meaning for code, meaning in MEANING.items()} == dict(documented)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([], 2, "--help"),
        (["nonsense"], 2, "nonsense"),
        (["create"], 2, "g2disk create --help"),
        (["create", "a", "5MiB", "--nonsense"], 2, "--nonsense"),
        (["attach", "a", "--connections", "many"], 2, "--connections"),
        (["list"], 10, "g2disk serve"),
        (["list", "--endpoint", "nowhere"], 3, "HOST:PORT"),
        (["create", "a", "0"], 3, "512"),
        (["create", "a", "100"], 3, "multiple of 512"),
        (["create", "a", "9EiB"], 3, "largest"),
        (["create", "a", "big"], 3, "5MiB"),
        (["create", "--", "a", "-5"], 3, "5MiB"),
        (["create", "../a", "5MiB"], 3, "letters"),
        (["create", "a\nb", "5MiB"], 3, "letters"),
        (["create", "a" * 300, "5MiB"], 3, "128"),
        (["detach", "a"], 4, "g2disk status"),
        (["attach", "a", "/dev/null"], 3, "/dev/nbd0"),
        (["attach", "a", "/dev/nbd0", "--fuse", "file"], 3, "not both"),
        (["attach", "a", "--timeout", "1e30"], 3, "seconds up to"),
        (["attach", "a", "--timeout", "inf"], 3, "seconds up to"),
        (["import", "/does/not/exist", "a"], 4, "check the path"),
        (["import", "/", "a"], 3, "regular file"),
        (["import", "/dev/null", "a"], 3, "regular file"),
        (["export", "a", "/does/not/exist"], 4, "make it first"),
        (["export", "a", "/dev/null", "--force"], 3, "regular file"),
        (["export", "a", "/"], 5, "--force"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else None,
)
def test_a_wrong_command_is_one_line_and_a_code(alone: Command, arguments: list[str], code: int, says: str) -> None:
    """Nothing on standard output, one line on standard error with the next step."""
    done = alone(*arguments)

    assert ("", code) == (done.out, done.code), done.err
    assert says in done.error


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["create", "there", "5MiB"], 5),
        (["info", "missing"], 4),
        (["resize", "missing", "5MiB"], 4),
        (["delete", "missing", "--yes"], 4),
        (["export", "missing", "file"], 4),
        (["attach", "missing", "--fuse", "file"], 4),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_the_server_refuses_has_its_own_code(
    g2disk: Command, tmp_path: Path, arguments: list[str], code: int
) -> None:
    """What is there already, and what is not there, are told apart, and nothing is left behind."""
    g2disk.ok("create", "there", "1MiB")
    before = {path.name for path in tmp_path.iterdir()}
    done = g2disk(*arguments, cwd=tmp_path)

    assert (code, "") == (done.code, done.out)
    assert done.error
    assert before == {path.name for path in tmp_path.iterdir()}


def test_a_server_that_is_none_is_an_error(alone: Command, tmp_path: Path) -> None:
    """Something else that listens there is neither a hang nor a traceback."""
    path = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        with alone.start("list", "--endpoint", f"unix:{path}") as process:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                connection.shutdown(socket.SHUT_RDWR)
            server.close()
            done = finish(process)

    assert 10 == done.code
    assert str(path) in done.error


def test_a_reader_that_goes_away_is_no_error(alone: Command) -> None:
    """As with other commands in a pipe: the exit code of SIGPIPE, and no word."""
    with alone.start("--help") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()

        assert 141 == process.wait(PATIENCE)
        assert "" == process.stderr.read()


def test_a_full_disk_behind_standard_output_is_one_line(alone: Command) -> None:
    """What cannot be printed is an error, not a traceback."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [G2DISK, "status", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            env={**os.environ, **alone.environment},
            text=True,
            timeout=PATIENCE,
        )

    assert 9 == done.returncode
    assert 1 == len(done.stderr.splitlines())


def test_closed_standard_streams_are_no_traceback(alone: Command) -> None:
    """A command whose output nobody wants works all the same."""
    script = f"{G2DISK} status --json <&- >&- 2>&-"
    done = subprocess.run(
        ["bash", "-c", script], env={**os.environ, **alone.environment}, timeout=PATIENCE, stdin=subprocess.DEVNULL
    )

    assert 0 == done.returncode


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_ends_a_waiting_command_in_one_line(alone: Command, tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM while a server does not answer: "interrupted", and the shell's code for the signal."""
    path = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        with alone.start("list", "--endpoint", f"unix:{path}") as process:
            connection, _ = server.accept()
            with connection:
                done = finish(process, number)

    assert (128 + number, "interrupted") == (done.code, done.error)


def test_a_bug_is_one_line_and_its_traceback_only_on_demand(tmp_path: Path) -> None:
    """An exception that nobody foresaw asks to be reported; G2DISK_DEBUG=1 adds the traceback."""
    broken = "from g2disk.cli import app; app._invoke = lambda: 1 // 0; raise SystemExit(app.run_app())"
    command = [sys.executable, "-c", broken]
    plain = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
    debug = subprocess.run(
        command, stderr=subprocess.PIPE, text=True, timeout=PATIENCE, env={**os.environ, "G2DISK_DEBUG": "1"}
    )

    assert (70, 1) == (plain.returncode, len(plain.stderr.splitlines()))
    assert "ZeroDivisionError" in plain.stderr
    assert "report" in plain.stderr
    assert "Traceback" in debug.stderr
