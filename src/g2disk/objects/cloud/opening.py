"""URLs of cloud stores -> `CloudObjects`.

The providers' usual environment variables are read by obstore; an option of the URL wins over them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from g2disk.errors import DiskError, Invalid
from g2disk.objects.cloud.credentials import aws_credentials
from g2disk.objects.cloud.errors import translate
from g2disk.objects.cloud.store import Bucket, CloudObjects
from g2disk.objects.url import StoreUrl

_TIMEOUT = "60"
"""Seconds for one request as a whole: 16 MiB over a line of 2.5 Mbit/s."""

_CONNECT = timedelta(seconds=5)

_COMMON = {"endpoint", "timeout", "ca"}

SCHEMES: dict[str, set[str]] = {
    "s3": _COMMON | {"region", "virtual_hosted_style", "unsigned_payload"},
    "gs": _COMMON,
    "az": _COMMON | {"account"},
}
"""Schemes, and the options that each takes."""

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def open_cloud(url: StoreUrl) -> CloudObjects:
    """The store of one of `SCHEMES`; asks nothing of it yet.  Raises `Invalid`."""
    unknown = sorted(set(url.options) - SCHEMES[url.scheme])
    if unknown:
        known = ", ".join(sorted(SCHEMES[url.scheme]))
        raise Invalid(f"'{unknown[0]}' is no option of {url.scheme}://; there are {known}")
    endpoint = _endpoint(url)
    make = partial(_MAKERS[url.scheme], url, endpoint)
    return CloudObjects(str(url), partial(_made, make, url), _origin(url, endpoint))


def _made(make: Callable[[], Bucket], url: StoreUrl) -> Bucket:
    try:
        return make()
    except (BaseError, ValueError) as error:
        raise _refused(error, url) from error


def _refused(error: Exception, url: StoreUrl) -> DiskError:
    return Invalid(str(translate(error, f"opening {url}", "")))


def _s3(url: StoreUrl, endpoint: str) -> Bucket:
    config: dict[str, Any] = dict(aws_credentials(os.environ))
    if endpoint:
        config["endpoint"] = endpoint
    if "region" in url.options:
        config["region"] = url.options["region"]
    config["virtual_hosted_style_request"] = url.flag("virtual_hosted_style", False)
    config["unsigned_payload"] = url.flag("unsigned_payload", _is_safe(endpoint))
    config["disable_bulk_delete"] = True  # not every store has it, and we delete one by one
    return S3Store(url.bucket, prefix=url.prefix or None, config=config, **_transport(url, endpoint))  # type: ignore[arg-type]


def _gs(url: StoreUrl, endpoint: str) -> Bucket:
    config: dict[str, Any] = {"base_url": endpoint} if endpoint else {}
    return GCSStore(url.bucket, prefix=url.prefix or None, config=config, **_transport(url, endpoint))  # type: ignore[arg-type]


def _az(url: StoreUrl, endpoint: str) -> Bucket:
    config: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
    if "account" in url.options:
        config["account_name"] = url.options["account"]
    return AzureStore(url.bucket, prefix=url.prefix or None, config=config, **_transport(url, endpoint))  # type: ignore[arg-type]


_MAKERS: dict[str, Callable[[StoreUrl, str], Bucket]] = {"s3": _s3, "gs": _gs, "az": _az}


def _transport(url: StoreUrl, endpoint: str) -> Mapping[str, Any]:
    """How requests are sent: in time, and never repeated."""
    client: dict[str, Any] = {
        "timeout": timedelta(seconds=url.number("timeout", float(_TIMEOUT))),
        "connect_timeout": _CONNECT,
        "allow_http": endpoint.startswith("http://"),
    }
    if "ca" in url.options:
        try:
            client["root_certificate"] = Path(url.options["ca"]).read_bytes()
        except OSError as error:
            raise Invalid(f"?ca={url.options['ca']}: {error.strerror}") from error
    return {"client_options": client, "retry_config": {"max_retries": 0}}


_VARIABLES = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}


def _endpoint(url: StoreUrl) -> str:
    """Where the store is asked, if not at its provider's own address; "" there."""
    variables = (os.environ[name] for name in _VARIABLES[url.scheme] if os.environ.get(name))
    endpoint = url.options.get("endpoint") or next(variables, "")
    if endpoint and not endpoint.startswith(("http://", "https://")):
        raise Invalid(f"?endpoint={endpoint}: write http://HOST:PORT or https://HOST")
    return endpoint


def _origin(url: StoreUrl, endpoint: str) -> str:
    """Scheme and host of all requests to the store; "" if that is not known."""
    if not endpoint or url.flag("virtual_hosted_style", False):
        return ""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc}"


def _is_safe(endpoint: str) -> bool:
    """Whether nobody can change bodies on their way: then a hash of the body needs no signature, which costs a third of
    the speed.
    """
    return not endpoint.startswith("http://") or urlsplit(endpoint).hostname in _LOOPBACK
