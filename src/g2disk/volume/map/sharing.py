"""`SharedLoads`: what several wait for is loaded once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from g2disk.cancellation import to_the_end

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Load(Generic[K, V]):
    """A load in flight; it is cancelled when nobody waits for it any more."""

    def __init__(self, keys: list[K], task: asyncio.Task[dict[K, V]]) -> None:
        self.keys = keys
        self.task = task
        self.waiting = 0


class SharedLoads(Generic[K, V]):
    """Loads by key.  Who is cancelled while waiting leaves the load to the others."""

    def __init__(
        self, load: Callable[[list[K]], Coroutine[Any, Any, dict[K, V]]], keep: Callable[[dict[K, V]], None]
    ) -> None:
        """`load` brings all the given keys, or raises; `keep` is called with what it brought and is not out of date."""
        self._load = load
        self._keep = keep
        self._coming: dict[K, _Load[K, V]] = {}

    async def get(self, keys: Iterable[K]) -> dict[K, V]:
        """The values of `keys`; those that are on their way already are waited for.  Raises what `load` raises."""
        wanted = dict.fromkeys(keys)
        new = [key for key in wanted if key not in self._coming]
        if new:
            begun = _Load(new, asyncio.ensure_future(self._load_all(new)))
            self._coming.update(dict.fromkeys(new, begun))
        loads = list(dict.fromkeys(self._coming[key] for key in wanted))
        await self._wait(loads)
        found: dict[K, V] = {}
        for load in loads:
            found.update(load.task.result())
        return {key: found[key] for key in wanted}

    async def _wait(self, loads: Sequence[_Load[K, V]]) -> None:
        for load in loads:
            load.waiting += 1
        try:
            if loads:
                await asyncio.wait([load.task for load in loads])
        finally:
            for load in loads:
                load.waiting -= 1
            await self._cancel([load for load in loads if not load.waiting and not load.task.done()])
            for load in loads:
                if load.task.done() and not load.task.cancelled():
                    load.task.exception()  # seen, also where another load's is raised

    async def _cancel(self, loads: Sequence[_Load[K, V]]) -> None:
        for load in loads:
            self._forget(load.keys)  # who comes now begins anew
            load.task.cancel()
        if loads:
            await to_the_end(asyncio.wait([load.task for load in loads]))

    def outdate(self, keys: Iterable[K]) -> None:
        """Say that the values of `keys` changed: what is on its way is not kept, and nobody who comes now waits for it.

        Those who wait already get what was true after they came.
        """
        if self._coming:
            for key in keys:
                self._coming.pop(key, None)

    async def _load_all(self, keys: list[K]) -> dict[K, V]:
        try:
            found = await self._load(keys)
            self._keep({key: found[key] for key in self._own(keys)})
        finally:
            self._forget(keys)
        return found

    def _own(self, keys: list[K]) -> list[K]:
        """Those of a load's keys that are still its own."""
        return [key for key in keys if (load := self._coming.get(key)) is not None and load.keys is keys]

    def _forget(self, keys: list[K]) -> None:
        for key in self._own(keys):
            del self._coming[key]
