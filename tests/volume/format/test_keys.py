"""Wrapping a data key, and keys derived from it."""

from __future__ import annotations

import msgspec
import pytest

from g2disk.errors import Denied, Invalid
from g2disk.volume.format.keys import Secret, WrappedKey, derive, unwrap, wrap
from tests.volume.format import samples

SECRETS = [samples.PASSPHRASE, samples.RAW]


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: secret.kind)
def test_the_secret_opens_the_data_key(secret: Secret) -> None:
    """Under a passphrase and under a raw key."""
    assert samples.KEY == unwrap(samples.wrapped(secret), secret)


def test_the_data_key_stays_when_it_is_wrapped_anew() -> None:
    """So a passphrase is changed without touching a byte of data."""
    before = samples.wrapped(samples.PASSPHRASE)
    after = wrap(unwrap(before, samples.PASSPHRASE), samples.RAW, bytes(32))

    assert samples.KEY == unwrap(after, samples.RAW)


@pytest.mark.parametrize(
    ("secret", "other"),
    [
        (samples.PASSPHRASE, Secret("passphrase", b"correct horse battery stable")),
        (samples.RAW, Secret("raw", bytes(32))),
        (samples.PASSPHRASE, samples.RAW),
        (samples.RAW, samples.PASSPHRASE),
    ],
)
def test_another_secret_is_denied(secret: Secret, other: Secret) -> None:
    """Whether it is a wrong one, or one of the wrong kind."""
    with pytest.raises(Denied, match=r"the disk (opens with|does not open with)"):
        unwrap(samples.wrapped(secret), other)


@pytest.mark.parametrize("part", ["salt", "sealed"])
def test_a_wrapped_key_that_was_changed_is_denied(part: str) -> None:
    """Any bit of salt and ciphertext counts."""
    wrapped = samples.wrapped(samples.RAW)
    original = getattr(wrapped, part)
    for at in range(len(original)):
        changed = bytearray(original)
        changed[at] ^= 1 << at % 8
        with pytest.raises(Denied):
            unwrap(msgspec.structs.replace(wrapped, **{part: bytes(changed)}), samples.RAW)


@pytest.mark.parametrize(("kind", "value"), [("raw", b"short"), ("raw", bytes(33)), ("passphrase", b"")])
def test_a_secret_that_cannot_be_one_is_invalid(kind: str, value: bytes) -> None:
    """A raw key has 32 bytes, a passphrase is not empty."""
    with pytest.raises(Invalid):
        Secret(kind, value)  # type: ignore[arg-type]


@pytest.mark.parametrize(("kind", "cost"), [("passphrase", 0), ("passphrase", 21), ("raw", 17)])
def test_a_cost_that_cannot_be_is_refused(kind: str, cost: int) -> None:
    """What says that a guess costs nothing, or more than a machine has, or has no guesses, is not read."""
    document = msgspec.json.encode(samples.wrapped(samples.PASSPHRASE))
    lie = document.replace(b'"cost":4', b'"cost":%d' % cost).replace(b'"passphrase"', b'"%s"' % kind.encode())

    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(lie, type=WrappedKey)


def test_a_secret_does_not_show_its_value() -> None:
    """Logs and tracebacks show representations."""
    assert "horse" not in repr(samples.PASSPHRASE)


def test_every_purpose_and_salt_has_its_own_key() -> None:
    """Also when context and salt have the same bytes at different places."""
    found = {derive(samples.KEY, context, salt) for context in (b"a", b"b", b"ab") for salt in (b"", b"x", b"y")}

    assert 9 == len(found)
    assert samples.KEY not in found


def test_derivation_is_hkdf_of_rfc_5869() -> None:
    """Test case 1 of its appendix A, the first 32 bytes."""
    key = derive(bytes([0x0B] * 22), bytes(range(0xF0, 0xFA)), bytes(range(13)))

    assert "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf" == key.hex()
