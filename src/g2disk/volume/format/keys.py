"""Keys: the data key of a volume, what is derived from it, and how it is wrapped under a passphrase or another key.

Source: docs/formats/keys.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from g2disk.errors import Denied, Invalid

KEY_LENGTH = 32
"""Bytes of a data key, and of a raw key that wraps one."""
SALT_LENGTH = 32
"""Random bytes that `wrap` needs."""
SCRYPT_COST = 17
"""log2 of scrypt's N: 128 MiB and a third of a second for each guess."""
_LARGEST_SCRYPT_COST = 20
_NONCE = bytes(12)
"""Each wrapping key is used once: its salt is new."""


@dataclass(frozen=True, slots=True)
class Secret:
    """What a person keeps: a passphrase, or a key of 32 bytes."""

    kind: Literal["passphrase", "raw"]
    value: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if self.kind == "raw" and len(self.value) != KEY_LENGTH:
            raise Invalid(f"a key has {KEY_LENGTH} bytes, this one has {len(self.value)}: make one with openssl rand")
        if not self.value:
            raise Invalid("the passphrase is empty: give one")


class WrappedKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A data key, encrypted; it may be known to everybody."""

    kind: Literal["passphrase", "raw"]
    salt: Annotated[bytes, msgspec.Meta(min_length=SALT_LENGTH, max_length=SALT_LENGTH)]
    cost: Annotated[int, msgspec.Meta(ge=0, le=_LARGEST_SCRYPT_COST)]
    """log2 of scrypt's N; 0 where `kind` is "raw"."""
    sealed: Annotated[bytes, msgspec.Meta(min_length=KEY_LENGTH + 16, max_length=KEY_LENGTH + 16)]

    def __post_init__(self) -> None:
        if (self.kind == "passphrase") != (self.cost > 0):
            raise ValueError(f"a key kept by a {_NAMES[self.kind]} has no cost of {self.cost}")


def wrap(data_key: bytes, secret: Secret, salt: bytes, cost: int = SCRYPT_COST) -> WrappedKey:
    """`data_key` encrypted under `secret`; takes long where that is a passphrase.  `salt`: random, new each time."""
    assert len(data_key) == KEY_LENGTH
    assert len(salt) == SALT_LENGTH
    cost = cost if secret.kind == "passphrase" else 0
    sealed = AESGCM(_wrapping_key(secret, salt, cost)).encrypt(_NONCE, data_key, b"g2disk data key")
    return WrappedKey(kind=secret.kind, salt=salt, cost=cost, sealed=sealed)


def unwrap(wrapped: WrappedKey, secret: Secret) -> bytes:
    """The data key.  Raises `Denied` where `secret` is not the one that it was wrapped under."""
    if wrapped.kind != secret.kind:
        needed, given = _NAMES[wrapped.kind], _NAMES[secret.kind]
        raise Denied(f"the disk opens with a {needed}, and a {given} was given")
    try:
        key = _wrapping_key(secret, wrapped.salt, wrapped.cost)
        return AESGCM(key).decrypt(_NONCE, wrapped.sealed, b"g2disk data key")
    except InvalidTag:
        raise Denied(
            f"the disk does not open with the {_NAMES[secret.kind]} that was given; give the right one"
        ) from None


def derive(data_key: bytes, context: bytes, salt: bytes = b"") -> bytes:
    """A key for one purpose: HKDF-SHA256 (RFC 5869) with `context` as its info."""
    return HKDF(SHA256(), KEY_LENGTH, salt or None, context).derive(data_key)


_NAMES = {"passphrase": "passphrase", "raw": "key of 32 bytes"}


def _wrapping_key(secret: Secret, salt: bytes, cost: int) -> bytes:
    if secret.kind == "raw":
        return derive(secret.value, b"g2disk wrapping key", salt)
    return Scrypt(salt, KEY_LENGTH, n=1 << cost, r=8, p=1).derive(secret.value)
