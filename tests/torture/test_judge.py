"""What the judge allows and what it finds, history by history."""

from __future__ import annotations

import copy

from g2disk.torture.blocks import ANYTHING, BLOCK, ZEROES, Blocks
from g2disk.torture.judge import Finding, Judge, Pending, Range

ONE = Range(3, 1)


class Bench:
    """A judge and one block."""

    def __init__(self, unit: int = BLOCK) -> None:
        self.blocks = Blocks(run=1)
        self.judge = Judge(self.blocks, unit)

    def begin(self, version: int, fua: bool = False) -> Pending:
        return self.judge.begin(ONE, version, fua=fua)

    def write(self, version: int, fua: bool = False) -> None:
        self.judge.acknowledged(self.begin(version, fua))

    def flush(self) -> None:
        self.judge.flushed(self.judge.tick())

    def read(self, version: int, begun: int | None = None) -> list[Finding]:
        return self.read_bytes(self.blocks.content(3, version), begun)

    def read_bytes(self, data: bytes, begun: int | None = None) -> list[Finding]:
        return self.judge.read(self.judge.tick() if begun is None else begun, ONE, data)

    def allows(self, version: int) -> bool:
        """Whether a read may show that version; asked of a copy, as the judge learns from what is read."""
        return not copy.deepcopy(self.judge).read(self.judge.tick(), ONE, self.blocks.content(3, version))


def test_a_block_that_was_never_written_may_hold_anything() -> None:
    """Nothing is known of what was there before the run."""
    assert [] == Bench().read_bytes(b"\xff" * BLOCK)


def test_an_acknowledged_write_is_read_and_nothing_older() -> None:
    """The newest acknowledged version is the only one."""
    bench = Bench()
    bench.write(1)
    bench.write(2)

    assert bench.allows(2)
    found = bench.read(1)
    assert [("lost", 3 * BLOCK, BLOCK, "version 2 (acknowledged)", "version 1")] == [
        (finding.kind, finding.offset, finding.length, finding.expected, finding.found) for finding in found
    ]


def test_zeroes_where_data_must_be_are_a_loss() -> None:
    """A disk that comes back empty is found."""
    bench = Bench()
    bench.write(1)

    assert ["lost"] == [finding.kind for finding in bench.read(ZEROES)]


def test_data_where_zeroes_must_be_is_a_loss() -> None:
    """A zero that was answered and then undone is found."""
    bench = Bench()
    bench.write(1)
    bench.write(ZEROES)

    assert bench.allows(ZEROES)
    assert not bench.allows(1)


def test_a_trimmed_block_may_read_as_anything_until_it_is_written() -> None:
    """Trim is advice; what is written afterwards is not."""
    bench = Bench()
    bench.write(1)
    bench.write(ANYTHING)

    assert bench.allows(1)
    assert bench.allows(ZEROES)
    assert [] == bench.read_bytes(b"\xff" * BLOCK)
    bench.write(2)
    assert not bench.allows(1)


def test_a_write_in_flight_is_read_or_not() -> None:
    """Both the old and the new version may be read while the write is not answered."""
    bench = Bench()
    bench.write(1)
    bench.begin(2)

    assert bench.allows(2)
    assert bench.allows(1)


def test_a_read_that_began_before_the_write_ended_may_show_the_old_version() -> None:
    """A slow read is allowed what was there at any moment of it."""
    bench = Bench()
    bench.write(1)
    begun = bench.judge.tick()
    bench.write(2)

    assert [] == bench.read(1, begun)
    assert not bench.allows(1)


def test_writes_in_flight_together_may_land_in_any_order_but_do_not_change_places_later() -> None:
    """What was read once settles which of two was the last."""
    bench = Bench()
    first, second = bench.begin(1), bench.begin(2)
    bench.judge.acknowledged(second)
    bench.judge.acknowledged(first)

    assert bench.allows(1)
    assert [] == bench.read(2)
    assert not bench.allows(1)


def test_what_failed_may_be_there_or_not_and_settles_once_overwritten() -> None:
    """A write that failed has the old or the new content, and never comes back behind a later one."""
    bench = Bench()
    bench.write(1)
    bench.judge.failed(bench.begin(2))

    assert bench.allows(1)
    assert bench.allows(2)
    bench.write(3)
    assert not bench.allows(2)


def test_a_block_may_be_torn_between_pieces_that_the_disk_writes_as_a_whole() -> None:
    """While a write is in flight, each minimum block holds the old or the new content."""
    bench = Bench(unit=64)
    bench.write(1)
    bench.begin(2)
    old, new = bench.blocks.content(3, 1), bench.blocks.content(3, 2)

    assert [] == bench.read_bytes(old[:64] + new[64:])
    assert ["torn"] == [finding.kind for finding in bench.read_bytes(old[:32] + new[32:])]


def test_a_block_may_not_be_torn_when_nothing_is_in_flight() -> None:
    """Halves of an old and of the acknowledged version are found."""
    bench = Bench(unit=1)
    bench.write(1)
    bench.write(2)
    old, new = bench.blocks.content(3, 1), bench.blocks.content(3, 2)

    assert ["torn"] == [finding.kind for finding in bench.read_bytes(old[:256] + new[256:])]


def test_foreign_bytes_are_found() -> None:
    """What nobody wrote is not allowed where something was written."""
    bench = Bench()
    bench.write(1)

    assert ["foreign"] == [finding.kind for finding in bench.read_bytes(b"\xff" * BLOCK)]


def test_a_client_that_is_thrown_away_loses_nothing_where_the_server_lost_nothing() -> None:
    """With the same instance, all that was acknowledged stays; what was in flight is there or not."""
    bench = Bench()
    bench.write(1)
    bench.write(2)
    bench.begin(3)
    bench.judge.reopened(lossy=False)

    assert bench.allows(2)
    assert bench.allows(3)
    assert not bench.allows(1)


def test_a_loss_brings_back_any_version_since_the_last_flush_and_none_before() -> None:
    """Without the client's record, a restarted server may hold whatever a flush did not cover."""
    bench = Bench()
    for version in (1, 2):
        bench.write(version)
    bench.flush()
    for version in (3, 4):
        bench.write(version)
    bench.judge.reopened(lossy=True)

    assert [False, True, True, True] == [bench.allows(version) for version in (1, 2, 3, 4)]


def test_a_loss_takes_nothing_that_was_written_with_fua() -> None:
    """A write with FUA is durable without a flush."""
    bench = Bench()
    bench.write(1)
    bench.write(2, fua=True)
    bench.judge.reopened(lossy=True)

    assert bench.allows(2)
    assert not bench.allows(1)


def test_a_flush_covers_only_what_was_answered_before_it_was_asked_for() -> None:
    """A write that is answered while the flush is under way may be lost."""
    bench = Bench()
    bench.write(1)
    bench.flush()
    pending = bench.begin(2)
    asked = bench.judge.tick()
    bench.judge.acknowledged(pending)
    bench.judge.flushed(asked)
    bench.judge.reopened(lossy=True)

    assert bench.allows(1)
    assert bench.allows(2)


def test_a_flush_covers_nothing_that_may_have_been_lost_before() -> None:
    """What a loss may have taken does not become durable behind it, unless it is written again."""
    bench = Bench()
    bench.write(1)
    bench.flush()
    bench.write(2)
    for _ in range(2):
        bench.judge.reopened(lossy=True)
        bench.flush()

        assert bench.allows(1)
        assert bench.allows(2)


def test_seeing_what_was_not_acknowledged_settles_nothing() -> None:
    """A write that failed may be seen, and be lost again when the server dies: nobody repeats it."""
    bench = Bench()
    bench.write(1)
    bench.judge.failed(bench.begin(2))

    assert [] == bench.read(2)
    assert bench.allows(1)


def test_nothing_of_an_older_client_happens_after_the_next_one_has_opened() -> None:
    """What was in flight then is fenced: it never lands on what is written later."""
    bench = Bench()
    bench.write(1)
    bench.begin(2)
    bench.judge.reopened(lossy=False)
    bench.write(3)

    assert not bench.allows(2)


def test_without_sessions_a_dead_clients_requests_may_happen_at_any_later_time() -> None:
    """Only a session's opening, or the server's death, ends what was in flight."""
    bench = Bench()
    bench.write(1)
    bench.begin(2)
    bench.judge.reopened(lossy=False, fenced=False)
    bench.write(3)
    bench.flush()

    assert bench.allows(2)
    bench.judge.reopened(lossy=False, fenced=True)
    bench.write(4)
    assert not bench.allows(2)


def test_a_block_is_settled_by_a_durable_write() -> None:
    """Only one acknowledged and flushed version leaves nothing open."""
    bench = Bench()
    bench.write(1)
    bench.judge.forget()
    assert not bench.judge.settled(3)
    bench.flush()
    bench.judge.forget()

    assert bench.judge.settled(3)
