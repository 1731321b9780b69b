"""`Sealer`: what compresses and encrypts what goes into the store.

No nonce is ever used twice with one key, whatever happens to the writer: keys and nonces follow from what is sealed, so
that other content has another key or nonce, and the same content the same bytes.  Source: docs/formats/keys.md.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from struct import Struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from g2disk.errors import Corrupt
from g2disk.volume.format.checksum import Buffer, crc32c
from g2disk.volume.format.compression import Compression, compress, decompress
from g2disk.volume.format.keys import derive

TAG_LENGTH = 16
"""Bytes that encryption adds to a frame."""
SALT_LENGTH = 16
"""Bytes of a segment's salt."""

_MAGIC = b"g2vB"
_CHECKSUM = Struct("<4sI")
_HEAD = Struct("<BBBxI")
"""Version, compression, whether it is encrypted, the plain length."""
_FRONT = _CHECKSUM.size + _HEAD.size
_VERSION = 1
_NONCE = 12
LARGEST_BLOB = 1 << 30
"""Bytes, plain."""


class FrameCipher:
    """AES-256-GCM for the parts of one segment, under a key that is the segment's own."""

    __slots__ = ("_aead",)

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def seal(self, index: int, plain: Buffer) -> bytes:
        """Part `index`, encrypted: TAG_LENGTH bytes more.  Each index is sealed once."""
        return self._aead.encrypt(index.to_bytes(_NONCE, "little"), plain, None)

    def open(self, index: int, sealed: Buffer) -> bytes:
        """What `seal` was given.  Raises `Corrupt`."""
        try:
            return self._aead.decrypt(index.to_bytes(_NONCE, "little"), sealed, None)
        except (InvalidTag, ValueError) as error:
            raise Corrupt("does not decrypt") from error


class Sealer:
    """Compresses and encrypts for one volume.  May be used by several threads at once."""

    def __init__(self, compression: Compression = Compression.NONE, key: bytes | None = None) -> None:
        """`key`: the volume's data key; without one nothing is encrypted."""
        self.compression = compression
        """Of frames; blobs are always compressed by zstd."""
        self._key = key
        if key is not None:
            self._salt_key = derive(key, b"g2disk segment salt")
            self._nonce_key = derive(key, b"g2disk blob nonce")
            self._blobs = AESGCM(derive(key, b"g2disk blob"))

    @property
    def encrypted(self) -> bool:
        """Whether there is a key."""
        return self._key is not None

    def segment_salt(self, parts: Iterable[Buffer]) -> bytes:
        """What makes the key of a segment with these contents its own."""
        assert self._key is not None
        digest = hmac.new(self._salt_key, digestmod="sha256")
        for part in parts:
            digest.update(part)
        return digest.digest()[:SALT_LENGTH]

    def segment_cipher(self, number: int, epoch: int, salt: bytes) -> FrameCipher:
        """The cipher of that segment's index and frames."""
        assert self._key is not None
        return FrameCipher(derive(self._key, b"g2disk segment %016x-%08x" % (number, epoch), salt))

    def seal(self, context: str, plain: Buffer) -> bytes:
        """A blob that holds `plain`, and opens only under the same `context`."""
        assert len(plain) <= LARGEST_BLOB
        packed = compress(Compression.ZSTD, plain)
        compression = Compression.NONE if len(packed) == len(plain) else Compression.ZSTD
        head = _HEAD.pack(_VERSION, compression.code, self.encrypted, len(plain))
        rest = head + (self._encrypt(context, head, packed) if self.encrypted else bytes(packed))
        return _CHECKSUM.pack(_MAGIC, crc32c(rest, crc32c(context.encode()))) + rest

    def open(self, context: str, blob: Buffer) -> Buffer:
        """What `seal` was given.  Raises `Corrupt`, which names the context."""
        try:
            return self._open(context, memoryview(blob))
        except (ValueError, Corrupt) as error:
            raise Corrupt(f"{context}: {error}: run g2disk fsck") from error

    def _encrypt(self, context: str, head: bytes, packed: Buffer) -> bytes:
        about = context.encode() + b"\0" + head
        nonce = hmac.digest(self._nonce_key, about + packed, "sha256")[:_NONCE]
        return nonce + self._blobs.encrypt(nonce, packed, about)

    def _open(self, context: str, blob: memoryview) -> Buffer:
        """Raises ValueError, `Corrupt`."""
        if len(blob) < _FRONT:
            raise ValueError(f"{len(blob)} bytes are too few")
        magic, checksum = _CHECKSUM.unpack_from(blob)
        rest = blob[_CHECKSUM.size :]
        if magic != _MAGIC or checksum != crc32c(rest, crc32c(context.encode())):
            raise ValueError("the checksum does not fit")
        version, code, encrypted, length = _HEAD.unpack_from(rest)
        if version != _VERSION or length > LARGEST_BLOB or bool(encrypted) != self.encrypted:
            raise ValueError("not a blob of this volume")
        compression, packed = Compression.from_code(code), rest[_HEAD.size :]
        if encrypted:
            packed = memoryview(self._decrypt(context, rest))
        return decompress(compression, packed, length)

    def _decrypt(self, context: str, rest: memoryview) -> bytes:
        """Raises ValueError."""
        head, nonce, sealed = bytes(rest[: _HEAD.size]), rest[_HEAD.size :][:_NONCE], rest[_HEAD.size + _NONCE :]
        try:
            return self._blobs.decrypt(bytes(nonce), sealed, context.encode() + b"\0" + head)
        except InvalidTag:
            raise ValueError("does not decrypt") from None
