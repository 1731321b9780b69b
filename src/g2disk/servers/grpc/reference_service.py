"""The reference protocol, answered for the default disk.

Its clients never flush and know of no durability, so a write is made durable before it is answered: the one thing that
the protocol lets a server do for them.
"""

from __future__ import annotations

from g2disk.remote import codec, methods
from g2disk.remote.methods import Data
from g2disk.remote.pb import reference_pb2
from g2disk.servers.exports import Exports
from g2disk.servers.grpc.handlers import UnaryRow, row


def reference_service(exports: Exports) -> list[UnaryRow]:
    """The rows of the service for the default disk of these exports."""
    answers = _Answers(exports)
    return [
        row(methods.REFERENCE_GET_SIZE, answers.get_size),
        row(methods.REFERENCE_READ, answers.read),
        row(methods.REFERENCE_WRITE, answers.write, carried_through=True),
    ]


class _Answers:
    def __init__(self, exports: Exports) -> None:
        self._exports = exports

    async def get_size(self, _request: reference_pb2.GetSizeRequest) -> reference_pb2.GetSizeResponse:
        return reference_pb2.GetSizeResponse(size=(await self._exports.pinned()).info().size)

    async def read(self, request: reference_pb2.ReadRequest) -> Data:
        disk = await self._exports.pinned()
        return await disk.read(request.offset, request.read_size)

    async def write(self, request: codec.ReferenceWrite) -> reference_pb2.WriteResponse:
        disk = await self._exports.pinned()
        await disk.write(request.offset, request.data, fua=True)
        return reference_pb2.WriteResponse()
