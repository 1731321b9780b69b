"""`Resources`, what a volume works with; whoever opens it makes them, and closes them after it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

from g2disk.clock import Clock
from g2disk.threads import Runner

if TYPE_CHECKING:
    from g2disk.objects.store import ObjectStore
    from g2disk.volume.cache import ReadCache
    from g2disk.volume.journal.files import Files


@dataclass(frozen=True, slots=True)
class Resources:
    """The parts that volumes get from outside, so that a simulation can give them others."""

    objects: ObjectStore
    """The bare store; a volume adds its own layers: metered, then those that repeat."""
    files: Files | None
    """Where the journal is; belongs to this volume alone.  None where nothing is written."""
    cache: ReadCache
    """May be shared with other volumes."""
    runner: Runner
    """For building and reading segments."""
    clock: Clock
    random: Random
    """For tokens, keys and backoff; unpredictable where it matters to anybody."""

    def with_files(self, files: Files) -> Resources:
        """The same, with a journal's directory."""
        return replace(self, files=files)
