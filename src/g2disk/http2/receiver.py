"""`Receiver`, what each frame of the peer means (RFC 9113, sections 6 and 8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from g2disk.http2 import errors, frames, settings
from g2disk.http2.errors import Http2Error
from g2disk.http2.events import Drained, Event, GoAwayReceived, Pong, SettingsReceived, StreamReset
from g2disk.http2.frame_reader import Frame
from g2disk.http2.frames import GOING, NUMBER
from g2disk.http2.header_receiver import HeaderReceiver
from g2disk.http2.sender import Sender
from g2disk.http2.streams import Streams

KEEPALIVE = b"g2disk-?"
"""Payload of the PING that `Pong` answers."""
GOODBYE = b"g2disk-!"
"""Payload of the PING that follows a server's first GOAWAY."""


class Receiver:
    """Changes the streams, queues answers, and says what happened."""

    def __init__(self, streams: Streams, sender: Sender) -> None:
        self._streams = streams
        self._sender = sender
        self._headers = HeaderReceiver(streams)
        self._began = False
        self._wider = False

    def receive(self, frame: Frame, events: list[Event]) -> None:
        """Append what this frame says.  Raises `Http2Error` if the peer must not send it."""
        kind, flags, number, payload = frame
        if not self._began:
            self._begin(kind, flags)
        if self._headers.stream:
            self._headers.go_on(kind, flags, number, payload, events)
        elif not kind:
            self._data(flags, number, payload, events)
        elif kind == frames.HEADERS:
            self._headers.begin(flags, number, payload, events)
        elif kind in self._HANDLERS:
            self._HANDLERS[kind](self, flags, number, payload, events)
        # Other types are ignored (section 4.1).

    def send_waiting(self, events: list[Event]) -> None:
        """Send what the frames that came allow to be sent; once for all of them."""
        if not self._wider:
            return
        self._wider = False
        for stream in self._sender.send_waiting():
            events.append(Drained(stream.number))
            if stream.ending:
                self._streams.finish(stream)

    def _begin(self, kind: int, flags: int) -> None:
        if kind != frames.SETTINGS or flags & frames.ACK:
            raise Http2Error(errors.PROTOCOL_ERROR, "this is not HTTP/2: it does not begin with SETTINGS")
        self._began = True

    def _data(self, flags: int, number: int, payload: memoryview, events: list[Event]) -> None:
        streams = self._streams
        stream = streams.open.get(number)
        length = len(payload)
        allowed = streams.received(stream, length)
        if flags & frames.PADDED:
            payload = frames.unpadded(payload)
        if stream is None:
            self._late_data(number, length)
        elif stream.remote_ended:
            streams.give_back(stream, length)
            streams.break_off(stream, errors.STREAM_CLOSED, "DATA after the stream's end", events)
        elif not allowed:
            streams.give_back(stream, length)
            streams.break_off(stream, errors.FLOW_CONTROL_ERROR, "more DATA than the stream's window allows", events)
        elif streams.client and not stream.answered:
            streams.give_back(stream, length)
            streams.break_off(stream, errors.PROTOCOL_ERROR, "DATA before the response's headers", events)
        else:
            stream.reader.read(payload, events)
            streams.give_back(stream, length)
            if flags & frames.END_STREAM:
                streams.remote_end(stream, events)

    def _late_data(self, number: int, length: int) -> None:
        """DATA of a stream that is not open: it counts, and nobody reads it."""
        self._not_idle(number)
        if not self._streams.was_reset(number):
            raise Http2Error(errors.STREAM_CLOSED, f"DATA on stream {number}, which is over")
        self._streams.give_back(None, length)

    def _not_idle(self, number: int) -> None:
        if self._streams.is_idle(number):
            raise Http2Error(errors.PROTOCOL_ERROR, f"a frame on stream {number}, which was not opened")

    def _priority(self, _flags: int, number: int, _payload: memoryview, _events: list[Event]) -> None:
        if not number:
            raise Http2Error(errors.PROTOCOL_ERROR, "PRIORITY on stream 0")

    def _reset(self, _flags: int, number: int, payload: memoryview, events: list[Event]) -> None:
        self._not_idle(number)
        stream = self._streams.open.get(number)
        if stream is None:
            return
        code = NUMBER.unpack(payload)[0]
        self._streams.remove(stream)
        events.append(StreamReset(number, code, f"the peer reset the stream: {errors.name_of(code)}"))
        if not self._streams.client and not stream.answered:
            self._streams.made_trouble()

    def _settings(self, flags: int, number: int, payload: memoryview, events: list[Event]) -> None:
        _on_connection("SETTINGS", number)
        if flags & frames.ACK:
            if payload:
                raise Http2Error(errors.FRAME_SIZE_ERROR, "an acknowledgement of SETTINGS is not empty")
            return
        sender, streams = self._sender, self._streams
        values = settings.parse(payload, from_server=streams.client)
        if settings.INITIAL_WINDOW_SIZE in values:
            sender.set_initial_window(values[settings.INITIAL_WINDOW_SIZE], tuple(streams.open.values()))
        if settings.HEADER_TABLE_SIZE in values:
            sender.encoder.table_size_changed()
        sender.most = values.get(settings.MAX_FRAME_SIZE, sender.most)
        streams.most = values.get(settings.MAX_CONCURRENT_STREAMS, streams.most)
        sender.answer(frames.frame(frames.SETTINGS, frames.ACK, 0))
        self._wider = True
        events.append(SettingsReceived())

    def _push_promise(self, _flags: int, _number: int, _payload: memoryview, _events: list[Event]) -> None:
        raise Http2Error(errors.PROTOCOL_ERROR, "PUSH_PROMISE, which was not allowed")

    def _continuation(self, _flags: int, _number: int, _payload: memoryview, _events: list[Event]) -> None:
        raise Http2Error(errors.PROTOCOL_ERROR, "CONTINUATION of no headers")

    def _ping(self, flags: int, number: int, payload: memoryview, events: list[Event]) -> None:
        _on_connection("PING", number)
        if not flags & frames.ACK:
            self._sender.answer(frames.frame(frames.PING, frames.ACK, 0, bytes(payload)))
        elif payload == KEEPALIVE:
            events.append(Pong())
        elif payload == GOODBYE:
            self._streams.going = True
            self._sender.put(frames.go_away(self._streams.last, errors.NO_ERROR))

    def _go_away(self, _flags: int, number: int, payload: memoryview, events: list[Event]) -> None:
        _on_connection("GOAWAY", number)
        if len(payload) < GOING.size:
            raise Http2Error(errors.FRAME_SIZE_ERROR, f"GOAWAY of {len(payload)} bytes")
        last, code = GOING.unpack_from(payload)
        last &= frames.LARGEST_STREAM
        events.append(GoAwayReceived(last, code, str(payload[GOING.size :], "utf-8", "replace")))
        streams = self._streams
        if not streams.client:
            return
        streams.going = True
        reason = f"the server goes away and did not begin with this: {errors.name_of(code)}"
        for stream in [stream for stream in streams.open.values() if stream.number > last]:
            streams.remove(stream)
            events.append(StreamReset(stream.number, errors.REFUSED_STREAM, reason))

    def _window_update(self, _flags: int, number: int, payload: memoryview, events: list[Event]) -> None:
        increment = NUMBER.unpack(payload)[0] & frames.LARGEST_WINDOW
        if not number:
            if not increment:
                raise Http2Error(errors.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
            self._sender.window_update(increment)
            self._wider = True
            return
        self._not_idle(number)
        stream = self._streams.open.get(number)
        if stream is None:
            return
        stream.send_window += increment
        if not increment:
            self._streams.break_off(stream, errors.PROTOCOL_ERROR, "WINDOW_UPDATE of 0", events)
        elif stream.send_window > frames.LARGEST_WINDOW:
            self._streams.break_off(stream, errors.FLOW_CONTROL_ERROR, "a window of more than 2^31-1 bytes", events)
        self._wider = True

    _HANDLERS: ClassVar[dict[int, Callable[[Receiver, int, int, memoryview, list[Event]], None]]] = {
        frames.PRIORITY: _priority,
        frames.RST_STREAM: _reset,
        frames.SETTINGS: _settings,
        frames.PUSH_PROMISE: _push_promise,
        frames.PING: _ping,
        frames.GOAWAY: _go_away,
        frames.WINDOW_UPDATE: _window_update,
        frames.CONTINUATION: _continuation,
    }


def _on_connection(name: str, number: int) -> None:
    if number:
        raise Http2Error(errors.PROTOCOL_ERROR, f"{name} on stream {number}; it belongs on stream 0")
