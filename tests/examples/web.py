"""A web server with one file, that answers ranges rightly or in some wrong way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Site:
    """The file at the web server's root, which a test may change at any time."""

    content: bytes
    etag: str | None = '"one"'
    way: str = "right"
    status: int = 0
    """Answered instead, unless 0."""
    location: str = ""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """Range, If-Range and Accept-Encoding of each request, in order."""
    connections: int = 0
    url: str = ""
    released: threading.Event = field(default_factory=threading.Event)
    """Ends the silence of the way "silent"."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    site: Site

    def setup(self) -> None:
        super().setup()
        self.site.connections += 1

    def handle(self) -> None:
        """Answer requests until the client hangs up, at whatever moment it does."""
        with suppress(ConnectionError):
            super().handle()

    def finish(self) -> None:
        """Close, with nobody there perhaps."""
        with suppress(ConnectionError):
            super().finish()

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Nothing: the site records what matters."""

    def do_GET(self) -> None:
        site = self.site
        asked, version, encoding = (self.headers.get(name, "") for name in ("Range", "If-Range", "Accept-Encoding"))
        site.asked.append((asked, version, encoding))
        if site.way == "silent":
            site.released.wait()
        if self.path == "/moved" or site.status:
            self.answer(site.status or 302, b"no")
        elif site.way == "ignores ranges" or version not in ("", site.etag):
            self.answer(200, site.content)
        elif not site.content:
            self.answer(416, b"", "bytes */0")
        else:
            first, last = map(int, asked.removeprefix("bytes=").split("-"))
            self.answer_range(first, min(last, len(site.content) - 1))

    def answer_range(self, first: int, last: int) -> None:
        """The range, rightly or not."""
        way, body = self.site.way, self.site.content[first : last + 1]
        described = f"bytes {first}-{last}/{len(self.site.content)}"
        if way == "short":
            self.answer(206, body[:-1], described)
        elif way == "long":
            self.answer(206, body + b"!", described)
        elif way == "other range":
            self.answer(206, body, f"bytes {first + 1}-{last + 1}/{len(self.site.content)}")
        elif way == "grown":
            self.answer(206, body, f"bytes {first}-{last}/{len(self.site.content) + 512}")
        elif way == "compressed":
            self.answer(206, body, described, encoding="gzip")
        elif way == "no length":
            self.answer(206, body, f"bytes {first}-{last}/*")
        elif way == "hangs up":
            self.answer(206, body[: len(body) // 2], described, length=len(body))
            self.close_connection = True
        else:
            self.answer(206, body, described)

    def answer(
        self, status: int, body: bytes, content_range: str = "", length: int | None = None, encoding: str = ""
    ) -> None:
        """Send it all, with a `length` that may be wrong."""
        headers = {
            "ETag": self.site.etag,
            "Content-Range": content_range,
            "Content-Encoding": encoding,
            "Location": self.site.location,
            "Content-Length": str(len(body) if length is None else length),
        }
        self.send_response(status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    """The site at `site.url` while the block runs."""
    handler = type("Handler", (_Handler,), {"site": site})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        site.url = f"http://127.0.0.1:{server.server_address[1]}/disk.img"
        try:
            yield site
        finally:
            site.released.set()
            server.shutdown()
            thread.join()
