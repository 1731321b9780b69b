"""`g2disk status`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from g2disk.attach.detachment import Status
from g2disk.attach.detachment import status as attached
from g2disk.attach.records import Attachment, run_directory
from g2disk.cli.options import Json
from g2disk.cli.output import note, print_json, print_table
from g2disk.units import format_size


def status(json: Json = False) -> None:
    """List what you attached on this machine."""
    found = attached(run_directory(os.environ))
    if json:
        print_json({"attachments": [_document(each) for each in found]})
    elif found:
        print_table(("DISK", "WHERE", "SIZE", "SINCE", "STATE", "ENDPOINT"), [_row(each) for each in found])
    else:
        note("nothing is attached")


def attachment_document(attachment: Attachment) -> dict[str, Any]:
    """An attachment for JSON."""
    return {
        "disk": attachment.disk,
        "kind": attachment.kind,
        "path": attachment.target or None,
        "size": attachment.size,
        "read_only": attachment.read_only,
        "endpoint": attachment.endpoint,
        "identity": attachment.identity,
        "gateway_pid": attachment.gateway.pid if attachment.gateway else None,
    }


def _document(found: Status) -> dict[str, Any]:
    return attachment_document(found.attachment) | {
        "since": datetime.fromtimestamp(found.since, UTC).isoformat(timespec="seconds"),
        "gateway_alive": found.gateway_alive,
        "connected": found.connected,
    }


def _row(found: Status) -> tuple[str, ...]:
    attachment = found.attachment
    since = datetime.fromtimestamp(found.since, UTC).astimezone()
    return (
        attachment.disk,
        attachment.where,
        format_size(attachment.size),
        f"{since:%Y-%m-%d %H:%M:%S}",
        _state(found),
        attachment.endpoint,
    )


def _state(found: Status) -> str:
    if not found.attachment.target:
        return "being attached" if found.gateway_alive else "left over: detach it"
    if not found.gateway_alive:
        return "gateway dead: detach it"
    return "attached" if found.connected else "disconnected by somebody else: detach it"
