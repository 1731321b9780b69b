"""What `g2disk info` makes of a disk's state."""

from __future__ import annotations

from g2disk.cli.state_facts import state_facts
from g2disk.stores.store import StateValue


def test_trouble_is_told_with_its_cause_and_how_long_it_lasts() -> None:
    """A store that cannot be used is no good state; one that can is."""
    trouble: dict[str, StateValue] = {"trouble": "no answer in time", "trouble_seconds": 12.4, "fenced": False}

    assert "the store cannot be used for 12 s: no answer in time" == state_facts(trouble)["state"]
    assert "good" == state_facts({"trouble": "", "trouble_seconds": 0.0, "fenced": False})["state"]


def test_a_fenced_disk_says_so_before_all() -> None:
    """Whatever else is wrong, another server has the disk."""
    told = state_facts({"trouble": "opened by another writer", "trouble_seconds": 0.0, "fenced": True})

    assert "fenced: another server took it over (opened by another writer)" == told["state"]


def test_where_flushed_data_is_goes_by_what_is_so_now() -> None:
    """The place in words, and the promise behind it."""
    told = state_facts({"flush_means": "store", "durability": "remote"})

    assert {"flushed data is": "in the object store (durability: remote)"} == told


def test_shares_are_told_in_percent_and_nothing_is_divided_by_nothing() -> None:
    """A cache that nobody asked, and a journal without a limit, are no errors."""
    assert (
        "1 of 4 reads (25%), of all disks together" == state_facts({"cache_hits": 1, "cache_misses": 3})["read cache"]
    )
    assert "not asked yet" == state_facts({"cache_hits": 0, "cache_misses": 0})["read cache"]
    assert "512KiB of 1MiB (50%)" == state_facts({"journal_used": 512 << 10, "journal_limit": 1 << 20})["journal"]
    assert {} == state_facts({"journal_used": 1, "journal_limit": 0})


def test_what_is_not_known_is_shown_as_it_is() -> None:
    """A server of somebody else may say more."""
    assert {"fan speed": "9000"} == state_facts({"fan_speed": 9000})
    assert {} == state_facts({})
