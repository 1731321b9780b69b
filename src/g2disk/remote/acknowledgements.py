"""`Acknowledgements`, what a target server has promised about writes, by its instance.

Pure.  Source: proto/g2disk/v1/disk.proto, "IDENTITY AND INSTANCE".
"""

from __future__ import annotations


class Acknowledgements:
    """Which instance answered the writes that no flush has covered yet.

    An instance that is empty is unknown, and compared with nothing.
    """

    def __init__(self) -> None:
        self._unflushed = ""
        self._count = 0

    def written(self, instance: str, durable: bool) -> bool:
        """Writes were answered; returns whether those before them are still there, as far as anybody knows."""
        kept = self.still_there(instance)
        if not durable:
            self._unflushed = instance or self._unflushed
            self._count += 1
        return kept

    def still_there(self, instance: str) -> bool:
        """Whether a server that says this instance now still has what was not flushed."""
        return not self._unflushed or instance in ("", self._unflushed)

    def mark(self) -> tuple[str, int]:
        """To be taken before a flush is sent, and given to `flushed`."""
        return self._unflushed, self._count

    def flushed(self, mark: tuple[str, int], instance: str) -> bool:
        """A flush was answered; returns whether it covers all that had been answered before it."""
        before, count = mark
        if before and instance not in ("", before):
            return False
        if count == self._count:
            self._unflushed = ""
        return True
