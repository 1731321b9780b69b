"""Calls of the kernel, as far as they can be seen without an nbd driver."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from g2disk.attach.netlink import NbdFamily, in_thread
from g2disk.errors import Busy, Unavailable, Unsupported


async def test_a_call_that_hangs_is_left_behind() -> None:
    """An error that names it, after the time that was given."""
    release = threading.Event()
    try:
        with pytest.raises(Unavailable, match=r"did not end changing the device within 0\.05 s"):
            await in_thread(release.wait, 0.05, "changing the device")
    finally:
        release.set()


async def test_what_a_call_returns_or_raises_is_passed_on() -> None:
    """A value, and an error of ours."""

    def refuse() -> int:
        raise Busy("taken")

    assert 7 == await in_thread(lambda: 7, 5, "a call")
    with pytest.raises(Busy, match=r"^taken$"):
        await in_thread(refuse, 5, "a call")


@pytest.mark.skipif(Path("/sys/block/nbd0").exists(), reason="this kernel has nbd; tests/vm calls it")
def test_a_kernel_without_the_driver_says_what_to_do() -> None:
    """The controller of generic netlink is asked for the family, and modprobe is named where it is not there."""
    with pytest.raises(Unsupported, match="modprobe nbd"):
        NbdFamily()
