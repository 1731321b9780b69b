"""What promises of object stores are checked on: a store, a folder of one's own, and seeded randomness."""

from __future__ import annotations

from collections.abc import Awaitable
from random import Random
from typing import Any, NoReturn

from g2disk.errors import DiskError
from g2disk.objects import ObjectStore
from g2disk.testing.ground import BrokenPromise


class Yard:
    """A store under test, for one promise: a folder of its own, and seeded randomness."""

    def __init__(self, store: ObjectStore, promise: str, seed: int, effort: int) -> None:
        self.store = store
        self.promise = promise
        self.seed = seed
        self.effort = effort
        self.rng = Random(f"{seed} {promise}")  # noqa: S311 - seeded is what tests want
        self.folder = f"check-{seed}/{promise.replace('_', '-')}"

    def key(self, name: str) -> str:
        """A key in this promise's folder."""
        return f"{self.folder}/{name}"

    def noise(self, length: int) -> bytes:
        """`length` random bytes."""
        return self.rng.randbytes(length)

    def broken(self, detail: str) -> NoReturn:
        """The promise is not kept."""
        raise BrokenPromise(self.promise, detail, self.seed)

    def require(self, kept: bool, detail: str) -> None:
        """The promise is not kept, unless `kept`."""
        if not kept:
            self.broken(detail)

    async def expect(self, name: str, data: bytes) -> None:
        """The object holds exactly `data`."""
        got = bytes(await self.store.get(self.key(name)))
        self.require(got == data, f"{name} holds {len(got)} other bytes than the {len(data)} that were put")

    async def refusal(self, call: Awaitable[Any], what: str, kind: type[DiskError]) -> None:
        """`call` raises `kind`."""
        try:
            await call
        except kind:
            return
        except DiskError as error:
            self.broken(f"{what} raised {type(error).__name__} ({error}), not {kind.__name__}")
        self.broken(f"{what} succeeded, and must raise {kind.__name__}")

    async def clear(self) -> None:
        """Delete what this promise left."""
        for entry in await self.store.list(self.folder + "/"):
            await self.store.delete(entry.key)
