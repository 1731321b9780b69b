"""`g2disk status`."""

from __future__ import annotations

import os
from typing import Any

from g2disk.attach.detachment import Status
from g2disk.attach.detachment import status as attached
from g2disk.attach.records import Attachment, run_directory
from g2disk.cli.options import Json
from g2disk.cli.output import iso_time, local_time, note, print_json, print_table
from g2disk.cli.running import run
from g2disk.units import format_size

_HEADINGS = (
    "DISK",
    "WHERE",
    "SIZE",
    "STATE",
    "SINCE",
    "IN-FLIGHT",
    "UNFLUSHED",
    "RECONNECTS",
    "TIMEOUT",
    "PROCESS",
    "CAUSE",
)
"""TIMEOUT is the kernel's for a request, and PROCESS the daemon's, or of a file the gateway's."""


def status(json: Json = False) -> None:
    """List what you attached on this machine, and how it is."""
    found = run(attached(run_directory(os.environ)))
    if json:
        print_json({"attachments": [_document(each) for each in found]})
    elif found:
        print_table(_HEADINGS, [_row(each) for each in found])
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
        "daemon_pid": attachment.daemon.pid if attachment.daemon else None,
        "gateway_pid": attachment.gateway.pid if attachment.gateway else None,
    }


def _document(found: Status) -> dict[str, Any]:
    state, cause = _state(found)
    document = attachment_document(found.attachment) | {
        "state": state,
        "cause": cause,
        "since": iso_time(_since(found)),
        "alive": found.alive,
        "connected": found.connected,
    }
    report = found.report
    if report is not None:
        document |= {
            "in_flight": report.in_flight,
            "unflushed_bytes": report.unflushed_bytes,
            "unflushed_requests": report.unflushed_requests,
            "reconnects": report.reconnects,
            "request_timeout": report.request_timeout,
            "sockets_lost": report.sockets_lost,
        }
    return document


def _row(found: Status) -> tuple[str, ...]:
    attachment, report = found.attachment, found.report
    process = attachment.daemon if attachment.kind == "kernel" else attachment.gateway
    state, cause = _state(found)
    return (
        attachment.disk,
        attachment.where,
        format_size(attachment.size),
        state,
        local_time(_since(found)),
        str(report.in_flight) if report else "-",
        format_size(report.unflushed_bytes) if report else "-",
        str(report.reconnects) if report else "-",
        f"{report.request_timeout} s" if report and report.request_timeout else "-",
        str(process.pid) if process else "-",
        cause or "-",
    )


def _since(found: Status) -> float:
    return found.report.since if found.report else found.since


def _state(found: Status) -> tuple[str, str]:
    """The state in a word or two, and its cause, with what to do."""
    if found.report is not None:
        return found.report.condition, found.report.cause
    if not found.alive:
        return _without_process(found)
    if found.attachment.kind == "kernel":
        return "unknown", "daemon does not answer: it is stuck or starting; see its log, or detach with --force"
    if not found.attachment.target:
        return "starting", "being attached"
    return ("connected", "") if found.connected else ("lost", "taken away by somebody else: detach it")


def _without_process(found: Status) -> tuple[str, str]:
    if found.attachment.kind == "fuse":
        return "dead", "the gateway is dead: detach it"
    if found.connected:
        return "dead", "the daemon is dead, requests wait: attach it again, or detach with --force"
    return "gone", "left over: detach it"
