"""`Metered`, a disk whose requests are counted and timed."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Awaitable
from typing import TypeVar

from prometheus_client import Counter, Histogram

from g2disk.clock import Clock
from g2disk.disk.disk import Disk, Done
from g2disk.disk.layers.observing import Observing
from g2disk.errors import DiskError, Internal
from g2disk.metrics import DiskMetrics
from g2disk.request import OPERATIONS, Request

T = TypeVar("T")


class Metered(Observing):
    """Counts requests, bytes, errors by kind, seconds and requests in flight, under the disk's `name`.

    What counts depends on where the layer stands: around `Checked` refused requests count, too, and inside a layer that
    repeats requests each attempt does.
    """

    def __init__(self, inner: Disk, metrics: DiskMetrics, name: str, clock: Clock) -> None:
        super().__init__(inner)
        self._metrics = metrics
        self._name = name
        self._clock = clock
        self._in_flight = metrics.in_flight.labels(name)
        # Finding a label's child takes longer than counting: once for each operation, as it comes up.
        self._children: dict[str, tuple[Counter, Counter, Histogram]] = {}

    async def observe(
        self, operation: str, offset: int, length: int, flags: tuple[str, ...], request: Awaitable[T]
    ) -> T:
        """Count and time the request."""
        requests, volume, seconds = self._children.get(operation) or self._add(operation)
        begin = self._clock.now()
        self._in_flight.inc()
        try:
            answer = await request
        except CancelledError:
            self._metrics.errors.labels(self._name, operation, "Cancelled").inc()
            raise
        except Exception as error:
            # What is not a DiskError becomes Internal at the border.
            kind = type(error) if isinstance(error, DiskError) else Internal
            self._metrics.errors.labels(self._name, operation, kind.__name__).inc()
            raise
        else:
            volume.inc(length)
            return answer
        finally:
            self._in_flight.dec()
            requests.inc()
            seconds.observe(self._clock.now() - begin)

    def submit(self, requests: list[Request], done: Done) -> list[Request]:
        """See `Disk.submit`; counts and times what the inner disk takes."""
        begin = self._clock.now()
        in_flight = len(requests)
        self._in_flight.inc(in_flight)

        def count(finished: list[Request]) -> None:
            nonlocal in_flight
            in_flight -= len(finished)
            self._in_flight.dec(len(finished))
            taken = self._clock.now() - begin
            for request in finished:
                self._count(request, taken)
            done(finished)

        try:
            left = self.inner.submit(requests, count)
        except BaseException:  # what it has taken and not reported, nobody waits for
            self._in_flight.dec(in_flight)
            raise
        self._in_flight.dec(len(left))
        return left

    def _count(self, request: Request, taken: float) -> None:
        operation = OPERATIONS.get(request.operation, "unknown")
        requests, volume, seconds = self._children.get(operation) or self._add(operation)
        requests.inc()
        seconds.observe(taken)
        if request.error is None:
            volume.inc(request.length)
        else:
            self._metrics.errors.labels(self._name, operation, type(request.error).__name__).inc()

    def _add(self, operation: str) -> tuple[Counter, Counter, Histogram]:
        families = self._metrics
        labels = (self._name, operation)
        children = families.requests.labels(*labels), families.bytes.labels(*labels), families.seconds.labels(*labels)
        return self._children.setdefault(operation, children)
