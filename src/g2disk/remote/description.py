"""What a target server says of a disk, checked."""

from __future__ import annotations

from g2disk.disk import DiskInfo
from g2disk.errors import Corrupt
from g2disk.remote.pb import disk_pb2
from g2disk.remote.pieces import BEST_PIECE
from g2disk.units import MAXIMUM_DISK_SIZE, MIB

SAFE_TRANSFER = MIB
"""Bytes of data in one message for a server that names no limit: well below gRPC's default limit of 4 MiB."""


def info_of(said: disk_pb2.DescribeReply, endpoint: str) -> DiskInfo:
    """The disk that the server at `endpoint` describes.  Raises `Corrupt` for what can be no disk."""
    minimum, preferred, size = said.minimum_block or 1, said.preferred_block, said.size
    wrong = ""
    if not 0 < size <= MAXIMUM_DISK_SIZE:
        wrong = f"a disk of {size} bytes was described"
    elif minimum & (minimum - 1) or minimum > 65536 or size % minimum:
        wrong = f"a smallest block of {minimum} bytes was described, for a disk of {size} bytes"
    elif preferred & (preferred - 1):
        wrong = f"a preferred block of {preferred} bytes was described"
    if wrong:
        raise Corrupt(f"{wrong}; the target server at {endpoint} is broken")
    can = said.capabilities
    return DiskInfo(
        size=size,
        identity=said.identity,
        instance=said.instance,
        description=said.description,
        minimum_block=minimum,
        preferred_block=max(preferred or 4096, minimum),
        read_only=said.read_only,
        flush=can.flush,
        trim=can.trim,
        zero=can.zero,
        fast_zero=can.zero and can.fast_zero,
        extents=can.extents,
        cache=can.cache,
        multi_conn=can.multi_conn,
        rotational=can.rotational,
    )


def transfer_of(said: disk_pb2.DescribeReply, most: int = BEST_PIECE) -> int:
    """Bytes of data that may go in one message: what the server and `most` allow, in whole blocks, and at least one."""
    minimum = said.minimum_block or 1
    transfer = min(said.maximum_transfer or SAFE_TRANSFER, BEST_PIECE, most)
    return max(transfer - transfer % minimum, minimum)
