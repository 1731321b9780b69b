"""Batches of a Session as a server sees them: the columns of a message turned into requests, and outcomes into columns.

Source: proto/g2disk/v1/disk.proto, "COLUMNS" and "REPLIES".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from g2disk.disk import Extent
from g2disk.errors import DiskError, Invalid, kind_of_error
from g2disk.remote.pb import disk_pb2
from g2disk.remote.session_codec import Data, RequestMessage, encode_replies
from g2disk.request import CACHE, EXTENTS, FAST, FLUSH, FUA, KEEP_ALLOCATED, READ, TRIM, WRITE, ZERO, Request
from g2disk.units import MIB

MARGIN = 4096
"""Bytes that a message may have around its largest piece of data."""

_LONGEST = 600
"""Characters of an error's message, as in a status."""

_HOLE, _ZERO = 1, 2
_MOST_EXTENTS = 32768
"""In one reply; a client asks again from where it ends."""
_EXTENT = 12
"""The most bytes that an extent takes in a reply: a length of up to 63 bits, and its state."""
_CUT = MIB
"""Bytes from which on a message is full: beyond that a larger one gains nothing, and the first data come later."""
_ROW = 8
"""Bytes of one request's row in a reply."""

_FLAGS = {READ: 0, WRITE: FUA, FLUSH: 0, TRIM: FUA, CACHE: 0, ZERO: FUA | KEEP_ALLOCATED | FAST, EXTENTS: 0}
_WORDS = frozenset(
    operation | flags << 8 for operation, allowed in _FLAGS.items() for flags in range(1 << 5) if not flags & ~allowed
)
"""Every combination of an operation and its flags."""


def requests_of(message: RequestMessage, longest: int) -> tuple[list[Request], int]:
    """The requests of a message, each with its id as `tag`, and the bytes that its reads and writes ask for.

    Raises `Invalid` for a bad message.  A bad request, and a read of more than `longest` bytes, has its error set.
    """
    count = len(message.ids)
    if not count == len(message.operations) == len(message.offsets) == len(message.lengths):
        raise Invalid("the columns of a message differ in length; mend the client")
    payload = message.payload
    at = asked = 0
    requests: list[Request] = []
    for number, word, offset, length in zip(
        message.ids, message.operations, message.offsets, message.lengths, strict=True
    ):
        operation = word & 0xFF
        request = Request(operation, word >> 8, offset, length, number)
        if operation == WRITE:
            request.data = payload[at : at + length]
            at += length
        if operation <= WRITE:
            asked += length
        if word not in _WORDS:
            request.error = Invalid(f"there is no operation {operation} with flags {word >> 8:#x}; mend the client")
        elif operation == READ and length > longest:
            request.error = Invalid(f"a read of {length} bytes is too long; split it into pieces of {longest}")
        requests.append(request)
    if at != len(payload):
        raise Invalid(f"the writes of a message ask for {at} bytes of payload, and it has {len(payload)}")
    return requests, asked


def replies_to(prefix: bytes, requests: Sequence[Request], most: int) -> Iterator[list[Data]]:
    """The messages that answer these requests, in parts, each of at most `most` bytes.

    Their reads are MARGIN bytes shorter.
    """
    ids: list[int] = []
    lengths: list[int] = []
    payload: list[Data] = []
    errors: list[disk_pb2.SessionError] = []
    size = start = len(prefix) + 64
    full = min(most, _CUT)
    for request in requests:
        error = request.error
        data: Data = b""
        if error is not None:
            failed = _error(request.tag, error)
            more = failed.ByteSize() + _ROW
        else:
            if request.operation == READ:
                data = request.data
            elif request.operation == EXTENTS:
                data = _extents(request.data, most)
            more = len(data) + _ROW
        if size + more > full and size > start:
            yield encode_replies(prefix, ids, lengths, payload, errors)
            ids, lengths, payload, errors = [], [], [], []
            size = start
        size += more
        if error is not None:
            errors.append(failed)
            continue
        ids.append(request.tag)
        lengths.append(len(data))
        if data:
            payload.append(data)
    yield encode_replies(prefix, ids, lengths, payload, errors)


def _error(number: int, error: DiskError) -> disk_pb2.SessionError:
    kind, message = kind_of_error(error).__name__, str(error)
    if len(message) > _LONGEST:
        message = f"{message[: _LONGEST - 1]}…"
    return disk_pb2.SessionError(id=number, kind=kind, errno=error.errno, message=message)


def _extents(found: list[Extent], most: int) -> bytes:
    found = found[: min(_MOST_EXTENTS, (most - MARGIN) // _EXTENT)]
    states = [extent.hole * _HOLE | extent.zero * _ZERO for extent in found]
    return disk_pb2.ExtentsReply(lengths=[extent.length for extent in found], states=states).SerializeToString()
