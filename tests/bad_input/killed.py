"""Kills a server at every step of an operation of its store, and looks at what is left.

    python -m tests.bad_input.killed DIRECTORY OPERATION

A child process begins the operation and is killed by SIGKILL before its first change of the file system, another one
before its second, and so on, until the operation gets to its end.  After each the store must be whole.  Prints the
number of steps, with the disk closed and open.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path

from g2disk.errors import NotFound
from g2disk.stores.file import FileStore
from g2disk.units import MIB

CHANGES = {"open", "os.mkdir", "os.rename", "os.truncate", "os.remove", "os.rmdir"}
OLD, LARGER, SMALLER = MIB, 3 * MIB, 5 * 512


class Executioner:
    """Counts changes of the file system, in all threads, and kills the process before the n-th."""

    def __init__(self, step: int) -> None:
        self.left = step
        self.armed = False
        sys.addaudithook(self)

    def __call__(self, event: str, _: object) -> None:
        if self.armed and event in CHANGES:
            self.left -= 1
            if not self.left:
                os.kill(os.getpid(), signal.SIGKILL)


def files(place: Path) -> set[str]:
    return {str(path.relative_to(place)) for path in place.rglob("*")}


async def prepare(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    store = await FileStore.at(place)
    await store.create("a", OLD)
    await (await store.open("a")).write(0, b"x" * OLD, fua=True)
    await store.close()


async def begin(place: Path, operation: str, opened: bool, step: int) -> None:
    """The operation, in a process that dies on the way."""
    executioner = Executioner(step)
    store = await FileStore.at(place)
    if opened:
        await store.open("a")
    executioner.armed = True
    if operation == "create":
        await store.create("b", OLD)
    elif operation == "delete":
        await store.delete("a")
    else:
        await store.resize("a", LARGER if operation == "grow" else SMALLER)
    os._exit(0)


async def look(place: Path, operation: str, finished: bool) -> None:
    """Everything is as before or as after, and nothing else is left."""
    store = await FileStore.at(place)
    sizes = {entry.name: entry.size for entry in await store.list()}
    after = {"create": {"a": OLD, "b": OLD}, "delete": {}, "grow": {"a": LARGER}, "shrink": {"a": SMALLER}}[operation]
    assert sizes == after or (sizes == {"a": OLD} and not finished), sizes
    for name, size in sizes.items():
        disk = await store.open(name)
        kept = min(size, OLD) if name == "a" else 0
        assert bytes(await disk.read(0, size)) == b"x" * kept + bytes(size - kept), name
    if "a" in sizes:
        await store.resize("a", 2 * LARGER)
        kept = min(sizes["a"], OLD)
        assert not any(await (await store.open("a")).read(kept, 2 * LARGER - kept))
    else:
        try:
            await store.open("a")
        except NotFound:
            await store.create("a", 512)
    if "b" not in sizes:
        await store.create("b", 512)
    names = files(place)
    assert names == {".lock", "a", "a/data", "a/disk.json", "b", "b/data", "b/disk.json"}, names
    await store.close()


def kill_at_every_step(place: Path, operation: str, opened: bool) -> int:
    step = 0
    while True:
        step += 1
        asyncio.run(prepare(place))
        child = os.fork()
        if not child:
            asyncio.run(begin(place, operation, opened, step))
        _, status = os.waitpid(child, 0)
        finished = os.WIFEXITED(status)
        assert (os.WEXITSTATUS(status) == 0) if finished else (os.WTERMSIG(status) == signal.SIGKILL)
        asyncio.run(look(place, operation, finished))
        if finished:
            return step - 1


if __name__ == "__main__":
    print(*(kill_at_every_step(Path(sys.argv[1]), sys.argv[2], opened) for opened in (False, True)))
