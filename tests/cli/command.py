"""Running `g2disk` as a person or a script does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.processes import G2DISK

PATIENCE = 50
"""Seconds."""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """What it says is wrong, if that is all that it says, on one line."""
        lines = [line for line in self.err.splitlines() if not line.startswith("g2disk: note: ")]
        assert 1 == len(lines), self.err
        assert lines[0].startswith("g2disk: error: "), self.err
        return lines[0].removeprefix("g2disk: error: ")


@dataclass(frozen=True)
class Command:
    """The `g2disk` command in an environment."""

    environment: dict[str, str]

    @classmethod
    @contextmanager
    def in_directory(cls, endpoint: str) -> Iterator[Command]:
        """With this server as its default, and a short-named directory for what is attached: Unix sockets are in it."""
        with tempfile.TemporaryDirectory(prefix="g2-", ignore_cleanup_errors=True) as directory:
            yield cls({"G2DISK_ENDPOINT": endpoint, "G2DISK_RUN_DIR": f"{directory}/run"})

    @property
    def run_directory(self) -> Path:
        """Where attachments are kept."""
        return Path(self.environment["G2DISK_RUN_DIR"])

    def start(self, *arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
        """The command, running."""
        return subprocess.Popen(
            [G2DISK, *map(str, arguments)],
            stdin=options.pop("stdin", subprocess.DEVNULL),
            stdout=subprocess.PIPE,
            stderr=options.pop("stderr", subprocess.PIPE),
            env={**os.environ, **self.environment, **options.pop("env", {})},
            text=True,
            **options,
        )

    def __call__(self, *arguments: str | Path, **options: Any) -> Done:
        """Run the command to its end."""
        with self.start(*arguments, **options) as process:
            return finish(process)

    def ok(self, *arguments: str | Path, **options: Any) -> str:
        """Standard output of a command that must succeed."""
        done = self(*arguments, **options)
        assert 0 == done.code, done.err
        return done.out

    def json(self, *arguments: str | Path) -> Any:
        """The document of a command that must succeed."""
        return json.loads(self.ok(*arguments, "--json"))


def finish(process: subprocess.Popen[str], number: signal.Signals | None = None) -> Done:
    """Wait for a command, having sent it a signal."""
    if number is not None:
        process.send_signal(number)
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return Done(process.returncode, out, err or "")
