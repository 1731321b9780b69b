"""A scene in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group
from rich.text import Text

from g2disk.cli.picture.scene import GARBAGE, Bar, Colour, Scene, Tile

_SHADES = "░▒▓█"
_HEIGHTS = "▁▂▃▄▅▆▇█"


def print_scene(scene: Scene, console: Console) -> None:
    """Rows of tiles; then the segments, as high as they are needed, red where less than half of them is."""
    parts = [Text(scene.heading, style="bold"), *map(_row, scene.rows)]
    if scene.bars:
        parts += [Text("segments, as high as they are needed:", style="bold"), _segments(scene.bars)]
    parts += [Text(caption, style="dim") for caption in scene.captions]
    console.print(Group(*parts))


def _row(tiles: Sequence[Tile]) -> Text:
    text = Text(overflow="crop", no_wrap=True)
    for tile in tiles:
        text.append(_shade(tile.fill), style=_style(tile.colour))
    return text


def _segments(bars: Sequence[Bar]) -> Text:
    text = Text()
    for bar in bars:
        height = _HEIGHTS[min(int(bar.live * len(_HEIGHTS)), len(_HEIGHTS) - 1)]
        text.append(height, style=_style(bar.colour if bar.live >= 0.5 else GARBAGE))
    return text


def _shade(fill: float) -> str:
    if not fill:
        return "·"
    return _SHADES[min(int(fill * len(_SHADES)), len(_SHADES) - 1)]


def _style(colour: Colour) -> str:
    return "rgb({},{},{})".format(*colour)
