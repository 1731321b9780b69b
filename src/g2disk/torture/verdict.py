"""What a run found, for people and for programs."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, TypeAlias

from g2disk.request import OPERATIONS
from g2disk.torture.judge import Finding
from g2disk.torture.plan import FaultKind

MOST_VIOLATIONS: Final = 20
"""That are kept of one round; there may be one for each block."""

Outcome: TypeAlias = Literal["kept", "broken", "another disk"]
"""kept: no promise was broken; broken: one was; another disk: after a restart the server had another disk, and said
so, and the client refused to go on, as it must."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was not kept."""

    round: int
    fault: FaultKind
    """Of that round."""
    when: str
    """While requests ran, at the round's end, or after the client had been thrown away."""
    finding: Finding


@dataclass
class Verdict:
    """Counts and violations of a run."""

    seed: int
    protocol: str = ""
    """What client and server spoke."""
    rounds: int = 0
    """That were finished."""
    operations: Counter[int] = field(default_factory=Counter)
    """Answered requests, by their numbers in `g2disk.request`."""
    faults: Counter[FaultKind] = field(default_factory=Counter)
    losses: int = 0
    """Clients that were thrown away with unflushed changes, which the server said that it may have lost."""
    refusals: int = 0
    """Times that the client refused to go on with the disk, and another one was opened."""
    violations: list[Violation] = field(default_factory=list)
    replaced: bool = False
    """The server has another disk now."""

    @property
    def outcome(self) -> Outcome:
        """In a word."""
        if self.violations:
            return "broken"
        return "another disk" if self.replaced else "kept"

    def add(self, violation: Violation) -> None:
        """Note a violation, unless there are many."""
        if len(self.violations) < MOST_VIOLATIONS:
            self.violations.append(violation)

    def document(self, replay: str) -> dict[str, Any]:
        """For JSON; `replay` is a command that runs a round again, with ROUND in the place of its number."""
        return {
            "verdict": self.outcome,
            "seed": self.seed,
            "protocol": self.protocol,
            "rounds": self.rounds,
            "operations": {OPERATIONS[number]: count for number, count in sorted(self.operations.items())},
            "faults": dict(sorted(self.faults.items())),
            "losses": self.losses,
            "refusals": self.refusals,
            "violations": [
                {
                    "round": violation.round,
                    "fault": violation.fault,
                    "when": violation.when,
                    **asdict(violation.finding),
                    "replay": replay.replace("ROUND", str(violation.round)),
                }
                for violation in self.violations
            ],
        }
