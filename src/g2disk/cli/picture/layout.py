"""Where the parts of a scene lie in a picture file; SVG and PNG share it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from g2disk.cli.picture.scene import EMPTY, GARBAGE, Colour, Scene, blend

TILE = 8
"""Pixels; the sides of a tile, its gap to the next one included."""
MARGIN = 16
LINE = 18
"""Pixels from one line of text to the next."""
_BARS = 64
"""Pixels; the height of the largest segment."""

BACKGROUND: Colour = (24, 24, 28)
INK: Colour = (225, 225, 225)


@dataclass(frozen=True, slots=True)
class Box:
    """A filled rectangle, in pixels."""

    x: int
    y: int
    width: int
    height: int
    colour: Colour
    title: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text; `y` is its baseline."""

    x: int
    y: int
    text: str


@dataclass(frozen=True, slots=True)
class Layout:
    """A picture's size and what is in it, in the order in which it is painted."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


def lay_out(scene: Scene, *, words: bool) -> Layout:
    """The picture of a scene, with its texts or without."""
    columns = max((len(row) for row in scene.rows), default=1)
    inner = max(columns * TILE, 640)
    top = MARGIN + (LINE if words else 0)
    below = top + len(scene.rows) * TILE + MARGIN
    bars = tuple(_bars(scene, below, inner))
    text = below + (_BARS + MARGIN if bars else 0)
    boxes = (*_tiles(scene, top), *bars)
    if not words:
        return Layout(inner + 2 * MARGIN, text, boxes, ())
    lines = [Line(MARGIN, MARGIN + 6, scene.heading)]
    lines += [Line(MARGIN, text + LINE * index + 6, caption) for index, caption in enumerate(scene.captions)]
    height = text + LINE * len(scene.captions) + MARGIN
    return Layout(inner + 2 * MARGIN, height, boxes, tuple(lines))


def _tiles(scene: Scene, top: int) -> Iterator[Box]:
    for row, tiles in enumerate(scene.rows):
        for column, tile in enumerate(tiles):
            # The least that is written is to be seen.
            strength = 0.35 + 0.65 * tile.fill if tile.fill else 0.0
            colour = blend((EMPTY, tile.colour), strength)
            yield Box(MARGIN + column * TILE, top + row * TILE, TILE - 1, TILE - 1, colour, tile.title)


def _bars(scene: Scene, top: int, width: int) -> Iterator[Box]:
    """As high as what is stored; what is garbage stands above what is needed."""
    step = max(1, min(TILE, width // len(scene.bars))) if scene.bars else 1
    for index, bar in enumerate(scene.bars):
        height = max(1, round(bar.weight * _BARS))
        needed = round(bar.live * height)
        x, bottom = MARGIN + index * step, top + _BARS
        breadth = max(1, step - 1)
        if height > needed:
            yield Box(x, bottom - height, breadth, height - needed, GARBAGE, bar.title)
        if needed:
            yield Box(x, bottom - needed, breadth, needed, bar.colour, bar.title)
