"""A ramdisk that speaks the reference protocol and nothing else: PORT=0 server.py SIZE [--misbehave HOW --method NAME].

It has grpc's own generated code and limits, and shares nothing with g2disk.  It prints one line when it is ready,
`port NUMBER`.  With --misbehave the method named by --method (Read, unless said otherwise) answers wrongly.
"""

from __future__ import annotations

import argparse
import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import g2disk_reference_pb2 as pb  # type: ignore[import-not-found]
import g2disk_reference_pb2_grpc as stubs  # type: ignore[import-not-found]
import grpc

NONSENSE = b"\xff" * 40
WAYS = ("short", "empty", "long", "late", "late once", "never", "nonsense", "error", "full")
LATE_SECONDS = 1.5


class Ramdisk(stubs.G2DiskServiceServicer):  # type: ignore[misc]
    """The service as its .proto says it."""

    def __init__(self, size: int) -> None:
        self.data = bytearray(size)

    def GetSize(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """The size in bytes."""
        return pb.GetSizeResponse(size=len(self.data))

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """A copy of the bytes."""
        end = request.offset + request.read_size
        if end > len(self.data):
            context.abort(grpc.StatusCode.OUT_OF_RANGE, "read behind the end")
        return pb.ReadResponse(payload=bytes(self.data[request.offset : end]))

    def Write(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Store the bytes."""
        end = request.offset + len(request.payload)
        if end > len(self.data):
            context.abort(grpc.StatusCode.OUT_OF_RANGE, "write behind the end")
        self.data[request.offset : end] = request.payload
        return pb.WriteResponse()


class Misbehave(grpc.ServerInterceptor):
    """Makes one method answer wrongly, in one of `WAYS`."""

    def __init__(self, way: str, method: str) -> None:
        self.way = way
        self.path = f"/g2disk.G2DiskService/{method}"
        self.never = threading.Event()
        self.calls = itertools.count()

    def intercept_service(self, continuation: Callable[[Any], Any], details: grpc.HandlerCallDetails) -> Any:
        """The handler that the server would take, or a wrong one around it."""
        right = continuation(details)
        if details.method != self.path:
            return right

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            self.fail(context)
            return self.spoil(right.unary_unary(request, context))

        def serialize(reply: Any) -> bytes:
            return NONSENSE if self.way == "nonsense" else right.response_serializer(reply)

        return grpc.unary_unary_rpc_method_handler(answer, right.request_deserializer, serialize)

    def fail(self, context: grpc.ServicerContext) -> None:
        """Wait or refuse, if that is the way."""
        if self.way == "late" or (self.way == "late once" and next(self.calls) == 0):
            self.never.wait(LATE_SECONDS)
        if self.way == "never":
            self.never.wait()
        if self.way == "error":
            context.abort(grpc.StatusCode.INTERNAL, "the disk is broken")
        if self.way == "full":
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no more room")

    def spoil(self, reply: Any) -> Any:
        """The reply, or a wrong one."""
        if self.way == "short":
            reply.payload = reply.payload[:-1]
        if self.way == "empty":
            reply.payload = b""
        if self.way == "long":
            reply.payload += b"!"
        return reply


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("size", type=int)
    parser.add_argument("--misbehave", choices=WAYS)
    parser.add_argument("--method", choices=("GetSize", "Read", "Write"), default="Read")
    arguments = parser.parse_args()
    wrong: list[grpc.ServerInterceptor] = (
        [Misbehave(arguments.misbehave, arguments.method)] if arguments.misbehave else []
    )
    server = grpc.server(ThreadPoolExecutor(16), interceptors=wrong)
    stubs.add_G2DiskServiceServicer_to_server(Ramdisk(arguments.size), server)
    port = server.add_insecure_port(f"127.0.0.1:{os.environ.get('PORT', '8080')}")
    server.start()
    print(f"port {port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
