"""`g2disk info`."""

from __future__ import annotations

from g2disk.cli.options import DEFAULT_ENDPOINT, DiskName, Endpoint, Json
from g2disk.cli.output import entry_document, exact_size, print_facts, print_json
from g2disk.cli.running import run
from g2disk.cli.server import connected
from g2disk.disk import DiskInfo
from g2disk.stores.store import DiskEntry

CAPABILITIES = ("flush", "trim", "zero", "fast_zero", "extents", "cache", "multi_conn")
"""The capabilities of `DiskInfo`, by their names there."""


def info(name: DiskName, endpoint: Endpoint = DEFAULT_ENDPOINT, json: Json = False) -> None:
    """Show a disk: its size and identity, and what it can do."""
    entry, disk = run(_info(endpoint, name))
    able = {capability: bool(getattr(disk, capability)) for capability in CAPABILITIES}
    if json:
        document = entry_document(entry)
        document |= {
            "instance": disk.instance,
            "minimum_block": disk.minimum_block,
            "preferred_block": disk.preferred_block,
            "maximum_request": disk.maximum_request,
            "rotational": disk.rotational,
            "capabilities": able,
        }
        print_json(document)
        return
    print_facts(
        {
            "name": entry.name,
            "size": exact_size(disk.size),
            "allocated": exact_size(entry.allocated),
            "identity": disk.identity or "unknown: the server does not say",
            "access": "read only" if disk.read_only else "read and write",
            "blocks": f"at least {disk.minimum_block}, best {disk.preferred_block} bytes",
            "can": ", ".join(capability for capability, yes in able.items() if yes) or "read and write, nothing else",
            "cannot": ", ".join(capability for capability, yes in able.items() if not yes) or "-",
            "description": entry.description or "-",
        }
    )


async def _info(endpoint: str, name: str) -> tuple[DiskEntry, DiskInfo]:
    async with connected(endpoint) as store:
        return await store.get(name), (await store.open(name)).info()
