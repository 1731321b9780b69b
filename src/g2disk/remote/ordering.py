"""`Ordering`, which lets changes of a disk run side by side as long as they do not overlap.

Requests in flight together have no order, neither over NBD nor in a session.  A client that repeats them needs one:
what was acknowledged last must be what was done last, and a request that the kernel sends a second time, because the
first answer did not come, must not be done after a newer one.  So a change that overlaps one that is not answered yet
waits for it.  Pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Generic, Protocol, TypeVar, cast

from g2disk.request import TRIM, WRITE, ZERO, Request

CHANGES = frozenset((WRITE, TRIM, ZERO))

_PAGE = 12
"""Bits of an offset within a page, as ranges are looked up."""
_MOST_PAGES = 17
"""Of a range that is looked up page by page; longer ones are compared one by one."""
_LOOKED_AT = 256
"""Changes that wait, and are looked at when others were answered: the rest has its turn later."""


class Ordered(Protocol):
    """Something with a request."""

    request: Request


Entry = TypeVar("Entry", bound=Ordered)


class Ordering(Generic[Entry]):
    """The changes that were let go and are not answered yet, and those that wait for them."""

    def __init__(self) -> None:
        self._pages: dict[int, Request | list[Request]] = {}
        """What touches a page: as a rule one."""
        self._wide: list[Request] = []
        self.waiting: deque[Entry] = deque()
        """In the order in which they came; none overtakes another that it overlaps."""

    def admit(self, entries: Iterable[Entry]) -> list[Entry]:
        """Those that may go now; the others come out of `finished`, later."""
        free: list[Entry] = []
        for entry in entries:
            request = entry.request
            if request.operation not in CHANGES:
                free.append(entry)
            elif any(_overlap(each.request, request) for each in self.waiting) or not self._enter(request):
                self.waiting.append(entry)
            else:
                free.append(entry)
        return free

    def finished(self, entries: Iterable[Entry]) -> list[Entry]:
        """These were answered, or given up for good; returns those that may go now."""
        for entry in entries:
            request = entry.request
            if request.operation in CHANGES and request.length:
                self._leave(request)
        return self._look() if self.waiting else []

    def _look(self) -> list[Entry]:
        """Those among the first that wait that may go now."""
        free: list[Entry] = []
        still: deque[Entry] = deque()
        for _ in range(min(len(self.waiting), _LOOKED_AT)):
            entry = self.waiting.popleft()
            request = entry.request
            if any(_overlap(each.request, request) for each in still) or not self._enter(request):
                still.append(entry)
            else:
                free.append(entry)
        self.waiting.extendleft(reversed(still))
        return free

    def _enter(self, request: Request) -> bool:
        """Whether it overlaps nothing that was let go; it is let go then."""
        start, length = request.offset, request.length
        if not length:
            return True
        first, last = start >> _PAGE, start + length - 1 >> _PAGE
        if first == last and not self._wide and self._pages.setdefault(first, request) is request:
            return True
        if any(_overlap(wide, request) for wide in self._wide):
            return False
        if last - first >= _MOST_PAGES:
            return self._enter_wide(request)
        pages = range(first, last + 1)
        if any(_overlap(each, request) for page in pages for each in self._at(page)):
            return False
        for page in pages:
            there = self._at(page)
            self._pages[page] = [*there, request] if there else request
        return True

    def _enter_wide(self, request: Request) -> bool:
        if any(_overlap(each, request) for page in self._pages for each in self._at(page)):
            return False
        self._wide.append(request)
        return True

    def _leave(self, request: Request) -> None:
        start = request.offset
        first, last = start >> _PAGE, start + request.length - 1 >> _PAGE
        if last - first >= _MOST_PAGES:
            self._wide.remove(request)
            return
        for page in range(first, last + 1):
            there = self._pages.pop(page)
            if there is not request:
                self._pages[page] = [each for each in cast(list[Request], there) if each is not request]

    def _at(self, page: int) -> Sequence[Request]:
        there = self._pages.get(page, ())
        return (there,) if isinstance(there, Request) else there


def _overlap(one: Request, other: Request) -> bool:
    return one.offset < other.offset + other.length and other.offset < one.offset + one.length
