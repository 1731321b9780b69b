"""Keeping what Python holds for a thread of nbdkit's from one call to the next.

nbdkit enters Python by `PyGILState_Ensure` and leaves it by `PyGILState_Release`, for each request.  The outermost pair
makes a thread state and deletes it, with a mapping of memory each time.  One `Ensure` more keeps the state, and the C
library makes up for it by a `Release` when the thread ends.

That has to come before the thread's keys (pthread_key_create(3)) are cleared: Python finds the state by one of them,
and since 3.12 it ends the process when a state is deleted that it does not find.  Destructors of thread_local objects
of C++ run before (glibc's elf/dl-tls and nptl/pthread_create; Itanium C++ ABI, "__cxa_thread_atexit").
"""

from __future__ import annotations

import ctypes
import os
import threading
from typing import Any

from g2disk.errors import Internal

_python = ctypes.pythonapi
_at_thread_exit: Any = getattr(ctypes.CDLL(None), "__cxa_thread_atexit_impl", None)
"""None where the C library is not glibc; then nothing is kept."""
_library = ctypes.cast(_at_thread_exit, ctypes.c_void_p) if _at_thread_exit is not None else None
"""An address in a library that must stay loaded as long as the destructor is needed; glibc takes no null there."""

_LOCKED = 0
"""PyGILState_LOCKED, what `Ensure` answers to a thread that has the lock already; `Release` gets it back."""


def _release(_: int | None) -> None:
    # ctypes has entered Python for this call with the state that was kept, and deletes it as it leaves.
    _python.PyGILState_Release(_LOCKED)


_destructor: Any = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(_release)


def keep_thread_state() -> None:
    """Keep this thread's state until it ends.  Call it once in a thread that Python did not start.

    The main thread is left alone: it ends after Python does.
    """
    if _at_thread_exit is None or threading.get_native_id() == os.getpid():
        return
    _python.PyGILState_Ensure()
    if _at_thread_exit(_destructor, None, _library):
        _python.PyGILState_Release(_LOCKED)
        raise Internal("the C library has no memory left to note what is to be done when a thread ends")
