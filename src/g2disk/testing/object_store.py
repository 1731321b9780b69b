"""`check_object_store`, the contract of `g2disk.objects.ObjectStore` as a test suite that every store passes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from g2disk.objects import ObjectStore
from g2disk.testing.ground import BrokenPromise
from g2disk.testing.promises_objects import (
    a_create_never_replaces,
    a_put_replaces,
    buffers_are_not_kept,
    calls_at_once_do_not_disturb_each_other,
    cancelled_puts_let_go_of_the_buffers,
    keys_are_told_apart,
    listings_are_complete_and_in_order,
    listings_begin_where_they_are_told,
    listings_tell_the_time,
    objects_are_put_whole,
    objects_are_seen_whole,
    one_of_many_creators_wins,
    ranges_are_exact,
    what_is_deleted_is_gone,
    what_is_not_there_is_not_found,
    what_was_put_is_got,
    wrong_keys_are_refused,
)
from g2disk.testing.yard import Yard

ObjectStoreFactory: TypeAlias = Callable[[], AbstractAsyncContextManager[ObjectStore]]
"""Opens the store under test, and closes it at the end of the block; each time the same objects."""

OBJECT_PROMISES: tuple[Callable[[Yard], Awaitable[None]], ...] = (
    what_was_put_is_got,
    a_put_replaces,
    a_create_never_replaces,
    one_of_many_creators_wins,
    what_is_not_there_is_not_found,
    ranges_are_exact,
    buffers_are_not_kept,
    objects_are_put_whole,
    listings_are_complete_and_in_order,
    listings_begin_where_they_are_told,
    listings_tell_the_time,
    what_is_deleted_is_gone,
    calls_at_once_do_not_disturb_each_other,
    objects_are_seen_whole,
    cancelled_puts_let_go_of_the_buffers,
    keys_are_told_apart,
    wrong_keys_are_refused,
)
"""What is checked, in this order: the simplest come first."""


async def check_object_store(
    open_store: ObjectStoreFactory, *, seed: int, effort: int = 1, patience: float = 60.0
) -> None:
    """Hold a store to every promise of `g2disk.objects.ObjectStore`, with objects under `check-SEED/`, deleted then.

    The same `seed` asks the same questions again; with an `effort` of 30 the listings are longer than a page.  A
    promise that takes longer than `patience` seconds counts as broken.  Raises `BrokenPromise` for the first that is
    not kept.
    """
    async with open_store() as store:
        for promise in OBJECT_PROMISES:
            await _keep(Yard(store, promise.__name__, seed, effort), promise, patience)
        await store.put(f"check-{seed}/kept", [b"kept"])
    async with open_store() as store:
        yard = Yard(store, "objects_outlive_those_who_use_them", seed, effort)
        yard.require(
            await store.get(f"check-{seed}/kept") == b"kept", "an object is gone when the store is opened again"
        )
        await store.delete(f"check-{seed}/kept")


async def _keep(yard: Yard, promise: Callable[[Yard], Awaitable[None]], patience: float) -> None:
    try:
        async with asyncio.timeout(patience) as limit:
            await promise(yard)
            await yard.clear()
    except BrokenPromise:
        raise
    except Exception as error:
        detail = f"the store raised {type(error).__name__}: {error}"
        if limit.expired():
            detail = f"no answer within {patience:g} s"
        raise BrokenPromise(yard.promise, detail, yard.seed) from error
