"""A client of the reference protocol and nothing else: client.py HOST:PORT size | read OFFSET LENGTH | write OFFSET.

`read` puts the bytes on standard output, `write` takes them from standard input.  It has grpc's own generated code and
limits, and shares nothing with g2disk.  A gRPC error is its status on standard error, and exit code 1.
"""

from __future__ import annotations

import sys

import g2disk_reference_pb2 as pb  # type: ignore[import-not-found]
import g2disk_reference_pb2_grpc as stubs  # type: ignore[import-not-found]
import grpc


def main(endpoint: str, command: str, *numbers: str) -> None:
    """Make one call."""
    with grpc.insecure_channel(endpoint) as channel:
        disk = stubs.G2DiskServiceStub(channel)
        if command == "size":
            print(disk.GetSize(pb.GetSizeRequest(), timeout=30).size)
        elif command == "read":
            offset, length = map(int, numbers)
            reply = disk.Read(pb.ReadRequest(offset=offset, read_size=length), timeout=30)
            sys.stdout.buffer.write(reply.payload)
        elif command == "write":
            (offset,) = map(int, numbers)
            disk.Write(pb.WriteRequest(offset=offset, payload=sys.stdin.buffer.read()), timeout=30)
        else:
            sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")
