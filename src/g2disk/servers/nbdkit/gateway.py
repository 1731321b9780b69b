"""`ThreadedGateway`, a `Gateway` for nbdkit's threads."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from g2disk.disk import Disk
from g2disk.remote.record_file import RecordFile
from g2disk.remote.terms import Terms
from g2disk.servers import gateway
from g2disk.servers.gateway import Gateway
from g2disk.servers.nbdkit.bridge import Bridge
from g2disk.servers.nbdkit.parameters import Parameters


class ThreadedGateway:
    """One per nbdkit process, made after it has forked."""

    def __init__(self, parameters: Parameters) -> None:
        """Raises a `DiskError` where the record cannot be had."""
        directory = parameters.record or parameters.marker
        self._record = RecordFile.open(Path(directory), keep_data=bool(parameters.record)) if directory else None
        self.bridge = Bridge()
        self._gateway = self.bridge.call(lambda: _gateway(parameters, self._record))

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
        if self._record is not None:
            self._record.close()


def check_server(parameters: Parameters) -> str:
    """See `g2disk.servers.gateway.check_server`.

    For a process of its own: a connection may not be used on both sides of a fork.
    """
    return asyncio.run(gateway.check_server(parameters.endpoint, parameters.timeout, _names(parameters)))


async def _gateway(parameters: Parameters, record: RecordFile | None) -> Gateway:
    terms = Terms(
        patient=True,
        client=parameters.client,
        generation=parameters.generation,
        identity=parameters.identity,
        record=record,
    )
    return Gateway(parameters.endpoint, parameters.timeout, _names(parameters), terms=terms)


def _names(parameters: Parameters) -> list[str]:
    return [parameters.disk] if parameters.disk else []
