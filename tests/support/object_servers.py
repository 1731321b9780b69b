"""Object stores for tests: real servers of S3 and Azure, and our own fake of Google's.

`s3`, `azure` and `google` are fixtures (take them into a conftest.py): each gives a function that makes the URL of a
new bucket, with the environment set so that `open_object_store` reaches it.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import TypeAlias

import pytest

from g2disk.clock import SystemClock
from g2disk.disk.identity import new_identity
from tests.support.fake_objects import FakeObjects, fake_objects
from tests.support.processes import ROOT, Process, running, wait_until

AZURITE = ROOT / "tests/support/azurite/node_modules/.bin/azurite-blob"

AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's account and key, the same everywhere and no secret (Azurite's documentation)."""

NewBucket: TypeAlias = Callable[[], str]
"""Makes a bucket, and gives the URL of a store in it."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def moto(directory: Path, port: int = 0) -> Iterator[tuple[str, Process]]:
    """A moto server, an S3 in memory; gives its address."""
    port = port or free_port()
    program = str(Path(sys.executable).with_name("moto_server"))
    with running([program, "-H", "127.0.0.1", "-p", str(port)], directory) as process:
        wait_until("moto listens", lambda: _listens(port), process)
        yield f"http://127.0.0.1:{port}", process


def make_bucket(endpoint: str, bucket: str) -> None:
    """Make a bucket on a server of S3 that checks no signatures."""
    _send("PUT", f"{endpoint}/{bucket}", {})


@contextlib.contextmanager
def azurite(directory: Path, port: int = 0) -> Iterator[tuple[str, Process]]:
    """Azurite, an Azure Blob Storage in memory; gives its address.  Skips the test where it cannot be installed."""
    if not AZURITE.exists():
        if shutil.which("npm") is None:
            pytest.skip("Azurite needs npm, which is not here")
        pytest.skip("Azurite is not installed: run ./dev setup")
    port = port or free_port()
    flags = ["-s", "--skipApiVersionCheck", "--inMemoryPersistence", "--disableTelemetry"]
    command = [str(AZURITE), "--blobHost", "127.0.0.1", "--blobPort", str(port), *flags]
    with running(command, directory) as process:
        wait_until("Azurite listens", lambda: _listens(port), process)
        yield f"http://127.0.0.1:{port}/{AZURE_ACCOUNT}", process


def make_container(endpoint: str, container: str) -> None:
    """Make a container on Azurite (Azure, "Create Container" and "Authorize with Shared Key")."""
    date = formatdate(SystemClock().wall(), usegmt=True)
    headers = {"x-ms-date": date, "x-ms-version": "2021-12-02", "Content-Length": "0"}
    resource = f"/{AZURE_ACCOUNT}/{AZURE_ACCOUNT}/{container}\nrestype:container"
    lines = ["PUT", *[""] * 11, f"x-ms-date:{date}", "x-ms-version:2021-12-02", resource]
    mac = hmac.digest(base64.b64decode(AZURE_KEY), "\n".join(lines).encode(), hashlib.sha256)
    headers["Authorization"] = f"SharedKey {AZURE_ACCOUNT}:{base64.b64encode(mac).decode()}"
    _send("PUT", f"{endpoint}/{container}?restype=container", headers)


class Ceph:
    """A running cluster of three OSDs with a gateway for S3; `environment` reaches it, at s3://g2disk."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        words = self._do("start").split()
        self.environment = dict(word.split("=", 1) for word in words if "=" in word)

    def kill_osd(self, number: int) -> None:
        """kill -9; writes go on with two of three, and stop with one."""
        self._do("kill-osd", str(number))

    def start_osd(self, number: int) -> None:
        """Start it again."""
        self._do("start-osd", str(number))

    def _do(self, command: str, *arguments: str) -> str:
        call = [str(ROOT / "scripts/ceph"), command, str(self._directory), *arguments]
        return subprocess.run(call, check=True, timeout=120, stdout=subprocess.PIPE, text=True).stdout


@contextlib.contextmanager
def ceph() -> Iterator[Ceph]:
    """A Ceph cluster, ready for use.  Skips the test where Ceph is not installed."""
    if shutil.which("radosgw") is None:
        pytest.skip("Ceph is not installed: run scripts/ceph install")
    # Not where pytest's files are: daemons' sockets lie in it, whose paths must be short.
    with tempfile.TemporaryDirectory(prefix="ceph-") as home:
        try:
            yield Ceph(Path(home))
        finally:
            subprocess.run([str(ROOT / "scripts/ceph"), "destroy", home], check=True, timeout=60)


@pytest.fixture(scope="session")
def moto_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A moto server for all tests of a run."""
    with moto(tmp_path_factory.mktemp("moto")) as (endpoint, _):
        yield endpoint


@pytest.fixture(scope="session")
def azurite_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An Azurite for all tests of a run."""
    with azurite(tmp_path_factory.mktemp("azurite")) as (endpoint, _):
        yield endpoint


@pytest.fixture
def aws_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials for servers that check none."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")


@pytest.fixture
def s3(moto_endpoint: str, aws_environment: None) -> NewBucket:
    """Buckets on moto."""

    def new_bucket() -> str:
        bucket = f"b-{new_identity()}"
        make_bucket(moto_endpoint, bucket)
        return f"s3://{bucket}/some/prefix?endpoint={moto_endpoint}"

    return new_bucket


@pytest.fixture
def azure(azurite_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> NewBucket:
    """Containers on Azurite."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", AZURE_ACCOUNT)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", AZURE_KEY)

    def new_container() -> str:
        container = f"c-{new_identity()}"
        make_container(azurite_endpoint, container)
        return f"az://{container}/some/prefix?endpoint={azurite_endpoint}"

    return new_container


@pytest.fixture
async def fake(monkeypatch: pytest.MonkeyPatch, aws_environment: None) -> AsyncIterator[FakeObjects]:
    """A fake of Google's and of Amazon's store, served by the test's own event loop."""
    monkeypatch.setenv("GOOGLE_BEARER_TOKEN", "test")
    async with fake_objects(page=50) as served:
        yield served


@pytest.fixture
def google(fake: FakeObjects) -> NewBucket:
    """Buckets of the fake, in Google's language."""
    return lambda: f"gs://b-{new_identity()}/some/prefix?endpoint={fake.endpoint}"


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _send(method: str, url: str, headers: dict[str, str]) -> None:
    request = urllib.request.Request(url, None, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status < 300, (url, answer.status)
