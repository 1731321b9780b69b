"""Draw the pictures of docs/ into a directory: docs itself, or the one given as argument.

chain.svg    who talks to whom when a disk is mounted
layers.svg   the packages, drawn from the import rules in pyproject.toml and the packages' own first lines
"""

from __future__ import annotations

import ast
import sys
import tomllib
from html import escape
from pathlib import Path
from textwrap import wrap

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PACKAGE = ROOT / "src" / "g2disk"

PAPER, INK, FAINT = "#ffffff", "#1f2430", "#5b6472"
PLAIN, OURS, WAIST = "#f1f3f6", "#dcebfb", "#ffe3a6"


class Picture:
    """An SVG of fixed size; positions and lengths are pixels."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img" font-family="sans-serif" font-size="14">',
            f"<title>{escape(title)}</title>",
            f'<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
            f'orient="auto-start-reverse"><path d="M0 0 L8 4 L0 8 Z" fill="{INK}"/></marker></defs>',
            f'<rect width="{width}" height="{height}" fill="{PAPER}"/>',
        ]

    def frame(self, x: int, y: int, width: int, height: int, label: str) -> None:
        """A dashed border, its label at the top."""
        self._parts.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" fill="none" stroke="{FAINT}" '
            f'stroke-dasharray="5 4"/>'
        )
        self.text(x + 12, y + 20, label, color=FAINT, anchor="start")

    def box(self, x: int, y: int, width: int, height: int, *lines: str, fill: str = PLAIN) -> None:
        """A box, the first line in bold."""
        self._parts.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" fill="{fill}" stroke="{INK}"/>'
        )
        top = y + height / 2 - 9 * (len(lines) - 1) + 5
        for number, line in enumerate(lines):
            self.text(x + width / 2, top + 18 * number, line, bold=number == 0)

    def text(
        self,
        x: float,
        y: float,
        line: str,
        *,
        color: str = INK,
        anchor: str = "middle",
        bold: bool = False,
        size: int = 14,
    ) -> None:
        """One line of text on the baseline `y`."""
        style = ' font-weight="bold"' if bold else ""
        style += f' font-size="{size}"' if size != 14 else ""
        self._parts.append(
            f'<text x="{x:g}" y="{y:g}" fill="{color}" text-anchor="{anchor}"{style}>{escape(line)}</text>'
        )

    def arrow(self, *points: tuple[int, int], label: str = "", at: tuple[int, int] = (0, 0)) -> None:
        """A line through the points with a tip at both ends: requests go one way, replies the other."""
        path = " ".join(f"{x},{y}" for x, y in points)
        self._parts.append(
            f'<polyline points="{path}" fill="none" stroke="{INK}" stroke-width="1.5" '
            f'marker-start="url(#tip)" marker-end="url(#tip)"/>'
        )
        if label:
            self.text(*at, label, color=FAINT, anchor="start")

    def svg(self) -> str:
        """The whole file."""
        return "\n".join([*self._parts, "</svg>", ""])


def chain() -> str:
    """A file system on a disk at a target server, part by part."""
    picture = Picture(860, 520, "From a mounted file system to a disk at a target server")
    picture.box(30, 20, 340, 54, "file system, partition, virtual machine", "mount /dev/nbd1")
    picture.arrow((200, 74), (200, 112))
    picture.box(30, 112, 340, 54, "the kernel's NBD client", "or nbdfuse, qemu, nbdcopy")
    picture.arrow((200, 166), (200, 252), label="NBD, a Unix socket or TCP", at=(212, 206))

    picture.frame(20, 222, 360, 278, "gateway: g2disk nbd, or nbdkit")
    picture.box(40, 252, 320, 54, "NBD server", "one event loop, requests in batches", fill=OURS)
    picture.box(
        40, 320, 320, 54, "or nbdkit: plugin.py, Bridge", "its threads to one event loop, in batches", fill=OURS
    )
    picture.box(40, 374, 320, 32, "Disk", fill=WAIST)
    picture.box(
        40, 406, 320, 74, "RemoteDisk", "splits, waits, repeats what is safe", "notices another disk", fill=OURS
    )

    picture.arrow((360, 443), (430, 443), (430, 172), (500, 172), label="gRPC", at=(438, 300))
    picture.box(490, 20, 340, 54, "any gRPC client", "any language, from the .proto files")
    picture.arrow((660, 74), (660, 152))

    picture.frame(480, 108, 360, 392, "target server")
    picture.box(500, 152, 320, 54, "gRPC services, NBD server", "Session, calls, reference protocol", fill=OURS)
    picture.box(500, 220, 320, 54, "layers", "Checked; Metered, Logged, ReadOnly", fill=OURS)
    picture.box(500, 274, 320, 32, "Disk", fill=WAIST)
    stores = (
        ("memory:", "sparse"),
        ("file:", "sparse", "files"),
        ("grpc:", "another", "server"),
        ("yours", "any class"),
    )
    for number, store in enumerate(stores):
        picture.box(500 + 80 * number, 306, 80, 74, *store, fill=OURS)
    for number, line in enumerate(
        (
            "A gateway turns a Disk into NBD, a server",
            "turns one into gRPC, and RemoteDisk turns",
            "gRPC into a Disk: the parts go together",
            "in any order.",
        )
    ):
        picture.text(516, 412 + 20 * number, line, color=FAINT, anchor="start")
    return picture.svg()


def layers() -> str:
    """The packages, importers above what they import."""
    boxes: list[tuple[int, int, int, str, list[str]]] = []
    y = 12
    for row in _layers():
        names = [name.strip(" ()") for name in row.split("|")]
        width = (820 - 20 * (len(names) - 1)) // len(names)
        about = [wrap(_summary(name), width // 7) for name in names]
        boxes += [(20 + n * (width + 20), y, width, name, about[n]) for n, name in enumerate(names)]
        y += 40 + 16 * max(map(len, about))
    picture = Picture(860, y + 4, "The packages of g2disk: imports point down only")
    for (x, top, width, name, lines), height in zip(boxes, _heights(boxes), strict=True):
        picture.box(x, top, width, height, "", fill=WAIST if name == "disk" else OURS)
        picture.text(x + 14, top + 20, name, anchor="start", bold=True)
        for number, line in enumerate(lines):
            picture.text(x + 14, top + 38 + 16 * number, line, anchor="start", color=FAINT, size=12)
    return picture.svg()


def _heights(boxes: list[tuple[int, int, int, str, list[str]]]) -> list[int]:
    """Boxes in one row are as high as the one with the most lines."""
    most: dict[int, int] = {}
    for _, top, _, _, lines in boxes:
        most[top] = max(most.get(top, 1), len(lines))
    return [32 + 16 * most[top] for _, top, *_ in boxes]


def _layers() -> list[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    rules = settings["tool"]["importlinter"]["contracts"]
    return next(list(rule["layers"]) for rule in rules if rule["type"] == "layers")


def _summary(name: str) -> str:
    """The first line of a package's or a module's docstring."""
    file = PACKAGE / name / "__init__.py" if (PACKAGE / name).is_dir() else PACKAGE / f"{name}.py"
    docstring = ast.get_docstring(ast.parse(file.read_text())) or ""
    return docstring.split("\n")[0].rstrip(".").replace("`", "")


def draw(target: Path) -> None:
    """Write all pictures to `target`."""
    for picture in (chain, layers):
        (target / f"{picture.__name__}.svg").write_text(picture())


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS)
