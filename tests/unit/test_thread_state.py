"""What Python holds for threads that it did not start."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable

import pytest

from g2disk.servers.nbdkit.thread_state import keep_thread_state

libc = ctypes.CDLL(None)


class Held:
    """Something that a thread has."""


def run_in_a_foreign_thread(call: Callable[[], None]) -> None:
    """Enter Python in a thread of the C library's, as nbdkit's are, and end the thread."""
    enter = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(lambda _: call())
    thread = ctypes.c_ulong()
    assert libc.pthread_create(ctypes.byref(thread), None, enter, None) == 0
    assert libc.pthread_join(thread, None) == 0


@pytest.mark.parametrize("threads", [1, 200])
def test_a_kept_state_ends_with_its_thread(threads: int) -> None:
    """What a thread holds is let go when it ends, however many threads there were."""
    own = threading.local()
    held: list[weakref.ref[Held]] = []

    def enter() -> None:
        keep_thread_state()
        own.held = Held()
        held.append(weakref.ref(own.held))

    for _ in range(threads):
        run_in_a_foreign_thread(enter)

    assert [None] * threads == [reference() for reference in held]


def test_the_state_that_ends_is_the_one_that_was_kept() -> None:
    """Python ends the process where a thread's state is deleted by another state of that thread (since 3.12)."""
    own = threading.local()
    ended_in: list[bool] = []

    class Witness:
        def __del__(self) -> None:
            ended_in.append(state() == kept[0])

    state = ctypes.pythonapi.PyThreadState_Get
    state.restype = ctypes.c_void_p
    kept: list[int] = []

    def enter() -> None:
        keep_thread_state()
        kept.append(state())
        own.witness = Witness()

    run_in_a_foreign_thread(enter)

    assert ended_in == [True]


def test_the_main_thread_is_left_alone() -> None:
    """The main thread ends after Python: a process that calls there ends as it should."""
    program = "from g2disk.servers.nbdkit.thread_state import keep_thread_state; keep_thread_state()"
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0
