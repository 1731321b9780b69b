"""The encrypting disk writes the format that dm-crypt reads, and keeps the promises of a disk."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from examples.encrypted_disk import EncryptedDisk, read_key

from g2disk.disk import Buffer, Disk, DiskInfo, Extent
from g2disk.errors import Invalid, NotFound, Unsupported
from g2disk.stores.memory import MemoryDisk
from g2disk.testing import check_disk
from tests.examples.luks import PAYLOAD, Part, make_volume

KEY = hashlib.shake_128(b"a key").digest(64)
OTHER_KEY = hashlib.shake_128(b"another key").digest(64)

# IEEE Std 1619-2007, annex B, vectors 10 to 14: XTS-AES-256, data units of 512 bytes with these numbers.
IEEE_KEY = bytes.fromhex(
    "2718281828459045235360287471352662497757247093699959574966967627"
    "3141592653589793238462643383279502884197169399375105820974944592"
)
IEEE_PLAIN = bytes(range(256)) * 2
IEEE_VECTORS = {
    0xFF: "1c3b3a102f770386e4836c99e370cf9bea00803f5e482357a4ae12d414a3e63b5d31e276f8fe4a8d66b317f9ac683f44"
    "680a86ac35adfc3345befecb4bb188fd5776926c49a3095eb108fd1098baec70aaa66999a72a82f27d848b21d4a741b0"
    "c5cd4d5fff9dac89aeba122961d03a757123e9870f8acf1000020887891429ca2a3e7a7d7df7b10355165c8b9a6d0a7d"
    "e8b062c4500dc4cd120c0f7418dae3d0b5781c34803fa75421c790dfe1de1834f280d7667b327f6c8cd7557e12ac3a0f"
    "93ec05c52e0493ef31a12d3d9260f79a289d6a379bc70c50841473d1a8cc81ec583e9645e07b8d9670655ba5bbcfecc6"
    "dc3966380ad8fecb17b6ba02469a020a84e18e8f84252070c13e9f1f289be54fbc481457778f616015e1327a02b140f1"
    "505eb309326d68378f8374595c849d84f4c333ec4423885143cb47bd71c5edae9be69a2ffeceb1bec9de244fbe15992b"
    "11b77c040f12bd8f6a975a44a0f90c29a9abc3d4d893927284c58754cce294529f8614dcd2aba991925fedc4ae74ffac"
    "6e333b93eb4aff0479da9a410e4450e0dd7ae4c6e2910900575da401fc07059f645e8b7e9bfdef33943054ff84011493"
    "c27b3429eaedb4ed5376441a77ed43851ad77f16f541dfd269d50d6a5f14fb0aab1cbb4c1550be97f7ab4066193c4caa"
    "773dad38014bd2092fa755c824bb5e54c4f36ffda9fcea70b9c6e693e148c151",
    0xFFFF: "77a31251618a15e6b92d1d66dffe7b50b50bad552305ba0217a610688eff7e11",
    0xFFFFFF: "e387aaa58ba483afa7e8eb469778317ecf4cf573aa9d4eac23f2cdf914e4e200",
    0xFFFFFFFF: "bf53d2dade78e822a4d949a9bc6766b01b06a8ef70d26748c6a7fc36d80ae4c5",
    0xFFFFFFFFFF: "64497e5a831e4a932c09be3e5393376daa599548b816031d224bbf50a818ed23",
}


class Noted(Disk):
    """A memory disk that notes what it was asked, and has the given facts."""

    def __init__(self, info: DiskInfo) -> None:
        self.facts = info
        self.memory = MemoryDisk(info.size)
        self.asked: list[tuple[object, ...]] = []

    def info(self) -> DiskInfo:
        return self.facts

    async def read(self, offset: int, length: int) -> Buffer:
        return await self.memory.read(offset, length)

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        self.asked.append(("write", offset, len(data), fua))
        await self.memory.write(offset, data, fua)

    async def flush(self) -> None:
        self.asked.append(("flush",))

    async def trim(self, offset: int, length: int, fua: bool = False) -> None:
        self.asked.append(("trim", offset, length, fua))
        await self.memory.trim(offset, length, fua)

    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        self.asked.append(("zero", offset, length, fua))

    async def extents(self, offset: int, length: int) -> list[Extent]:
        return await self.memory.extents(offset, length)

    async def cache(self, offset: int, length: int) -> None:
        self.asked.append(("cache", offset, length))

    async def close(self) -> None:
        self.asked.append(("close",))


def noted(size: int = 1 << 20, block: int = 1) -> Noted:
    """A disk that can do all there is."""
    return Noted(
        DiskInfo(
            size, "inner", "start 1", "a disk", block, trim=True, zero=True, fast_zero=True, extents=True, cache=True
        )
    )


@pytest.mark.parametrize("number", IEEE_VECTORS, ids=hex)
async def test_ciphertext_is_that_of_ieee_1619(number: int) -> None:
    """Sector n of 512 bytes is encrypted as the standard's data unit n, up to numbers of 5 bytes."""
    inner = MemoryDisk(1 << 50)
    disk = EncryptedDisk(inner, IEEE_KEY, 512)

    await disk.write(number * 512, IEEE_PLAIN)

    known = bytes.fromhex(IEEE_VECTORS[number])
    assert bytes(await inner.read(number * 512, len(known))) == known
    assert await disk.read(number * 512, 512) == IEEE_PLAIN


async def test_a_large_sector_has_the_number_of_its_first_512_bytes() -> None:
    """As in dm-crypt without iv_large_sectors: the first 512 bytes of a large sector come out as a small one's."""
    small, large = MemoryDisk(1 << 20), MemoryDisk(1 << 20)
    data = hashlib.shake_128(b"data").digest(4096)

    await EncryptedDisk(small, KEY, 512).write(40960, data)
    await EncryptedDisk(large, KEY, 4096).write(40960, data)

    assert bytes(await small.read(40960, 512)) == bytes(await large.read(40960, 512))
    assert bytes(await small.read(41472, 512)) != bytes(await large.read(41472, 512))


def convert(directory: Path, *arguments: str) -> None:
    """Copy with qemu-img, which knows the volume's passphrase as `secret`."""
    command = ["qemu-img", "convert", "--object", "secret,id=secret,data=open sesame", *arguments]
    subprocess.run(command, cwd=directory, check=True, stdin=subprocess.DEVNULL, timeout=30)


async def test_qemu_and_the_disk_read_what_the_other_encrypted(tmp_path: Path) -> None:
    """On one LUKS volume, aes-xts-plain64 of qemu and of the disk are the same, both ways."""
    size = 1 << 20
    ours, theirs = (hashlib.shake_128(text).digest(size) for text in (b"ours", b"theirs"))
    volume = await make_volume(KEY, b"open sesame", size)
    disk = EncryptedDisk(Part(volume, PAYLOAD, size), KEY, 512)
    options = "driver=luks,key-secret=secret,file.filename=volume"

    await disk.write(0, ours)
    (tmp_path / "volume").write_bytes(volume)
    convert(tmp_path, "--image-opts", "-O", "raw", options, "ours")
    assert (tmp_path / "ours").read_bytes() == ours

    (tmp_path / "theirs").write_bytes(theirs)
    convert(tmp_path, "-n", "-f", "raw", "theirs", "--target-image-opts", options)
    volume[:] = (tmp_path / "volume").read_bytes()
    assert await disk.read(0, size) == theirs


async def test_only_ciphertext_is_on_the_inner_disk() -> None:
    """No 16 bytes of what was written, and nothing that compresses, reach the inner disk."""
    inner = MemoryDisk(1 << 20)
    disk = EncryptedDisk(inner, KEY)
    data = b"a secret of some length, again and again; " * 1000

    await disk.write(0, data[:40960])

    stored = bytes(await inner.read(0, 40960))
    assert not any(data[at : at + 16] in stored for at in range(42))
    assert len({stored[at : at + 16] for at in range(0, len(stored), 16)}) == len(stored) // 16
    assert await disk.read(0, 40960) == data[:40960]


async def test_another_key_reads_noise() -> None:
    """Without the key nothing of the data comes back."""
    inner = MemoryDisk(1 << 20)
    await EncryptedDisk(inner, KEY).write(0, b"secret" * 2048)

    assert b"secret" not in await EncryptedDisk(inner, OTHER_KEY).read(0, 12288)


async def test_zero_writes_encrypted_zeroes() -> None:
    """Zeroes are written as data, with FUA where asked for, and never become zeroes or holes of the inner disk."""
    inner = noted()
    disk = EncryptedDisk(inner, KEY)

    await disk.zero(4096, 8192, fua=True)

    assert inner.asked == [("write", 4096, 8192, True)]
    assert bytes(await inner.read(4096, 8192)) != bytes(8192)
    assert await disk.read(4096, 8192) == bytes(8192)
    with pytest.raises(Unsupported):
        await disk.zero(0, 4096, fast=True)


async def test_trim_reaches_the_inner_disk() -> None:
    """Space is given back where it is taken up."""
    inner = noted()
    disk = EncryptedDisk(inner, KEY)
    await disk.write(0, bytes(65536))

    await disk.trim(4096, 8192, fua=True)

    assert inner.asked[-1] == ("trim", 4096, 8192, True)
    assert await disk.extents(0, 16384) == [Extent(0, 4096), Extent(4096, 8192, hole=True), Extent(12288, 4096)]


async def test_no_extent_claims_zeroes() -> None:
    """The inner disk's holes read as noise here, so they are holes that are not zero."""
    inner = noted()
    disk = EncryptedDisk(inner, KEY)

    assert await inner.extents(0, 4096) == [Extent(0, 4096, hole=True, zero=True)]
    assert await disk.extents(0, 4096) == [Extent(0, 4096, hole=True, zero=False)]
    assert await disk.read(0, 4096) != bytes(4096)


async def test_everything_else_is_passed_on() -> None:
    """Flush, cache and close are the inner disk's business, and FUA goes along with a write."""
    inner = noted()
    disk = EncryptedDisk(inner, KEY)

    await disk.write(0, bytes(4096), fua=True)
    await disk.flush()
    await disk.cache(0, 8192)
    await disk.close()

    assert inner.asked == [("write", 0, 4096, True), ("flush",), ("cache", 0, 8192), ("close",)]


async def test_the_callers_buffer_stays_as_it_is() -> None:
    """Encrypting does not happen in the buffer that was given."""
    buffer = bytearray(b"plain" * 4096)
    await EncryptedDisk(MemoryDisk(1 << 20), KEY).write(0, memoryview(buffer))
    assert buffer == b"plain" * 4096


@pytest.mark.parametrize(
    ("size", "sector", "expected"), [(1 << 20, 512, 1 << 20), (5120, 4096, 4096), (5120, 512, 5120)]
)
def test_the_size_is_whole_sectors(size: int, sector: int, expected: int) -> None:
    """What is left behind the last whole sector is not used."""
    info = EncryptedDisk(noted(size), KEY, sector).info()
    assert (info.size, info.minimum_block) == (expected, sector)


def test_info_is_the_inner_disks_but_for_what_encryption_changes() -> None:
    """Capabilities and instance pass through; zero does not; the larger of both block sizes counts."""
    info = EncryptedDisk(noted(1 << 20, 1024), KEY, 512).info()
    assert (info.trim, info.extents, info.cache, info.zero, info.fast_zero) == (True, True, True, False, False)
    assert (info.minimum_block, info.preferred_block, info.instance) == (1024, 4096, "start 1")


def test_identity_depends_on_the_inner_disk_and_the_key() -> None:
    """With the same key it is the same disk again, with another key another one; and nobody's stays nobody's."""
    inner = noted()
    ours, again, other = (EncryptedDisk(inner, key).info().identity for key in (KEY, KEY, OTHER_KEY))
    assert ours == again
    assert len({"inner", ours, other}) == 3
    assert EncryptedDisk(Noted(DiskInfo(4096)), KEY).info().identity == ""


@pytest.mark.parametrize("key", [b"", KEY[:32], KEY + b"\n", KEY[:32] * 2], ids=["empty", "short", "long", "halves"])
def test_a_wrong_key_is_refused(key: bytes) -> None:
    """A key has 64 bytes, and its halves differ, as the standard demands."""
    with pytest.raises(Invalid, match="64 random bytes"):
        EncryptedDisk(noted(), key)


@pytest.mark.parametrize(("size", "sector"), [(1 << 20, 1024), (1 << 20, 0), (2048, 4096)])
def test_a_wrong_sector_is_refused(size: int, sector: int) -> None:
    """Sectors have 512 or 4096 bytes, and the disk has room for one."""
    with pytest.raises(Invalid):
        EncryptedDisk(noted(size), KEY, sector)


def test_the_key_is_read_from_its_file(tmp_path: Path) -> None:
    """A key file holds the bytes of the key and nothing else; one that is missing is said to be."""
    (tmp_path / "key").write_bytes(KEY)
    assert read_key(str(tmp_path / "key")) == KEY
    with pytest.raises(NotFound, match="missing"):
        read_key(str(tmp_path / "missing"))


@pytest.mark.parametrize("sector", [512, 4096])
async def test_it_keeps_every_promise_of_a_disk(sector: int) -> None:
    """The contract holds, also for a disk that is opened again."""
    inner = MemoryDisk(8 << 20)

    @asynccontextmanager
    async def open_disk() -> AsyncIterator[Disk]:
        yield EncryptedDisk(inner, KEY, sector)

    await check_disk(open_disk, seed=1, durable=True)
