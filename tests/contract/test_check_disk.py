"""`check_disk` passes what is correct, and names the promise that is broken."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from g2disk.disk import Buffer, Disk
from g2disk.disk.layers import Checked, Wrapper
from g2disk.testing import PROMISES, REOPENING_PROMISES, BrokenPromise, DiskFactory, check_disk
from tests.contract.mutants import CORRECT, MUTANTS, Durable, Medium, Ram


def opening(make: Callable[[], Disk]) -> DiskFactory:
    @asynccontextmanager
    async def open_disk() -> AsyncIterator[Disk]:
        disk = make()
        yield disk
        await disk.close()

    return open_disk


class Recorder(Wrapper):
    """Writes down what is asked."""

    def __init__(self, inner: Disk, asked: list[str]) -> None:
        super().__init__(inner)
        self.asked = asked

    async def read(self, offset: int, length: int) -> Buffer:
        self.asked.append(f"read {offset} {length}")
        return await super().read(offset, length)

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        self.asked.append(f"write {offset} {hash(bytes(data))} {fua}")
        await super().write(offset, data, fua)

    async def flush(self) -> None:
        self.asked.append("flush")
        await super().flush()


@pytest.mark.parametrize("kind", CORRECT)
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_correct_disks_pass(kind: type[Disk], seed: int) -> None:
    """Disks of every size, block and capability that keep the promises pass, whatever the seed."""
    await check_disk(opening(kind), seed=seed)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_durable_disk_passes(seed: int) -> None:
    """A disk that keeps what was flushed and loses the rest passes as a durable one."""
    medium = Medium()

    await check_disk(opening(lambda: Durable(medium)), seed=seed, durable=True)


@pytest.mark.parametrize("kind", CORRECT)
async def test_what_is_asked_is_within_bounds(kind: type[Disk]) -> None:
    """A disk behind the border passes as well: the suite asks for nothing that a disk need not take."""
    await check_disk(opening(lambda: Checked(kind())), seed=4)


@pytest.mark.parametrize(("promise", "kind"), MUTANTS, ids=[kind.__name__ for _, kind in MUTANTS])
@pytest.mark.parametrize("seed", [1, 2])
async def test_a_broken_promise_is_named(promise: str, kind: Callable[..., Disk], seed: int) -> None:
    """A disk that breaks one promise fails, with the name of that promise."""
    durable = isinstance(kind, type) and issubclass(kind, Durable)
    medium = Medium()

    with pytest.raises(BrokenPromise) as broken:
        await check_disk(opening(lambda: kind(medium) if durable else kind()), seed=seed, durable=durable)

    assert broken.value.promise == promise
    assert broken.value.seed == seed
    assert str(broken.value).startswith(f"{promise}: ")


def test_every_promise_has_a_mutant() -> None:
    """No promise is in the suite that was not seen to catch a disk that breaks it."""
    names = {promise.name for promise in PROMISES} | {promise.name for promise in REOPENING_PROMISES}

    assert names == {promise for promise, _ in MUTANTS}


def test_every_promise_is_stated() -> None:
    """Each check's docstring states its promise in one line."""
    checks = [*(promise.check for promise in PROMISES), *(promise.check for promise in REOPENING_PROMISES)]
    for check in checks:
        assert check.__doc__, check
        assert "\n" not in check.__doc__, check


async def test_one_seed_asks_the_same_twice() -> None:
    """With one seed the same requests come in the same order; with another, others."""
    first: list[str] = []
    again: list[str] = []
    other: list[str] = []
    for asked, seed in ((first, 1), (again, 1), (other, 2)):
        await check_disk(opening(lambda asked=asked: Recorder(Ram(), asked)), seed=seed)  # type: ignore[misc]

    assert first == again
    assert first != other


async def test_a_run_is_some_hundred_requests() -> None:
    """The suite is small enough for disks at the other end of a network; `effort` makes it larger."""
    few: list[str] = []
    many: list[str] = []
    await check_disk(opening(lambda: Recorder(Ram(), few)), seed=1)
    await check_disk(opening(lambda: Recorder(Ram(), many)), seed=1, effort=4)

    assert len(few) < 700
    assert len(many) > 2 * len(few)


async def test_a_disk_that_does_not_answer_is_broken() -> None:
    """A promise that takes longer than the patience counts as broken, and says so."""

    class Silent(Ram):
        async def flush(self) -> None:
            while True:
                await super().flush()

    with pytest.raises(BrokenPromise, match=r"info_is_sane_and_stable: no answer within 0\.01 s"):
        await check_disk(opening(Silent), seed=1, patience=0.01)


async def test_what_the_disk_raised_is_the_cause() -> None:
    """An exception of the disk breaks the promise that was being checked, and stays visible."""

    class Unlucky(Ram):
        async def read(self, offset: int, length: int) -> Buffer:
            raise ZeroDivisionError("oh")

    with pytest.raises(BrokenPromise, match="the disk raised ZeroDivisionError: oh") as broken:
        await check_disk(opening(Unlucky), seed=1)

    assert isinstance(broken.value.__cause__, ZeroDivisionError)
