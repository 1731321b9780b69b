"""The client's machine: a kernel whose programs use the disk, and the gateway's process, which may be killed and
started again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from math import inf
from pathlib import Path

from g2disk.disk.perform import perform
from g2disk.errors import DiskError, Fenced
from g2disk.remote.disk import RemoteDisk
from g2disk.remote.ordering import CHANGES
from g2disk.remote.terms import Terms
from g2disk.request import FLUSH, FUA, READ, WRITE, Request
from tests.simulation.checker import ZERO as NOTHING
from tests.simulation.checker import Change, History, Sight
from tests.simulation.log import Directory
from tests.simulation.loop import Process, VirtualLoop
from tests.simulation.network import Network, SimulatedConnection
from tests.simulation.server import BLOCK, Server, block_of, value_of

CLIENT = b"one device's id."
"""The client's id."""


@dataclass(frozen=True, slots=True)
class Options:
    """How gateways are started."""

    unflushed_limit: int
    keep_data: bool
    """Whether a gateway's record outlives it as a whole."""
    directory: Path | None = None
    """Where the records are; None: in memory."""


class Gateway:
    """One process."""

    def __init__(self, kernel: Kernel, generation: int, directory: Directory, options: Options) -> None:
        self.process = Process(f"gateway {generation}")
        self.disk: RemoteDisk
        self._kernel = kernel
        self._loop = kernel.loop
        self._pending: dict[asyncio.Future[bool], None] = {}
        self._record = directory.open()
        terms = Terms(
            patient=True,
            unflushed_limit=options.unflushed_limit,
            client=CLIENT,
            generation=generation,
            identity=kernel.identity,
            record=self._record,
        )
        self._connection = SimulatedConnection(kernel.network, self.process, inf)
        self._loop.create_task(self._open(terms), context=self.process.context.copy())

    def do(self, request: Request) -> asyncio.Future[bool]:
        """Have the disk do it; False when the gateway died first."""
        future: asyncio.Future[bool] = self._loop.create_future()
        self._pending[future] = None

        def done(_: list[Request]) -> None:
            self._pending.pop(future, None)
            if not future.done():
                future.set_result(True)
                self._kernel.ended(request)

        async def by_itself() -> None:
            await perform(self.disk, request)
            done([request])

        for _ in self.process.run(self.disk.submit, [request], done):
            self._loop.create_task(by_itself(), context=self.process.context.copy())
        return future

    def kill(self) -> None:
        """Die, as by SIGKILL."""
        self.process.kill()
        self._record.close()
        for future in self._pending:
            future.set_result(False)

    async def _open(self, terms: Terms) -> None:
        while True:
            try:
                self.disk = await RemoteDisk.open(self._connection, "", wait=True, terms=terms)
                break
            except Fenced:
                raise
            except DiskError:
                await self._loop.sleep(0.1)
                # Another process of the same gateway, as a supervisor starts it.
                terms = self._kernel.next_terms(terms)
        self._kernel.opened(self)


class Kernel:
    """Does what programs ask for, as long as there is a gateway, and keeps the books."""

    def __init__(self, network: Network, server: Server, options: Options) -> None:
        self.loop: VirtualLoop = network.loop
        self.network = network
        self.history = History()
        self.wrong: list[str] = []
        """What no history is needed to judge."""
        self.ended_for_good = False
        """The disk was exchanged, and the gateway said so."""
        self.fenced = 0
        """Requests that failed because the disk was no more."""
        self.identity = ""
        """Of the disk, once it was opened."""
        self._server = server
        self._options = options
        self._directory = Directory(options.keep_data, options.directory)
        self._time = 0
        self._values = 0
        self._generation = 0
        self._gateway: Gateway | None = None
        self._up = asyncio.Event()
        self._doubtful: list[Change] = []
        """Not answered by gateways that are dead."""
        self._ends: dict[Request, int] = {}
        self._unflushed: list[tuple[int, int]] = []
        """When changes were sent and acknowledged that no flush has covered, repetitions of others among them."""
        self._at_risk: list[tuple[int, int]] = []
        """Those of gateways that died and did not keep them."""
        self.told: Gateway | None = None
        """The gateway that was told last that its loss is accepted."""

    def tick(self) -> int:
        """The time of an event, for the history."""
        self._time += 1
        return self._time

    def start(self) -> None:
        """Start a gateway."""
        self._generation += 1
        self._gateway = Gateway(self, self._generation, self._directory, self._options)

    def kill(self) -> None:
        """Kill the gateway."""
        if self._gateway is None:
            return
        gateway, self._gateway = self._gateway, None
        self._up.clear()
        gateway.kill()
        self.network.lose_client(gateway.process)
        if not self._options.keep_data:
            self._at_risk += self._unflushed
        self._unflushed = []

    def stop(self) -> None:
        """Let the gateway get no time from the system."""
        if self._gateway is not None:
            self._gateway.process.stopped = True

    def go_on(self) -> None:
        """Let it have time again."""
        if self._gateway is not None:
            self.loop.resume(self._gateway.process)

    def next_terms(self, terms: Terms) -> Terms:
        """Those of the process after the one with `terms`."""
        self._generation += 1
        return Terms(terms.patient, terms.unflushed_limit, terms.client, self._generation, terms.identity, terms.record)

    def opened(self, gateway: Gateway) -> None:
        """The gateway has the disk."""
        now = self.tick()
        self.identity = self.identity or gateway.disk.info().identity
        for change in self._doubtful:
            change.ended = now
        self._doubtful.clear()
        if gateway is self._gateway:
            self._up.set()

    def ended(self, request: Request) -> None:
        """The gateway has answered."""
        now = self._ends[request] = self.tick()
        assert self._gateway is not None
        held = self._gateway.disk.state().unflushed_bytes
        if held > self._options.unflushed_limit:
            self.wrong.append(f"{held} unflushed bytes are kept, more than {self._options.unflushed_limit}")
        if request.error is None and request.operation in CHANGES:
            self._unflushed.append((request.tag, now))
        if request.error is None and request.operation == FLUSH:
            self._see_medium(range(self._server.blocks), request.tag)
        elif request.error is None and request.flags & FUA:
            first = request.offset // BLOCK
            self._see_medium(range(first, first + request.length // BLOCK), now + 1)

    async def read(self, first: int, count: int) -> None:
        """Read blocks."""
        request = Request(READ, 0, first * BLOCK, count * BLOCK)
        begun, ended = await self._do(request)
        if ended is None or self._failed(request, begun):
            return
        for at in range(count):
            value = value_of(bytes(request.data[at * BLOCK : (at + 1) * BLOCK]))
            self.history.sights.append(Sight(first + at, value, begun, ended))

    async def write(self, first: int, count: int, fua: bool, twice: bool = False) -> None:
        """Write new values; `twice` sends the request a second time before the first is answered, and is content with
        one answer, as Linux does.
        """
        values = {block: self._new_value() for block in range(first, first + count)}
        data = b"".join([block_of(value) for value in values.values()])
        requests = [Request(WRITE, FUA if fua else 0, first * BLOCK, len(data), data=data) for _ in range(1 + twice)]
        await self._change(requests, values, fua)

    async def clear(self, first: int, count: int, fua: bool, operation: int) -> None:
        """Zero or trim."""
        request = Request(operation, FUA if fua else 0, first * BLOCK, count * BLOCK)
        await self._change([request], dict.fromkeys(range(first, first + count), NOTHING), fua)

    async def flush(self) -> None:
        """Make durable what was acknowledged."""
        request = Request(FLUSH, 0, 0, 0)
        begun, ended = await self._do(request)
        if ended is None or self._failed(request, begun):
            return
        self.history.flushed(begun, ended)
        self._unflushed = [times for times in self._unflushed if times[1] > begun]
        self._at_risk = [times for times in self._at_risk if times[1] > begun]

    def _see_medium(self, blocks: range, begun: int) -> None:
        """Note what would be there after a crash of everything; it must have what was acknowledged before `begun`."""
        now = self.tick()
        if self._server.exchanged:
            return
        for block in blocks:
            value = value_of(self._server.medium.blocks[block])
            self.history.sights.append(Sight(block, value, begun, now, medium=True))

    async def _change(self, requests: list[Request], values: dict[int, int], fua: bool) -> None:
        gateway = await self._ready()
        change = Change(values, self.tick())
        self.history.changes.append(change)
        for request in requests:
            request.tag = change.begun
        answers = [gateway.do(request) for request in requests]
        await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
        answered = [request for request in requests if request in self._ends]
        if not answered:
            self._doubtful.append(change)
            return
        request = answered[0]
        change.ended = self._ends[request]
        if not self._failed(request, change.begun):
            change.certain = True
            if fua:
                change.durable = change.ended

    async def _do(self, request: Request) -> tuple[int, int | None]:
        gateway = await self._ready()
        begun = request.tag = self.tick()
        await gateway.do(request)
        return begun, self._ends.get(request)

    async def _ready(self) -> Gateway:
        while self._gateway is None or not self._up.is_set():
            await self._up.wait()
        return self._gateway

    def _failed(self, request: Request, begun: int) -> bool:
        """Whether it failed; that must have a reason."""
        if request.error is None:
            return False
        self.fenced += 1
        accepted = self.history.acceptances[-1:] or [-1]
        if not isinstance(request.error, Fenced):
            self.wrong.append(f"{request!r} failed, and should have waited")
        elif self._server.exchanged:
            self.ended_for_good = True
        elif begun < accepted[0]:
            pass  # it was under way when a person accepted
        elif self._at_risk and self.history.losses[-1:] > [min(self._at_risk)[0]]:
            self._accept()
        else:
            self.wrong.append(f"{request!r} failed without a reason")
        return True

    def _accept(self) -> None:
        """A person tells the gateway that unflushed changes may be gone; it hears it when it has time."""
        gateway = self._gateway
        if gateway is not None and self._up.is_set() and gateway is not self.told:
            self.told = gateway
            self.loop.call_soon(self._accepted, gateway, context=gateway.process.context.copy())

    def _accepted(self, gateway: Gateway) -> None:
        gateway.disk.accept()
        self.ended_for_good = self._server.exchanged  # accepted with all that it was
        self.history.acceptances.append(self.tick())
        self._unflushed.clear()
        self._at_risk.clear()

    def _new_value(self) -> int:
        self._values += 1
        return self._values
