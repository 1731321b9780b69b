"""`FakeObjects`, a small object store over HTTP that goes wrong when told to.

It speaks what obstore asks of Google Cloud Storage's XML API (Google Cloud Storage, "XML API reference": object
requests, x-goog-if-generation-match, list type 2) and, as it differs in one header only, of S3's (If-None-Match).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from g2disk.clock import SystemClock


@dataclass(frozen=True)
class Request:
    """What was asked."""

    method: str
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True)
class Trouble:
    """How a request goes wrong."""

    status: int = 0
    """The answer; 0: none, the connection is closed."""
    code: str = ""
    """The code in the answer."""
    applied: bool = False
    """It is done before."""
    cut: bool = False
    """The answer is the right one, but ends in the middle."""
    hang: bool = False
    """There is no answer, and the connection stays open."""


Plan = Callable[[Request], Trouble | None]


def troubles(*row: Trouble | None) -> Plan:
    """One trouble a request, in order; afterwards all goes well."""
    waiting = iter(row)
    return lambda request: next(waiting, None)


Answer = tuple[int, bytes, Mapping[str, str]]


class FakeObjects:
    """Buckets in memory.  Any bucket is there, but those named in `missing`."""

    def __init__(self, page: int = 1000) -> None:
        self.plan: Plan = troubles()
        self.log: list[Request] = []
        self.accepted: set[str] | None = None
        """The tokens and key ids that are accepted; None: all."""
        self.ignore_conditions = False
        self.missing: set[str] = set()
        self.clock_skew = 0.0
        self.endpoint = ""
        self._page = page
        self._objects: dict[tuple[str, str], tuple[bytes, int, float]] = {}
        self._generation = 0
        self._clock = SystemClock()
        self._hanging = asyncio.Event()

    def release(self) -> None:
        """Let go of the requests that hang: their connections are closed."""
        self._hanging.set()
        self._hanging = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while await self._one(reader, writer):
                    pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request = await _read(reader)
        self.log.append(request)
        trouble = self.plan(request)
        if trouble is None or trouble.applied or trouble.cut:
            answer = self._answer(request)
        else:
            answer = _failure(trouble.status, trouble.code)
        if trouble and trouble.hang:
            await self._hanging.wait()
            return False
        if trouble and not trouble.cut:
            if not trouble.status:
                return False
            answer = _failure(trouble.status, trouble.code)
        cut = trouble is not None and trouble.cut
        status, body, headers = answer
        head = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Reason')}", f"Content-Length: {len(body)}"]
        head += [f"{name}: {value}" for name, value in headers.items()]
        sent = b"" if request.method == "HEAD" else body
        writer.write("\r\n".join([*head, "", ""]).encode() + (sent[: len(sent) // 2] if cut else sent))
        await writer.drain()
        return not cut

    def _answer(self, request: Request) -> Answer:
        if self.accepted is not None and not any(
            token in request.headers.get("authorization", "") for token in self.accepted
        ):
            return _failure(403, "InvalidAccessKeyId")
        if request.bucket in self.missing:
            return _failure(404, "NoSuchBucket")
        if not request.key:
            return self._list(request) if request.method == "GET" else (200, b"", {})
        return {"PUT": self._put, "GET": self._get, "HEAD": self._get, "DELETE": self._delete}[request.method](request)

    def _put(self, request: Request) -> Answer:
        place = request.bucket, request.key
        only_new = (
            request.headers.get("if-none-match") == "*" or request.headers.get("x-goog-if-generation-match") == "0"
        )
        if only_new and place in self._objects and not self.ignore_conditions:
            return _failure(412, "PreconditionFailed")
        self._generation += 1
        self._objects[place] = request.body, self._generation, self._clock.wall() + self.clock_skew
        return 200, b"", {"ETag": f'"{self._generation}"', "x-goog-generation": str(self._generation)}

    def _get(self, request: Request) -> Answer:
        found = self._objects.get((request.bucket, request.key))
        if found is None:
            return _failure(404, "NoSuchKey")
        body, generation, modified = found
        headers = {"ETag": f'"{generation}"', "x-goog-generation": str(generation)}
        headers["Last-Modified"] = formatdate(modified, usegmt=True)
        wanted = request.headers.get("range")
        if wanted is None:
            return 200, body, headers
        first, last = (int(number) for number in wanted.removeprefix("bytes=").split("-"))
        if first >= len(body):
            return _failure(416, "InvalidRange")
        part = body[first : last + 1]
        headers["Content-Range"] = f"bytes {first}-{first + len(part) - 1}/{len(body)}"
        return 206, part, headers

    def _delete(self, request: Request) -> Answer:
        if self._objects.pop((request.bucket, request.key), None) is None:
            return _failure(404, "NoSuchKey")
        return 204, b"", {}

    def _list(self, request: Request) -> Answer:
        query = request.query
        after = query.get("continuation-token") or query.get("start-after", "")
        keys = sorted(
            key
            for bucket, key in self._objects
            if bucket == request.bucket and key.startswith(query.get("prefix", "")) and key > after
        )
        page = keys[: self._page]
        more = len(keys) > len(page)
        parts = ["<ListBucketResult>", f"<IsTruncated>{str(more).lower()}</IsTruncated>"]
        if more:
            parts.append(f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>")
        for key in page:
            body, generation, modified = self._objects[request.bucket, key]
            parts.append(
                f"<Contents><Key>{escape(key)}</Key><Size>{len(body)}</Size><ETag>&quot;{generation}&quot;</ETag>"
                f"<LastModified>{_iso(modified)}</LastModified></Contents>"
            )
        return 200, "".join([*parts, "</ListBucketResult>"]).encode(), {"Content-Type": "application/xml"}


@asynccontextmanager
async def fake_objects(page: int = 1000) -> AsyncIterator[FakeObjects]:
    """A fake that serves on a free port of 127.0.0.1, in the running event loop."""
    fake = FakeObjects(page)
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        connections.add(task)
        task.add_done_callback(connections.discard)
        await fake.serve(reader, writer)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    fake.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield fake
    finally:
        server.close()
        for task in tuple(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


_REASONS = {200: "OK", 204: "No Content", 206: "Partial Content", 404: "Not Found"}


def _failure(status: int, code: str) -> Answer:
    return status, f"<?xml version='1.0'?><Error><Code>{code}</Code></Error>".encode() if code else b"", {}


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, target, _ = head[0].split(" ")
    lines: Iterable[list[str]] = (line.split(": ", 1) for line in head[1:] if ": " in line)
    headers = {name.lower(): value for name, value in lines}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    parts = urlsplit(target)
    bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
    query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    return Request(method, bucket, key, query, headers, body)


def _iso(seconds: float) -> str:

    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
