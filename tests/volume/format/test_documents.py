"""What is stored as JSON: its frame, the manifest, the catalogue's documents."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from g2disk.errors import Corrupt, Unsupported
from g2disk.volume.format.catalogue import decode_entry, decode_mark, encode_entry
from g2disk.volume.format.checksum import crc32c
from g2disk.volume.format.document import encode_document
from g2disk.volume.format.keys import WrappedKey
from g2disk.volume.format.manifest import (
    Ancestor,
    EpochRecord,
    Head,
    Manifest,
    PageReference,
    Run,
    SnapshotRecord,
    decode_manifest,
    encode_manifest,
)
from g2disk.volume.format.names import MapName, SegmentName
from tests.volume.format import samples
from tests.volume.format.damage import cut, flipped, unnoticed

identities = st.binary(min_size=16, max_size=16).map(bytes.hex)
counts = st.integers(0, (1 << 63) - 1)
epochs = st.integers(0, (1 << 32) - 1)
sizes = st.integers(0, (1 << 63) - 4096)
texts = st.text(st.characters(codec="utf-8"), max_size=8)
times = st.floats(0, 1e11)
references = st.builds(
    PageReference,
    number=st.integers(1, (1 << 63) - 1),
    epoch=epochs,
    offset=epochs,
    length=st.integers(1, (1 << 32) - 1),
)


@st.composite
def heads(draw: st.DrawFn) -> Head:
    bounds = sorted(draw(st.sets(st.integers(1, 1 << 40), min_size=1, max_size=4)))
    runs = tuple(Run(first=first, end=end, epoch=draw(epochs)) for first, end in pairwise(bounds))
    root, table = draw(st.one_of(st.just((None, None)), st.tuples(references, references)))
    return Head(
        root=root,
        table=table,
        checkpoint=draw(counts),
        applied=bounds[0],
        runs=runs,
        next=bounds[-1],
        sequence=draw(counts),
        abandoned=draw(st.just(()) | st.just(((1, 5), (7, 9)))),
    )


snapshots = st.builds(
    SnapshotRecord, name=texts, created=times, size=sizes, head=heads(), clones=st.lists(identities).map(tuple)
)


def _keys(kind: str, costs: st.SearchStrategy[int]) -> st.SearchStrategy[WrappedKey]:
    salts, sealed = st.binary(min_size=32, max_size=32), st.binary(min_size=48, max_size=48)
    return st.builds(WrappedKey, kind=st.just(kind), salt=salts, cost=costs, sealed=sealed)


keys = st.one_of(_keys("passphrase", st.integers(1, 20)), _keys("raw", st.just(0)))


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    past = sorted(draw(st.sets(epochs, max_size=4)))
    firsts = sorted(draw(st.sets(st.integers(1, 1 << 40), max_size=3)))
    return Manifest(
        version=draw(st.integers(1, (1 << 63) - 1)),
        token=draw(identities),
        volume=draw(identities),
        epoch=draw(st.integers(max(past, default=0), (1 << 32) - 1)),
        size=draw(sizes),
        block_size=1 << draw(st.integers(12, 16)),
        durability=draw(st.sampled_from(["journal", "remote"])),
        compression=draw(st.sampled_from(["none", "lz4", "zstd"])),
        encryption=draw(st.none() | keys),
        description=draw(texts),
        created=draw(times),
        head=draw(heads()),
        snapshots=tuple(draw(st.lists(snapshots, max_size=3, unique_by=lambda snapshot: snapshot.name))),
        ancestry=tuple(Ancestor(first=first, first_map=first, volume=draw(identities)) for first in firsts),
        epochs=tuple(
            EpochRecord(epoch=epoch, journal=draw(identities | st.just("")), sequence=draw(counts)) for epoch in past
        ),
        next_map=draw(st.integers(1, (1 << 63) - 1)),
        shrink_requested=draw(st.none() | sizes),
    )


@given(manifests())
def test_a_manifest_is_read_as_it_was_written(manifest: Manifest) -> None:
    """decode(encode(x)) == x."""
    assert manifest == decode_manifest(encode_manifest(manifest), "key")


def test_other_bytes_are_corrupt() -> None:
    """Whichever byte of a manifest flips, and wherever it is cut, it is noticed; so with what follows it."""
    stored = encode_manifest(samples.manifest())

    assert [] == unnoticed(flipped(stored), lambda data: decode_manifest(data, "key"))
    assert [] == unnoticed(cut(stored), lambda data: decode_manifest(data, "key"))
    assert [] == unnoticed(iter([stored + b" ", stored + stored]), lambda data: decode_manifest(data, "key"))


@given(st.binary(max_size=100))
def test_whatever_has_the_right_checksum_is_a_document_or_corrupt(rest: bytes) -> None:
    """Also behind a checksum that fits, anything else is Corrupt, or of a newer format."""
    with pytest.raises((Corrupt, Unsupported)):
        decode_mark(b'{"crc32c":"%08x",' % crc32c(rest) + rest)


def test_a_newer_format_is_unsupported() -> None:
    """It is not damage, and the message says what to do."""
    rest = encode_entry(samples.ENTRY)[21:].replace(b'"format":1', b'"format":2')

    with pytest.raises(Unsupported, match=r"disks/d\.json: has format 2, .* use a newer one"):
        decode_entry(b'{"crc32c":"%08x",' % crc32c(rest) + rest, "d")


HEAD = Head(applied=3, runs=(Run(first=3, end=5, epoch=1),), next=5)
SNAPSHOT = SnapshotRecord(name="s", created=0.0, size=0, head=HEAD)


@pytest.mark.parametrize(
    "change",
    [
        {"block_size": 4096 * 3},
        {"block_size": 512},
        {"size": 1 << 63},
        {"volume": "00" * 15},
        {"token": "G" * 32},
        {"head": msgspec.structs.replace(HEAD, next=6)},
        {"head": msgspec.structs.replace(HEAD, applied=2)},
        {"head": msgspec.structs.replace(HEAD, root=samples.manifest().head.root)},
        {"head": msgspec.structs.replace(HEAD, next=0, applied=0, runs=())},
        {"head": msgspec.structs.replace(HEAD, runs=(Run(first=3, end=3, epoch=1), Run(first=3, end=5, epoch=1)))},
        {"snapshots": (SNAPSHOT, SNAPSHOT)},
        {"snapshots": (msgspec.structs.replace(SNAPSHOT, head=msgspec.structs.replace(HEAD, next=6)),)},
        {"ancestry": samples.manifest().ancestry[::-1]},
        {"epochs": samples.manifest().epochs[::-1]},
        {"epoch": 3},
        {"compression": "gzip"},
        {"durability": "memory"},
    ],
)
def test_a_manifest_that_contradicts_itself_is_neither_written_nor_read(change: dict[str, object]) -> None:
    """What a writer's error would make is refused before it is stored, and after."""
    wrong = msgspec.structs.replace(samples.manifest(), **change)

    with pytest.raises(Corrupt):
        encode_manifest(wrong)
    with pytest.raises(Corrupt, match=r"^key: "):
        decode_manifest(encode_document(wrong), "key")


def test_an_unknown_field_is_corrupt() -> None:
    """A format that grows gets another number: whoever does not know a field would drop it with the next version."""
    rest = encode_entry(samples.ENTRY)[21:].replace(b'"created"', b'"more":1,"created"')

    with pytest.raises(Corrupt, match="more"):
        decode_entry(b'{"crc32c":"%08x",' % crc32c(rest) + rest, "d")


def test_numbers_belong_to_the_last_ancestor_that_begins_at_or_below_them() -> None:
    """Segments and map objects of a clone are its own from its first number on."""
    manifest = samples.manifest()
    parent, own = samples.PARENT, samples.VOLUME

    assert [parent, parent, own, own] == [manifest.owner(number) for number in (1, 11, 12, 1 << 39)]
    assert [parent, parent, own, own] == [manifest.map_owner(number) for number in (1, 2, 3, 1 << 39)]
    assert SegmentName(11, 2).key(parent) == manifest.segment_key(SegmentName(11, 2))
    assert MapName(3, 2).key(own) == manifest.map_key(MapName(3, 2))


def test_without_ancestors_all_is_the_volume_s_own() -> None:
    """A disk that is no clone need not say so."""
    manifest = msgspec.structs.replace(samples.manifest(), ancestry=())

    assert samples.VOLUME == manifest.owner(1) == manifest.map_owner(1)


def test_a_snapshot_is_found_by_its_name() -> None:
    """And None where there is none."""
    manifest = samples.manifest()

    assert manifest.snapshots[0] == manifest.snapshot("früh")
    assert manifest.snapshot("spät") is None
