"""The record of unflushed changes: what a process that comes after finds."""

from __future__ import annotations

import os
import random
import resource
import shutil
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.support.records import Row, rows, some_changes, write

from g2disk.errors import Busy, DiskError
from g2disk.remote import record_file
from g2disk.remote.record_file import RecordFile
from g2disk.request import TRIM, Request
from g2disk.units import KIB, MIB

DATA = Path(__file__).parent / "data" / "record-1"
STEPS = st.lists(
    st.tuples(st.sampled_from([*["acknowledge"] * 5, *["cover"] * 3, "cover all", "begin"]), st.integers(1, 30)),
    min_size=15,  # shorter ones use no file twice
    max_size=40,
)


def begun(directory: Path, keep_data: bool = True, identity: str = "disk") -> RecordFile:
    record = RecordFile.open(directory, keep_data)
    record.begin(identity)
    return record


def left(directory: Path) -> record_file.Recovered:
    """What the next process finds."""
    record = RecordFile.open(directory, True)
    record.close()
    return record.recovered


def test_a_new_record_is_empty(tmp_path: Path) -> None:
    """Nothing recovered, in a directory that was not there either; with and without data."""
    for keep_data in (True, False):
        record = RecordFile.open(tmp_path / "a" / str(keep_data), keep_data)
        assert record_file.Recovered() == record.recovered
        record.close()


def test_what_is_not_covered_is_found_again(tmp_path: Path) -> None:
    """Identity, instance, and every change behind the covered ones, in order."""
    changes = some_changes(random.Random(1), 10)
    record = begun(tmp_path)
    record.acknowledged("first", changes[:6])
    record.covered(4)
    record.acknowledged("first", changes[6:])
    record.close()

    found = left(tmp_path)
    assert ("disk", "first", True, False) == (found.identity, found.instance, found.complete, found.empty)
    assert rows(changes[4:]) == rows(found.changes)


def test_data_may_be_any_buffer(tmp_path: Path) -> None:
    """bytes, bytearrays and memoryviews are kept as they were when they were acknowledged."""
    buffer = bytearray(b"abcdef")
    record = begun(tmp_path)
    record.acknowledged("i", [write(0, b"123"), write(3, buffer), write(9, memoryview(buffer)[2:4])])
    buffer[:] = b"zzzzzz"
    record.close()

    assert [b"123", b"abcdef", b"cd"] == [row[-1] for row in rows(left(tmp_path).changes)]


def test_a_clean_record_is_empty(tmp_path: Path) -> None:
    """When all is covered nothing is left, and no data stay behind."""
    record = begun(tmp_path)
    record.acknowledged("i", [write(0, b"abc")])
    record.covered(1)
    record.close()

    found = left(tmp_path)
    assert ("disk", True, True, []) == (found.identity, found.empty, found.complete, found.changes)
    assert ["unflushed"] == os.listdir(tmp_path)


def test_a_record_may_begin_again(tmp_path: Path) -> None:
    """A second begin in one process forgets what the first one recorded, and what follows is kept."""
    record = begun(tmp_path)
    record.acknowledged("i", [write(0, b"abc")])
    record.begin("other")
    record.acknowledged("j", [write(0, b"def")])
    record.close()

    found = left(tmp_path)
    assert ("other", "j", True, rows([write(0, b"def")])) == (
        found.identity,
        found.instance,
        found.complete,
        rows(found.changes),
    )


def test_what_was_recovered_stays_until_begin(tmp_path: Path) -> None:
    """Opening changes nothing, however often; begin forgets."""
    record = begun(tmp_path)
    record.acknowledged("i", [write(0, b"abc")])
    record.close()

    assert rows([write(0, b"abc")]) == rows(left(tmp_path).changes) == rows(left(tmp_path).changes)
    record = RecordFile.open(tmp_path, True)
    record.begin("other")
    assert record_file.Recovered() == record.recovered
    record.close()
    found = left(tmp_path)
    assert ("other", True) == (found.identity, found.empty)


def test_without_data_it_remembers_that_something_is_missing(tmp_path: Path) -> None:
    """Not what, but that there was something, of which disk and instance; until it is covered."""
    record = begun(tmp_path, keep_data=False)
    record.acknowledged("i", [write(0, b"abc"), write(0, b"def")])
    record.covered(1)
    record.close()

    found = left(tmp_path)
    assert ("disk", "i", [], False, False) == (
        found.identity,
        found.instance,
        found.changes,
        found.complete,
        found.empty,
    )
    record = begun(tmp_path, keep_data=False)
    record.acknowledged("i", [write(0, b"abc")])
    record.covered(1)
    record.close()
    assert (True, True) == (left(tmp_path).empty, left(tmp_path).complete)


def test_data_are_recovered_by_a_process_that_keeps_none(tmp_path: Path) -> None:
    """How the next process records has no influence on what it finds."""
    record = begun(tmp_path)
    record.acknowledged("i", [write(0, b"abc")])
    record.close()
    record = RecordFile.open(tmp_path, keep_data=False)
    record.close()

    assert (rows([write(0, b"abc")]), True) == (rows(record.recovered.changes), record.recovered.complete)


def test_the_instance_is_that_of_the_oldest_change(tmp_path: Path) -> None:
    """What a server of another instance acknowledged later does not make the older changes its own."""
    record = begun(tmp_path)
    record.acknowledged("first", [write(0, b"a")])
    record.acknowledged("second", [write(1, b"b")])
    record.close()
    assert "first" == left(tmp_path).instance

    record = begun(tmp_path)
    record.acknowledged("first", [write(0, b"a")])
    record.covered(1)
    record.acknowledged("second", [write(1, b"b")])
    record.close()
    assert "second" == left(tmp_path).instance


def test_only_one_process_has_a_record(tmp_path: Path) -> None:
    """Busy, until the other one closes it; closing it twice takes it from nobody."""
    record = begun(tmp_path)
    with pytest.raises(Busy, match="another process"):
        RecordFile.open(tmp_path, True)
    record.close()
    again = RecordFile.open(tmp_path, True)
    record.close()
    with pytest.raises(Busy, match="another process"):
        RecordFile.open(tmp_path, True)
    again.close()


def test_a_directory_that_cannot_be_is_refused(tmp_path: Path) -> None:
    """A DiskError that names it."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DiskError, match="opening the record in"):
        RecordFile.open(tmp_path / "file" / "record", True)


def test_what_an_earlier_run_of_the_machine_left_is_void(tmp_path: Path) -> None:
    """The device is gone with the machine: its changes must not land on whatever was written since."""
    record = RecordFile.open(tmp_path, True, boot="monday")
    record.begin("disk")
    record.acknowledged("i", [write(0, b"abc")])
    record.close()

    record = RecordFile.open(tmp_path, True, boot="tuesday")
    assert (True, True, []) == (record.recovered.empty, record.recovered.complete, record.recovered.changes)
    record.close()


def test_texts_that_are_too_long_equal_no_other(tmp_path: Path) -> None:
    """An identity of megabytes is not kept, and what stands for it is not mistaken for another one."""
    stand_ins = []
    for identity in ("x" * MIB, "y" * MIB):
        record = begun(tmp_path, identity=identity)
        record.acknowledged("z" * MIB, [write(0, b"abc")])
        record.close()
        found = left(tmp_path)
        assert found.complete
        assert len(found.instance) < KIB
        stand_ins.append(found.identity)
    assert stand_ins[0] != stand_ins[1]


def test_space_is_bounded(tmp_path: Path) -> None:
    """A hundred times 4 MiB, never more than 16 MiB of it unflushed, take less than twice that."""
    record = begun(tmp_path)
    data = bytes(64 * KIB)
    for turn in range(400):
        record.acknowledged("i", [write(at * len(data), data) for at in range(16)])
        if turn >= 16:
            record.covered(16)
    used = sum(path.stat().st_size for path in tmp_path.iterdir())
    record.close()

    assert 16 * MIB < used < 32 * MIB
    assert (16 * 16, True) == (len(left(tmp_path).changes), left(tmp_path).complete)


def test_more_changes_than_a_batch_holds_are_kept(tmp_path: Path) -> None:
    """More buffers than one writev takes."""
    changes = [write(at, b"%d" % at) for at in range(5000)]
    record = begun(tmp_path)
    record.acknowledged("i", changes)
    record.covered(1)
    record.close()

    assert rows(changes[1:]) == rows(left(tmp_path).changes)


def test_a_batch_that_the_system_takes_in_pieces_is_whole(tmp_path: Path) -> None:
    """pwritev may write some of what it was given."""
    changes = some_changes(random.Random(2), 50)
    pwritev = os.pwritev

    def piecewise(file: int, parts: list[bytes], at: int) -> int:
        return pwritev(file, [b"".join(parts)[:1000]], at)

    record = begun(tmp_path)
    with mock.patch.object(os, "pwritev", piecewise):
        record.acknowledged("i", changes)
    record.close()

    assert rows(changes) == rows(left(tmp_path).changes)


def test_what_cannot_be_kept_is_missing_until_it_is_covered(tmp_path: Path) -> None:
    """Where a file may not grow the change raises; the record is incomplete until that is covered, and goes on."""
    record = begun(tmp_path)
    record.acknowledged("i", [write(0, b"kept")])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 * MIB, before[1]))
    try:
        with pytest.raises(DiskError, match="keeping unflushed changes in"):
            record.acknowledged("i", [write(0, bytes(6 * MIB))])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    record.acknowledged("i", [write(1, b"later")])
    shutil.copytree(tmp_path, tmp_path / "copy")
    record.covered(2)
    record.close()

    incomplete, complete = left(tmp_path / "copy"), left(tmp_path)
    assert (False, False, rows([write(0, b"kept")])) == (
        incomplete.complete,
        incomplete.empty,
        rows(incomplete.changes),
    )
    assert (True, rows([write(1, b"later")])) == (complete.complete, rows(complete.changes))


@settings(max_examples=30, deadline=None, phases=[Phase.generate])
@given(STEPS, st.sampled_from([1, 2 * KIB]), st.integers(0, 1 << 32))
def test_any_sequence_gives_back_what_is_uncovered(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], full: int, seed: int
) -> None:
    """At every step, a process that would come now finds exactly the uncovered changes."""
    directory = tmp_path_factory.mktemp("record")
    rng = random.Random(seed)
    expected: list[Row] = []
    with mock.patch.object(record_file, "_FULL", full):  # so that files are used again and again
        record = begun(directory / "record")
        for turn, (step, number) in enumerate(steps):
            if step == "acknowledge":
                changes = some_changes(rng, number, longest=100)
                record.acknowledged("i", changes)
                expected += rows(changes)
            elif step.startswith("cover"):
                count = len(expected) if step == "cover all" else min(number, len(expected))
                record.covered(count)
                del expected[:count]
            else:
                record.close()
                record = begun(directory / "record")
                expected = []
            copy = directory / str(turn)
            shutil.copytree(directory / "record", copy)
            found = left(copy)
            assert (expected, True, not expected) == (rows(found.changes), found.complete, found.empty)
            shutil.rmtree(copy)
        record.close()


def test_records_of_version_1_are_read(tmp_path: Path) -> None:
    """Files that were written when the format was made give what was put into them then."""
    shutil.copytree(DATA, tmp_path / "record")
    record = RecordFile.open(tmp_path / "record", True, boot="golden boot")
    record.close()
    found = record.recovered

    assert ("golden identity", "golden instance", True) == (found.identity, found.instance, found.complete)
    assert rows(golden_changes()[1:]) == rows(found.changes)


def golden_changes() -> list[Request]:
    return [write(0, b"covered"), *some_changes(random.Random(0), 20), Request(TRIM, 0, 0, 1 << 62)]


def make_golden(directory: Path) -> None:
    """How DATA was made."""
    record = RecordFile.open(directory, True, boot="golden boot")
    record.begin("golden identity")
    record.acknowledged("golden instance", golden_changes()[:5])
    record.acknowledged("golden instance", golden_changes()[5:])
    record.covered(1)
    record.close()


def test_the_format_has_not_changed(tmp_path: Path) -> None:
    """The same changes give the same bytes; another format needs another version."""
    make_golden(tmp_path / "record")

    for path in DATA.iterdir():
        assert path.read_bytes() == (tmp_path / "record" / path.name).read_bytes()
