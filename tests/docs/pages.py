"""Markdown pages as the tests read them: links, anchors, and the fenced blocks that are marked for running.

A block's info string says what it is.  After the language:

    run          part of what a reader does; the blocks of one page are run in order
    serve=WORD   with run: a server, which goes on running; it is ready when it prints a line with WORD, or, where WORD
                 is a path, when that socket is there
    vm           with run: for root on a machine whose kernel has nbd; the whole page is then run in a virtual machine
    file=PATH    the block's text stands in that file
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (?P<title>.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    language: str
    text: str
    flags: frozenset[str]
    options: dict[str, str]
    line: int


@dataclass(frozen=True)
class Page:
    """A Markdown file of the project."""

    path: Path

    @property
    def name(self) -> str:
        """The path below the project's root."""
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        """All of it."""
        return self.path.read_text()

    @property
    def prose(self) -> str:
        """The text without fenced blocks and inline code."""
        return re.sub(r"`[^`\n]+`", "", _FENCE.sub("", self.text))

    def links(self) -> list[str]:
        """The targets of all links and pictures, but for those on the web."""
        # Code inside a link's text stays, so fenced blocks alone are cut out.
        found = [match["target"] for match in _LINK.finditer(_FENCE.sub("", self.text))]
        return [target for target in found if not re.match(r"[a-z]+:", target)]

    def anchors(self) -> set[str]:
        """The anchors of the headings, as GitHub makes them."""
        found: set[str] = set()
        for match in _HEADING.finditer(_FENCE.sub("", self.text)):
            plain = re.sub(r"[^\w\- ]", "", match["title"].strip().lower()).replace(" ", "-")
            anchor, number = plain, 0
            while anchor in found:
                number += 1
                anchor = f"{plain}-{number}"
            found.add(anchor)
        return found

    def blocks(self) -> list[Block]:
        """Every fenced block."""
        found = []
        for match in _FENCE.finditer(self.text):
            language, *words = match["info"].split() or [""]
            options = dict(word.split("=", 1) for word in words if "=" in word)
            flags = frozenset(word for word in words if "=" not in word)
            line = self.text.count("\n", 0, match.start()) + 1
            found.append(Block(language, match["text"], flags, options, line))
        return found

    def runnable(self) -> list[Block]:
        """The blocks that are run."""
        return [block for block in self.blocks() if "run" in block.flags]

    @property
    def for_vm(self) -> bool:
        """Whether running the page takes a kernel with nbd."""
        return any("vm" in block.flags for block in self.runnable())


def pages() -> list[Page]:
    """All pages of the project."""
    where = [ROOT, *(ROOT / name for name in ("docs", "examples", "proto", "src", "tests", "bench"))]
    found = {path for directory in where for path in directory.glob("*.md" if directory == ROOT else "**/*.md")}
    return [Page(path) for path in sorted(found) if "node_modules" not in path.parts]
