"""The disk over HTTP gives the file's bytes, or an error, and never anything else."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from examples.http_disk import HttpDisk

from g2disk.errors import Corrupt, Denied, DiskError, Fenced, Invalid, NotFound, Unavailable, Unsupported
from g2disk.testing import check_disk

from .web import Site, serving

CONTENT = hashlib.shake_128(b"a file").digest(1 << 20)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A web server with a file of 1 MiB."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(Site(CONTENT)) as site:
        yield site


@asynccontextmanager
async def opened(site: Site, timeout: str = "20") -> AsyncIterator[HttpDisk]:
    """The site's file as a disk."""
    disk = HttpDisk(site.url, timeout)
    try:
        yield disk
    finally:
        await disk.close()


async def test_reads_are_the_files_bytes(site: Site) -> None:
    """Any range, of one byte or of all, is what the file holds there."""
    async with opened(site) as disk:
        info = disk.info()
        assert (info.size, info.read_only, info.flush) == (1 << 20, True, True)
        for offset, length in [(0, 1), (0, 1 << 20), (4095, 4097), ((1 << 20) - 1, 1)]:
            assert await disk.read(offset, length) == CONTENT[offset : offset + length]


async def test_only_the_range_is_transferred(site: Site) -> None:
    """A read asks the server once, for exactly its bytes, of the version that was opened, not compressed."""
    async with opened(site) as disk:
        await disk.read(1000, 24)
    assert site.asked == [("bytes=0-0", "", "identity"), ("bytes=1000-1023", '"one"', "identity")]


async def test_many_reads_share_a_few_connections(site: Site) -> None:
    """Connections are kept alive, and a burst of requests opens no more than 16."""
    async with opened(site) as disk:
        for _ in range(3):
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(disk.read(n * 512, 512)) for n in range(100)]
            assert [bytes(task.result()) for task in tasks] == [CONTENT[n * 512 : n * 512 + 512] for n in range(100)]
    assert site.connections <= 17  # one more has asked for the size


@pytest.mark.parametrize("length", [1, 511, 513, 1000])
async def test_zeroes_fill_the_last_sector(site: Site, length: int) -> None:
    """A file of any length is whole on the disk, and what lies behind it reads as zeroes."""
    site.content = CONTENT[:length]
    async with opened(site) as disk:
        size = disk.info().size
        assert size % 512 == 0
        assert 0 <= size - length < 512
        assert await disk.read(0, size) == CONTENT[:length].ljust(size, b"\0")
        assert await disk.read(size - 1, 1) == b"\0"


async def test_identity_names_file_and_version(site: Site) -> None:
    """Opened again it is the same disk; changed, it is another."""
    async with opened(site) as first, opened(site) as again:
        assert first.info().identity == again.info().identity
    site.etag = '"two"'
    async with opened(site) as changed:
        assert first.info().identity != changed.info().identity


@pytest.mark.parametrize("etag", ['"two"', 'W/"one"', None])
async def test_a_file_that_changes_is_fenced(site: Site, etag: str | None) -> None:
    """After a change no byte of the new version is given out as one of the old."""
    async with opened(site) as disk:
        await disk.read(0, 512)
        site.content, site.etag = bytes(1 << 20), etag
        with pytest.raises(Fenced, match="changed"):
            await disk.read(0, 512)


async def test_a_file_that_shrinks_is_fenced(site: Site) -> None:
    """A range that is no longer there is a change like any other."""
    async with opened(site) as disk:
        site.status = 416
        with pytest.raises(Fenced, match="changed"):
            await disk.read(0, 512)


async def test_a_change_between_two_reads_in_flight_never_mixes_versions(site: Site) -> None:
    """Of many reads at once, with the file changing in their midst, each gives old bytes or fails."""
    async with opened(site) as disk:
        results: list[object] = []

        async def read(number: int) -> None:
            try:
                results.append(bytes(await disk.read(number * 512, 512)) == CONTENT[number * 512 : number * 512 + 512])
            except Fenced:
                results.append("fenced")
            if len(results) == 40:
                site.content, site.etag = bytes(1 << 20), '"two"'

        async with asyncio.TaskGroup() as group:
            for number in range(200):
                group.create_task(read(number))
    assert set(results) == {True, "fenced"}


@pytest.mark.parametrize(
    ("way", "kind"),
    [
        ("short", Corrupt),
        ("long", Corrupt),
        ("other range", Corrupt),
        ("grown", Corrupt),
        ("compressed", Corrupt),
        ("ignores ranges", Corrupt),
        ("hangs up", Unavailable),
    ],
)
async def test_a_wrong_reply_is_an_error(site: Site, way: str, kind: type[DiskError]) -> None:
    """No reply but exactly the bytes that were asked for is taken; the disk works on when the server does."""
    async with opened(site) as disk:
        site.way = way
        with pytest.raises(kind):
            await disk.read(512, 512)
        site.way = "right"
        assert await disk.read(512, 512) == CONTENT[512:1024]


async def test_a_silent_server_is_unavailable(site: Site) -> None:
    """After `timeout` seconds without a byte the read fails."""
    async with opened(site, "0.1") as disk:
        site.way = "silent"
        with pytest.raises(Unavailable):
            await disk.read(0, 512)


async def test_a_cancelled_read_leaves_the_disk_usable(site: Site) -> None:
    """Cancelling a read gives its connection back."""
    async with opened(site) as disk:
        site.way = "silent"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await asyncio.gather(*(disk.read(0, 512) for _ in range(20)))
        site.way = "right"
        assert await disk.read(0, 512) == CONTENT[:512]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Denied),
        (403, Denied),
        (404, NotFound),
        (410, NotFound),
        (429, Unavailable),
        (503, Unavailable),
        (400, Invalid),
    ],
)
async def test_a_refusal_is_the_error_that_says_what_to_do(site: Site, status: int, kind: type[DiskError]) -> None:
    """At start and later, an HTTP status becomes the kind that it stands for."""
    async with opened(site) as disk:
        site.status = status
        with pytest.raises(kind, match=str(status)):
            await disk.read(0, 512)
        with pytest.raises(kind, match=str(status)):
            HttpDisk(site.url)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"way": "ignores ranges"}, Unsupported),
        ({"way": "no length"}, Unsupported),
        ({"etag": None}, Unsupported),
        ({"etag": 'W/"weak"'}, Unsupported),
        ({"content": b""}, Invalid),
        ({"status": 302, "location": "/disk.img"}, Invalid),
    ],
)
def test_a_server_that_cannot_serve_a_disk_is_refused(
    site: Site, change: dict[str, object], kind: type[DiskError]
) -> None:
    """What a disk needs is asked at the start: ranges, a length, a strong ETag, some content, an end of redirects."""
    for name, value in change.items():
        setattr(site, name, value)
    with pytest.raises(kind):
        HttpDisk(site.url)


@pytest.mark.parametrize("url", ["", "disk.img", "ftp://127.0.0.1/disk.img", "http://127.0.0.1:port/"])
def test_what_is_no_web_address_is_refused(url: str) -> None:
    """A mistyped URL is the caller's mistake, said in one line."""
    with pytest.raises(Invalid):
        HttpDisk(url)


def test_a_server_that_is_away_is_unavailable(site: Site) -> None:
    """Nobody listening is an error at once."""
    with pytest.raises(Unavailable):
        HttpDisk("http://127.0.0.1:1/disk.img")


async def test_redirects_are_followed(site: Site) -> None:
    """The file may be somewhere else than the URL says."""
    site.location = site.url
    moved = HttpDisk(site.url.replace("/disk.img", "/moved"))
    try:
        assert await moved.read(512, 512) == CONTENT[512:1024]
    finally:
        await moved.close()


async def test_it_keeps_every_promise_of_a_disk(site: Site) -> None:
    """The contract holds for a file of any length, also for a disk that is opened again."""
    site.content = CONTENT[:300_001]
    await check_disk(lambda: opened(site), seed=1, durable=True)


def test_messages_keep_secrets_of_the_url(site: Site) -> None:
    """Neither a password nor a query, which may be a signature, is in an error's text."""
    site.status = 403
    with pytest.raises(Denied) as caught:
        HttpDisk(site.url.replace("http://", "http://me:secret@") + "?signature=hidden")
    assert "secret" not in str(caught.value)
    assert "hidden" not in str(caught.value)
