"""A read-only disk over HTTP: a file on any web server that answers range requests and sends ETags.

    g2disk serve 'examples/http_disk.py:HttpDisk?url=https://example.org/disk.img'

Needs httpx: pip install 'g2disk[examples]'.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from g2disk.disk import Disk
from g2disk.errors import Corrupt, Denied, DiskError, Fenced, Invalid, NotFound, Unavailable, Unsupported
from g2disk.units import SECTOR

_CONNECTIONS = 16
_KINDS: dict[int, type[DiskError]] = {
    **dict.fromkeys((401, 403, 407), Denied),
    **dict.fromkeys((404, 410), NotFound),
    **dict.fromkeys((408, 425, 429, *range(500, 600)), Unavailable),
}

logging.getLogger("httpx").setLevel(logging.WARNING)  # at INFO it logs a line a request


class HttpDisk(Disk):
    """A file on a web server, read-only.

    Every request and every reply is held against the ETag that the server sent first, so that bytes of two versions
    never mix: a file that changes raises `Fenced` from then on.  Zeroes fill the last sector of a file whose length is
    not a multiple of 512.  A server that stays silent for `timeout` seconds, or hangs up, raises `Unavailable`.
    """

    def __init__(self, url: str, timeout: str = "30") -> None:
        """Asks the server for the file's length, and waits for the answer."""
        try:
            limit = httpx.Timeout(float(timeout), pool=None)
            address = httpx.URL(url)
        except (ValueError, httpx.InvalidURL) as error:
            raise Invalid(f"{url!r} with timeout={timeout} cannot be a disk: {error}") from error
        self._name = str(address.copy_with(userinfo=b"", query=None))  # without what may be secret, for messages
        self._client = httpx.AsyncClient(
            timeout=limit,
            follow_redirects=True,
            limits=httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS),
        )
        self._url = address
        with (
            self._mapped_errors(),
            httpx.stream("GET", address, headers=_headers(0, 1), timeout=limit, follow_redirects=True) as reply,
        ):
            self._length, self._etag = self._examine(reply)
        self.size = -(-self._length // SECTOR) * SECTOR
        self.identity = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{address} {self._etag}"))

    async def read(self, offset: int, length: int) -> bytearray:
        """The file's bytes, and zeroes behind its end."""
        data = bytearray(length)
        inside = min(length, self._length - offset)
        if inside > 0:
            await self._fetch(offset, memoryview(data)[:inside])
        return data

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _fetch(self, offset: int, into: memoryview) -> None:
        headers = _headers(offset, len(into)) | {"If-Range": self._etag}
        filled = 0
        with self._mapped_errors():
            async with self._client.stream("GET", self._url, headers=headers) as reply:
                self._check(reply, offset, len(into))
                async for piece in reply.aiter_raw():
                    if filled + len(piece) > len(into):
                        raise Corrupt(f"{self._name}: the server sent more than the {len(into)} bytes asked for")
                    into[filled : filled + len(piece)] = piece
                    filled += len(piece)
        if filled < len(into):
            raise Corrupt(f"{self._name}: the server sent {filled} of {len(into)} bytes")

    def _examine(self, reply: httpx.Response) -> tuple[int, str]:
        """Length and ETag, from the first reply."""
        if reply.status_code == 416:
            raise Invalid(f"{self._name} is empty, and a disk is not")
        self._check_status(reply)
        if reply.status_code != 206:
            raise Unsupported(f"{self._name}: the server ignores range requests; take one that answers them")
        found = re.fullmatch(r"bytes 0-0/(\d+)", reply.headers.get("content-range", ""))
        if found is None:
            raise Unsupported(f"{self._name}: the server does not tell the file's length (Content-Range)")
        etag = reply.headers.get("etag", "")
        if not etag.startswith('"'):  # a weak one, W/"…", stands for several versions
            raise Unsupported(f"{self._name}: the server sends no strong ETag, so a change could not be noticed")
        return int(found[1]), etag

    def _check(self, reply: httpx.Response, offset: int, length: int) -> None:
        """Whether the reply's body will be exactly these bytes of the file as it was."""
        self._check_status(reply)
        if reply.status_code == 416 or reply.headers.get("etag") != self._etag:
            raise Fenced(f"{self._name} has changed on the server; open it anew")
        if reply.status_code != 206:
            raise Corrupt(f"{self._name}: the server answered a range request with the whole file")
        if reply.headers.get("content-range") != f"bytes {offset}-{offset + length - 1}/{self._length}":
            raise Corrupt(f"{self._name}: the server answered with another range than the one asked for")
        if reply.headers.get("content-encoding", "identity") != "identity":
            raise Corrupt(f"{self._name}: the server compressed a range, which nobody asked for")

    def _check_status(self, reply: httpx.Response) -> None:
        code = reply.status_code
        if code not in (200, 206, 416):
            raise _KINDS.get(code, Invalid)(f"{self._name}: the server answered {code} {reply.reason_phrase}")

    @contextmanager
    def _mapped_errors(self) -> Iterator[None]:
        try:
            yield
        except (httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
            raise Invalid(f"{self._name}: {error}") from error
        except httpx.HTTPError as error:
            raise Unavailable(f"{self._name}: {str(error) or type(error).__name__}") from error


def _headers(offset: int, length: int) -> dict[str, str]:
    """A range of the plain bytes: a compressed reply would be a range of something else."""
    return {"Range": f"bytes={offset}-{offset + length - 1}", "Accept-Encoding": "identity"}
