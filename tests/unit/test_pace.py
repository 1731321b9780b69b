"""How long the kernel lets a request go unanswered."""

from __future__ import annotations

from g2disk.attach.pace import CALM, LONGEST, SHORTEST, Pace


def test_each_socket_given_up_doubles_the_timeout_up_to_a_bound() -> None:
    """A request of any length up to the bound is answered in the end, in few attempts."""
    pace, now, seen = Pace(0.0), 0.0, []
    while pace.gave_up(now):
        seen.append(pace.timeout)
        now += pace.timeout

    assert [4, 8, 16, 32, 64, LONGEST] == seen
    assert not pace.gave_up(now + 1000)


def test_sockets_that_one_slow_request_costs_together_count_once() -> None:
    """Four connections that time out within the same seconds raise the timeout by one step."""
    pace = Pace(0.0)

    assert [True, False, False, False] == [pace.gave_up(now) for now in (10.0, 10.0, 10.5, 13.9)]
    assert 2 * SHORTEST == pace.timeout
    assert pace.gave_up(14.0)


def test_the_timeout_is_taken_back_step_by_step() -> None:
    """After a calm while it is halved, until it is the shortest again, where nothing more is to be done."""
    pace = Pace(0.0, timeout=16)
    seen, now = [], 0.0
    while pace.timeout > SHORTEST:
        assert not pace.calmed(now + CALM - 0.1)
        now = pace.next_look()
        assert pace.calmed(now)
        seen.append(pace.timeout)

    assert [8, 4, 2] == seen
    assert not pace.calmed(now + 10 * CALM)


def test_trouble_puts_off_the_taking_back() -> None:
    """The calm is counted from the last change."""
    pace = Pace(0.0)
    pace.gave_up(10.0)
    pace.gave_up(50.0)

    assert not pace.calmed(10.0 + CALM)
    assert pace.calmed(50.0 + CALM)
