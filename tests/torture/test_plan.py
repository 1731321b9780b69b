"""Plans come from their seed alone."""

from __future__ import annotations

from g2disk.request import FLUSH, READ
from g2disk.torture.plan import KILL_FAULTS, NETWORK_FAULTS, PAUSE_FAULTS, make_round

FAULTS = NETWORK_FAULTS + PAUSE_FAULTS + KILL_FAULTS


def test_a_round_is_the_same_each_time() -> None:
    """Seed and number make the round, whatever was made before."""
    assert make_round(5, 17, 512, FAULTS) == make_round(5, 17, 512, FAULTS)
    assert make_round(5, 17, 512, FAULTS) != make_round(5, 18, 512, FAULTS)
    assert make_round(5, 17, 512, FAULTS) != make_round(6, 17, 512, FAULTS)


def test_every_request_is_inside_the_round_and_the_disk() -> None:
    """No step leaves the round's window, and no window the disk, also of the smallest one."""
    for blocks in (1, 3, 40, 2048):
        for number in range(100):
            plan = make_round(1, number, blocks, FAULTS)
            window = set(plan.window)

            assert window <= set(range(blocks))
            for step in (step for steps in plan.workers for step in steps):
                assert set(step.where) <= window
                assert bool(step.where.count) == (step.operation != FLUSH)
                assert not (step.fua and step.operation in (READ, FLUSH))


def test_every_fault_comes_up() -> None:
    """A hundred rounds have all faults that there are."""
    assert set(FAULTS) == {make_round(1, number, 512, FAULTS).fault.kind for number in range(100)}
