"""Opening a volume for writing: claim the next epoch, find what the epoch before left, and agree with the journal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from g2disk.errors import Corrupt, Fenced, NotFound
from g2disk.units import format_size
from g2disk.volume.chain import ManifestChain
from g2disk.volume.format.manifest import MOST_EPOCHS, EpochRecord, Head, Manifest, Run
from g2disk.volume.format.names import SegmentName
from g2disk.volume.format.sealing import Sealer
from g2disk.volume.format.segment import SegmentIndex, SegmentKind
from g2disk.volume.indexes import load_index
from g2disk.volume.journal.entry import WRITE, Entry
from g2disk.volume.journal.journal import Journal
from g2disk.volume.map.block_map import BlockMap
from g2disk.volume.stored import Source, StoredBytes
from g2disk.volume.workers import Workers

_AHEAD = 8
"""Indexes that are read at once."""
_CLAIMS = 16
"""Attempts to be the newest writer while others try the same."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A volume that is ours, as far as the store goes."""

    manifest: Manifest
    replay: Sequence[Entry]
    """What the journal has and the store has not, in order."""


async def claim(
    chain: ManifestChain, journal: Journal, stored: StoredBytes, sealer: Sealer, workers: Workers
) -> Claimed:
    """Take the next epoch, accept the segments of the one before, and begin it in the journal.

    Raises `NotFound`, `Fenced` (the journal holds flushed data that a later writer did not know), `Corrupt`.
    """
    manifest, journal_counts = await _take_epoch(chain, journal)
    accepted = await _accept(manifest, stored, sealer, workers)
    record = EpochRecord(epoch=manifest.epoch, journal=journal.id, sequence=accepted.sequence, first=accepted.next)
    manifest = await chain.commit(
        msgspec.structs.replace(manifest, head=accepted, epochs=(*manifest.epochs, record)[-MOST_EPOCHS:])
    )
    replay = _replay(journal, accepted.sequence) if journal_counts else []
    await journal.begin(manifest.epoch, (replay[-1].sequence if replay else accepted.sequence) + 1)
    _release(journal, len(journal.recovered) - len(replay))
    return Claimed(manifest, replay)


async def _take_epoch(chain: ManifestChain, journal: Journal) -> tuple[Manifest, bool]:
    """Commit the next epoch; returns that manifest, and whether the journal's entries count."""
    for attempt in range(_CLAIMS):
        manifest = await chain.load()
        journal_counts = continues(manifest, journal)
        try:
            claimed = await chain.commit(msgspec.structs.replace(manifest, epoch=manifest.epoch + 1))
        except Fenced:
            if attempt == _CLAIMS - 1:
                raise
        else:
            return claimed, journal_counts
    raise AssertionError("unreachable")


def continues(manifest: Manifest, journal: Journal) -> bool:
    """Whether the journal is the newest part of the volume; False where the store has all that it holds.

    Raises `Fenced` where another writer has gone on without what was flushed to this journal.
    """
    if not journal.recovered_epoch:
        return False
    if journal.recovered_epoch > manifest.epoch:
        raise Corrupt(
            f"the journal has seen epoch {journal.recovered_epoch} of volume {manifest.volume}, the store only "
            f"{manifest.epoch}: the store lost something, or is an old copy; restore it, or move the journal away"
        )
    foreign = _first_foreign(manifest.epochs, journal)
    if foreign is None:
        return True
    missing = [entry for entry in journal.recovered if entry.sequence > foreign.sequence]
    if not missing:
        return False
    size = sum(entry.count for entry in missing if entry.kind == WRITE) * manifest.block_size
    raise Fenced(
        f"the volume {manifest.volume} was opened elsewhere (epoch {foreign.epoch}) without this journal, which holds "
        f"{format_size(size) if size else 'changes'} that the store lacks; to give them up, move the journal's "
        "directory away"
    )


def _first_foreign(epochs: Sequence[EpochRecord], journal: Journal) -> EpochRecord | None:
    """The first later epoch that another journal began."""
    if epochs and journal.recovered_epoch < epochs[0].epoch - 1:
        return epochs[0]  # nobody knows any more what lies between
    later = (record for record in epochs if record.epoch > journal.recovered_epoch)
    return next((record for record in later if record.journal != journal.id), None)


async def _accept(manifest: Manifest, stored: StoredBytes, sealer: Sealer, workers: Workers) -> Head:
    """The head with the segments that the last epoch put behind it, up to the first that is missing.

    Each is asked for by its name, after the claim: see the package's orderings 4 and 5.
    """
    head = manifest.head
    if not manifest.epochs:
        return head
    epoch, end, sequence = manifest.epochs[-1].epoch, head.next, head.sequence
    while True:
        names = [SegmentName(number, epoch) for number in range(end, end + _AHEAD)]
        found = await load_present(names, manifest, stored, sealer, workers)
        for index in found:
            if index.kind == SegmentKind.DATA:
                if index.first_sequence != sequence + 1:
                    raise Corrupt(
                        f"segment {end:x} of volume {manifest.volume} begins with change {index.first_sequence}, "
                        f"and what is before it ends with {sequence}; run g2disk fsck"
                    )
                sequence = index.last_sequence
            end += 1
        if len(found) < _AHEAD:
            return extended(head, end, epoch, sequence)


def extended(head: Head, end: int, epoch: int, sequence: int) -> Head:
    """The head with the segments up to `end` (exclusive) of `epoch` as a part of its runs."""
    if end == head.next:
        return msgspec.structs.replace(head, sequence=sequence)
    last = head.runs[-1] if head.runs else None
    if last is not None and last.epoch == epoch:
        runs = (*head.runs[:-1], Run(first=last.first, end=end, epoch=epoch))
    else:
        runs = (*head.runs, Run(first=head.next, end=end, epoch=epoch))
    return msgspec.structs.replace(head, runs=runs, next=end, sequence=sequence)


async def load_present(
    names: Sequence[SegmentName], manifest: Manifest, stored: StoredBytes, sealer: Sealer, workers: Workers
) -> list[SegmentIndex]:
    """The indexes of these segments, in order, up to the first that is missing; read all at once."""
    sources = [Source(manifest.owner(name.number), name) for name in names]
    tasks = [workers.start(load_index(stored, source, sealer)) for source in sources]
    found: list[SegmentIndex] = []
    try:
        while len(found) < len(tasks):
            found.append(await workers.outcome(tasks[len(found)]))
    except NotFound:
        return found
    finally:
        for task in tasks:
            task.cancel()
    return found


async def apply_runs(
    map_: BlockMap, manifest: Manifest, head: Head, stored: StoredBytes, sealer: Sealer, workers: Workers
) -> None:
    """Let the runs of `head` take effect on the map of its root.  Raises `Corrupt` where a segment is missing."""
    for run in head.runs:
        for first in range(run.first, run.end, _AHEAD):
            names = [SegmentName(number, run.epoch) for number in range(first, min(first + _AHEAD, run.end))]
            found = await load_present(names, manifest, stored, sealer, workers)
            for index in found:
                await map_.apply(index)
            if len(found) < len(names):
                raise Corrupt(f"the store lost the segment {manifest.segment_key(names[len(found)])}; run g2disk fsck")


def _replay(journal: Journal, sequence: int) -> list[Entry]:
    """The journal's entries behind `sequence`, which is the last that the store has."""
    replay = [entry for entry in journal.recovered if entry.sequence > sequence]
    if replay and replay[0].sequence != sequence + 1:
        raise Corrupt(
            f"the journal goes on with change {replay[0].sequence}, the store ends with {sequence}: the store lost "
            "segments that it had acknowledged; run g2disk fsck"
        )
    return replay


def _release(journal: Journal, count: int) -> None:
    """Give back the first `count` recovered entries, which the store has."""
    if count:
        journal.release(journal.recovered[count - 1].position + 1)
