"""The examples as `g2disk serve` loads them: FILE.py:NAME?argument=value."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from g2disk.disk import Disk
from g2disk.disk.layers import Checked
from g2disk.errors import DiskError, Invalid, NotFound
from g2disk.stores.file import FileStore
from g2disk.stores.opening import open_store
from g2disk.stores.remote import RemoteStore
from g2disk.testing import check_disk
from tests.examples.web import Site, serving
from tests.support.nbd_disk import nbd_disk
from tests.support.processes import ROOT, Server, nbdkit, target_server

EXAMPLES = ROOT / "examples"
MIB = 1 << 20


@asynccontextmanager
async def loaded(url: str) -> AsyncIterator[Disk]:
    """The only disk of the store at this URL under examples/."""
    store = await open_store(f"{EXAMPLES}/{url}")
    try:
        yield await store.open(await store.default_name())
    finally:
        await store.close()


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """A key for the encrypting disk."""
    path = tmp_path / "key"
    path.write_bytes(hashlib.shake_128(b"a key").digest(64))
    return path


@pytest.fixture
async def file_store(tmp_path: Path) -> Path:
    """The directory of a file store with two disks."""
    store = await FileStore.at(tmp_path / "store")
    await store.create("secret", 8 * MIB)
    await store.create("other", MIB)
    await store.close()
    return tmp_path / "store"


async def test_the_ramdisk_keeps_every_promise() -> None:
    """Nineteen lines are a disk."""
    assert len((EXAMPLES / "ramdisk.py").read_text().splitlines()) < 20
    await check_disk(lambda: loaded("ramdisk.py:RamDisk?size=8MiB"), seed=3)


async def test_the_disk_over_http_is_loaded_with_its_url() -> None:
    """A URL with a port and a path goes through as an argument."""
    content = hashlib.shake_128(b"a file").digest(MIB)
    with serving(Site(content)) as site:
        async with loaded(f"http_disk.py:HttpDisk?url={site.url}&timeout=20") as disk:
            assert disk.info().read_only
            assert await disk.read(1000, 5000) == content[1000:6000]


@pytest.fixture
def http_server(tmp_path: Path) -> Iterator[Server]:
    """`g2disk serve` with a file on a web server, of a length that is no multiple of 512."""
    with serving(Site(hashlib.shake_128(b"a file").digest(1_000_001))) as site:
        url = f"{EXAMPLES}/http_disk.py:HttpDisk?url={site.url}"
        with target_server(tmp_path, url, listen=f"unix:{tmp_path}/grpc.sock") as server:
            yield server


async def test_the_disk_over_http_keeps_every_promise_over_grpc(http_server: Server) -> None:
    """Behind a target server it is the same read-only disk."""

    @asynccontextmanager
    async def open_disk() -> AsyncIterator[Disk]:
        store = RemoteStore(http_server.endpoint, 20)
        try:
            yield await store.open("")
        finally:
            await store.close()

    await check_disk(open_disk, seed=3, durable=True)


async def test_the_disk_over_http_keeps_every_promise_through_nbdkit(http_server: Server, tmp_path: Path) -> None:
    """And an NBD client sees it so, too."""
    with nbdkit(tmp_path, f"endpoint={http_server.endpoint}") as (socket, _):

        @asynccontextmanager
        async def open_disk() -> AsyncIterator[Disk]:
            async with nbd_disk(socket) as disk:
                yield Checked(disk)  # NBD has no error for "read-only", only EPERM

        await check_disk(open_disk, seed=3)


async def test_the_encrypting_disk_keeps_every_promise_on_a_file(file_store: Path, key_file: Path) -> None:
    """It is as durable as the store below it, which it closes, so that it can be opened again."""
    url = f"encrypted_disk.py:encrypted?store=file:{file_store}&disk=secret&key_file={key_file}"
    await check_disk(lambda: loaded(url), seed=3, durable=True)


async def test_the_encrypting_disk_takes_the_default_disk_and_small_sectors(tmp_path: Path, key_file: Path) -> None:
    """Without a name it is the only disk of the store."""
    store = await FileStore.at(tmp_path / "store")
    await store.create("only", MIB)
    await store.close()
    async with loaded(
        f"encrypted_disk.py:encrypted?store=file:{tmp_path}/store&key_file={key_file}&sector=512"
    ) as disk:
        assert (disk.info().size, disk.info().minimum_block) == (MIB, 512)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"disk": "missing"}, NotFound),
        ({"disk": ""}, NotFound),
        ({"sector": "1024"}, Invalid),
        ({"sector": "many"}, Invalid),
        ({"key_file": "/nonexistent/key"}, NotFound),
        ({"key_file": "/etc/hostname"}, Invalid),
        ({"store": "nothing:"}, Invalid),
    ],
)
async def test_wrong_arguments_are_one_error_and_leave_the_store_free(
    file_store: Path, key_file: Path, change: dict[str, str], kind: type[DiskError]
) -> None:
    """Whatever is wrong, the store's lock is given back."""
    arguments = {"store": f"file:{file_store}", "disk": "secret", "key_file": str(key_file)} | change
    query = "&".join(f"{name}={value}" for name, value in arguments.items())
    with pytest.raises(kind):
        async with loaded(f"encrypted_disk.py:encrypted?{query}"):
            pass
    await (await FileStore.at(file_store)).close()
