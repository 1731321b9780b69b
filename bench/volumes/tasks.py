"""The measurements, by name.  To add one, add it here, and its rows to `bench.volume_report`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

from bench.volumes import amplification, giant, recovery, streams, syncs

Phase: TypeAlias = Callable[[Path, float], Awaitable[dict[str, float]]]
"""Takes a directory and the share of the full work to be done; its figures by name."""

TASKS: dict[str, tuple[Phase, ...]] = {
    "syncs": (syncs.measure,),
    "streams": (streams.on_a_directory,),
    "streams-one-device": (streams.on_one_device,),
    "streams-s3": (streams.on_s3,),
    "uncollected": (amplification.without_collection,),
    "collected": (amplification.with_collection,),
    "giant": (giant.fill_pieces, giant.use),
    "giant-blocks": (giant.fill_blocks, giant.use),
    "recovery": (recovery.fill_pieces, recovery.recover),
    "recovery-blocks": (recovery.fill_blocks, recovery.recover),
}
"""Each is some phases, one after the other in the same directory, each in a process of its own."""

ONCE = frozenset({"uncollected", "collected", "giant", "giant-blocks", "recovery", "recovery-blocks"})
"""Measured in the first round only: their figures are counts, or take long to come by."""
