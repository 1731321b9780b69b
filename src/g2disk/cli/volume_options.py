"""Options of `g2disk serve` for disks on an object store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from g2disk.errors import Invalid, from_os_error
from g2disk.units import parse_size

if TYPE_CHECKING:
    from g2disk.stores.volumes import VolumeStoreOptions

Journal = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        file_okay=False,
        help="Object store: keep journals here, on an SSD; left out: in your data directory.",
    ),
]

JournalSize = Annotated[
    str, typer.Option(metavar="SIZE", help="Object store: the most that a disk's journal takes up; writes wait then.")
]

Cache = Annotated[
    Path | None,
    typer.Option(metavar="DIR", file_okay=False, help="Object store: cache what is read here; left out: in memory."),
]

CacheSize = Annotated[str, typer.Option(metavar="SIZE", help="Object store: the most that the read cache takes up.")]

Durability = Annotated[
    str,
    typer.Option(
        metavar="journal|remote",
        help="Object store: a flush ends when the journal is durable, or when all is in the store; left out: journal.",
    ),
]

DEFAULT_SIZE = "1GiB"
"""Of the journal of a disk, and of the cache."""


@dataclass(frozen=True, slots=True)
class VolumeChoices:
    """The options as they were given."""

    journal: Path | None = None
    journal_size: str = DEFAULT_SIZE
    cache: Path | None = None
    cache_size: str = DEFAULT_SIZE
    durability: str = ""
    key_file: Path | None = None
    key_env: str = ""
    passphrase_file: Path | None = None

    def options_for(self, store: str) -> VolumeStoreOptions | None:
        """What they come to; None where `store` is no object store, which is `Invalid` if any was given.

        Makes the directories that are missing.  Raises a `DiskError` or an OSError.
        """
        from g2disk.stores.opening import is_object_store

        if is_object_store(store):
            return self._options()
        if self != VolumeChoices():
            names = [name for name in self.__slots__ if getattr(self, name) != getattr(VolumeChoices(), name)]
            raise Invalid(
                f"--{names[0].replace('_', '-')} is for disks on an object store, and {store} is none; leave it out"
            )
        return None

    def _options(self) -> VolumeStoreOptions:
        from g2disk.cli.secrets import secret_of
        from g2disk.stores.volumes import VolumeStoreOptions
        from g2disk.volume.settings import JOURNAL, REMOTE, Settings

        for directory in (self.journal, self.cache):
            if directory is not None:  # so that a wrong one is said now, and not when a disk is opened
                _make(directory)
        if self.durability not in ("", JOURNAL, REMOTE):
            raise Invalid(f"--durability is {JOURNAL} or {REMOTE}, not {self.durability!r}")
        return VolumeStoreOptions(
            journal=self.journal,
            cache=self.cache,
            cache_size=parse_size(self.cache_size),
            key=secret_of(self.key_file, self.key_env, self.passphrase_file),
            settings=Settings(durability=self.durability, journal_bytes=parse_size(self.journal_size)),
        )


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise from_os_error(error, f"making the directory {directory}") from error
