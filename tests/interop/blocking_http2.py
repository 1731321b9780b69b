"""The smallest shells around `Http2Connection`: blocking sockets, one connection."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from g2disk.http2.connection import Http2Connection
from g2disk.http2.events import Event, HeadersReceived, MessageReceived, MessageRefused, StreamEnded

RESPONSE = [(":status", "200"), ("content-type", "application/grpc")]


class Wire:
    """A connected socket and the HTTP/2 connection that it carries."""

    def __init__(self, client: bool, carrier: socket.socket) -> None:
        self.connection = Http2Connection(client)
        carrier.settimeout(30)
        self._socket = carrier

    def send(self) -> None:
        """Send all that is to be sent."""
        for part in self.connection.data_to_send():
            self._socket.sendall(part)

    def receive(self) -> list[Event] | None:
        """What comes next, or None if the peer has closed."""
        count = self._socket.recv_into(self.connection.writable())
        return self.connection.filled(count) if count else None


def _answer(connection: Http2Connection, event: Event) -> None:
    """Echo messages; a path that ends in Refuse is answered with FAILED_PRECONDITION."""
    match event:
        case HeadersReceived(stream, headers) if dict(headers)[":path"].endswith("/Refuse"):
            connection.send_end(
                stream, [*RESPONSE, ("grpc-status", "9"), ("grpc-message", "not now"), ("key", "value")]
            )
        case HeadersReceived(stream):
            connection.send_headers(stream, RESPONSE)
        case MessageReceived(stream, data):
            connection.send_message(stream, [data])
        case MessageRefused(stream, status, reason):
            connection.send_end(stream, [("grpc-status", str(status)), ("grpc-message", reason)])
        case StreamEnded(stream):
            connection.send_end(stream, [("grpc-status", "0")])


@contextmanager
def echo_server(seen: list[Event]) -> Iterator[str]:
    """The address of a server that echoes what one client sends, until that client closes; `seen` gets every event."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)

        def serve() -> None:
            carrier, _ = listener.accept()
            with carrier:
                wire = Wire(False, carrier)
                events: list[Event] | None = []
                while events is not None:
                    for event in events:
                        _answer(wire.connection, event)
                    seen.extend(events)
                    wire.send()
                    events = wire.receive()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            thread.join()


class Client:
    """Calls over one connection, one after the other."""

    def __init__(self, carrier: socket.socket, authority: str) -> None:
        self._wire = Wire(True, carrier)
        self._authority = authority

    def call(self, path: str, messages: Sequence[bytes]) -> tuple[list[bytes], dict[str, str]]:
        """The messages of the answer, and its trailers."""
        connection = self._wire.connection
        headers = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", self._authority)]
        stream = connection.open_stream([*headers, ("te", "trailers"), ("content-type", "application/grpc")])
        for message in messages:
            connection.send_message(stream, [message])
        connection.send_end(stream)
        received: list[bytes] = []
        trailers: dict[str, str] = {}
        while True:
            self._wire.send()
            events = self._wire.receive()
            assert events is not None, "the server closed"
            for event in events:
                match event:
                    case MessageReceived(_, data):
                        received.append(bytes(data))
                    case HeadersReceived(_, headers, _):
                        trailers = dict(headers)
                    case StreamEnded():
                        self._wire.send()
                        return received, trailers


@contextmanager
def connected(address: str) -> Iterator[Client]:
    """A client of the server at HOST:PORT."""
    host, port = address.split(":")
    with socket.create_connection((host, int(port))) as carrier:
        yield Client(carrier, address)
