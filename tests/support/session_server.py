"""A target server written from disk.proto alone: plain grpc, the generated classes, and nothing of g2disk's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc

from g2disk.remote.pb import disk_pb2

SIZE = 1 << 24
READ, WRITE, FLUSH, TRIM, CACHE, ZERO, EXTENTS = 0, 1, 3, 4, 5, 6, 7
DESCRIPTION = disk_pb2.DescribeReply(
    disk="default",
    identity="this very disk",
    instance="since the start",
    size=SIZE,
    maximum_transfer=1 << 20,
    capabilities=disk_pb2.Capabilities(flush=True, trim=True, zero=True, fast_zero=True, extents=True, cache=True),
)


class ForeignServer:
    """One disk in memory; every reply goes alone."""

    def __init__(self) -> None:
        self.data = bytearray(SIZE)
        self.sessions = 0

    async def describe(self, request: disk_pb2.DescribeRequest, _: object) -> disk_pb2.DescribeReply:
        return DESCRIPTION

    async def session(
        self, requests: AsyncIterator[disk_pb2.SessionRequest], _: object
    ) -> AsyncIterator[disk_pb2.SessionReply]:
        self.sessions += 1
        first = True
        async for message in requests:
            head: dict[str, Any] = {
                "identity": DESCRIPTION.identity,
                "instance": DESCRIPTION.instance,
                "attempt": message.attempt,
            }
            if first:
                opened = disk_pb2.SessionOpened(
                    description=DESCRIPTION,
                    maximum_in_flight_requests=16,
                    maximum_in_flight_bytes=4 << 20,
                    maximum_message=2 << 20,
                )
                yield disk_pb2.SessionReply(**head, opened=opened)
                first = False
            at = 0
            for number, word, offset, length in zip(
                message.ids, message.operations, message.offsets, message.lengths, strict=True
            ):
                operation = word & 0xFF
                data = b""
                if operation == READ:
                    data = bytes(self.data[offset : offset + length])
                elif operation == WRITE:
                    self.data[offset : offset + length] = message.payload[at : at + length]
                    at += length
                elif operation in (TRIM, ZERO):
                    self.data[offset : offset + length] = bytes(length)
                elif operation == EXTENTS:
                    data = disk_pb2.ExtentsReply(lengths=[length], states=[0]).SerializeToString()
                yield disk_pb2.SessionReply(**head, ids=[number], lengths=[len(data)], payload=data)

    async def start(self, address: str) -> grpc.aio.Server:
        """Listen on the Unix socket or port `address`."""
        server = grpc.aio.server()
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "Describe": grpc.unary_unary_rpc_method_handler(
                self.describe,
                disk_pb2.DescribeRequest.FromString,
                disk_pb2.DescribeReply.SerializeToString,
            ),
            "Session": grpc.stream_stream_rpc_method_handler(
                self.session,
                disk_pb2.SessionRequest.FromString,
                disk_pb2.SessionReply.SerializeToString,
            ),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("g2disk.v1.Disk", handlers),))
        server.add_insecure_port(address)
        await server.start()
        await asyncio.wait_for(_listens(address), 20)
        return server


async def _listens(address: str) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        await channel.channel_ready()
