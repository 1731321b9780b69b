"""Stores in the cloud, when things go wrong: each failure has its kind, and no request is ever repeated silently."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from g2disk.clock import SystemClock
from g2disk.errors import Denied, DiskError, Exists, Invalid, NotFound, OutOfSpace, Unavailable, Unsupported
from g2disk.objects import ObjectStore
from g2disk.objects.layers import Waiting
from g2disk.objects.opening import open_object_store
from tests.support.fake_objects import FakeObjects, Request, Trouble, troubles
from tests.support.object_servers import free_port

SCHEMES = ("s3", "gs")


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[ObjectStore]:
    store = await open_object_store(url)
    try:
        yield store
    finally:
        await store.close()


def url_of(scheme: str, fake: FakeObjects, more: str = "") -> str:
    return f"{scheme}://bucket/prefix?endpoint={fake.endpoint}{more}"


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        (Trouble(500, "InternalError"), Unavailable),
        (Trouble(503, "SlowDown"), Unavailable),
        (Trouble(429), Unavailable),
        (Trouble(0), Unavailable),
        (Trouble(400, "RequestTimeout"), Unavailable),
        (Trouble(404, "NoSuchBucket"), Unavailable),
        (Trouble(409, "OperationAborted"), Unavailable),
        (Trouble(401), Denied),
        (Trouble(403, "AccessDenied"), Denied),
        (Trouble(403, "RequestTimeTooSkewed"), Denied),
        (Trouble(400, "ExpiredToken"), Denied),
        (Trouble(507), OutOfSpace),
        (Trouble(403, "QuotaExceeded"), OutOfSpace),
        (Trouble(501, "NotImplemented"), Unsupported),
        (Trouble(400, "EntityTooLarge"), Invalid),
    ],
)
async def test_each_failure_has_its_kind(
    fake: FakeObjects, scheme: str, trouble: Trouble, kind: type[DiskError]
) -> None:
    """Every call raises the same kind for the same failure, after one request, and names the cause in one line."""
    async with opened(url_of(scheme, fake)) as store:
        calls: dict[str, Callable[[], Awaitable[Any]]] = {
            "put": lambda: store.put("key", [b"x"]),
            "create": lambda: store.create("key", [b"x"]),
            "get": lambda: store.get("key"),
            "get_range": lambda: store.get_range("key", 0, 1),
            "list": lambda: store.list(""),
            "delete": lambda: store.delete("key"),
        }
        for name, call in calls.items():
            fake.log.clear()
            fake.plan = troubles(trouble)
            with pytest.raises(kind) as caught:
                await call()
            assert type(caught.value) is kind, name
            assert len(fake.log) == 1, name
            assert "\n" not in str(caught.value)
            assert trouble.code in str(caught.value)


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_lost_answer_leaves_the_outcome_open(fake: FakeObjects, scheme: str) -> None:
    """A create whose answer is lost raises `Unavailable`, though it was done; only a get tells."""
    async with opened(url_of(scheme, fake)) as store:
        for number, trouble in enumerate((Trouble(0, applied=True), Trouble(500, applied=True))):
            fake.plan = troubles(trouble)
            with pytest.raises(Unavailable):
                await store.create(f"key{number}", [b"mine"])
            assert await store.get(f"key{number}") == b"mine"
            with pytest.raises(Exists):
                await store.create(f"key{number}", [b"another"])


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_refused_race_is_not_taken_for_an_object(fake: FakeObjects, scheme: str) -> None:
    """A create that the store gave up on for a conflict is `Unavailable`: nothing was created."""
    async with opened(url_of(scheme, fake)) as store:
        fake.plan = troubles(Trouble(409, "ConditionalRequestConflict"))
        with pytest.raises(Unavailable):
            await store.create("key", [b"x"])
        with pytest.raises(NotFound):
            await store.get("key")


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_body_that_is_cut_is_no_object(fake: FakeObjects, scheme: str) -> None:
    """A connection that breaks off within an object's bytes raises `Unavailable`."""
    async with opened(url_of(scheme, fake)) as store:
        await store.put("key", [bytes(100_000)])
        fake.plan = troubles(Trouble(cut=True), Trouble(cut=True))
        with pytest.raises(Unavailable):
            await store.get("key")
        with pytest.raises(Unavailable):
            await store.get_range("key", 10, 50_000)


async def test_a_store_that_hangs_is_given_up(fake: FakeObjects) -> None:
    """After `timeout` seconds without an answer a call raises `Unavailable`, and says so."""
    async with opened(url_of("s3", fake, "&timeout=0.2")) as store:
        fake.plan = troubles(Trouble(hang=True))
        with pytest.raises(Unavailable, match="no answer in time"):
            await store.put("key", [b"x"])
        fake.release()


async def test_a_cancelled_put_returns_when_it_is_over(fake: FakeObjects) -> None:
    """A put that is cancelled while the store takes its time still holds the buffers, and so does not return."""
    async with opened(url_of("s3", fake)) as store:
        asked = asyncio.Event()

        def plan(request: Request) -> Trouble:
            asked.set()
            return Trouble(hang=True)

        fake.plan = plan
        put = asyncio.create_task(store.put("key", [bytearray(1000)]))
        await asked.wait()
        put.cancel()
        await store_answers(fake, store)
        assert not put.done()
        fake.release()
        with pytest.raises(asyncio.CancelledError):
            await put


async def store_answers(fake: FakeObjects, store: ObjectStore) -> None:
    fake.plan = troubles()
    assert await store.list("") == []


async def test_a_store_that_is_not_there_is_unavailable(aws_environment: None) -> None:
    """A port that nobody listens on, and a name that does not resolve."""
    for endpoint in (f"http://127.0.0.1:{free_port()}", "http://no-such-host.invalid"):
        async with opened(f"s3://bucket?endpoint={endpoint}") as store:
            with pytest.raises(Unavailable, match="cannot connect to http://"):
                await store.get("key")


async def test_a_large_object_is_one_request(fake: FakeObjects) -> None:
    """An object of many buffers and MiB is sent whole: no multipart upload, whose parts could be left behind."""
    data = [bytes([number]) * (1 << 20) for number in range(20)]
    async with opened(url_of("s3", fake)) as store:
        await store.put("key", data)
        assert [(request.method, len(request.body)) for request in fake.log] == [("PUT", 20 << 20)]
        assert bytes(await store.get("key")) == b"".join(data)


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_listing_begins_in_the_store(fake: FakeObjects, scheme: str) -> None:
    """What lies before `after` is left out by the store: it costs no requests and no time."""
    async with opened(url_of(scheme, fake)) as store:
        for number in range(120):
            await store.put(f"folder/{number:03}", [b"x"])
        fake.log.clear()
        assert len(await store.list("folder/", "folder/089")) == 30
        assert len(fake.log) == 1
        assert fake.log[0].query["prefix"] == "prefix/folder/"


async def test_credentials_that_are_renewed_are_taken_up(
    fake: FakeObjects, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Expired credentials are `Denied`; when the file holds new ones, the next call has them."""
    file = tmp_path / "credentials"
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    profile = "[default]\naws_access_key_id = {}\naws_secret_access_key = s\naws_session_token = t\n"
    file.write_text(profile.format("OLDKEY"))
    fake.accepted = {"Credential=OLDKEY/"}
    async with opened(url_of("s3", fake)) as store:
        await store.put("key", [b"1"])
        fake.accepted = {"Credential=NEWKEY/"}
        with pytest.raises(Denied, match="InvalidAccessKeyId"):
            await store.put("key", [b"2"])
        file.write_text("[default\nhalf a file")
        with pytest.raises(Denied, match="does not read"):
            await store.put("key", [b"2"])
        file.write_text(profile.format("NEWKEY"))
        await store.put("key", [b"2"])
        assert await store.get("key") == b"2"
        assert fake.log[-1].headers["x-amz-security-token"] == "t"


async def test_a_put_waits_for_new_credentials(
    fake: FakeObjects, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Under `Waiting` a put waits while its credentials are expired, names the cause, and resumes by itself."""
    file = tmp_path / "credentials"
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    profile = "[default]\naws_access_key_id = {}\naws_secret_access_key = s\n"
    file.write_text(profile.format("OLDKEY"))
    fake.accepted = {"Credential=NEWKEY/"}
    refused = asyncio.Event()

    def plan(request: Request) -> None:
        if len(fake.log) == 2:
            refused.set()

    fake.plan = plan
    async with opened(url_of("s3", fake)) as cloud:
        store = Waiting(cloud, SystemClock(), Random(1))
        put = asyncio.create_task(store.put("key", [b"x"]))
        await refused.wait()
        trouble = store.trouble()
        assert trouble is not None
        assert "InvalidAccessKeyId" in trouble.cause
        file.write_text(profile.format("NEWKEY"))
        await put
        assert store.trouble() is None
        assert await store.get("key") == b"x"


async def test_bodies_are_signed_where_somebody_could_change_them(fake: FakeObjects) -> None:
    """Without TLS only a store on this machine gets bodies whose hash is not signed; ?unsigned_payload= overrules."""
    async with opened(url_of("s3", fake)) as store:
        await store.put("key", [b"x"])
    async with opened(url_of("s3", fake, "&unsigned_payload=false")) as store:
        await store.put("key", [b"x"])
    unsigned, signed = (request.headers["x-amz-content-sha256"] for request in fake.log)
    assert unsigned == "UNSIGNED-PAYLOAD"
    assert len(signed) == 64


async def test_messages_hold_no_secret(fake: FakeObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a signature nor a token of the request shows up in an error."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_SAS_KEY", "sv=1&sig=verysecret")
    async with opened(url_of("az", fake)) as store:
        for trouble in (Trouble(0), Trouble(403), Trouble(500), Trouble(302)):
            fake.plan = troubles(trouble)
            with pytest.raises(DiskError) as caught:
                await store.put("key", [b"x"])
            assert "verysecret" not in str(caught.value)
