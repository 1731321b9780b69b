"""`g2disk rekey`."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Annotated

import typer

from g2disk.cli.options import Json
from g2disk.cli.output import note, print_json, print_line
from g2disk.cli.running import run
from g2disk.cli.secrets import KeyEnvironment, KeyFile, PassphraseFile, secret_of
from g2disk.cli.volume_options import Journal
from g2disk.clock import SystemClock
from g2disk.errors import Invalid
from g2disk.objects.opening import open_object_store
from g2disk.stores.rekeying import Rekeying
from g2disk.stores.volumes import default_journal
from g2disk.threads import Crew
from g2disk.volume.format.keys import Secret


def rekey(
    store: Annotated[str, typer.Argument(metavar="STORE", help="s3://BUCKET/PREFIX, gs://…, az://… or objects:DIR.")],
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="The disks; left out: all that are encrypted.")
    ] = None,
    journal: Journal = None,
    key_file: KeyFile = None,
    key_env: KeyEnvironment = "",
    passphrase_file: PassphraseFile = None,
    new_key_file: Annotated[Path | None, typer.Option(metavar="FILE", help="The new one: as --key-file.")] = None,
    new_key_env: Annotated[str, typer.Option(metavar="VARIABLE", help="The new one: as --key-env.")] = "",
    new_passphrase_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The new one: as --passphrase-file; - asks for it twice.")
    ] = None,
    json: Json = False,
) -> None:
    """Change the key or the passphrase of encrypted disks, whatever their size.

    What is stored is not encrypted again: each disk has a key of its own, and that is kept under yours. Who knew the
    old one, and has a manifest of that time, can read the disk still.

    Stop the server before: it would be fenced. One that runs on this machine is noticed, given its --journal.
    """
    present = secret_of(key_file, key_env, passphrase_file, "Present passphrase")
    new = secret_of(new_key_file, new_key_env, new_passphrase_file, "New passphrase", twice=True)
    if present is None:
        raise Invalid("give the present key with --key-file, --key-env or --passphrase-file")
    if new is None:
        raise Invalid("give the new key with --new-key-file, --new-key-env or --new-passphrase-file")
    changed = run(_rekey(store, journal, names or [], present, new))
    if json:
        print_json({"changed": changed})
    elif changed:
        print_line(f"changed the key of {', '.join(changed)}")


async def _rekey(url: str, journal: Path | None, names: list[str], present: Secret, new: Secret) -> list[str]:
    objects = await open_object_store(url, make=False)
    crew = Crew(1, "g2disk-key")
    try:
        work = Rekeying(objects, journal or default_journal(url), crew, SystemClock(), random.SystemRandom())
        wanted = names or await work.encrypted()
        if not wanted:
            note(f"there is no encrypted disk in {url}")
        changed: list[str] = []
        try:
            for name in wanted:
                if await work.rekey(name, present, new):
                    changed.append(name)
                else:
                    note(f"{name} has that key already")
        except BaseException:
            if changed:
                note(f"the key of {', '.join(changed)} was changed before that")
            raise
        return changed
    finally:
        crew.stop()
        await objects.close()
