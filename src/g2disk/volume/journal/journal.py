"""`Journal`, the changes of one volume that may not be in the object store yet."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from g2disk.disk import Buffer
from g2disk.volume.journal.entry import WRITE, ZERO, Entry
from g2disk.volume.journal.files import Files

__all__ = ["WRITE", "ZERO", "Change", "Entry", "Journal"]

Change = tuple[int, int, int, Buffer | None]
"""Kind (`WRITE` or `ZERO`), first block, count of blocks, and the data of a write."""


class Journal:
    """A journal that is open; `begin` comes before the first `append`."""

    id: str
    """Of this journal, 32 hex digits, from the moment when its directory was first used."""
    recovered: Sequence[Entry]
    """What was found, contiguous in sequence; stays readable until it is released."""
    recovered_epoch: int
    """The last epoch that began in this journal; 0 for none."""
    last_sequence: int
    """Of the newest entry; 0 in a new journal."""
    bytes_appended: int
    """Since it was opened, headers included."""

    @classmethod
    async def open(
        cls, files: Files, volume: str, block_size: int, limit: int, key: bytes | None, random: Random
    ) -> Journal:
        """Read what is there, up to the first record that is torn or missing.  What was found is durable then.

        `limit` is the most bytes that the files take up, `key` the data key of an encrypted volume.  `files` belongs
        to the journal from now on, also when this raises.  Raises `Invalid` (the journal of another volume),
        `Corrupt` (what was durable is missing or damaged), `Unavailable`.
        """
        raise NotImplementedError

    async def begin(self, epoch: int, next_sequence: int) -> None:
        """Begin a new epoch, larger than all before; durable when this returns.  The recovered entries stay where
        they are.

        The next entry gets `next_sequence`.  Raises `OutOfSpace` where the disk has no room for two files.
        """
        raise NotImplementedError

    def append(self, changes: Sequence[Change]) -> list[Entry]:
        """Add changes, of which there are one or more; returns their entries, several where a change had to be parted.

        Does not wait.  The data is copied before this returns.  Raises `OutOfSpace` (look at `room` before),
        `Unavailable`, `Fenced`: then none of it counts, and the next append takes its place.
        """
        raise NotImplementedError

    @property
    def largest_append(self) -> int:
        """Bytes that `wait_for_room` can wait for; larger batches have to be parted."""
        raise NotImplementedError

    def room(self) -> int:
        """Bytes of data that one append may take now; 64 more are needed for each change."""
        raise NotImplementedError

    async def wait_for_room(self, length: int) -> None:
        """Return when `room()` is `length` at least.

        Raises `OutOfSpace` where the disk is full and nothing that could be released is left: repeat it after a
        while; `Fenced`.
        """
        raise NotImplementedError

    def read(self, position: int, length: int) -> Buffer:
        """Data of one entry, from its position or a later one on; decrypted.  Raises `Unavailable`.

        Not for what was released.  Nothing is checked: blocks are checked where they come from the store.
        """
        raise NotImplementedError

    async def commit(self) -> None:
        """Return when all that was appended before this is on stable storage.  One sync serves all who wait.

        When a sync fails nobody knows what is durable: then this, and all that comes after it, raises `Fenced`.  May
        be cancelled.
        """
        raise NotImplementedError

    def release(self, position: int) -> None:
        """Take back what is in front of `position`: it is in the object store.  Does not wait."""
        raise NotImplementedError

    @property
    def used(self) -> int:
        """Bytes of the files that hold what was not released."""
        raise NotImplementedError

    @property
    def limit(self) -> int:
        """Bytes that the files take up at most."""
        raise NotImplementedError

    @property
    def unsynced(self) -> int:
        """Bytes that were appended since the last sync began."""
        raise NotImplementedError

    async def close(self) -> None:
        """Close the files; what was not committed is left to the kernel.  No other call is pending."""
        raise NotImplementedError
