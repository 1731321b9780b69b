"""What URLs of object stores mean, and which are refused."""

from __future__ import annotations

import pytest

from g2disk.errors import Invalid
from g2disk.objects.opening import open_object_store
from g2disk.objects.url import parse_store_url


def test_a_url_has_a_bucket_a_prefix_and_options() -> None:
    """The parts are told apart, and slashes at the prefix's ends do not count."""
    url = parse_store_url("s3://my.bucket/a/b/?region=eu-west-1&endpoint=http://127.0.0.1:9000")
    assert (url.scheme, url.bucket, url.prefix) == ("s3", "my.bucket", "a/b")
    assert url.options == {"region": "eu-west-1", "endpoint": "http://127.0.0.1:9000"}
    assert str(url) == "s3://my.bucket/a/b"
    assert parse_store_url("gs://bucket").prefix == ""


@pytest.mark.parametrize(
    "url",
    [
        "s3://",
        "s3:bucket",
        "s3:///prefix",
        "s3://user:secret@bucket/prefix",
        "s3://bucket/a//b",
        "s3://bucket/../b",
        "s3://bucket/prefix#part",
        "s3://bucket/ä",
        "s3://bucket?region",
        "s3://bucket?region=a&region=b",
        "s3://bucket?colour=blue",
        "gs://bucket?region=a",
        "s3://bucket?endpoint=127.0.0.1:9000",
        "s3://bucket?timeout=never&endpoint=http://127.0.0.1:1",
        "s3://bucket?unsigned_payload=perhaps&endpoint=http://127.0.0.1:1",
        "s3://bucket?ca=/nonexistent/file",
        "objects:",
        "ftp://bucket",
        "bucket",
    ],
)
async def test_what_names_no_store_is_refused(url: str, aws_environment: None) -> None:
    """Mistakes in a URL are `Invalid` at once, and secrets are not repeated."""
    with pytest.raises(Invalid) as caught:
        await open_object_store(url)
    assert "secret" not in str(caught.value)


async def test_azure_without_an_account_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says where it is to be given."""
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(Invalid, match="set AZURE_STORAGE_ACCOUNT_NAME, or write"):
        await open_object_store("az://container")
