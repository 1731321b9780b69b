"""`g2disk info`."""

from __future__ import annotations

from collections.abc import Mapping

from g2disk.cli.options import DEFAULT_ENDPOINT, DiskName, Endpoint, Json
from g2disk.cli.output import entry_document, exact_size, print_facts, print_json
from g2disk.cli.running import run
from g2disk.cli.server import connected
from g2disk.cli.state_facts import state_facts
from g2disk.disk import DiskInfo
from g2disk.stores.store import DiskEntry, StateValue

CAPABILITIES = ("flush", "trim", "zero", "fast_zero", "extents", "cache", "multi_conn")
"""The capabilities of `DiskInfo`, by their names there."""


def info(name: DiskName, endpoint: Endpoint = DEFAULT_ENDPOINT, json: Json = False) -> None:
    """Show a disk or a snapshot: its size and identity, what it can do, and how it stands.

    Of a disk on an object store: where an acknowledged flush is safe now, what is not in the store yet, what the store
    was asked for and about what that costs.
    """
    entry, disk, state = run(_info(endpoint, name))
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
            "state": dict(state),
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
        | state_facts(state)
    )


async def _info(endpoint: str, name: str) -> tuple[DiskEntry, DiskInfo, Mapping[str, StateValue]]:
    async with connected(endpoint) as store:
        disk = (await store.open(name)).info()  # first: of a disk that nobody has opened the server knows less
        return await store.get(name), disk, await store.state(name)
