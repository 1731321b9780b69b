"""What most people would write first: an nbdkit plugin that makes one blocking gRPC call a request.

The benchmark compares ours with it.  It speaks the reference protocol, with protobuf's generated classes, on nbdkit's
own threads.

    nbdkit python bench/unary_plugin.py endpoint=HOST:PORT
"""

from __future__ import annotations

from typing import Any

import grpc
import nbdkit

from g2disk.remote.pb import reference_pb2

API_VERSION = 2

_endpoint = ""
_get_size: Any
_read: Any
_write: Any


def config(key: str, value: str) -> None:
    """One parameter of the command line."""
    global _endpoint  # noqa: PLW0603
    if key != "endpoint":
        raise ValueError(f"there is no parameter {key}")
    _endpoint = value


def thread_model() -> int:
    """Requests run on many threads at once."""
    return int(nbdkit.THREAD_MODEL_PARALLEL)


def after_fork() -> None:
    """Connect."""
    global _get_size, _read, _write  # noqa: PLW0603
    channel = grpc.insecure_channel(_endpoint)

    def stub(name: str, request: type[Any], response: type[Any]) -> Any:
        return channel.unary_unary(
            f"/g2disk.G2DiskService/{name}",
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )

    _get_size = stub("GetSize", reference_pb2.GetSizeRequest, reference_pb2.GetSizeResponse)
    _read = stub("Read", reference_pb2.ReadRequest, reference_pb2.ReadResponse)
    _write = stub("Write", reference_pb2.WriteRequest, reference_pb2.WriteResponse)


def open(_readonly: bool) -> int:  # noqa: A001
    """A client connects."""
    return 1


def get_size(_handle: int) -> int:
    """Bytes."""
    return int(_get_size(reference_pb2.GetSizeRequest()).size)


def pread(_handle: int, buf: memoryview, offset: int, _flags: int) -> None:
    """Fill `buf` from the disk."""
    buf[:] = _read(reference_pb2.ReadRequest(offset=offset, read_size=len(buf))).payload


def pwrite(_handle: int, buf: memoryview, offset: int, _flags: int) -> None:
    """Store `buf` on the disk."""
    _write(reference_pb2.WriteRequest(offset=offset, payload=bytes(buf)))
