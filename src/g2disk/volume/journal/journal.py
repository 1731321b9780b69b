"""`Journal`, the changes of one volume that may not be in the object store yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from g2disk.disk import Buffer
from g2disk.errors import DiskError, Invalid, OutOfSpace
from g2disk.units import KIB, MIB
from g2disk.volume.format.journal import HEADER_SPACE, SALT_LENGTH, WRITE, ZERO, Change, FileHeader
from g2disk.volume.journal import parting
from g2disk.volume.journal.commit import Committer
from g2disk.volume.journal.entry import Entry
from g2disk.volume.journal.files import File, Files
from g2disk.volume.journal.keeper import AHEAD, Keeper
from g2disk.volume.journal.mark import Beginning
from g2disk.volume.journal.part import Part
from g2disk.volume.journal.recovery import Found, find
from g2disk.volume.journal.supply import Supply

__all__ = ["WRITE", "ZERO", "Change", "Entry", "Journal"]

_LARGEST_FILE = 64 * MIB
_SMALLEST_FILE = 256 * KIB
_FILES = 8
"""Files that a journal has at least, where its limit allows for it."""
_RECORD = 4 * MIB
"""Larger batches are parted into records of that many bytes."""
_SLACK = 8 * KIB
"""Bytes of a file that headers and tables of records may take, beside the 64 for each change that `room` speaks of."""


@dataclass(frozen=True, slots=True)
class _Owner:
    """What is the same in all headers that one process writes."""

    volume: str
    block_size: int
    key: bytes | None
    random: Random


class Journal:
    """A journal that is open; `begin` comes before the first `append`.

    One task belongs to it, which keeps files ready.  All else happens where it is called.
    """

    id: str
    """Of this journal, 32 hex digits, from the moment when its directory was first used."""
    recovered: Sequence[Entry]
    """What was found, contiguous in sequence; stays readable until it is released."""
    recovered_epoch: int
    """The last epoch that began in this journal; 0 for none."""
    last_sequence: int
    """Of the newest entry; 0 in a new journal."""
    bytes_appended: int
    """Since it was opened, headers of records included."""

    def __init__(self, files: Files, found: Found, owner: _Owner, limit: int) -> None:
        size = min(max(limit // _FILES // HEADER_SPACE * HEADER_SPACE, _SMALLEST_FILE), _LARGEST_FILE)
        self._files = files
        self._owner = owner
        newest = found.newest
        self._mark = found.mark
        self._supply = Supply(files, found.mark, size, max(limit // size, AHEAD), found.names())
        self._keeper = Keeper(self._supply)
        self._committer = Committer(self._sync)
        self._dirty: list[File] = []
        """Files that may have something unsynced, in the journal's order."""
        self._parts = list(found.parts)
        """In the order of their positions; the last is the one that is written to, after `begin`."""
        self._begun = False
        self._full = True
        """Whether nothing may be written to the last part, be there space or not."""
        self._end = found.end
        """Where the last record that counts ends."""
        self._number = newest.number if newest is not None else 0
        self._next_position = max([found.end, *(part.limit for part in found.parts)]) + HEADER_SPACE
        self.id = newest.journal if newest is not None else owner.random.randbytes(16).hex()
        self.recovered = found.entries
        self.recovered_epoch = newest.epoch if newest is not None else 0
        self.last_sequence = found.entries[-1].sequence if found.entries else 0
        self.bytes_appended = 0
        for name, file in found.spare:
            self._supply.give_back(name, file)
        for part in [part for part in self._parts if part.empty]:
            self._parts.remove(part)
            self._supply.give_back(part.name, part.file)

    @classmethod
    async def open(
        cls, files: Files, volume: str, block_size: int, limit: int, key: bytes | None, random: Random
    ) -> Journal:
        """Read what is there, up to the first record that is torn or missing.  What was found is durable then.

        `limit` is the most bytes that the files take up, 512 KiB at least; `key` the data key of an encrypted volume.
        `files` belongs to the journal from now on, also when this raises.  Raises `Invalid` (the journal of another
        volume), `Corrupt` (what was durable is missing or damaged), `Unavailable`.
        """
        try:
            found = await find(files, volume, block_size, key)
        except BaseException:
            files.close()
            raise
        return cls(files, found, _Owner(volume, block_size, key, random), limit)

    async def begin(self, epoch: int, next_sequence: int) -> None:
        """Begin a new epoch, larger than all before; durable when this returns.  The recovered entries stay where they
        are.  The next entry gets `next_sequence`, which is larger than that of any entry before.

        Where the journal was full it takes up a file more than its limit, and has no room, until some are released.
        Raises `OutOfSpace` where the disk has no room for it, `Unavailable`.
        """
        assert epoch > self.recovered_epoch
        assert next_sequence > self.last_sequence
        if self._mark.header is None:
            await self._mark.write(self._header(epoch, 0))
        await self._supply.replenish(1, beyond=True)
        self.last_sequence = next_sequence - 1
        self._go_on(epoch)
        self._begun = True
        await self._committer.wait()
        self._keeper.start()

    def append(self, changes: Sequence[Change]) -> list[Entry]:
        """Add changes, of which there are one or more; returns their entries, several where a change had to be parted.

        Does not wait.  The data is copied before this returns.  Raises `OutOfSpace` (look at `room` before),
        `Unavailable`, `Fenced`: then none of it counts, and the next append takes its place.
        """
        self._committer.check()
        if not self._full and parting.length(changes, self._owner.block_size) <= min(self._parts[-1].space, _RECORD):
            rest: Sequence[Change] = ()
        else:
            changes, rest = (), changes
        before = self._end, self.last_sequence
        try:
            entries = self._write(changes) if changes else []
            while rest:
                space = 0 if self._full else min(self._parts[-1].space, _RECORD)
                front, rest = parting.part(rest, self._owner.block_size, space)
                if front:
                    entries += self._write(front)
                else:
                    self._go_on(self._parts[-1].header.epoch)
        except DiskError:
            self._take_back(*before)
            raise
        return entries

    @property
    def largest_append(self) -> int:
        """Bytes that `wait_for_room` can wait for; larger batches have to be parted."""
        return self._usable(self._supply.size - HEADER_SPACE)

    def room(self) -> int:
        """Bytes that one append may take now: its data, and 64 for each change."""
        rest = 0 if self._full else self._usable(self._parts[-1].space)
        return max(min(rest + self._supply.ready * self.largest_append, self.limit - self.used), 0)

    async def wait_for_room(self, length: int) -> None:
        """Return when `room()` is `length` at least.

        Raises `OutOfSpace` where the disk is full and nothing that could be released is left: repeat it after a while;
        `Unavailable` likewise; `Fenced`.
        """
        if length > self.largest_append:
            raise Invalid(f"the journal cannot take {length} bytes at once: part them, or give it a larger limit")
        attempts = self._keeper.attempts
        self._keeper.wake()
        while self.room() < length:
            self._committer.check()
            self._keeper.check()
            stuck = len(self._parts) == 1 or self._supply.pending
            if stuck and self._keeper.failure is not None and self._keeper.attempts > attempts:
                raise self._keeper.failure
            await self._supply.changed.wait()

    def read(self, position: int, length: int) -> Buffer:
        """Data of one entry, from its position or a later one on; decrypted.  Raises `Unavailable`.

        Not for what was released.  Nothing is checked: blocks are checked where they come from the store.
        """
        for part in reversed(tuple(self._parts)):  # a copy: packing reads in a thread, beside releases
            if part.first <= position:
                return part.read(position, length)
        raise AssertionError(f"{position} was released")

    async def commit(self) -> None:
        """Return when all that was appended before this is on stable storage.  One sync serves all who wait.

        When a sync fails nobody knows what is durable: then this, and all that comes after it, raises `Fenced`.  May be
        cancelled.
        """
        await self._committer.wait()

    def release(self, position: int) -> None:
        """Take back the entries in front of `position`: they are in the object store.  Does not wait.

        `position` is that of the first entry that is still needed, or `end`.  Files that hold none are used again.
        """
        while self._parts and self._parts[0].last < position and not self._is_current(self._parts[0]):
            part = self._parts.pop(0)
            self._supply.release(part.name, part.file, self._beginning())
            self._keeper.wake()

    @property
    def end(self) -> int:
        """The position behind all entries."""
        return self._end

    @property
    def used(self) -> int:
        """Bytes of the files that hold what was not released."""
        return sum(part.limit - part.first for part in self._parts) - (0 if self._full else self._parts[-1].space)

    @property
    def limit(self) -> int:
        """Bytes that the files take up at most."""
        return self._supply.size * self._supply.most

    @property
    def unsynced(self) -> int:
        """Bytes that were appended and are not durable."""
        return self._committer.unsynced

    async def close(self) -> None:
        """Close the files; what was not committed is left to the kernel.  No other call is pending."""
        try:
            await self._keeper.stop()
        finally:
            for part in self._parts:
                part.file.close()
            self._supply.close()
            self._files.close()

    def _beginning(self) -> Beginning:
        if self._parts:
            header = self._parts[0].header
            return Beginning(header.number, header.previous_end, header.epoch)
        return Beginning(self._number + 1, self._end, self.recovered_epoch)

    def _is_current(self, part: Part) -> bool:
        return part is self._parts[-1] and self._begun

    def _usable(self, space: int) -> int:
        return max(space - self._owner.block_size - _SLACK, 0)

    def _write(self, changes: Sequence[Change]) -> list[Entry]:
        part = self._parts[-1]
        start = part.end
        try:
            entries = part.write(self.last_sequence + 1, changes)
        except DiskError:
            self._full = True  # some of it may be there, so its place must not be used again
            raise
        self.last_sequence += len(entries)
        self._end = part.end
        self._committer.written += part.end - start
        self.bytes_appended += part.end - start
        return entries

    def _go_on(self, epoch: int) -> None:
        """Go on in the next file."""
        if not self._supply.ready:
            self._keeper.wake()
            raise OutOfSpace("the journal is full; wait until what it holds is in the object store")
        name, file = self._supply.take()
        self._keeper.wake()
        self._number += 1
        part = Part(name, file, self._header(epoch, self._next_position), self._owner.key)
        self._next_position = part.limit + HEADER_SPACE
        try:
            part.write_header()
        except DiskError:
            self._full = True  # the header may be there, and says that the file before it ends here
            self._supply.give_back(name, file)
            raise
        self._dirty.append(file)
        self._committer.written += HEADER_SPACE
        self._parts.append(part)
        self._full = False

    def _header(self, epoch: int, first_position: int) -> FileHeader:
        owner = self._owner
        return FileHeader(
            journal=self.id,
            volume=owner.volume,
            epoch=epoch,
            number=self._number,
            first_position=first_position,
            first_sequence=self.last_sequence + 1,
            previous_end=self._end,
            block_size=owner.block_size,
            salt=owner.random.randbytes(SALT_LENGTH),
            encrypted=owner.key is not None,
        )

    def _take_back(self, end: int, sequence: int) -> None:
        """Make as if nothing had been written since then: the next file will say that it does not count."""
        if self._end != end:
            self._full = True
            self._end, self.last_sequence = end, sequence

    async def _sync(self) -> None:
        dirty = list(self._dirty)
        try:
            for file in dirty:
                await file.sync()
        except DiskError:
            self._supply.changed.ring()  # who waits for room need not wait any longer
            raise
        # The last one was still written to meanwhile, perhaps.
        self._dirty = self._dirty[len(dirty) - 1 :]
