"""Makes the header of a LUKS version 1 volume around a given key, so that programs that read LUKS decrypt its data.

Source: LUKS On-Disk Format Specification, version 1.2.3: the partition header and the anti-forensic splitter.
"""

from __future__ import annotations

import hashlib
import struct

from examples.encrypted_disk import EncryptedDisk

from g2disk.disk import Buffer, Disk

_HEADER = struct.Struct(">6sH32s32s32sII20s32sI40s")
_SLOT = struct.Struct(">II32sII")
_SLOTS = 8
_ACTIVE, _INACTIVE = 0x00AC71F3, 0x0000DEAD
_STRIPES = 4000
_ROUNDS = 1000
_SALT = bytes(range(32))
_KEY_BYTES = 64
_MATERIAL_SECTORS = _KEY_BYTES * _STRIPES // 512
_FIRST_MATERIAL, _STEP = 8, 504
"""In sectors; both multiples of 4 KiB."""

PAYLOAD = (_FIRST_MATERIAL + _SLOTS * _STEP) * 512
"""Where the volume's data begins, in bytes."""


class Part(Disk):
    """A part of a bytearray."""

    def __init__(self, whole: bytearray, start: int, length: int) -> None:
        self.whole = whole
        self.start = start
        self.size = length

    async def read(self, offset: int, length: int) -> bytes:
        return bytes(self.whole[self.start + offset : self.start + offset + length])

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        self.whole[self.start + offset : self.start + offset + len(data)] = data


async def make_volume(key: bytes, passphrase: bytes, size: int) -> bytearray:
    """A volume with `size` bytes in aes-xts-plain64 from PAYLOAD on, under `key`, which `passphrase` opens."""
    volume = bytearray(PAYLOAD + size)
    digest = hashlib.pbkdf2_hmac("sha256", key, _SALT, _ROUNDS, 20)
    header = (b"LUKS\xba\xbe", 1, b"aes", b"xts-plain64", b"sha256", PAYLOAD // 512, len(key), digest, _SALT, _ROUNDS)
    _HEADER.pack_into(volume, 0, *header, b"00000000-0000-4000-8000-000000000000")
    for number in range(_SLOTS):
        state, rounds = (_INACTIVE, 0) if number else (_ACTIVE, _ROUNDS)
        place = _HEADER.size + number * _SLOT.size
        _SLOT.pack_into(volume, place, state, rounds, _SALT, _FIRST_MATERIAL + number * _STEP, _STRIPES)
    slot_key = hashlib.pbkdf2_hmac("sha256", passphrase, _SALT, _ROUNDS, _KEY_BYTES)
    material = Part(volume, _FIRST_MATERIAL * 512, _MATERIAL_SECTORS * 512)
    await EncryptedDisk(material, slot_key, 512).write(0, _split(key))
    return volume


def _split(key: bytes) -> bytes:
    """The key, blown up so that all of it is needed to get the key back."""
    stripes = hashlib.shake_128(b"stripes").digest((_STRIPES - 1) * len(key))
    merged = bytes(len(key))
    for at in range(0, len(stripes), len(key)):
        merged = _diffuse(_xor(merged, stripes[at : at + len(key)]))
    return stripes + _xor(merged, key)


def _diffuse(block: bytes) -> bytes:
    parts = (block[at : at + 32] for at in range(0, len(block), 32))
    return b"".join(hashlib.sha256(struct.pack(">I", number) + part).digest() for number, part in enumerate(parts))


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
