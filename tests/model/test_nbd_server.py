"""The NBD server against a model: concurrent requests of several connections, in every form of the protocol.

The disk is cut into cells, and every write fills whole cells with one number of its own; trims and zeroes fill them
with 0.  For each cell the model keeps every write that may have been the last: those whose reply was awaited before
another was sent are overwritten by it, those that were in flight together have no order.  A read may find, in each byte
of a cell, any number that was possible at some time while it was in flight, and nothing else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.support import disks
from tests.support.nbd_replies import BLOCK_STATUS, CACHE, DF, FLUSH, FUA, NO_HOLE, READ, REQ_ONE, TRIM, WRITE, Reply
from tests.support.nbd_replies import WRITE_ZEROES as ZERO
from tests.support.nbd_servers import DIRECT, NbdServer, nbd_server
from tests.support.nbd_wire import ALLOCATION, WireClient

CELL = 4099
"""Bytes; prime, so that no boundary of sectors, pages or chunks is one of cells."""
CELLS = 64
BASE = (1 << 20) - CELLS * CELL // 2
"""The cells lie across a boundary of the memory disk's chunks, and fill more than one buffer of the server."""
MOST_IN_FLIGHT = 48
"""Requests; their replies must fit into what a server keeps for a client that does not read."""
FORMS = ((False, False), (True, False), (True, True), (True, False))
"""(structured, extended) of each connection."""
ZERO_STATE = 2

ranges = st.tuples(st.integers(0, CELLS - 1), st.integers(1, CELLS)).map(
    lambda pair: range(pair[0], min(sum(pair), CELLS))
)
small = st.integers(0, CELLS - 1).map(lambda cell: range(cell, cell + 1))
operations = st.tuples(
    st.sampled_from([WRITE, WRITE, WRITE, READ, READ, READ, TRIM, ZERO, FLUSH, BLOCK_STATUS, CACHE]),
    small | ranges,
    st.booleans(),
)
connections = st.integers(0, len(FORMS) - 1)


@dataclass(eq=False)
class Change:
    """A write, trim or zero."""

    number: int
    sent: int
    """When, in steps of the model."""
    awaited: int | None = None


@dataclass
class Pending:
    """A request without a reply."""

    operation: int
    cells: range
    change: Change | None = None
    allowed: dict[int, set[int]] = field(default_factory=dict)
    """Of a read or a block status: the numbers that each cell may show."""


class Requests(RuleBasedStateMachine):
    """Sends batches, awaits replies in any order, and holds each against what the cells may be."""

    server: NbdServer

    def __init__(self) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        self.now = self.number = 0
        self.pending: list[dict[int, Pending]] = [{} for _ in FORMS]
        self.wires: list[WireClient] = []

    @initialize()
    def connect(self) -> None:
        for structured, extended in FORMS:
            wire = self.stack.enter_context(self.server.client())
            self.wires.append(wire.negotiate(structured=structured, extended=extended))
        assert 0 == self.wires[0].call(ZERO, 0, self.wires[0].size).error
        start = Change(0, sent=0, awaited=0)
        self.cells: list[set[Change]] = [{start} for _ in range(CELLS)]

    def teardown(self) -> None:
        for which in range(len(self.wires)):
            self.settle(which)
        self.stack.close()

    @rule(which=connections, batch=st.lists(operations, min_size=1, max_size=12))
    def send(self, which: int, batch: list[tuple[int, range, bool]]) -> None:
        wire = self.wires[which]
        packets: list[bytes] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(wire, "send", packets.append)
            for operation, cells, flag in batch[: MOST_IN_FLIGHT - len(self.pending[which])]:
                self.ask(which, operation, cells, flag)
        wire.send(b"".join(packets))

    @rule(which=connections)
    def hear_one(self, which: int) -> None:
        if self.pending[which]:
            self.hear(which, self.wires[which].next())

    @rule(which=connections)
    def settle(self, which: int) -> None:
        while self.pending[which]:
            self.hear(which, self.wires[which].next())

    def ask(self, which: int, operation: int, cells: range, flag: bool) -> None:
        self.now += 1
        wire, pending = self.wires[which], Pending(operation, cells)
        offset, length = BASE + cells.start * CELL, len(cells) * CELL
        if operation == WRITE:
            self.number = self.number % 255 + 1
            pending.change = Change(self.number, self.now)
            cookie = wire.ask(WRITE, offset, flags=flag * FUA, data=bytes([self.number]) * length)
        elif operation in (TRIM, ZERO):
            pending.change = Change(0, self.now)
            cookie = wire.ask(operation, offset, length, flag * (NO_HOLE if operation == ZERO else FUA))
        elif operation == FLUSH:
            cookie = wire.ask(FLUSH)
        elif operation == BLOCK_STATUS and not wire.structured:
            return
        else:
            flags = {READ: DF if wire.structured else 0, BLOCK_STATUS: REQ_ONE, CACHE: 0}
            pending.allowed = {cell: {change.number for change in self.cells[cell]} for cell in cells}
            cookie = wire.ask(operation, offset, length, flag * flags[operation])
        if pending.change:
            self.changes(pending.change, cells)
        self.pending[which][cookie] = pending

    def changes(self, change: Change, cells: range) -> None:
        """From now on each of the cells may show it, also to the reads that are in flight."""
        for cell in cells:
            self.cells[cell].add(change)
        for others in self.pending:
            for other in others.values():
                for cell in other.allowed.keys() & set(cells):
                    other.allowed[cell].add(change.number)

    def hear(self, which: int, reply: Reply) -> None:
        self.now += 1
        pending = self.pending[which].pop(reply.cookie)
        assert 0 == reply.error
        if pending.change:
            pending.change.awaited = self.now
            for cell in pending.cells:
                self.cells[cell] = {
                    other for other in self.cells[cell] if other.awaited is None or other.awaited > pending.change.sent
                }
        elif pending.operation == READ:
            for place, cell in enumerate(pending.cells):
                found = set(reply.data[place * CELL : (place + 1) * CELL])
                assert found <= pending.allowed[cell], f"cell {cell} shows {found}, not {pending.allowed[cell]}"
        elif pending.operation == BLOCK_STATUS:
            self.states(pending, reply.status[self.wires[which].contexts[ALLOCATION]])

    def states(self, pending: Pending, extents: list[tuple[int, int]]) -> None:
        """What is said to read as zeroes may be zeroes."""
        start = pending.cells.start * CELL
        for length, state in extents:
            if state & ZERO_STATE:
                for cell in range(start // CELL, min(-(-(start + length) // CELL), pending.cells.stop)):
                    assert 0 in pending.allowed[cell], f"cell {cell} is no zeroes, but {pending.allowed[cell]}"
            start += length


@pytest.fixture(params=["memory:", f"{disks.__file__}:ShufflingDisk?seed=5"], ids=["batches", "coroutines"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NbdServer]:
    made = ("--disk", "default=2MiB") if request.param == "memory:" else ()
    with nbd_server(tmp_path, DIRECT, request.param, *made) as running:
        yield running


def test_concurrent_requests_keep_to_the_model(server: NbdServer) -> None:
    """Reads find what was written, whatever else is in flight, on whichever connection, in whichever form."""
    machine = type("RequestsOf", (Requests,), {"server": server})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=100,
            stateful_step_count=40,
            derandomize=True,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # to shrink a failure takes minutes, and each of its steps is a short list already
            suppress_health_check=list(HealthCheck),
        ),
    )
