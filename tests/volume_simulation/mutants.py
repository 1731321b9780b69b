"""Plausible bugs in the volume engine, each a replacement in the source of a real module; run as a program, this
simulates with one of them: `python -m tests.volume_simulation.mutants NAME FIRST LAST`.

A mutant is caught when a run of it is wrong.  It prints the seed of the first such run, or nothing.
"""

from __future__ import annotations

import importlib
import logging
import sys
from typing import Any

from tests.simulation.mutation import Mutant, install

_CHAIN, _RECOVERY = "g2disk.volume.chain", "g2disk.volume.recovery"
_PACKING, _UPLOADING, _VOLUME = "g2disk.volume.packing", "g2disk.volume.uploading", "g2disk.volume.volume"
_CHANGES, _COLLECTING, _REBASING = "g2disk.volume.changes", "g2disk.volume.collecting", "g2disk.volume.rebasing"
_WATCHING, _CHECKPOINTING = "g2disk.volume.watching", "g2disk.volume.checkpointing"
_COLLECTOR, _ORPHANS, _SNAPSHOTS = "g2disk.volume.gc.collector", "g2disk.volume.gc.orphans", "g2disk.volume.snapshots"
_TABLE, _JOURNAL = "g2disk.volume.map.table", "g2disk.volume.journal.recovery"
_COMMIT, _READING = "g2disk.volume.journal.commit", "g2disk.volume.reading"

MUTANTS = [
    Mutant(
        "a commit without an answer is taken for done",
        _CHAIN,
        "                attempts += 1\n",
        "                return\n                attempts += 1\n",
    ),
    Mutant(
        "whoever has the version, the commit is taken for ours",
        _CHAIN,
        "if there is not None and there.token == token:",
        "if there is not None:",
    ),
    Mutant("no newer manifest is ever seen", _CHAIN, "if later.token not in self._tokens:", "if later is None:"),
    Mutant(
        "the segments of the epoch before are looked for before the claim",
        _RECOVERY,
        "    manifest, journal_counts = await _take_epoch(chain, journal)\n"
        "    accepted = await _accept(manifest, stored, sealer, workers)\n",
        "    accepted = await _accept(await chain.load(), stored, sealer, workers)\n"
        "    manifest, journal_counts = await _take_epoch(chain, journal)\n",
    ),
    Mutant(
        "what was accepted is not committed",
        _RECOVERY,
        "msgspec.structs.replace(manifest, head=accepted, epochs=",
        "msgspec.structs.replace(manifest, epochs=",
    ),
    Mutant(
        "only the manifest's segments are accepted",
        _RECOVERY,
        "    if not manifest.epochs:\n        return head\n",
        "    if not manifest.epochs or manifest.epochs:\n        return head\n",
    ),
    Mutant(
        "the journal of a writer that was replaced is taken",
        _RECOVERY,
        "    if foreign is None:\n",
        "    if journal.recovered_epoch:\n",
    ),
    Mutant(
        "the journal is not replayed",
        _RECOVERY,
        "replay = _replay(journal, accepted.sequence) if journal_counts else []",
        "replay: list[Entry] = []",
    ),
    Mutant(
        "the first version of a block is packed",
        _PACKING,
        "keep[:-1] = ordered[1:] != ordered[:-1]",
        "keep[1:] = ordered[1:] != ordered[:-1]",
    ),
    Mutant(
        "blocks that were zeroed after they were written are packed",
        _PACKING,
        "keep[first:end] &= written[first:end] > moment",
        "keep[first:end] &= written[first:end] >= 0",
    ),
    Mutant(
        "blocks that were written after they were zeroed are left out",
        _PACKING,
        "keep[first:end] &= written[first:end] > moment",
        "keep[first:end] = False",
    ),
    Mutant(
        "the journal is released before the segment is stored",
        _UPLOADING,
        "            return await self._put(number, SegmentKind.DATA,",
        "            self._release(entries[-1])\n            return await self._put(number, SegmentKind.DATA,",
    ),
    Mutant(
        "a flush to the store does not wait for the store",
        _UPLOADING,
        "        for shipment in tuple(self._shipments):\n            await self._workers.outcome(shipment.stored)\n",
        "",
    ),
    Mutant(
        "a flush to the store does not look for a newer writer",
        _WATCHING,
        "                await self.check()\n                self._confirmed",
        "                self._confirmed",
    ),
    Mutant(
        "a flush does not sync the journal", _VOLUME, "            await self.journal.commit()\n", "            pass\n"
    ),
    Mutant(
        "a flush takes a sync that had begun before it",
        _COMMIT,
        "            if self._running:\n                await self._ended.wait()\n",
        "            if self._running:\n                await self._ended.wait()\n                return\n",
    ),
    Mutant(
        "a checkpoint leaves out segments on their way",
        _CHECKPOINTING,
        "            applied=uploader.applied,\n            runs=(),\n            next=uploader.applied,\n",
        "            applied=uploader.next,\n            runs=(),\n            next=uploader.next,\n",
    ),
    Mutant(
        "map objects are written over",
        _CHECKPOINTING,
        "            self.next_map = writer.next\n",
        "            pass\n",
    ),
    Mutant(
        "a part of a block is written over what was written meanwhile",
        _CHANGES,
        "            if edge.touched:\n                continue\n",
        "",
    ),
    Mutant(
        "blocks that only the journal knows are collected",
        _COLLECTING,
        "                    if kind != BELOW:\n",
        "                    if kind is None:\n",
    ),
    Mutant(
        "blocks that were stored anew meanwhile are collected",
        _COLLECTING,
        "            keep = current == expected\n",
        "            keep = expected == expected\n",
    ),
    Mutant(
        "segments are deleted before the manifest is committed",
        _COLLECTOR,
        "            await to_the_end(self._forget(segments, maps))\n",
        "            await self._delete(keys)\n            await to_the_end(self._forget(segments, maps))\n",
    ),
    Mutant(
        "garbage collection forgets snapshots",
        _COLLECTOR,
        "        snapshots = [snapshot.head for snapshot in manifest.snapshots]\n        return",
        "        snapshots: list[Head] = []\n        return",
    ),
    Mutant(
        "segments on their way are orphans",
        _ORPHANS,
        "return name.number < (self.next_map if isinstance(name, MapName) else self.applied)",
        "return True",
    ),
    Mutant(
        "a snapshot is made of what the store has",
        _SNAPSHOTS,
        "        head = await volume.settle_to_store()\n",
        "        head = volume.manifest.head\n",
    ),
    Mutant(
        "a rollback forgets the snapshot's last segments",
        _REBASING,
        "    await apply_runs(own, volume.manifest, head, parts.stored, parts.sealer, parts.workers)\n",
        "",
    ),
]


def simulate_mutant(mutant: Mutant, seeds: range) -> tuple[int, str] | None:
    """The first seed that catches it, and what was wrong.  Only in a process that has not imported the module yet."""
    install(mutant)
    simulate: Any = importlib.import_module("tests.volume_simulation.run").simulate
    for seed in seeds:
        verdict = simulate(seed)
        if verdict.wrong:
            return seed, verdict.wrong[0]
    return None


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    found = simulate_mutant(
        next(mutant for mutant in MUTANTS if mutant.name == sys.argv[1]), range(int(sys.argv[2]), int(sys.argv[3]))
    )
    if found is not None:
        print(*found)
