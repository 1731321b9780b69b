"""Keeping what Python holds for a thread of nbdkit's from one call to the next.

nbdkit enters Python by `PyGILState_Ensure` and leaves it by `PyGILState_Release`, for each request.  The outermost pair
makes a thread state and deletes it, with a mapping of memory: a third of the plugin's processor time.  One `Ensure`
more keeps the state; a destructor of POSIX threads (pthread_key_create(3)) deletes it when the thread ends.
"""

from __future__ import annotations

import ctypes
from typing import Any

from g2disk.errors import Internal

_libc = ctypes.CDLL(None)
_python = ctypes.pythonapi
_python.PyThreadState_Get.restype = ctypes.c_void_p
_python.PyThreadState_Clear.argtypes = _python.PyThreadState_Delete.argtypes = (ctypes.c_void_p,)


def _delete(state: int) -> None:
    # By now Python has forgotten the thread's state, and ctypes has made another one for this call.
    _python.PyThreadState_Clear(state)
    _python.PyThreadState_Delete(state)


_destructor: Any = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(_delete)


def _new_key() -> ctypes.c_uint:
    key = ctypes.c_uint()
    if _libc.pthread_key_create(ctypes.byref(key), _destructor):
        raise Internal("there is no key for threads left (PTHREAD_KEYS_MAX)")
    return key


_key = _new_key()


def keep_thread_state() -> None:
    """Keep this thread's state until it ends.  Call it once in a thread that Python did not start."""
    _python.PyGILState_Ensure()
    _libc.pthread_setspecific(_key, ctypes.c_void_p(_python.PyThreadState_Get()))
