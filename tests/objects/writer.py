"""Puts and creates objects in a directory for ever, and says which are done; it is there to be killed."""

from __future__ import annotations

import asyncio
import sys
from random import Random

from g2disk.errors import Exists
from g2disk.objects.directory import DirectoryObjects


def body(key: str, number: int) -> bytes:
    """What the object holds after its put of that number."""
    return Random(f"{key} {number}").randbytes(1000) * (1 + number % 300)


async def write(directory: str, seed: int) -> None:
    """`put` replaces four objects over and over, `create` makes new ones; four of each at once."""
    store = await DirectoryObjects.at(directory)

    async def puts(key: str) -> None:
        for number in range(10**6):
            await store.put(key, [memoryview(body(key, number))])
            sys.stdout.write(f"{key} {number}\n")
            sys.stdout.flush()

    async def creates(folder: str) -> None:
        for number in range(10**6):
            key = f"{folder}/{number % 7}/{number}"
            try:
                await store.create(key, [body(key, number)])
            except Exists:
                continue  # by a run before
            sys.stdout.write(f"{key} {number}\n")
            sys.stdout.flush()

    async with asyncio.TaskGroup() as group:
        for worker in range(4):
            group.create_task(puts(f"put/{worker}"))
            group.create_task(creates(f"created/{seed}/{worker}"))


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], int(sys.argv[2])))
