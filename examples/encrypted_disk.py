"""A disk that keeps its bytes encrypted on another disk: AES-256-XTS, in the format of dm-crypt's aes-xts-plain64.

    head -c 64 /dev/urandom >key
    g2disk serve 'examples/encrypted_disk.py:encrypted?store=grpc://localhost:8080&disk=secret&key_file=key'

Needs cryptography: pip install 'g2disk[examples]'.
"""

from __future__ import annotations

import hmac
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

from g2disk.disk import Buffer, Disk, DiskInfo, Extent
from g2disk.disk.layers import Wrapper
from g2disk.errors import Invalid, from_os_error
from g2disk.stores.opening import open_store
from g2disk.stores.store import Store
from g2disk.units import SECTOR

KEY_BYTES = 64


class EncryptedDisk(Wrapper):
    """Encrypts every sector by itself, with its number as the tweak; keeps nothing else and needs no header.

    `key` has 64 bytes.  `sector` is 512 or 4096 bytes, as in `cryptsetup --sector-size`.  XTS hides content, and does
    not notice a forged or an old sector.  What was never written, or was trimmed, reads as noise.  As with dm-crypt, a
    write that fails half-way may turn the 16 bytes around the break into noise, where the inner disk breaks off inside.
    """

    def __init__(self, inner: Disk, key: bytes, sector: int | str = 4096) -> None:
        super().__init__(inner)
        if str(sector) not in ("512", "4096"):
            raise Invalid(f"encrypted sectors have 512 or 4096 bytes, not {sector}")
        if len(key) != KEY_BYTES or key[:32] == key[32:]:
            raise Invalid(f"a key has {KEY_BYTES} random bytes; make them: head -c {KEY_BYTES} /dev/urandom >KEYFILE")
        self._key = key
        self._cipher = algorithms.AES(key)
        self._sector = int(sector)
        if inner.info().size < self._sector:
            raise Invalid(f"a disk of {inner.info().size} bytes has no room for a sector of {sector}")

    def info(self) -> DiskInfo:
        """The inner disk's, with whole sectors, and another identity: under another key it is another disk."""
        inner = self.inner.info()
        return replace(
            inner,
            size=inner.size - inner.size % self._sector,
            identity=inner.identity and hmac.digest(self._key, inner.identity.encode(), "sha256").hex(),
            description=f"encrypted: {inner.description}",
            minimum_block=max(inner.minimum_block, self._sector),
            preferred_block=max(inner.preferred_block, self._sector),
            zero=False,
            fast_zero=False,
        )

    async def read(self, offset: int, length: int) -> bytearray:
        """Decrypted sectors."""
        data = await self.inner.read(offset, length)
        return self._convert(offset, data, decrypt=True)

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        """Encrypt into memory of our own: the caller's buffer stays as it is."""
        await self.inner.write(offset, self._convert(offset, data, decrypt=False), fua)

    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        """Write encrypted zeroes: zeroes of the inner disk would decrypt to noise."""
        await Disk.zero(self, offset, length, fua, may_trim, fast)

    async def extents(self, offset: int, length: int) -> list[Extent]:
        """The inner disk's holes, none of which reads as zeroes."""
        return [replace(extent, zero=False) for extent in await self.inner.extents(offset, length)]

    def _convert(self, offset: int, data: Buffer, *, decrypt: bool) -> bytearray:
        source = memoryview(data)
        result = bytearray(len(source))
        target = memoryview(result)
        for start in range(0, len(source), self._sector):
            end = start + self._sector
            self._context(offset + start, decrypt).update_into(source[start:end], target[start:end])
        return result

    def _context(self, offset: int, decrypt: bool) -> CipherContext:
        """The cipher of the sector at byte `offset`.

        plain64: the number of its first 512 bytes, whatever the sector size, in 64 bits little-endian, zeroes behind.
        """
        cipher = Cipher(self._cipher, modes.XTS((offset // SECTOR).to_bytes(16, "little")))
        return cipher.decryptor() if decrypt else cipher.encryptor()


async def encrypted(store: str, key_file: str, disk: str = "", sector: str = "4096") -> EncryptedDisk:
    """The disk called `disk` (left out: the default) of the store at that URL, under the key in `key_file`."""
    key = read_key(key_file)
    opened = await open_store(store)
    try:
        inner = await opened.open(disk or await opened.default_name())
        return EncryptedDisk(_WithStore(inner, opened), key, sector)
    except BaseException:
        await opened.close()
        raise


def read_key(path: str) -> bytes:
    """The bytes of a key file."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise from_os_error(error, f"reading the key in {path}") from error


class _WithStore(Wrapper):
    """A disk of a store that nobody else uses: closing the one closes the other."""

    def __init__(self, inner: Disk, store: Store) -> None:
        super().__init__(inner)
        self._store = store

    async def close(self) -> None:
        await self._store.close()
