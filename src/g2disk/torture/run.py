"""Rounds of requests and faults against one disk, judged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

from g2disk.clock import Clock
from g2disk.errors import DiskError, Fenced, Unavailable
from g2disk.torture.faults import Faults, Progress
from g2disk.torture.plan import KILL_FAULTS, NETWORK_FAULTS, PAUSE_FAULTS, FaultKind, Round, Step, make_round
from g2disk.torture.proxy import Proxy, proxy
from g2disk.torture.servers import Server
from g2disk.torture.stage import NEVER_RIGHT, Settings, Stage
from g2disk.torture.verdict import Verdict


async def torture(
    server: Server, settings: Settings, directory: Path, clock: Clock, report: Callable[[Verdict], None]
) -> Verdict:
    """Run the rounds, up to the first in which a promise is broken; what the disk's beginning holds is overwritten.

    The proxy's socket is made in `directory`; `report` is called after each round.  Raises what a person has to mend
    first: `Unavailable` where no server is there, `ReadOnly`, `OutOfSpace`, `Denied`, `NotFound`.
    """
    verdict = Verdict(settings.seed)
    try:
        async with proxy(directory / "proxy.sock", server.endpoint) as between:
            await _Runner(server, between, settings, clock, verdict).run(report)
    except BaseExceptionGroup as failures:
        raise _first(failures) from failures
    return verdict


class _Runner:
    def __init__(self, server: Server, between: Proxy, settings: Settings, clock: Clock, verdict: Verdict) -> None:
        self._server = server
        self._proxy = between
        self._settings = settings
        self._clock = clock
        self._verdict = verdict
        self._stage = Stage(between, settings, verdict)

    async def run(self, report: Callable[[Verdict], None]) -> None:
        settings, faults = self._settings, self._faults()
        try:
            count = await self._stage.open()
            for number in settings.rounds:
                for _ in range(settings.repeat):
                    await self._run_round(make_round(settings.seed, number, count, faults))
                    report(self._verdict)
                    if self._verdict.outcome != "kept":
                        return
        finally:
            await self._stage.close()

    def _faults(self) -> tuple[FaultKind, ...]:
        faults = NETWORK_FAULTS
        if self._server.can_pause:
            faults += PAUSE_FAULTS
        return faults + KILL_FAULTS if self._server.can_kill else faults

    async def _run_round(self, plan: Round) -> None:
        stage = self._stage
        stage.round, stage.refusal = plan, None
        try:
            await stage.settle()
            await self._storm(plan)
            if stage.refusal is None:
                await stage.look()
        except BaseExceptionGroup as failures:
            self._give_up(_first(failures))
        except DiskError as error:
            self._give_up(error)
        if stage.refusal is not None and not self._verdict.replaced:
            self._verdict.refusals += 1
            await stage.throw_away()
            await stage.reopen()
        self._verdict.rounds += 1
        self._verdict.faults[plan.fault.kind] += 1

    async def _storm(self, plan: Round) -> None:
        """The workers' requests, and the fault beside them."""
        progress = Progress(len(plan.workers))
        faults = Faults(self._server, self._proxy, self._stage, self._clock, progress)
        async with asyncio.TaskGroup() as tasks:
            for writer, steps in enumerate(plan.workers, 1):
                tasks.create_task(self._work(writer, steps, progress))
            tasks.create_task(faults.do(plan.fault))

    async def _work(self, writer: int, steps: Iterable[Step], progress: Progress) -> None:
        stage = self._stage
        for step in steps:
            await stage.ready.wait()
            if stage.refusal is not None or stage.client is None:
                break
            await stage.do(stage.client, writer, step)
            progress.answered()
        progress.done()

    def _give_up(self, error: BaseException) -> None:
        """End the round for an error of a request that no worker asked."""
        if isinstance(error, Fenced):
            self._stage.refusal = error
        elif isinstance(error, (Unavailable, *NEVER_RIGHT)):
            self._stage.complain(self._stage.round.window, error)
        else:
            raise error


def _first(failures: BaseException) -> BaseException:
    """The first failure in a group, however deep."""
    while isinstance(failures, BaseExceptionGroup):
        failures = failures.exceptions[0]
    return failures
