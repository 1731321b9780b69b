"""Damaged records: other changes than those that were recorded never come out of them."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.records import Row, is_prefix, rows, some_changes, write

from g2disk.remote.record_file import RecordFile, Recovered
from g2disk.remote.record_format import (
    MARKER,
    SLOT,
    Marker,
    decode_batches,
    decode_marker,
    encode_batch,
    encode_slot,
    recovered_changes,
)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Row]]:
    """A record with 19 unflushed changes in a file that was used before, and what they are."""
    directory = tmp_path_factory.mktemp("recorded")
    rng = random.Random(4)
    record = RecordFile.open(directory, True)
    record.begin("disk")
    record.acknowledged("i", some_changes(rng, 40))
    record.covered(40)
    changes = some_changes(rng, 20)
    for at in range(0, 20, 4):
        record.acknowledged("i", changes[at : at + 4])
    record.covered(1)
    record.close()
    return directory, rows(changes[1:])


def found_in(directory: Path) -> Recovered:
    record = RecordFile.open(directory, True)
    record.close()
    return record.recovered


def check(found: Recovered, expected: list[Row]) -> bool:
    """Hold the promise; whether the damage was found, and not only harmless."""
    assert is_prefix(rows(found.changes), expected)
    assert not found.empty
    if found.complete:
        assert expected == rows(found.changes)
        assert ("disk", "i") == (found.identity, found.instance)
    return not found.complete


def test_a_log_that_was_cut_off_anywhere_is_found_out(tmp_path: Path, recorded: tuple[Path, list[Row]]) -> None:
    """Cut inside the batches it is incomplete and gives the changes before; cut behind them nothing is lost."""
    directory, expected = recorded
    whole = (directory / "unflushed.0").read_bytes()
    end = sum(len(part) for batch in decode_batches(whole) for part in encode_batch(batch.sequence, batch.changes))
    shutil.copytree(directory, tmp_path / "record")
    for length in range(len(whole)):
        (tmp_path / "record" / "unflushed.0").write_bytes(whole[:length])
        assert check(found_in(tmp_path / "record"), expected) == (length < end)
    (tmp_path / "record" / "unflushed.0").unlink()
    assert check(found_in(tmp_path / "record"), expected)


def test_a_marker_that_was_cut_off_anywhere_is_found_out(tmp_path: Path, recorded: tuple[Path, list[Row]]) -> None:
    """Incomplete, at every length, and when the file is gone."""
    directory, expected = recorded
    whole = (directory / "unflushed").read_bytes()
    shutil.copytree(directory, tmp_path / "record")
    for length in (*range(200), *range(200, MARKER, 50), *range(SLOT - 2, SLOT + 200), MARKER - 1):
        (tmp_path / "record" / "unflushed").write_bytes(whole[:length])
        assert check(found_in(tmp_path / "record"), expected)
    (tmp_path / "record" / "unflushed").unlink()
    assert check(found_in(tmp_path / "record"), expected)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(["unflushed", "unflushed.0"]), st.integers(0, 1 << 32), st.integers(0, 7))
def test_a_flipped_bit_changes_nothing_unnoticed(
    tmp_path_factory: pytest.TempPathFactory, recorded: tuple[Path, list[Row]], name: str, at: int, bit: int
) -> None:
    """What comes out is right and complete, or it is the right beginning and called incomplete."""
    directory, expected = recorded
    copy = tmp_path_factory.mktemp("flipped") / "record"
    shutil.copytree(directory, copy)
    raw = bytearray((copy / name).read_bytes())
    used = [*range(60), *range(SLOT, SLOT + 60)] if name == "unflushed" else range(len(raw))
    raw[used[at % len(used)]] ^= 1 << bit
    (copy / name).write_bytes(raw)
    check(found_in(copy), expected)
    shutil.rmtree(copy.parent)


def test_every_flipped_bit_of_what_is_in_use_is_found(tmp_path: Path) -> None:
    """A record of one small write: no bit of marker or batch can change without a notice."""
    record = RecordFile.open(tmp_path, True)
    record.begin("disk")
    record.acknowledged("i", [write(4096, b"abc")])
    record.close()
    slot, text = encode_slot(Marker(2, 0, 1, record._boot, "disk", "i"))
    assert text == (tmp_path / "unflushed").read_bytes()[slot : slot + len(text)]
    for name, first, length in (("unflushed", slot, len(text)), ("unflushed.0", 0, 8 + 24 + 18 + 3)):
        whole = (tmp_path / name).read_bytes()
        for at in range(8 * length):
            raw = bytearray(whole)
            raw[first + at // 8] ^= 1 << at % 8
            (tmp_path / name).write_bytes(raw)
            assert check(found_in(tmp_path), rows([write(4096, b"abc")]))
        (tmp_path / name).write_bytes(whole)


def test_a_batch_that_was_never_reported_is_dropped() -> None:
    """Killed between batch and marker: the marker does not count the batch, and it is no damage."""
    reported, torn = some_changes(random.Random(1), 3), some_changes(random.Random(2), 3)
    raw = b"".join([*encode_batch(7, reported), *encode_batch(10, torn)])
    marker = Marker(first=8, after=10)

    for length in range(len(b"".join(encode_batch(7, reported))), len(raw) + 1):
        changes, complete = recovered_changes(marker, decode_batches(raw[:length]))
        assert (rows(reported[1:]), True) == (rows(changes), complete)


def test_what_a_file_held_before_is_not_taken_for_new() -> None:
    """Batches of equal size lie where the old ones lay; their numbers are lower."""
    old, new = [write(at, b"old") for at in range(4)], [write(at, b"new") for at in range(2)]
    batches = [b"".join(encode_batch(number, [change])) for number, change in enumerate(old)]
    batches[:2] = [b"".join(encode_batch(number, [change])) for number, change in enumerate(new, 100)]

    assert [100, 101] == [batch.sequence for batch in decode_batches(b"".join(batches))]


@given(st.binary(max_size=400))
def test_any_bytes_are_no_record(data: bytes) -> None:
    """They are decoded to nothing, and nothing raises."""
    assert [] == list(decode_batches(data))
    assert (None, not any(data)) == decode_marker(data)


@settings(max_examples=50)
@given(st.integers(1, 60), st.integers(0, 1 << 62), st.integers(0, 1 << 32))
def test_batches_decode_to_what_was_encoded(count: int, sequence: int, seed: int) -> None:
    """Every number, flag and byte, and where the batch ends."""
    changes = some_changes(random.Random(seed), count)
    raw = b"".join(encode_batch(sequence, changes))
    (batch,) = decode_batches(raw + b"what comes behind")

    assert (sequence, sequence + count, rows(changes)) == (batch.sequence, batch.after, rows(batch.changes))


@given(st.text(max_size=50), st.text(max_size=50), st.text(max_size=50), st.integers(0, 99), st.integers(0, 99))
def test_the_newer_slot_of_a_marker_counts(boot: str, identity: str, instance: str, first: int, more: int) -> None:
    """Written in turns, with the newest decoded, and torn ones noticed."""
    page = bytearray(MARKER)
    older, newer = (Marker(at, first, first + at * more, boot, identity, instance) for at in (1, 2))
    at, raw = encode_slot(older)
    page[at : at + len(raw)] = raw
    assert (older, True) == decode_marker(page)
    at, raw = encode_slot(newer)
    page[at : at + len(raw)] = raw
    assert (newer, True) == decode_marker(page)
    page[at + len(raw) - 1 if instance else at + 8] ^= 1

    assert (older, False) == decode_marker(page)
