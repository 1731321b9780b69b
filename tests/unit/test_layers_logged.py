"""`Logged`: the log's grammar."""

from __future__ import annotations

import asyncio
import logging

import pytest

from g2disk.disk.layers import Fault, Faulty, Logged, Slow, script
from g2disk.errors import OutOfSpace
from g2disk.stores.memory import MemoryDisk
from g2disk.testing import ManualClock, turns
from g2disk.units import MIB

NAME = "g2disk.disk.requests"


async def test_each_request_has_two_lines_of_one_number(caplog: pytest.LogCaptureFixture) -> None:
    """`<` says what was asked, with its flags, `>` that it was answered; payloads are not shown."""
    caplog.set_level(logging.DEBUG, NAME)
    disk = Logged(MemoryDisk(MIB), "vm1")
    await disk.write(4096, b"secret", fua=True)
    await disk.read(4096, 6)
    await disk.zero(0, 512)
    await disk.extents(0, 512)
    await disk.flush()

    assert caplog.messages == [
        "< vm1 #1 write 4096+6 fua",
        "> vm1 #1 write 4096+6",
        "< vm1 #2 read 4096+6",
        "> vm1 #2 read 4096+6",
        "< vm1 #3 zero 0+512 may_trim",
        "> vm1 #3 zero 0+512",
        "< vm1 #4 extents 0+512",
        "> vm1 #4 extents 0+512: 1 extents",
        "< vm1 #5 flush",
        "> vm1 #5 flush",
    ]


async def test_failed_and_cancelled_requests_are_marked(caplog: pytest.LogCaptureFixture) -> None:
    """`!` says how a request failed."""
    caplog.set_level(logging.DEBUG, NAME)
    clock = ManualClock()
    disk = Logged(Faulty(MemoryDisk(MIB), script({"write": [Fault(OutOfSpace)]}), clock), "vm1")
    with pytest.raises(OutOfSpace):
        await disk.write(0, b"data")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(Logged(Slow(MemoryDisk(MIB), clock, latency=1), "vm2").flush())
        await turns(3)
        task.cancel()

    assert caplog.messages[1:] == [
        "! vm1 #1 write 0+4: OutOfSpace: a fault was planned for this write; 0 bytes of it were done",
        "< vm2 #1 flush",
        "! vm2 #1 flush: cancelled",
    ]


async def test_a_silent_logger_is_told_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Without debug logging no line is made, and numbers are not spent."""
    caplog.set_level(logging.INFO, NAME)
    disk = Logged(MemoryDisk(MIB), "vm1")
    await disk.flush()
    caplog.set_level(logging.DEBUG, NAME)
    await disk.flush()

    assert caplog.messages == ["< vm1 #1 flush", "> vm1 #1 flush"]


async def test_level_and_logger_can_be_chosen(caplog: pytest.LogCaptureFixture) -> None:
    """A logger and a level of one's own are used."""
    caplog.set_level(logging.INFO, "mine")
    await Logged(MemoryDisk(MIB), "vm1", logging.getLogger("mine"), logging.INFO).flush()

    assert [(record.name, record.levelno) for record in caplog.records] == [("mine", logging.INFO)] * 2
