"""`Metered`: what Prometheus is told of a disk."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from g2disk.disk import Buffer, Disk, Done
from g2disk.disk.layers import Checked, Faulty, Slow, script
from g2disk.disk.layers.faulty import Fault
from g2disk.disk.layers.metered import Metered
from g2disk.errors import OutOfSpace
from g2disk.metrics import DiskMetrics
from g2disk.request import READ, Request
from g2disk.stores.memory import MemoryDisk
from g2disk.testing import ManualClock, turns
from g2disk.units import MIB


class Meter:
    """A metered disk of its own registry; each request takes a quarter of a second."""

    def __init__(self, inner: Disk | None = None) -> None:
        self.clock = ManualClock()
        self.registry = CollectorRegistry()
        slow = Slow(inner or MemoryDisk(MIB), self.clock, latency=0.25)
        self.disk = Metered(slow, DiskMetrics(self.registry), "vm1", self.clock)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"g2disk_{name}", {"disk": "vm1", **labels})


async def test_requests_bytes_and_seconds_are_counted() -> None:
    """Each operation has its count of requests, its bytes, and how long they took."""
    meter = Meter()
    await meter.clock.run(meter.disk.write(0, b"12345"))
    await meter.clock.run(meter.disk.read(0, 3))
    await meter.clock.run(meter.disk.read(0, 4))
    await meter.clock.run(meter.disk.zero(0, 4096))
    await meter.clock.run(meter.disk.flush())

    assert meter.value("requests_total", operation="write") == 1
    assert meter.value("requests_total", operation="read") == 2
    assert meter.value("requests_total", operation="flush") == 1
    assert meter.value("bytes_total", operation="write") == 5
    assert meter.value("bytes_total", operation="read") == 7
    assert meter.value("bytes_total", operation="zero") == 4096
    assert meter.value("request_seconds_sum", operation="read") == 0.5
    assert meter.value("request_seconds_bucket", operation="read", le="0.25") == 2
    assert meter.value("request_seconds_bucket", operation="read", le="0.1") == 0
    assert meter.value("requests_in_flight") == 0


async def test_errors_are_counted_by_kind() -> None:
    """A failed request counts under its kind, and its bytes do not; what is not ours counts as `Internal`."""

    class Buggy(MemoryDisk):
        async def read(self, offset: int, length: int) -> Buffer:
            raise KeyError(offset)

    meter = Meter(Faulty(Buggy(MIB), script({"write": [Fault(OutOfSpace)]}), ManualClock()))
    with pytest.raises(OutOfSpace):
        await meter.clock.run(meter.disk.write(0, b"12345"))
    with pytest.raises(KeyError):
        await meter.clock.run(meter.disk.read(0, 5))

    assert meter.value("request_errors_total", operation="write", kind="OutOfSpace") == 1
    assert meter.value("request_errors_total", operation="read", kind="Internal") == 1
    assert meter.value("requests_total", operation="write") == 1
    assert meter.value("bytes_total", operation="write") == 0


async def test_requests_in_flight_are_counted() -> None:
    """The gauge says how many requests run now, and a cancelled one runs no more."""
    meter = Meter()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(meter.disk.read(0, 5)) for _ in range(3)]
        await turns(5)
        assert meter.value("requests_in_flight") == 3
        tasks[0].cancel()
        await turns(5)
        assert meter.value("requests_in_flight") == 2
        await meter.clock.advance(1)

    assert meter.value("requests_in_flight") == 0
    assert meter.value("request_errors_total", operation="read", kind="Cancelled") == 1


async def test_the_page_says_what_it_shows() -> None:
    """Every family has a help text, and two sets of metrics can live in one process."""
    meter, other = Meter(), Meter()
    await meter.clock.run(meter.disk.flush())
    page = generate_latest(meter.registry).decode()

    assert "# HELP g2disk_requests_in_flight Requests that run now." in page
    assert 'g2disk_requests_total{disk="vm1",operation="flush"} 1.0' in page
    assert other.value("requests_total", operation="flush") is None


class Refuses(MemoryDisk):
    """Reports one request of a batch, and raises."""

    def submit(self, requests: list[Request], done: Done) -> list[Request]:
        super().submit(requests[:1], done)
        raise OutOfSpace("full")


def test_a_batch_that_raises_is_not_in_flight() -> None:
    """Nothing stays in flight of a batch that the disk did not take."""
    registry = CollectorRegistry()
    disk = Metered(Refuses(MIB), DiskMetrics(registry), "vm1", ManualClock())

    with pytest.raises(OutOfSpace):
        disk.submit([Request(READ, 0, 0, 512) for _ in range(3)], lambda _: None)

    assert registry.get_sample_value("g2disk_requests_in_flight", {"disk": "vm1"}) == 0


def test_an_operation_that_there_is_not_is_counted() -> None:
    """A request that nobody knows is one more, and reporting it does not raise."""
    registry, finished = CollectorRegistry(), list[Request]()
    disk = Metered(Checked(MemoryDisk(MIB)), DiskMetrics(registry), "vm1", ManualClock())

    disk.submit([Request(99, 0, 0, 512)], finished.extend)

    assert len(finished) == 1
    assert registry.get_sample_value("g2disk_requests_total", {"disk": "vm1", "operation": "unknown"}) == 1
