"""What a disk says of its state, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from g2disk.stores.store import StateValue
from g2disk.units import format_size

_SAFE = {
    "memory": "in the server's memory only",
    "journal": "in the journal, on the server's own storage",
    "store": "in the object store",
}


def state_facts(state: Mapping[str, StateValue]) -> dict[str, str]:
    """A line for each subject of which there is something to say; what is not known by name is shown as it is."""
    left = _Figures(state)
    facts = {
        "state": left.condition(),
        "flushed data is": left.flush(),
        "not in the store": left.unstored(),
        "journal": left.journal(),
        "requests": left.requests(),
        "read cache": left.cache(),
        "segments": left.segments(),
        "amplification": left.amplification(),
        "snapshots": left.count("snapshots"),
        "format": left.format(),
        "opened": left.opened(),
        "map in memory": left.size("map_memory"),
    }
    known = {name: fact for name, fact in facts.items() if fact}
    return known | {name.replace("_", " "): str(value) for name, value in left.rest().items()}


class _Figures:
    """Takes figures by their names (g2disk.stores.figures), and knows which were not taken."""

    def __init__(self, state: Mapping[str, StateValue]) -> None:
        self._left = dict(state)

    def rest(self) -> dict[str, StateValue]:
        return self._left

    def condition(self) -> str:
        trouble, seconds = self._take("trouble"), self._take("trouble_seconds")
        if self._take("fenced"):
            return f"fenced: another server took it over{f' ({trouble})' if trouble else ''}"
        if trouble:
            return f"the store cannot be used{_for(seconds)}: {trouble}"
        return "good" if trouble is not None else ""

    def flush(self) -> str:
        means, durability = self._take("flush_means"), self._take("durability")
        if not means:
            return ""
        promised = f" (durability: {durability})" if durability else ""
        return f"{_SAFE.get(str(means), means)}{promised}"

    def unstored(self) -> str:
        unstored, seconds = self._take("unstored_bytes"), self._take("unstored_seconds")
        if unstored is None:
            return ""
        return f"{_size(unstored)}, the oldest written {_number(seconds):.1f} s ago" if unstored else "nothing"

    def journal(self) -> str:
        used, limit = self._take("journal_used"), self._take("journal_limit")
        if used is None or not limit:
            return ""
        return f"{_size(used)} of {_size(limit)} ({_percent(used, limit)})"

    def requests(self) -> str:
        names = (
            ("puts", "PUT"),
            ("gets", "GET"),
            ("lists", "LIST"),
            ("deletes", "DELETE"),
            ("request_errors", "failed"),
        )
        volume = {"puts": self._take("put_bytes"), "gets": self._take("got_bytes")}
        parts = []
        for name, verb in names:
            count = self._take(name)
            if count is not None and (count or verb != "failed"):
                parts.append(f"{count} {verb}" + (f" ({_size(volume[name])})" if volume.get(name) else ""))
        cost = self._take("cost_dollars")
        estimate = f", about ${_number(cost):.4f}" if cost else ""
        return ", ".join(parts) + f"{estimate}, since the server opened it" if parts else ""

    def cache(self) -> str:
        hits, misses = self._take("cache_hits"), self._take("cache_misses")
        if hits is None or misses is None:
            return ""
        asked = _number(hits) + _number(misses)
        return (
            f"{hits} of {asked:.0f} reads ({_percent(hits, asked)}), of all disks together"
            if asked
            else "not asked yet"
        )

    def segments(self) -> str:
        count, garbage, live = self._take("segments"), self._take("garbage_bytes"), self._take("live_ratio")
        if count is None:
            return ""
        if not count:
            return "none"
        parts = [str(count)]
        if live is not None:
            parts.append(f"{100 * _number(live):.0f}% of their blocks needed")
        if garbage is not None:
            parts.append(f"{_size(garbage)} garbage")
        return ", ".join(parts)

    def amplification(self) -> str:
        write, space = self._take("write_amplification"), self._take("space_amplification")
        if write is None or space is None:
            return ""
        return f"{_number(write):.2f} bytes put for a byte written, {_number(space):.2f} stored for a byte held"

    def format(self) -> str:
        block, compression = self._take("block_size"), self._take("compression")
        encrypted = self._take("encrypted")
        if block is None:
            return ""
        return f"blocks of {_size(block)}, compression {compression}, {'encrypted' if encrypted else 'not encrypted'}"

    def opened(self) -> str:
        epoch = self._take("epoch")
        return "" if epoch is None else f"{epoch} times for writing" if epoch != 1 else "once for writing"

    def count(self, name: str) -> str:
        value = self._take(name)
        return "" if value is None else str(value)

    def size(self, name: str) -> str:
        value = self._take(name)
        return "" if value is None else _size(value)

    def _take(self, name: str) -> Any:
        return self._left.pop(name, None)


def _number(value: StateValue | None) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _size(value: StateValue) -> str:
    return format_size(int(_number(value)))


def _percent(part: StateValue, whole: StateValue) -> str:
    return f"{100 * _number(part) / _number(whole):.0f}%"


def _for(seconds: StateValue | None) -> str:
    return f" for {_number(seconds):.0f} s" if seconds else ""
