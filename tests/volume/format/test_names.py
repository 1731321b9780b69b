"""Keys of objects, and locations."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from g2disk.volume.format.locations import MOST_BLOCKS, ZEROES, location, ordinal, segment_number
from g2disk.volume.format.names import (
    MapName,
    SegmentName,
    disk_key,
    manifest_key,
    manifests_prefix,
    maps_prefix,
    parse_manifest_key,
    parse_object_key,
    segments_prefix,
    volume_prefix,
)

VOLUME = "00112233445566778899aabbccddeeff"
numbers = st.integers(1, (1 << 40) - 1)
epochs = st.integers(0, (1 << 32) - 1)


@given(numbers, epochs, st.sampled_from([SegmentName, MapName]))
def test_a_key_is_parsed_to_its_name(number: int, epoch: int, kind: type[SegmentName] | type[MapName]) -> None:
    """Segments and map objects; each key begins as its prefix says."""
    name = kind(number, epoch)
    prefix = segments_prefix(VOLUME) if kind is SegmentName else maps_prefix(VOLUME)

    assert (VOLUME, name) == parse_object_key(name.key(VOLUME))
    assert name.key(VOLUME).startswith(prefix)
    assert prefix.startswith(volume_prefix(VOLUME))


@given(numbers)
def test_a_manifest_s_key_is_parsed_to_its_version(version: int) -> None:
    """And is none of a segment."""
    key = manifest_key(VOLUME, version)

    assert (VOLUME, version) == parse_manifest_key(key)
    assert key.startswith(manifests_prefix(VOLUME))
    assert parse_object_key(key) is None


@given(st.lists(st.tuples(numbers, epochs), max_size=20))
def test_keys_sort_as_names_do(found: list[tuple[int, int]]) -> None:
    """A listing comes in the order of the numbers."""
    names = [SegmentName(*one) for one in found]

    assert [name.key(VOLUME) for name in sorted(names)] == sorted(name.key(VOLUME) for name in names)


def test_other_keys_are_no_names() -> None:
    """Foreign objects are left alone."""
    key = SegmentName(1, 2).key(VOLUME)
    for other in (key + "x", "x" + key, key.upper(), key.replace("segments", "logs"), key[:-1], disk_key("d"), ""):
        assert parse_object_key(other) is None
    key = manifest_key(VOLUME, 1)
    for other in (key + "x", "x" + key, key.upper(), key[:-1], disk_key("d"), ""):
        assert parse_manifest_key(other) is None


@given(numbers, st.integers(0, MOST_BLOCKS - 1))
def test_a_location_holds_number_and_ordinal(number: int, at: int) -> None:
    """In 64 bits, and it is never the one of zeroes."""
    found = location(number, at)

    assert (number, at) == (segment_number(found), ordinal(found))
    assert ZEROES < found < 1 << 64
