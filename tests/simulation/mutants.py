"""Plausible bugs in the code that keeps data safe, each a replacement in the source of a real module; run as a program,
this simulates with one of them: `python -m tests.simulation.mutants NAME FIRST LAST`.

A mutant is caught when a run of it is wrong.  It prints the seed of the first such run, or nothing.
"""

from __future__ import annotations

import importlib
import logging
import sys
from typing import Any

from tests.simulation.mutation import Mutant, install

_SESSION, _RECORD, _REPLAY = "g2disk.remote.session", "g2disk.remote.record", "g2disk.remote.replay"
_UNSETTLED = "g2disk.remote.unsettled"
_FLIGHT, _ORDERING, _DISK = "g2disk.remote.session_flight", "g2disk.remote.ordering", "g2disk.remote.disk"
_SHARED, _SERVER = "g2disk.servers.grpc.session_shared", "g2disk.servers.grpc.session"
_SERVED = "g2disk.servers.grpc.session_disk"

MUTANTS = [
    Mutant(
        "FUA writes are never recorded",
        _RECORD,
        "        if not self._count:\n            if all(",
        "        if all(request.flags & FUA for request in requests):\n            return\n"
        "        if not self._count:\n            if all(",
    ),
    Mutant(
        "a flush of any instance empties the record",
        _SESSION,
        "elif self._record.contradicts(instance):",
        "elif self._record.contradicts(instance) and not any(e.request.operation == FLUSH for e in entries):",
    ),
    Mutant(
        "a flush covers what was acknowledged while it was under way",
        _SESSION,
        "self._record.flushed(entry.mark)",
        "self._record.flushed(self._record.mark())",
    ),
    Mutant("the oldest change wins in a replay", _REPLAY, "in reversed(changes):", "in changes:"),
    Mutant("the record is lost at a reconnection", _UNSETTLED, "self._record.again()", "()"),
    Mutant(
        "the replay is not flushed",
        _REPLAY,
        "return [] if self._unanswered else self._flush()",
        "self.over = not self._unanswered\n        return []",
    ),
    Mutant(
        "requests are sent before the replay is done",
        _FLIGHT,
        "if self.replaying is not None:",
        "if self.replaying:",
    ),
    Mutant(
        "the replay goes on in another instance",
        _REPLAY,
        "if instance != self.instance:",
        "if instance is None:",
    ),
    Mutant(
        "the instance is compared only when a session is opened",
        _SESSION,
        "elif self._record.contradicts(instance):",
        "elif instance is None:",
    ),
    Mutant(
        "what was read before an instance changed is believed",
        _SESSION,
        "self._flight.take_back(entries)",
        "reads = [entry for entry in entries if entry.request.operation == READ]\n"
        "            report(reads)\n"
        "            self._flight.take_back([entry for entry in entries if entry not in reads])",
    ),
    Mutant("replies that are not believed are forgotten", _SESSION, "self._flight.take_back(entries)", "pass"),
    Mutant(
        "unanswered requests are forgotten when a stream breaks",
        _FLIGHT,
        "lost = [*self._doubted, *[entry for entry in self._in_flight.values() if not entry.given_up]]",
        "lost = [*self._doubted]",
    ),
    Mutant(
        "changes that overlap are not ordered",
        _ORDERING,
        "if any(_overlap(each, request) for page in pages for each in self._at(page)):",
        "if first > last:",
    ),
    Mutant("attempts begin anew with each process", _SESSION, "terms.generation << 32", "0"),
    Mutant("an inherited record is not replayed", _UNSETTLED, "return left.changes", "return ()"),
    Mutant("an incomplete record is taken for a complete one", _UNSETTLED, "if not left.complete:", "if left is None:"),
    Mutant(
        "an inherited record is forgotten before it is replayed",
        _UNSETTLED,
        "return Replay(said.instance, self._inherited_changes(said), longest)",
        "left = self._inherited_changes(said)\n            self.settle(said.identity)\n"
        "            return Replay(said.instance, left, longest)",
    ),
    Mutant("durable changes stay in the kept record", _RECORD, "self._keeper.covered(count)", "pass"),
    Mutant("writes are sent beyond the bound", _FLIGHT, "if kept and kept > room:", "if kept < 0:"),
    Mutant(
        "the identity is not compared",
        _DISK,
        "if self._identity and (description.disk",
        "if not self._identity and (description.disk",
    ),
    Mutant("the server does not wait for the older attempt", _SHARED, "await older.finished()", "pass"),
    Mutant("the server takes an older attempt", _SHARED, "if session.attempt <= newest:", "if session is None:"),
    Mutant(
        "the server forgets what is in flight when a stream ends",
        _SERVER,
        "if self._in_flight or self._tasks or self._finished.is_set():",
        "if self._tasks or self._finished.is_set():",
    ),
    Mutant(
        "the server takes stale messages",
        _SERVER,
        "if self._mute:\n            return\n        try:\n            if len(data)",
        "try:\n            if len(data)",
    ),
    Mutant(
        "the server says the instance that it had when the session was opened",
        _SERVED,
        "if now.instance != before.instance:",
        "if now is None:",
    ),
]


def simulate_mutant(mutant: Mutant, seeds: range) -> tuple[int, str] | None:
    """The first seed that catches it, and what was wrong.  Only in a process that has not imported the module yet."""
    install(mutant)
    simulate: Any = importlib.import_module("tests.simulation.run").simulate
    for seed in seeds:
        verdict = simulate(seed)
        if verdict.wrong:
            return seed, verdict.wrong[0]
    return None


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    found = simulate_mutant(
        next(mutant for mutant in MUTANTS if mutant.name == sys.argv[1]), range(int(sys.argv[2]), int(sys.argv[3]))
    )
    if found is not None:
        print(*found)
