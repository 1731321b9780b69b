"""`g2disk gc`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from g2disk.cli.options import Json
from g2disk.cli.output import note, print_json, print_line
from g2disk.cli.running import run
from g2disk.cli.secrets import KeyEnvironment, KeyFile, PassphraseFile
from g2disk.cli.volume_options import Journal, VolumeChoices
from g2disk.errors import Invalid
from g2disk.stores.opening import is_object_store
from g2disk.units import format_size

if TYPE_CHECKING:
    from g2disk.stores.volumes import VolumeStoreOptions

_RATIO = 0.8
"""Segments with a smaller part of them in use are rewritten: more than what the server does by itself is asked for."""
_ROUNDS = 3
"""What the first moves is dead for the second, and what that commits frees maps for the third."""


def gc(
    store: Annotated[str, typer.Argument(metavar="STORE", help="s3://BUCKET/PREFIX, gs://…, az://… or objects:DIR.")],
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="The disks; left out: all.")] = None,
    journal: Journal = None,
    key_file: KeyFile = None,
    key_env: KeyEnvironment = "",
    passphrase_file: PassphraseFile = None,
    json: Json = False,
) -> None:
    """Free at once what disks on an object store need no more; a server does the same by itself, bit by bit.

    Stop the server before, and give its --journal: this opens the disks as it does, and would fence it.
    """
    if not is_object_store(store):
        raise Invalid(f"{store} is no object store: only disks on one have garbage")
    options = VolumeChoices(
        journal=journal, key_file=key_file, key_env=key_env, passphrase_file=passphrase_file
    ).options_for(store)
    assert options is not None
    results = run(_gc(store, names or [], options))
    if json:
        print_json({"disks": results})
        return
    if not results:
        note(f"there is no disk in {store}")
    for one in results:
        freed = format_size(one["deleted_bytes"])
        print_line(
            f"{one['name']}: deleted {one['deleted']} objects, {freed}, and {one['orphans']} that nothing listed"
        )


async def _gc(url: str, names: list[str], options: VolumeStoreOptions) -> list[dict[str, Any]]:
    from g2disk.stores.volumes import VolumeStore
    from g2disk.volume.gc import Collected, Collector
    from g2disk.volume.gc.collector import GRACE
    from g2disk.volume.volume import Volume

    store = await VolumeStore.at(url, replace(options, settings=replace(options.settings, gc_ratio=0.0)))
    results: list[dict[str, Any]] = []
    try:
        for name in names or [entry.name for entry in await store.list()]:
            volume = await store.open(name)
            if not isinstance(volume, Volume):
                raise Invalid(f"{name} is a snapshot: collect its disk")
            collector, done = Collector(volume), Collected()
            for _ in range(_ROUNDS):
                done += await collector.collect(_RATIO, worth=False)
            done += await collector.delete_orphans(GRACE)
            results.append(
                {
                    "name": name,
                    "moved_blocks": done.moved_blocks,
                    "deleted": done.deleted,
                    "deleted_bytes": done.deleted_bytes,
                    "orphans": done.orphans,
                }
            )
            for number, why in collector.damaged.items():
                note(f"{name}: segment {number} was left alone: {why}")
    finally:
        await store.close()
    return results
