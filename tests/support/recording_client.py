"""A gateway's client half that writes until it is killed, and says what it asked for and what was answered.

python -m tests.support.recording_client ENDPOINT RECORD SEED KEEP-DATA
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from g2disk.remote.connection import Connection
from g2disk.remote.disk import RemoteDisk
from g2disk.remote.record_file import RecordFile
from g2disk.remote.terms import Terms

CLIENT = b"one and the same"
BLOCK = 4096
WRITERS, BLOCKS_EACH = 16, 4


def terms(record: RecordFile, generation: int) -> Terms:
    """Those of one device, whichever process has it."""
    return Terms(patient=True, client=CLIENT, generation=generation, record=record)


def content(block: int, version: int) -> bytes:
    """Of a block, of which any part tells the version."""
    return (block.to_bytes(4, "little") + version.to_bytes(4, "little")) * (BLOCK // 8)


async def write(disk: RemoteDisk, writer: int, rng: random.Random) -> None:
    """Write one version after the other of the blocks of this writer, with a flush in the beginning."""
    for version in range(1, 1 << 30):
        block = writer * BLOCKS_EACH + rng.randrange(BLOCKS_EACH)
        say(f"asked {block} {version}")
        await disk.write(block * BLOCK, content(block, version), fua=rng.random() < 0.05)
        say(f"answered {block} {version}")
        if version == 10:
            await disk.flush()


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def main(endpoint: str, directory: Path, seed: int, keep_data: bool) -> None:
    record = RecordFile.open(directory, keep_data)
    disk = await RemoteDisk.open(Connection(endpoint, 20), "", terms=terms(record, 1))
    async with asyncio.TaskGroup() as tasks:
        for writer in range(WRITERS):
            tasks.create_task(write(disk, writer, random.Random(seed * WRITERS + writer)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "True"))
