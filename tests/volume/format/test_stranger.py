"""A reader made from docs/formats alone, with none of our code, reads the golden files."""

from __future__ import annotations

import base64
import hmac
import json
import struct
from hashlib import scrypt

import pytest
import zstandard
from crc32c import crc32c
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from tests.volume.format import samples
from tests.volume.format.golden import DATA


def golden(name: str) -> bytes:
    return (DATA / name).read_bytes()


def sha256(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def hkdf(key: bytes, info: str, salt: bytes = b"") -> bytes:
    """RFC 5869, for the 32 bytes that one round gives."""
    return sha256(sha256(salt or bytes(32), key), info.encode() + b"\1")


def test_the_manifest() -> None:
    """docs/formats/manifest.md, and the wrapped key of keys.md."""
    data = golden("manifest.json")
    manifest = json.loads(data)
    wrapped = {name: base64.b64decode(manifest["encryption"][name]) for name in ("salt", "sealed")}
    cost = 1 << manifest["encryption"]["cost"]
    key = scrypt(samples.PASSPHRASE.value, salt=wrapped["salt"], n=cost, r=8, p=1, dklen=32)

    assert crc32c(data[data.index(b'"format"') :]) == int(manifest["crc32c"], 16)
    assert (17, "früh", 25) == (
        manifest["version"],
        manifest["snapshots"][0]["name"],
        manifest["head"]["runs"][1]["first"],
    )
    assert samples.KEY == AESGCM(key).decrypt(bytes(12), wrapped["sealed"], b"g2disk data key")


@pytest.mark.parametrize("name", ["plain", "zstd", "encrypted", "encrypted-zstd"])
def test_a_segment(name: str) -> None:
    """docs/formats/segment.md."""
    data = golden(f"segment-{name}")
    magic, crc, version, kind, compression, encrypted, shift = struct.unpack_from("<4sIIBBBB", data)
    number, epoch, length, index_crc, salt = struct.unpack_from("<QIII16s", data, 16)
    index = data[64 : 64 + length]
    cipher = AESGCM(hkdf(samples.KEY, f"g2disk segment {number:016x}-{epoch:08x}", salt)) if encrypted else None

    def opened(part: int, stored: bytes) -> bytes:
        return cipher.decrypt(part.to_bytes(12, "little"), stored, None) if cipher else stored

    assert (b"g2vS", 1, 0, 12) == (magic, version, kind, shift)
    assert (crc, index_crc) == (crc32c(data[8:64]), crc32c(index))
    plain = opened(2**64 - 1, index)
    first, last, z, e, b, f = struct.unpack_from("<QQIIII", plain)
    columns = struct.unpack_from(f"<{z}Q{z}Q{e}Q{e}I{b}I{f}I", plain, 32)
    extents = list(zip(columns[2 * z :][:e], columns[2 * z + e :][:e], strict=True))
    crcs, frames = columns[2 * z + 2 * e :][:b], columns[2 * z + 2 * e + b :]

    assert (100, 105) == (first, last)
    assert samples.ZEROES == list(zip(columns[:z], columns[z : 2 * z], strict=True))
    assert samples.BLOCKS == [block + step for block, count in extents for step in range(count)]
    content, at = b"", 64 + length
    for part, stored_length in enumerate(frames):
        frame = opened(part, data[at : at + stored_length])
        expected = min(65536, b * 4096 - part * 65536)
        whole = len(frame) == expected
        assert whole or compression == 2
        content += frame if whole else zstandard.decompress(frame)
        at += stored_length
    content = content or data[at:]
    assert samples.CONTENT == content
    assert list(crcs) == [crc32c(content[at : at + 4096]) for at in range(0, len(content), 4096)]


@pytest.mark.parametrize("kind", ["plain", "encrypted"])
def test_a_leaf(kind: str) -> None:
    """docs/formats/map.md; the sample's context is its name."""
    blob = golden(f"leaf-{kind}")
    magic, crc, version, compression, encrypted, length = struct.unpack_from("<4sIBBBxI", blob)
    page = blob[16:]
    if encrypted:
        about, nonce = b"leaf\0" + blob[8:16], page[:12]
        page = AESGCM(hkdf(samples.KEY, "g2disk blob")).decrypt(nonce, page[12:], about)
        assert nonce == sha256(hkdf(samples.KEY, "g2disk blob nonce"), about + page)[:12]
    leaf = zstandard.decompress(page)

    assert (b"g2vB", 1, 2, len(leaf)) == (magic, version, compression, length)
    assert crc == crc32c(b"leaf" + blob[8:])
    assert (b"g2vL", 1, 77) == struct.unpack_from("<4sIQ", leaf)
    assert samples.locations().tolist() == list(struct.unpack_from("<1024Q", leaf, 16))


@pytest.mark.parametrize("kind", ["plain", "encrypted"])
def test_a_journal(kind: str) -> None:
    """docs/formats/journal.md: its first record."""
    file = golden(f"journal-{kind}")
    magic, crc, version, epoch, number, first_position, sequence = struct.unpack_from("<4sIIIQQQ", file)
    journal, volume, salt, block_size, encrypted = struct.unpack_from("<16s16s16sIB", file, 48)
    record = file[4096:]
    record_magic, record_crc, record_epoch, n, first, position, length = struct.unpack_from("<4sIIIQQQ", record)
    key = hkdf(samples.KEY, f"g2disk journal {journal.hex()} {epoch:08x} {number:016x}", salt)

    def opened(at: int, stored: bytes) -> bytes:
        counter = ((first_position + 4096 + at) // 16).to_bytes(16, "big")
        return Cipher(AES(key), CTR(counter)).decryptor().update(stored) if encrypted else stored

    assert (b"g2vJ", 1, 6, 9, samples.VOLUME) == (magic, version, epoch, number, volume.hex())
    assert (crc, record_crc) == (crc32c(file[8:512]), crc32c(salt + record[8:length]))
    assert (b"g2vE", epoch, sequence, first_position + 4096) == (record_magic, record_epoch, first, position)
    at = 48 + -(-17 * n // 16) * 16
    table = struct.unpack_from(f"<{n}Q{n}Q{n}B", opened(48, record[48:at]))
    for row, (changed, block, count, data) in enumerate(samples.CHANGES):
        assert (block, count, changed) == (table[row], table[n + row], table[2 * n + row])
        step = count * block_size if data is not None else 16
        assert data is None or data == opened(at, record[at : at + step])
        at += step
    assert length == at
