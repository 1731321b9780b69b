"""What can happen to stored bytes: one flips, or the end is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from g2disk.errors import Corrupt


def flipped(data: bytes) -> Iterator[bytes]:
    """`data` with each of its bytes changed in turn, in one bit and in all of them."""
    for at in range(len(data)):
        for mask in (1 << at % 8, 0xFF):
            damaged = bytearray(data)
            damaged[at] ^= mask
            yield bytes(damaged)


def cut(data: bytes) -> Iterator[bytes]:
    """`data` cut off at each length."""
    for length in range(len(data)):
        yield data[:length]


def unnoticed(variants: Iterator[bytes], read: Callable[[bytes], object]) -> list[bytes]:
    """Those of the variants that `read` does not answer with `Corrupt`; any other exception passes."""
    found = []
    for variant in variants:
        try:
            read(variant)
        except Corrupt:
            continue
        found.append(variant)
    return found
