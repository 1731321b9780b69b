"""`check_disk`, the contract of `g2disk.disk.Disk` as a test suite that every disk passes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import TypeAlias, TypeVar

from g2disk.disk import Disk
from g2disk.testing.ground import BrokenPromise, Ground
from g2disk.testing.promises_concurrency import (
    cancelled_writes_do_not_come_late,
    cancelled_writes_leave_their_neighbours,
    changes_are_seen_when_they_have_returned,
    disjoint_changes_never_disturb_each_other,
    flush_runs_at_any_time,
    reads_see_the_old_or_the_new_bytes,
    the_disk_works_on_after_cancellations,
)
from g2disk.testing.promises_data import (
    both_ends_and_the_middle_work,
    buffers_are_not_kept,
    info_is_sane_and_stable,
    read_only_disks_refuse_changes,
    reads_return_exactly_the_range,
    requests_up_to_the_maximum_work,
    writes_leave_their_neighbours,
    written_bytes_are_read_back,
    wrong_ranges_are_refused,
)
from g2disk.testing.promises_model import it_behaves_like_an_array_of_bytes
from g2disk.testing.promises_ranges import (
    cache_changes_nothing,
    extents_follow_each_other,
    extents_tell_the_truth,
    fast_zero_works_or_changes_nothing,
    fua_requests_do_what_plain_ones_do,
    trimmed_ranges_can_be_used_again,
    trims_leave_their_neighbours,
    zeroed_ranges_read_as_zeroes,
    zeroes_leave_their_neighbours,
)
from g2disk.testing.promises_reopening import (
    Traces,
    a_durable_disk_keeps_its_identity,
    flushed_bytes_are_there_again,
    fua_bytes_are_there_again,
    leave_flushed_traces,
    leave_fua_traces,
    one_identity_means_the_same_bytes,
    one_instance_means_nothing_was_lost,
)

T = TypeVar("T")

DiskFactory: TypeAlias = Callable[[], AbstractAsyncContextManager[Disk]]
"""Opens the disk under test, and closes it at the end of the block."""


class Kind(Enum):
    """Which disks a promise is asked of."""

    EVERY = auto()
    WRITABLE = auto()
    READ_ONLY = auto()


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise: a function that raises `BrokenPromise`, and the disks that must keep it."""

    check: Callable[[Ground], Awaitable[None]]
    kind: Kind = Kind.EVERY

    @property
    def name(self) -> str:
        """The function's name, as in `BrokenPromise.promise`."""
        return self.check.__name__


# The simplest come first: a disk that breaks several promises is told of the one to mend first.
PROMISES: tuple[Promise, ...] = (
    Promise(info_is_sane_and_stable),
    Promise(reads_return_exactly_the_range),
    Promise(written_bytes_are_read_back, Kind.WRITABLE),
    Promise(writes_leave_their_neighbours, Kind.WRITABLE),
    Promise(buffers_are_not_kept, Kind.WRITABLE),
    Promise(wrong_ranges_are_refused),
    Promise(read_only_disks_refuse_changes, Kind.READ_ONLY),
    Promise(both_ends_and_the_middle_work),
    Promise(requests_up_to_the_maximum_work),
    Promise(zeroed_ranges_read_as_zeroes, Kind.WRITABLE),
    Promise(zeroes_leave_their_neighbours, Kind.WRITABLE),
    Promise(fast_zero_works_or_changes_nothing, Kind.WRITABLE),
    Promise(trimmed_ranges_can_be_used_again, Kind.WRITABLE),
    Promise(trims_leave_their_neighbours, Kind.WRITABLE),
    Promise(fua_requests_do_what_plain_ones_do, Kind.WRITABLE),
    Promise(extents_follow_each_other),
    Promise(extents_tell_the_truth),
    Promise(cache_changes_nothing),
    Promise(disjoint_changes_never_disturb_each_other, Kind.WRITABLE),
    Promise(changes_are_seen_when_they_have_returned, Kind.WRITABLE),
    Promise(reads_see_the_old_or_the_new_bytes, Kind.WRITABLE),
    Promise(flush_runs_at_any_time),
    Promise(cancelled_writes_leave_their_neighbours, Kind.WRITABLE),
    Promise(cancelled_writes_do_not_come_late, Kind.WRITABLE),
    Promise(the_disk_works_on_after_cancellations),
    Promise(it_behaves_like_an_array_of_bytes),
)
"""What is checked while the disk is open, in this order."""


@dataclass(frozen=True, slots=True)
class ReopeningPromise:
    """One promise about a disk that was closed and is open again."""

    check: Callable[[Traces, Ground], Awaitable[None]]
    durable: bool = False
    """Asked only of disks that say they are durable."""

    @property
    def name(self) -> str:
        """The function's name, as in `BrokenPromise.promise`."""
        return self.check.__name__


REOPENING_PROMISES: tuple[ReopeningPromise, ...] = (
    ReopeningPromise(flushed_bytes_are_there_again, durable=True),
    ReopeningPromise(fua_bytes_are_there_again, durable=True),
    ReopeningPromise(a_durable_disk_keeps_its_identity, durable=True),
    ReopeningPromise(one_identity_means_the_same_bytes),
    ReopeningPromise(one_instance_means_nothing_was_lost),
)
"""What is checked when the disk was closed and is open again, in this order."""


async def check_disk(
    open_disk: DiskFactory, *, seed: int, durable: bool = False, effort: int = 1, patience: float = 60.0
) -> None:
    """Hold a disk to every promise of `g2disk.disk.Disk`; what it holds is overwritten.

    `open_disk()` is used several times, one after the other.  With `durable` each must give the same disk, holding what
    was flushed or written with FUA before; leaving the block may be as brutal as you like, a killed server makes the
    check stronger.  Without, each may be a new disk.  A read-only disk is held to the promises that concern it.

    The same `seed` asks the same questions again.  By default these are some 700 requests; `effort` multiplies most of
    them.  A promise that takes longer than `patience` seconds counts as broken.

    Raises `BrokenPromise` for the first promise that is not kept.  A promise during which the disk raised something is
    not kept either, and that is then the cause.
    """
    run = _Run(seed, effort, patience, durable)
    async with open_disk() as disk:
        await run.keep_all(disk)
        traces = await run.leave(disk, leave_flushed_traces)
    async with open_disk() as disk:
        await run.find(disk, traces)
        if durable and not disk.info().read_only:
            traces = await run.leave(disk, leave_fua_traces)
    if durable:
        async with open_disk() as disk:
            await run.find(disk, traces)


@dataclass(frozen=True, slots=True)
class _Run:
    seed: int
    effort: int
    patience: float
    durable: bool

    async def keep_all(self, disk: Disk) -> None:
        writable = not disk.info().read_only
        for promise in PROMISES:
            if promise.kind in (Kind.EVERY, Kind.WRITABLE if writable else Kind.READ_ONLY):
                await self._keep(disk, promise.name, promise.check)

    async def leave(self, disk: Disk, leave: Callable[[Ground], Awaitable[Traces]]) -> Traces:
        return await self._keep(disk, flushed_bytes_are_there_again.__name__, leave)

    async def find(self, disk: Disk, traces: Traces) -> None:
        for promise in REOPENING_PROMISES:
            if self.durable or not promise.durable:
                await self._keep(disk, promise.name, partial(promise.check, traces))

    async def _keep(self, disk: Disk, name: str, check: Callable[[Ground], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self.patience) as limit:
                return await check(Ground(disk, name, self.seed, self.effort))
        except BrokenPromise:
            raise
        except Exception as error:
            detail = f"the disk raised {type(error).__name__}: {error}"
            if limit.expired():
                detail = f"no answer within {self.patience:g} s"
            raise BrokenPromise(name, detail, self.seed) from error
