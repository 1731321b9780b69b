"""`objects:DIR` survives kills, and does in the right order what a power cut must not tear."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from g2disk.errors import Exists, Invalid, NotFound, OutOfSpace, Unavailable
from g2disk.objects.directory import DirectoryObjects
from g2disk.objects.files import INCOMING, ObjectFiles
from tests.objects.writer import body
from tests.support.processes import ROOT


def write_until(directory: Path, seed: int, lines: int) -> dict[str, int]:
    """Run a writer, kill it after so many lines, and tell what it said last of each object."""
    command = [sys.executable, "-m", "tests.objects.writer", str(directory), str(seed)]
    said: dict[str, int] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        for count, line in enumerate(process.stdout):
            if count == lines:
                process.kill()
            if line.endswith("\n"):
                key, number = line.split()
                said[key] = int(number)
    return said


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    """After kill -9 in the middle of many puts and creates every object is whole, and none that was done is missing."""
    random = Random(5)
    known: dict[str, int] = {}
    for seed in range(4):
        said = await asyncio.to_thread(write_until, tmp_path / "store", seed, random.randrange(40, 250))
        known.update(said)
        store = await DirectoryObjects.at(tmp_path / "store")
        try:
            listed = {entry.key for entry in await store.list("")}
            assert set(known) <= listed
            for key in listed:
                data = bytes(await store.get(key))
                possible = [known[key], known[key] + 1] if key in known else range(10**3)
                if key.startswith("put/"):  # counts from 0 in each run, so the newest may be any
                    possible = [said.get(key, 0), said.get(key, -1) + 1]
                assert any(data == body(key, number) for number in possible), key
            assert list((tmp_path / "store" / INCOMING).iterdir()) == []
        finally:
            await store.close()


async def test_a_writer_that_lives_keeps_its_file(tmp_path: Path) -> None:
    """Opening the store removes what dead writers left, and nothing that is being written."""
    files = ObjectFiles(tmp_path)
    files.prepare()
    left = tmp_path / INCOMING / "left"
    left.write_bytes(b"half")
    with files._incoming() as (path, _):
        ObjectFiles(tmp_path).prepare()
        assert path.exists()
        assert not left.exists()
    assert not path.exists()


def test_steps_are_made_durable_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes are synced before they get their name, the name before the call returns, and folders before that."""
    steps: list[str] = []
    store = tmp_path.resolve() / "store"

    def log(name: str, describe: Callable[..., str]) -> None:
        real = getattr(os, name)

        def logged(*arguments: Any, **keywords: Any) -> Any:
            answer = real(*arguments, **keywords)
            steps.append(f"{name} {describe(*arguments)}")
            return answer

        monkeypatch.setattr(os, name, logged)

    def place(path: str | Path) -> str:
        return os.path.relpath(path, store).replace(INCOMING, "incoming")

    def opened(file: int) -> str:
        return re.sub("^incoming/.*", "incoming", place(os.readlink(f"/proc/self/fd/{file}")))

    files = ObjectFiles(store)
    files.prepare()
    log("fsync", opened)
    log("link", lambda source, target: place(target))
    log("replace", lambda source, target: place(target))
    log("mkdir", lambda path, mode=0: place(path))
    files.create("a/b", [b"x"])
    assert steps == ["fsync incoming", "mkdir a", "fsync .", "link a/b", "fsync a"]
    steps.clear()
    files.put("a/b", [b"y"])
    assert steps == ["fsync incoming", "replace a/b", "fsync a"]
    steps.clear()
    files.delete("a/b")
    assert steps == ["fsync a"]
    # Another process may have made a folder, and not have synced it yet.
    steps.clear()
    ObjectFiles(store).put("a/c", [b"y"])
    assert steps == ["fsync incoming", "fsync ..", "fsync .", "replace a/c", "fsync a"]


async def test_many_buffers_are_written_whole(tmp_path: Path) -> None:
    """More buffers than one call of the system takes."""
    store = await DirectoryObjects.at(tmp_path)
    try:
        parts = [Random(number).randbytes(number % 50) for number in range(3000)]
        await store.put("key", parts)
        assert await store.get("key") == b"".join(parts)
    finally:
        await store.close()


async def test_two_stores_in_one_directory_share_the_objects(tmp_path: Path) -> None:
    """As two processes do: what one creates the other one finds, and cannot create."""
    one, two = await DirectoryObjects.at(tmp_path), await DirectoryObjects.at(tmp_path)
    try:
        await one.create("a/b", [b"one"])
        assert await two.get("a/b") == b"one"
        with pytest.raises(Exists):
            await two.create("a/b", [b"two"])
    finally:
        await one.close()
        await two.close()


async def test_failures_have_their_kinds(tmp_path: Path) -> None:
    """A missing parent, a file in the way, a folder in the way, a full disk, and a directory that went away."""
    with pytest.raises(NotFound):
        await DirectoryObjects.at(tmp_path / "no" / "parent")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises((NotFound, Invalid)):
        await DirectoryObjects.at(tmp_path / "file")
    store = await DirectoryObjects.at(tmp_path / "store")
    try:
        await store.put("a/b", [b"x"])
        with pytest.raises(Invalid, match="folder of another"):
            await store.put("a/b/c", [b"x"])
        with pytest.raises(Invalid, match="folder of another"):
            await store.put("a", [b"x"])
        (tmp_path / "store" / "a" / "b").unlink()
        for folder in ("a", INCOMING, ""):
            (tmp_path / "store" / folder).rmdir()
        with pytest.raises(Unavailable, match="gone away"):
            await store.put("a/b", [b"x"])
    finally:
        await store.close()


async def test_a_full_disk_is_out_of_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was half written is removed."""
    store = await DirectoryObjects.at(tmp_path)
    full = os.open("/dev/full", os.O_WRONLY)
    real = os.writev
    try:
        monkeypatch.setattr(os, "writev", lambda file, parts: real(full, parts))
        with pytest.raises(OutOfSpace):
            await store.put("key", [b"x" * 5000])
        assert list((tmp_path / INCOMING).iterdir()) == []
    finally:
        os.close(full)
        await store.close()
