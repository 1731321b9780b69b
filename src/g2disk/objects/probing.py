"""Is this a store that volumes can be kept on?"""

from __future__ import annotations

from g2disk.clock import Clock
from g2disk.disk.identity import new_identity
from g2disk.errors import Exists, NotFound, Unsupported
from g2disk.objects.store import ObjectStore

_SKEW = 300.0
"""Seconds that the store's clock may differ from ours: what AWS takes in a signature is 900."""

_BODY = bytes(range(256)) * 4


async def probe(store: ObjectStore, clock: Clock) -> None:
    """Try, with objects of its own, what volumes need: put-if-absent, ranges, listing, deletion, a clock that is about
    right.  What it wrote is deleted again.

    Raises, with one line that names what is missing: `Unsupported`, `Denied`, `Unavailable`, `OutOfSpace`, `Invalid`.
    """
    key = f"probe/{new_identity()}"
    await _probe_conditions(store, key)
    try:
        await _probe_ranges(store, key)
        await _probe_listing(store, key, clock)
    finally:
        await store.delete(key)
    await _probe_deletion(store, key)


async def _probe_conditions(store: ObjectStore, key: str) -> None:
    try:
        await store.create(key, [_BODY])
    except Exists as error:
        raise _missing(store, "it refuses a put-if-absent of an object that is not there") from error
    except Unsupported as error:
        raise _missing(store, f"it has no put-if-absent ({error})") from error
    try:
        await store.create(key, [b"another"])
    except Exists:
        return
    await store.delete(key)
    raise _missing(store, "it ignores put-if-absent, so that two servers could overwrite each other")


async def _probe_ranges(store: ObjectStore, key: str) -> None:
    try:
        whole = await store.get(key)
    except NotFound as error:
        raise _missing(store, "an object that was just put is not there") from error
    if whole != _BODY:
        raise _missing(store, "it gives back other bytes than were put")
    if await store.get_range(key, 300, 200) != _BODY[300:500]:
        raise _missing(store, "it cannot give a part of an object")


async def _probe_listing(store: ObjectStore, key: str, clock: Clock) -> None:
    entry = next((entry for entry in await store.list(key) if entry.key == key), None)
    if entry is None:
        raise _missing(store, "its listing lacks an object that was just put")
    if entry.size != len(_BODY):
        raise _missing(store, "its listing gives wrong sizes")
    skew = entry.modified - clock.wall()
    if abs(skew) > _SKEW:
        raise _missing(store, f"its clock and this machine's differ by {abs(skew):.0f} s: set the wrong one")


async def _probe_deletion(store: ObjectStore, key: str) -> None:
    try:
        await store.get(key)
    except NotFound:
        return
    raise _missing(store, "it does not delete objects")


def _missing(store: ObjectStore, what: str) -> Unsupported:
    return Unsupported(f"{store.url} cannot hold volumes: {what}")
