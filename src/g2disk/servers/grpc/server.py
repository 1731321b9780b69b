"""`GrpcServer`, the target server's life: listen, answer, drain."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from g2disk.errors import Busy, Denied, Invalid
from g2disk.remote import methods
from g2disk.remote.connection import CHANNEL_OPTIONS
from g2disk.remote.endpoint import check_endpoint
from g2disk.servers.exports import Exports
from g2disk.servers.grpc.catalogue_service import catalogue_service
from g2disk.servers.grpc.disk_service import disk_service
from g2disk.servers.grpc.reference_service import reference_service

_SERVICES = (methods.DISK, methods.CATALOGUE, methods.REFERENCE)


class GrpcServer:
    """Serves `exports` on every address of `listen` (HOST:PORT, port 0 for a free one, or unix:PATH)."""

    def __init__(self, exports: Exports, listen: Sequence[str]) -> None:
        self._listen = listen
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(options=(*CHANNEL_OPTIONS, ("grpc.so_reuseport", 0)))
        self._server.add_generic_rpc_handlers(
            (disk_service(exports), catalogue_service(exports), reference_service(exports))
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((*_SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)

    async def start(self) -> list[str]:
        """Listen, and return the addresses as a client would give them.  Raises `Busy`, `Denied`, `Invalid`."""
        addresses = [self._bind(address) for address in self._listen]
        await self._server.start()
        for name in ("", *_SERVICES):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        return addresses

    async def drain(self, seconds: float) -> None:
        """Take no more requests, let those in flight finish for up to `seconds`, then end."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(seconds)

    def _bind(self, address: str) -> str:
        if address.startswith("unix:"):
            _make_way(Path(address.removeprefix("unix:")))
        else:
            _check_bindable(address)
        try:
            port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise Busy(f"cannot listen on {address}: {error}; take another address with --listen") from error
        host, colon, asked = address.rpartition(":")
        return f"{host}{colon}{port}" if asked == "0" else address


def _make_way(path: Path) -> None:
    """Remove the socket that a server left behind; a live one is `Busy`."""
    if not path.parent.is_dir():
        raise Invalid(f"there is no directory {path.parent} to make the socket in; create it first")
    if not path.exists():
        return
    if not path.is_socket():
        raise Invalid(f"{path} is there already and is no socket; take another path with --listen")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        except OSError as error:
            raise Busy(f"cannot listen on {path}: {error.strerror}; take another path with --listen") from error
        else:
            raise Busy(f"another server listens on {path}; stop it, or take another path with --listen")


def _check_bindable(address: str) -> None:
    """Say why an address cannot be listened on; gRPC itself tells no reason."""
    host, _, port = address.rpartition(":")
    if port != "0":
        check_endpoint(address)
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, ValueError) as error:
        raise Invalid(f"cannot listen on {address}: {error}; write HOST:PORT or unix:PATH") from error
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(where)
        except PermissionError as error:
            raise Denied(f"not allowed to listen on {address}; take a port above 1023 with --listen") from error
        except OSError as error:
            raise Busy(f"cannot listen on {address}: {error.strerror}; take another address with --listen") from error
