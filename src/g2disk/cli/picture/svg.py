"""A layout as SVG: each part tells what it is when the pointer rests on it."""

from __future__ import annotations

from xml.sax.saxutils import escape

from g2disk.cli.picture.layout import BACKGROUND, INK, Box, Layout, Line
from g2disk.cli.picture.scene import Colour


def svg(layout: Layout) -> bytes:
    """The file."""
    size = f'width="{layout.width}" height="{layout.height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="13">',
        f'<rect {size} fill="{_hex(BACKGROUND)}"/>',
        *map(_box, layout.boxes),
        *map(_line, layout.lines),
        "</svg>\n",
    ]
    return "\n".join(parts).encode()


def _box(box: Box) -> str:
    shape = f'x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" fill="{_hex(box.colour)}"'
    return f"<rect {shape}><title>{escape(box.title)}</title></rect>"


def _line(line: Line) -> str:
    return f'<text x="{line.x}" y="{line.y}" fill="{_hex(INK)}">{escape(line.text)}</text>'


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
