"""`adapt`, which makes a Disk of any object with a `size` and a `read`: the way to a disk of one's own."""

from __future__ import annotations

import asyncio
import inspect
import operator
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from g2disk.disk.disk import Buffer, Disk
from g2disk.disk.foreign import as_disk_error
from g2disk.disk.info import DiskInfo, Extent
from g2disk.errors import DiskError, Internal, Invalid, ReadOnly, Unsupported
from g2disk.units import KIB, check_disk_size

_THREADS = 16
"""Calls that run at once for an object that says it can take them."""

_NEEDS = "a disk needs size (in bytes) and read(offset, length), and write(offset, data) unless it is read-only"

_OPTIONAL = ("write", "flush", "trim", "zero", "extents", "cache", "close")
_WITHOUT_RANGE = ("flush", "close")
_FLAGS = frozenset({"fua", "may_trim", "fast"})


def adapt(thing: object) -> Disk:
    """A Disk that asks `thing`; a Disk is returned as it is.

    `thing` has

    - `size`, bytes: an attribute or a property, which may change later, or a method, which is called once;
    - `read(offset, length)`, which returns exactly `length` bytes;
    - perhaps `write(offset, data)`, with `data` as bytes that it may keep; without it the disk is read-only;
    - perhaps `flush()`, `trim(offset, length)`, `zero(offset, length)`, `extents(offset, length)`, `cache(offset,
      length)` and `close()`, each as in `Disk`; having one advertises the capability;
    - perhaps `identity` and `minimum_block`, as in `Disk`.

    Methods may be `async`.  Others are called in a thread, one at a time; with `parallel = True` many at once, in many
    threads.  A cancelled call that has begun there is waited for.

    `write`, `trim` and `zero` may take `fua`, and `zero` also `may_trim` and `fast`.  Without `fua` a durable request
    is one that is followed by `flush()`; without `flush` a request is taken to be as durable as it will ever be when it
    returns.  Without `fast` no zeroing is called fast; a `zero` without `may_trim` may do as it likes with the space.

    Raises `Invalid` naming everything that is missing or cannot be called like this.
    """
    if isinstance(thing, Disk):
        return thing
    if isinstance(thing, type):
        raise Invalid(f"{thing.__name__} is a class; a disk is made of one of its objects: {thing.__name__}()")
    return PlainDisk(thing)


@dataclass(frozen=True, slots=True)
class _Method:
    """A method of the object, and how it wants to be called."""

    function: Callable[..., Any]
    flags: frozenset[str]
    """Which of fua, may_trim and fast it takes."""
    is_async: bool


class PlainDisk(Disk):
    """See `adapt`."""

    def __init__(self, thing: object) -> None:
        self._thing = thing
        self._name = type(thing).__name__
        problems: list[str] = []
        self._methods = {name: method for name in ("read", *_OPTIONAL) if (method := _find(thing, name, problems))}
        if "read" not in self._methods and not problems:
            problems.append("it has no read")
        self._fixed_size = _method_size(thing, problems)
        if problems:
            raise Invalid(f"{self._name} cannot be a disk: {'; '.join(problems)}; {_NEEDS}")
        check_disk_size(self.size)
        self._block = _block(thing)
        threads = _THREADS if getattr(thing, "parallel", False) else 1
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=f"g2disk-{self._name}")

    def __repr__(self) -> str:
        return f"adapt({self._thing!r})"

    @property
    def size(self) -> int:  # type: ignore[override]
        """Bytes, as the object says now."""
        if self._fixed_size is not None:
            return self._fixed_size
        return operator.index(self._thing.size)  # type: ignore[attr-defined]

    def info(self) -> DiskInfo:
        """What the object's methods and attributes say it is and can do."""
        has = self._methods
        writable = "write" in has
        description = inspect.getdoc(type(self._thing)) or self._name
        return DiskInfo(
            size=self.size,
            identity=getattr(self._thing, "identity", self._token),
            instance=self._token,
            description=description.splitlines()[0],
            minimum_block=self._block,
            preferred_block=max(4 * KIB, self._block),
            read_only=not writable,
            trim=writable and "trim" in has,
            zero=writable and "zero" in has,
            fast_zero=writable and "zero" in has and "fast" in has["zero"].flags,
            extents="extents" in has,
            cache="cache" in has,
        )

    async def read(self, offset: int, length: int) -> Buffer:
        """See `Disk.read`."""
        data = await self._call("read", offset, length)
        if isinstance(data, (bytes, bytearray)):
            return data
        try:
            return memoryview(data).cast("B")
        except TypeError as error:
            raise Internal(f"read of {self._name} returned {type(data).__name__}, not bytes; mend the disk") from error

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        """See `Disk.write`."""
        self._check_writable()
        # The object may keep what it is given, and Disk's buffers are only lent: only bytes never change.
        stored = await self._change("write", offset, data if isinstance(data, bytes) else bytes(data), fua=fua)
        if type(stored) is int and stored != len(data):
            raise Internal(f"write of {self._name} stored {stored} of {len(data)} bytes; mend the disk")

    async def flush(self) -> None:
        """See `Disk.flush`."""
        if "flush" in self._methods:
            await self._call("flush")

    async def trim(self, offset: int, length: int, fua: bool = False) -> None:
        """See `Disk.trim`."""
        self._check_writable()
        if "trim" in self._methods:
            await self._change("trim", offset, length, fua=fua)

    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        """See `Disk.zero`."""
        self._check_writable()
        if "zero" not in self._methods:
            # One flush at the end, not one after each piece.
            at_once = "fua" in self._methods["write"].flags
            await super().zero(offset, length, fua and at_once, may_trim, fast)
            if fua and not at_once:
                await self.flush()
        elif fast and "fast" not in self._methods["zero"].flags:
            raise Unsupported(f"nobody knows whether zero of {self._name} is fast: it takes no `fast`")
        else:
            await self._change("zero", offset, length, fua=fua, may_trim=may_trim, fast=fast)

    async def extents(self, offset: int, length: int) -> list[Extent]:
        """See `Disk.extents`; the object may return tuples (offset, length, hole, zero)."""
        if "extents" not in self._methods:
            return await super().extents(offset, length)
        found = await self._call("extents", offset, length)
        return [extent if isinstance(extent, Extent) else Extent(*extent) for extent in found]

    async def cache(self, offset: int, length: int) -> None:
        """See `Disk.cache`."""
        if "cache" in self._methods:
            await self._call("cache", offset, length)

    async def close(self) -> None:
        """See `Disk.close`; the threads end as well."""
        try:
            if "close" in self._methods:
                await self._call("close")
        finally:
            self._threads.shutdown(wait=False)

    def _check_writable(self) -> None:
        if "write" not in self._methods:
            raise ReadOnly(f"{self._name} is read-only: it has no write(offset, data)")

    async def _change(self, name: str, *arguments: object, **flags: bool) -> Any:
        """Call a method that changes the disk, with those flags that it takes."""
        taken = self._methods[name].flags
        answer = await self._call(name, *arguments, **{flag: value for flag, value in flags.items() if flag in taken})
        if flags["fua"] and "fua" not in taken:
            await self.flush()
        return answer

    async def _call(self, name: str, *arguments: object, **flags: bool) -> Any:
        method = self._methods[name]
        call = partial(method.function, *arguments, **flags)
        try:
            answer = call() if method.is_async else await _in_thread(self._threads, call)
            return await answer if inspect.isawaitable(answer) else answer
        except DiskError:
            raise
        except Exception as error:
            raise as_disk_error(error, f"{name} of {self._name}") from error


async def _in_thread(threads: ThreadPoolExecutor, call: Callable[[], Any]) -> Any:
    """What `call` returns in a thread.  A cancellation takes it back; once begun, it waits for its end, so that nothing
    is written behind the back of a caller who was told that the request is over.
    """
    work = threads.submit(_without_stop_iteration, call)
    future = asyncio.wrap_future(work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        if not work.cancel():
            await _end_of(future)
        raise


async def _end_of(future: asyncio.Future[Any]) -> None:
    while not future.done():
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError:
            continue  # the first cancellation is passed on by the caller
    if not future.cancelled():
        future.exception()  # the caller was cancelled, and asks for no answer


def _without_stop_iteration(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except StopIteration as error:
        # A future cannot hold a StopIteration, and would never end.
        raise RuntimeError("StopIteration") from error


def _find(thing: object, name: str, problems: list[str]) -> _Method | None:
    """The object's method of that name, if it has one that can be called as it will be."""
    function = getattr(thing, name, None)
    if function is None:
        return None
    if not callable(function):
        problems.append(f"its {name} is not a method")
        return None
    try:
        signature = inspect.signature(function)
    except ValueError:  # some that are written in C do not tell
        return _Method(function, frozenset(), is_async=False)
    arguments = [] if name in _WITHOUT_RANGE else ["offset", "data" if name == "write" else "length"]
    flags = _flags(signature)
    try:
        signature.bind(*arguments, **dict.fromkeys(flags, False))
    except TypeError:
        problems.append(f"its {name}{signature} cannot be called as {name}({', '.join(arguments)})")
        return None
    return _Method(function, flags, inspect.iscoroutinefunction(function))


def _flags(signature: inspect.Signature) -> frozenset[str]:
    """Those of fua, may_trim and fast that can be given by name."""
    parameters = signature.parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return _FLAGS
    by_name = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    return _FLAGS & by_name


def _method_size(thing: object, problems: list[str]) -> int | None:
    """What a method `size` returns; None for an attribute or a property, which is asked each time."""
    try:
        size = getattr(thing, "size", None)
        called = callable(size)
        answer = size() if callable(size) else size
        if inspect.iscoroutine(answer):
            answer.close()
            problems.append("its size is async; make it an attribute that is set before")
            return None
        if answer is None:
            problems.append("it has no size")
            return None
        number = operator.index(answer)
    except TypeError as error:
        problems.append(f"its size is not a whole number ({error})")
        return None
    except Exception as error:
        raise as_disk_error(error, f"size of {type(thing).__name__}") from error
    return number if called else None


def _block(thing: object) -> int:
    block = getattr(thing, "minimum_block", 1)
    if not isinstance(block, int) or not 0 < block <= 64 * KIB or block & (block - 1):
        name = type(thing).__name__
        raise Invalid(f"minimum_block of {name} is {block!r}; it must be a power of two from 1 to 65536")
    return block
