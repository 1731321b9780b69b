"""`ThreadedGateway`, a `Gateway` for nbdkit's threads."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from g2disk.disk import Disk
from g2disk.servers import gateway
from g2disk.servers.gateway import Gateway
from g2disk.servers.nbdkit.bridge import Bridge
from g2disk.servers.nbdkit.parameters import Parameters


class ThreadedGateway:
    """One per nbdkit process, made after it has forked."""

    def __init__(self, parameters: Parameters) -> None:
        self.bridge = Bridge()
        self._gateway = self.bridge.call(lambda: _gateway(parameters))

    def open(self, export: str) -> Disk:
        """See `Gateway.open`."""
        return self.bridge.call(lambda: self._gateway.open(export))[1]

    def list(self) -> Sequence[tuple[str, str]]:
        """See `Gateway.list`."""
        return self.bridge.call(self._gateway.list)

    def default(self) -> str:
        """See `Gateway.default`."""
        return self.bridge.call(self._gateway.default)

    def close(self) -> None:
        """End the connection and the loop."""
        self.bridge.call(self._gateway.close)
        self.bridge.close()


def check_server(parameters: Parameters) -> str:
    """See `g2disk.servers.gateway.check_server`.

    For a process of its own: a connection may not be used on both sides of a fork.
    """
    return asyncio.run(gateway.check_server(parameters.endpoint, parameters.timeout, _names(parameters)))


async def _gateway(parameters: Parameters) -> Gateway:
    return Gateway(parameters.endpoint, parameters.timeout, _names(parameters))


def _names(parameters: Parameters) -> list[str]:
    return [parameters.disk] if parameters.disk else []
