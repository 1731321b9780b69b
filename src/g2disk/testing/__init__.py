"""For tests of disks, yours and ours: the contract of `Disk` as a suite, that of `ObjectStore` as another, and a clock
that the test moves.
"""

from g2disk.testing.check import PROMISES, REOPENING_PROMISES, DiskFactory, Promise, ReopeningPromise, check_disk
from g2disk.testing.clock import ManualClock, turns
from g2disk.testing.ground import BrokenPromise
from g2disk.testing.object_store import OBJECT_PROMISES, ObjectStoreFactory, check_object_store

__all__ = [
    "OBJECT_PROMISES",
    "PROMISES",
    "REOPENING_PROMISES",
    "BrokenPromise",
    "DiskFactory",
    "ManualClock",
    "ObjectStoreFactory",
    "Promise",
    "ReopeningPromise",
    "check_disk",
    "check_object_store",
    "turns",
]
