"""`StateMetrics`, what disks say of their state (`g2disk.stores.figures`), for Prometheus."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from g2disk.errors import DiskError
from g2disk.servers.exports import Exports
from g2disk.stores.figures import FIGURES, Figure
from g2disk.stores.store import StateValue

_log = logging.getLogger(__name__)

_PATIENCE = 5.0
"""Seconds that a scrape waits for the disks; the scraper's own limit is 10 by default."""

States = Mapping[str, Mapping[str, StateValue]]


class StateMetrics(Collector):
    """The figures of every disk that somebody has opened, each time they are asked for.

    Made on the event loop of the exports, and collected on other threads.
    """

    def __init__(self, exports: Exports) -> None:
        self._exports = exports
        self._loop = asyncio.get_running_loop()

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering it asks nobody."""
        return []

    def collect(self) -> Iterable[Metric]:
        """A family for each figure that any disk has; texts are labels of `g2disk_disk_info`."""
        asked = asyncio.run_coroutine_threadsafe(self._states(), self._loop)
        try:
            states = asked.result(_PATIENCE)
        except (concurrent.futures.TimeoutError, concurrent.futures.CancelledError):
            asked.cancel()
            _log.warning("! metrics: the disks did not tell their state within %g s", _PATIENCE)
            return
        for figure in FIGURES:
            if figure.kind != "text":
                yield from _family(figure, states)
        yield from _texts(states)

    async def _states(self) -> States:
        states = {}
        for name in self._exports.opened():
            try:
                states[name] = await self._exports.state(name)
            except DiskError as error:
                _log.warning("! metrics: %s: %s", name, error)
        return states


def _family(figure: Figure, states: States) -> Iterable[Metric]:
    kind = CounterMetricFamily if figure.kind == "counter" else GaugeMetricFamily
    family = kind(f"g2disk_disk_{figure.name}", figure.meaning, labels=["disk"])
    for name, state in states.items():
        value = state.get(figure.name)
        if isinstance(value, int | float):
            family.add_metric([name], float(value))
    if family.samples:
        yield family


def _texts(states: States) -> Iterable[Metric]:
    names = [figure.name for figure in FIGURES if figure.kind == "text"]
    family = GaugeMetricFamily("g2disk_disk_info", "Always 1; what a disk says in words.", labels=["disk", *names])
    for name, state in states.items():
        if any(text in state for text in names):
            family.add_metric([name, *(str(state.get(text, "")) for text in names)], 1.0)
    if family.samples:
        yield family
