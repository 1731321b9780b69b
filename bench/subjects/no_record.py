"""`g2disk nbd` without the record of unflushed changes and without their order: what survival costs is the difference.

For measuring only: a server that is restarted behind it may lose writes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from g2disk.cli.main import main
from g2disk.remote.ordering import Ordering
from g2disk.remote.record import Record


def _forget(*_: Any) -> None:
    """Keep nothing."""


def _all(_: Ordering[Any], entries: Iterable[Any]) -> list[Any]:
    return list(entries)


def _none(*_: Any) -> list[Any]:
    return []


if __name__ == "__main__":
    Record.acknowledged = _forget  # type: ignore[assignment, method-assign]
    Ordering.admit = _all  # type: ignore[assignment, method-assign]
    Ordering.finished = _none  # type: ignore[assignment, method-assign]
    main()
