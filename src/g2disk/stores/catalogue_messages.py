"""What a catalogue says, as protobuf messages and back: for the target server and for its client."""

from __future__ import annotations

from collections.abc import Mapping

from g2disk.remote.pb import catalogue_pb2
from g2disk.stores.disk_map import Cell, DiskMap, SegmentFigure
from g2disk.stores.store import DiskEntry, SnapshotEntry, StateValue


def entry_message(entry: DiskEntry) -> catalogue_pb2.DiskEntry:
    """A disk."""
    return catalogue_pb2.DiskEntry(
        name=entry.name,
        identity=entry.identity,
        size=entry.size,
        allocated=entry.allocated,
        read_only=entry.read_only,
        description=entry.description,
    )


def entry_of(message: catalogue_pb2.DiskEntry) -> DiskEntry:
    """The disk of a message."""
    return DiskEntry(
        message.name, message.size, message.identity, message.allocated, message.read_only, message.description
    )


def snapshot_message(entry: SnapshotEntry) -> catalogue_pb2.SnapshotEntry:
    """A snapshot."""
    return catalogue_pb2.SnapshotEntry(name=entry.name, created=entry.created, size=entry.size, clones=entry.clones)


def snapshot_of(message: catalogue_pb2.SnapshotEntry) -> SnapshotEntry:
    """The snapshot of a message."""
    return SnapshotEntry(message.name, message.created, message.size, message.clones)


def state_message(state: Mapping[str, StateValue]) -> dict[str, catalogue_pb2.StateValue]:
    """A disk's state; whole numbers are counts, and none is negative."""
    return {name: _value_message(value) for name, value in state.items()}


def state_of(messages: Mapping[str, catalogue_pb2.StateValue]) -> dict[str, StateValue]:
    """The state in a message, without values of kinds that are not known yet."""
    found: dict[str, StateValue] = {}
    for name, message in messages.items():
        kind = message.WhichOneof("value")
        if kind is not None:
            found[name] = getattr(message, kind)
    return found


def map_message(drawn: DiskMap) -> catalogue_pb2.MapReply:
    """The map of a disk."""
    cells, segments = drawn.cells, drawn.segments
    return catalogue_pb2.MapReply(
        cell_bytes=drawn.cell_bytes,
        written=[cell.written for cell in cells],
        oldest=[cell.oldest for cell in cells],
        newest=[cell.newest for cell in cells],
        segment_number=[segment.number for segment in segments],
        segment_epoch=[segment.epoch for segment in segments],
        segment_total=[segment.total for segment in segments],
        segment_live=[segment.live for segment in segments],
        segment_stored=[segment.stored for segment in segments],
        segment_is_map=[segment.is_map for segment in segments],
    )


def map_of(message: catalogue_pb2.MapReply, offset: int, length: int) -> DiskMap | None:
    """The map in a message about that range; None where its columns do not go together."""
    cells = (message.written, message.oldest, message.newest)
    segments = (
        message.segment_number,
        message.segment_epoch,
        message.segment_total,
        message.segment_live,
        message.segment_stored,
        message.segment_is_map,
    )
    covered = message.cell_bytes * len(message.written)
    lengths = [[len(column) for column in table] for table in (cells, segments)]
    if any(len(set(each)) > 1 for each in lengths) or covered < length:
        return None
    return DiskMap(
        offset,
        length,
        message.cell_bytes,
        [Cell(*row) for row in zip(*cells, strict=True)],
        [SegmentFigure(*row) for row in zip(*segments, strict=True)],
    )


def _value_message(value: StateValue) -> catalogue_pb2.StateValue:
    match value:
        case bool():
            return catalogue_pb2.StateValue(flag=value)
        case int():
            return catalogue_pb2.StateValue(count=value)
        case float():
            return catalogue_pb2.StateValue(amount=value)
    return catalogue_pb2.StateValue(text=value)
