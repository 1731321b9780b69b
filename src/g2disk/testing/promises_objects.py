"""Promises of `g2disk.objects.ObjectStore`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from g2disk.disk import Buffer
from g2disk.errors import Exists, Invalid, NotFound
from g2disk.testing.clock import turns
from g2disk.testing.ground import together
from g2disk.testing.yard import Yard
from g2disk.units import MIB


async def what_was_put_is_got(yard: Yard) -> None:
    """Objects of all sizes come back byte for byte, also when they were given in several buffers."""
    for length in (0, 1, 255, 4096, 65537, MIB + 1):
        data = yard.noise(length)
        await yard.store.put(yard.key(f"size-{length}"), [data])
        await yard.expect(f"size-{length}", data)
    whole = yard.noise(100_000)
    parts: Sequence[Buffer] = [whole[:10], bytearray(whole[10:5000]), b"", memoryview(whole)[5000:]]
    await yard.store.put(yard.key("parts"), parts)
    await yard.expect("parts", whole)
    await yard.store.put(yard.key("none"), [])
    await yard.expect("none", b"")


async def objects_are_put_whole(yard: Yard) -> None:
    """An object of many MiB is one object, too."""
    data = yard.noise(20 * MIB)
    await yard.store.put(yard.key("large"), [memoryview(data)[: 9 * MIB], memoryview(data)[9 * MIB :]])
    await yard.expect("large", data)
    await yard.refusal(yard.store.create(yard.key("large"), [b"x"]), "a create of it", Exists)
    await yard.store.create(yard.key("created"), [data])
    await yard.expect("created", data)


async def a_put_replaces(yard: Yard) -> None:
    """A put takes the place of what was there, longer or shorter."""
    for length in (100, 10, 1000):
        data = yard.noise(length)
        await yard.store.put(yard.key("object"), [data])
        await yard.expect("object", data)


async def a_create_never_replaces(yard: Yard) -> None:
    """A create makes what is not there, and refuses what is, however it came there."""
    await yard.store.create(yard.key("new"), [b"first"])
    await yard.expect("new", b"first")
    await yard.refusal(yard.store.create(yard.key("new"), [b"second"]), "a second create", Exists)
    await yard.refusal(yard.store.create(yard.key("new"), [b"first"]), "a second create of the same bytes", Exists)
    await yard.expect("new", b"first")
    await yard.store.put(yard.key("put"), [b"put"])
    await yard.refusal(yard.store.create(yard.key("put"), [b"second"]), "a create of what was put", Exists)
    await yard.expect("put", b"put")
    await yard.store.delete(yard.key("new"))
    await yard.store.create(yard.key("new"), [b"third"])
    await yard.expect("new", b"third")


async def one_of_many_creators_wins(yard: Yard) -> None:
    """Of many creates of one key at once exactly one succeeds, and its bytes are what is there."""
    for number in range(3 * yard.effort):
        key = yard.key(f"race-{number}")
        bodies = [yard.noise(200 + creator) for creator in range(16)]

        async def attempt(key: str, body: bytes) -> bool:
            try:
                await yard.store.create(key, [body])
            except Exists:
                return False
            return True

        won = await together(*(attempt(key, body) for body in bodies))
        yard.require(sum(won) == 1, f"{sum(won)} of {len(bodies)} creates of one key succeeded")
        await yard.expect(f"race-{number}", bodies[won.index(True)])


async def what_is_not_there_is_not_found(yard: Yard) -> None:
    """Reading what was never put, or what is only a folder, raises `NotFound`."""
    await yard.store.put(yard.key("folder/object"), [b"x"])
    for name in ("nothing", "folder", "folder/nothing", "folder/object/nothing"):
        await yard.refusal(yard.store.get(yard.key(name)), f"get of {name}", NotFound)
        await yard.refusal(yard.store.get_range(yard.key(name), 0, 10), f"get_range of {name}", NotFound)


async def ranges_are_exact(yard: Yard) -> None:
    """A range is what it says, short only where the object ends, and empty behind its end."""
    data = yard.noise(100_000)
    await yard.store.put(yard.key("object"), [data])
    ranges = [
        (0, 1),
        (0, len(data)),
        (len(data) - 1, 1),
        (len(data) - 1, 2),
        (50_000, 10**6),
        (len(data), 1),
        (10**6, 5),
    ]
    for _ in range(10 * yard.effort):
        offset = yard.rng.randrange(len(data))
        ranges.append((offset, yard.rng.randrange(1, 5000)))
    for offset, length in ranges:
        got = bytes(await yard.store.get_range(yard.key("object"), offset, length))
        yard.require(
            got == data[offset : offset + length], f"get_range({offset}, {length}) gave {len(got)} wrong bytes"
        )
    await yard.store.put(yard.key("empty"), [b""])
    got = bytes(await yard.store.get_range(yard.key("empty"), 0, 10))
    yard.require(got == b"", f"a range of an empty object gave {len(got)} bytes")


async def buffers_are_not_kept(yard: Yard) -> None:
    """When a put or create has returned, the caller may change its buffers."""
    buffer = bytearray(b"a" * 5000)
    await yard.store.put(yard.key("put"), [buffer])
    await yard.store.create(yard.key("created"), [memoryview(buffer)])
    buffer[:] = b"b" * 5000
    await yard.expect("put", b"a" * 5000)
    await yard.expect("created", b"a" * 5000)


async def listings_are_complete_and_in_order(yard: Yard) -> None:
    """A listing has each object whose key begins with the prefix once, in the order of the keys, with its size."""
    names = [f"n{number:05}" for number in range(40 * yard.effort)] + [
        "N",
        "a",
        "a-b",
        "a.b",
        "a0",
        "b/c",
        "b/c2/d",
        "z/y/x",
    ]
    shuffled = yard.rng.sample(names, len(names))
    for start in range(0, len(names), 16):
        batch = shuffled[start : start + 16]
        await together(*(yard.store.put(yard.key(name), [bytes(len(name))]) for name in batch))
    for prefix in ("", "n", "n0001", "N", "a", "a-", "b", "b/", "b/c", "b/c/", "zz", "z/y/x"):
        found = await yard.store.list(yard.key(prefix))
        wanted = sorted(yard.key(name) for name in names if name.startswith(prefix))
        yard.require([entry.key for entry in found] == wanted, f"a listing of '{prefix}' is not what was put")
        sizes = [entry.size for entry in found]
        yard.require(sizes == [len(key) - len(yard.key("")) for key in wanted], "a listing gives a wrong size")


async def listings_begin_where_they_are_told(yard: Yard) -> None:
    """`after` leaves out what does not sort behind it."""
    names = [f"{letter}{number}" for letter in "abc" for number in range(5)]
    for name in names:
        await yard.store.put(yard.key(name), [b"x"])
    for after in ("a", "a2", "a3x", "b4", "c4", "zz"):
        for prefix in ("", "b"):
            found = [entry.key for entry in await yard.store.list(yard.key(prefix), yard.key(after))]
            wanted = [yard.key(name) for name in names if name.startswith(prefix) and name > after]
            yard.require(found == wanted, f"a listing of '{prefix}' after '{after}' gave {found}")


async def listings_tell_the_time(yard: Yard) -> None:
    """Later objects are not older, by more than the second that some stores count in."""
    await yard.store.put(yard.key("first"), [b"x"])
    await yard.store.put(yard.key("second"), [b"x"])
    first, second = await yard.store.list(yard.key(""))
    yard.require(second.modified > first.modified - 1.5, f"{second} is older than {first}")


async def what_is_deleted_is_gone(yard: Yard) -> None:
    """A deleted object is not found and not listed; its neighbours are, and a second delete does nothing."""
    for name in ("a", "b", "b2", "c"):
        await yard.store.put(yard.key(name), [name.encode()])
    await yard.store.delete(yard.key("b"))
    await yard.store.delete(yard.key("b"))
    await yard.store.delete(yard.key("never/was"))
    await yard.refusal(yard.store.get(yard.key("b")), "get of what was deleted", NotFound)
    found = [entry.key for entry in await yard.store.list(yard.key(""))]
    yard.require(found == [yard.key(name) for name in ("a", "b2", "c")], f"after a delete the listing is {found}")
    await yard.expect("b2", b"b2")


async def calls_at_once_do_not_disturb_each_other(yard: Yard) -> None:
    """Puts, gets, listings and deletes of different objects run at once."""
    bodies = {f"object-{number}": yard.noise(yard.rng.randrange(20_000)) for number in range(20)}

    async def use(name: str, body: bytes) -> None:
        await yard.store.put(yard.key(name), [body])
        await yard.expect(name, body)
        await yard.store.list(yard.key("object"))
        if name.endswith("3"):
            await yard.store.delete(yard.key(name))

    await together(*(use(name, body) for name, body in bodies.items()))
    for name, body in bodies.items():
        if not name.endswith("3"):
            await yard.expect(name, body)


async def objects_are_seen_whole(yard: Yard) -> None:
    """Who reads while an object is replaced sees the old one or the new one."""
    bodies = [bytes([number]) * (200_000 + number) for number in range(4)]
    await yard.store.put(yard.key("object"), [bodies[0]])

    async def replace() -> None:
        for body in bodies[1:]:
            await yard.store.put(yard.key("object"), [body])

    async def look() -> None:
        for _ in range(5):
            got = bytes(await yard.store.get(yard.key("object")))
            yard.require(got in bodies, "a get saw an object that was never put")

    await together(replace(), look(), look())
    await yard.expect("object", bodies[-1])


async def cancelled_puts_let_go_of_the_buffers(yard: Yard) -> None:
    """When a cancelled put is over, its buffers may change: what is there is old, or new and whole."""
    old = yard.noise(1000)
    await yard.store.put(yard.key("object"), [old])
    for steps in range(6):
        new = yard.noise(2 * MIB)
        buffer = bytearray(new)
        task = asyncio.ensure_future(yard.store.put(yard.key("object"), [buffer]))
        await turns(steps)
        task.cancel()
        await asyncio.wait({task})
        buffer[:] = bytes(len(buffer))
        await turns(10)
        got = bytes(await yard.store.get(yard.key("object")))
        yard.require(got in (old, new), "a cancelled put left bytes that were never put")
        old = got


async def keys_are_told_apart(yard: Yard) -> None:
    """All keys that are allowed work, and differ when they differ by case, a dot or their length."""
    names = ["a", "A", "a.json", "a-", "a_", "0", "x" * 200, "x" * 199, "deep/" * 20 + "object", "a..b", "_a"]
    for name in names:
        await yard.store.put(yard.key(name), [name.encode()])
    for name in names:
        await yard.expect(name, name.encode())


async def wrong_keys_are_refused(yard: Yard) -> None:
    """What is no key is `Invalid`, and reaches no store."""
    for key in (
        "",
        "/a",
        "a/",
        "a//b",
        "../a",
        "a/../b",
        ".hidden",
        "a/.b",
        "a b",
        "ä",
        "a\\b",
        "a%2Fb",
        "x" * 701,
        "a\n",
    ):
        await yard.refusal(yard.store.put(key, [b"x"]), f"put of {key!r}", Invalid)
        await yard.refusal(yard.store.create(key, [b"x"]), f"create of {key!r}", Invalid)
        await yard.refusal(yard.store.get(key), f"get of {key!r}", Invalid)
        await yard.refusal(yard.store.delete(key), f"delete of {key!r}", Invalid)
