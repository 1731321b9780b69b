"""`Wrapper` hands everything through, and so do the layers that only watch."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from tests.contract.mutants import Ram
from tests.contract.test_check_disk import opening

from g2disk.disk import Disk
from g2disk.disk.layers import Checked, Faulty, Logged, ReadOnlyDisk, Slow, Wrapper, innermost, script
from g2disk.disk.layers.metered import Metered
from g2disk.metrics import DiskMetrics
from g2disk.stores.memory import MemoryDisk
from g2disk.testing import ManualClock, check_disk
from g2disk.units import MIB

REQUESTS: dict[str, tuple[Any, ...]] = {
    "read": (512, 1024),
    "write": (512, b"x" * 1024, True),
    "flush": (),
    "trim": (512, 1024, True),
    "zero": (512, 1024, True, False, True),
    "extents": (512, 1024),
    "cache": (512, 1024),
    "close": (),
}
ANSWERS = {"read": b"y" * 1024, "extents": [object()]}

TRANSPARENT: dict[str, Callable[[Disk], Disk]] = {
    "Wrapper": Wrapper,
    "Logged": lambda disk: Logged(disk, "d"),
    "Metered": lambda disk: Metered(disk, DiskMetrics(CollectorRegistry()), "d", ManualClock()),
    "Slow": lambda disk: Slow(disk, ManualClock()),
    "Faulty": lambda disk: Faulty(disk, script({}), ManualClock()),
}


class Recorder(Disk):
    """Writes down what it is asked, and answers with objects of its own."""

    size = MIB
    asked: list[tuple[Any, ...]]

    def __getattribute__(self, name: str) -> Any:
        if name not in REQUESTS:
            return super().__getattribute__(name)

        async def answer(*arguments: Any) -> Any:
            self.asked.append((name, *arguments))
            return ANSWERS.get(name)

        return answer


def test_every_method_of_a_disk_is_tried() -> None:
    """The list of requests names every method of `Disk`; a new one cannot be forgotten in the layers."""
    methods = {name for name, _ in inspect.getmembers(Disk, inspect.iscoroutinefunction)}

    assert methods == set(REQUESTS)
    assert methods <= set(vars(Wrapper))


@pytest.mark.parametrize("name", TRANSPARENT)
@pytest.mark.parametrize("operation", REQUESTS)
async def test_a_layer_hands_on_every_argument_and_the_answer(name: str, operation: str) -> None:
    """Each request reaches the inner disk with all its arguments, and the answer comes back."""
    inner = Recorder()
    inner.asked = []
    layer = TRANSPARENT[name](inner)

    answer = await getattr(layer, operation)(*REQUESTS[operation])

    assert inner.asked == [(operation, *REQUESTS[operation])]
    assert answer == ANSWERS.get(operation)


@pytest.mark.parametrize("name", TRANSPARENT)
def test_a_layer_shows_the_facts_of_the_inner_disk(name: str) -> None:
    """Info, size, identity and block are those of the inner disk, also after a resize."""
    inner = Ram()
    layer = TRANSPARENT[name](inner)
    inner.size = 2 * MIB

    assert layer.info() == inner.info()
    assert (layer.size, layer.identity, layer.minimum_block) == (2 * MIB, inner.info().identity, 1)


def test_layers_can_be_read() -> None:
    """The representation shows the layers from the outside in, and `innermost` finds the disk itself."""
    disk = MemoryDisk(MIB)
    layers = Checked(ReadOnlyDisk(disk))

    assert repr(layers) == f"Checked(ReadOnlyDisk({disk!r}))"
    assert innermost(layers) is disk


@pytest.mark.parametrize("name", TRANSPARENT)
async def test_a_layer_keeps_the_promises(name: str) -> None:
    """A disk within a layer passes the contract as it does by itself."""
    await check_disk(opening(lambda: TRANSPARENT[name](MemoryDisk(6 * MIB))), seed=5)
