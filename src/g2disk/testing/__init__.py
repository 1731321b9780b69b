"""For tests of disks, yours and ours: the contract of `Disk` as a suite, and a clock that the test moves."""

from g2disk.testing.check import PROMISES, REOPENING_PROMISES, DiskFactory, Promise, ReopeningPromise, check_disk
from g2disk.testing.clock import ManualClock, turns
from g2disk.testing.ground import BrokenPromise

__all__ = [
    "PROMISES",
    "REOPENING_PROMISES",
    "BrokenPromise",
    "DiskFactory",
    "ManualClock",
    "Promise",
    "ReopeningPromise",
    "check_disk",
    "turns",
]
