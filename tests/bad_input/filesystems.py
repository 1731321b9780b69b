"""Real file systems to put stores on: small ones, read-only ones, other kinds than the checkout's."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def run(*command: str | Path) -> str:
    """What a command prints; fails with its error output."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=50)
    if done.returncode:
        pytest.fail(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout


def require_root() -> None:
    """Skip where nothing can be mounted."""
    if os.geteuid() != 0:
        pytest.skip("mounting file systems takes root; run the tests as root, in a container, say")


@contextmanager
def mounted(at: Path, *arguments: str | Path) -> Iterator[Path]:
    """`mount ARGUMENTS at`, undone in the end."""
    require_root()
    at.mkdir(exist_ok=True)
    run("mount", *arguments, at)
    try:
        yield at
    finally:
        try:
            run("umount", at)
        except pytest.fail.Exception:  # still in use
            run("umount", "--lazy", at)
            raise


@contextmanager
def tmpfs(at: Path, size: str) -> Iterator[Path]:
    """A file system in memory: full after `size`, and without the means to zero a range."""
    with mounted(at, "-t", "tmpfs", "-o", f"size={size}", "none") as path:
        yield path


@contextmanager
def xfs(at: Path) -> Iterator[Path]:
    """An XFS, which holds files of 8 EiB."""
    require_root()
    image = at.with_suffix(".img")
    run("truncate", "-s", "1G", image)
    run("mkfs.xfs", "-q", image)
    with mounted(at, "-o", "loop", image) as path:
        yield path


def make_ext4(image: Path, size: str, *options: str) -> None:
    """An ext4 in a file, with nothing left to do in the background."""
    run("truncate", "-s", size, image)
    run("mkfs.ext4", "-q", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", *options, image)


@contextmanager
def read_only(at: Path, directory: Path) -> Iterator[Path]:
    """The same directory at another place, where it cannot be changed."""
    with mounted(at, "--bind", directory) as path:
        run("mount", "-o", "remount,ro,bind", path)
        yield path


@contextmanager
def ext4(at: Path) -> Iterator[Path]:
    """An ext4, whose files are smaller than 16 TiB."""
    require_root()
    make_ext4(at.with_suffix(".img"), "64M")
    with mounted(at, "-o", "loop", at.with_suffix(".img")) as path:
        yield path
