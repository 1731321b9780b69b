"""`Scene`, a `DiskMap` with everything decided but the medium: rows of tiles, bars and captions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from g2disk.stores.disk_map import Cell, DiskMap, SegmentFigure
from g2disk.units import format_size

Colour = tuple[int, int, int]

_AGES: tuple[Colour, ...] = ((68, 90, 180), (45, 140, 160), (70, 175, 110), (165, 200, 70), (245, 205, 60))
"""From the oldest to the newest; they differ in lightness, too, for those who do not see all colours."""

PLAIN: Colour = (70, 160, 150)
"""What is written, where nothing is known of its age."""
GARBAGE: Colour = (200, 70, 60)
EMPTY: Colour = (60, 60, 66)


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of the disk."""

    fill: float
    """The part of it that holds data, 0 to 1."""
    colour: Colour
    title: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A segment, or several neighbours."""

    live: float
    """The part of it that is needed, 0 to 1."""
    weight: float
    """Its bytes, as a part of the largest bar's."""
    colour: Colour
    title: str


@dataclass(frozen=True, slots=True)
class Scene:
    """The picture."""

    heading: str
    rows: Sequence[Sequence[Tile]]
    bars: Sequence[Bar]
    captions: Sequence[str]


def compose(name: str, drawn: DiskMap, columns: int, most_bars: int) -> Scene:
    """The picture of a map, `columns` tiles wide, with at most `most_bars` bars."""
    numbers = [number for cell in drawn.cells for number in (cell.oldest, cell.newest) if number]
    numbers += [segment.number for segment in drawn.segments]
    ages = _Ages(min(numbers, default=0), max(numbers, default=0))
    tiles = [_tile(drawn, index, cell, ages) for index, cell in enumerate(drawn.cells)]
    bars = [segment for segment in drawn.segments if not segment.is_map]
    whole = f"{format_size(drawn.length)} from byte {drawn.offset} on" if drawn.offset else format_size(drawn.length)
    return Scene(
        heading=f"{name}, {whole}: {format_size(sum(cell.written for cell in drawn.cells))} written",
        rows=[tiles[start : start + columns] for start in range(0, len(tiles), columns)],
        bars=_bars(bars, most_bars, ages),
        captions=_captions(drawn),
    )


class _Ages:
    """Colours by segment number."""

    def __init__(self, first: int, last: int) -> None:
        self._first, self._last = first, last

    def colour(self, number: int) -> Colour:
        if not number:
            return PLAIN
        span = self._last - self._first
        return blend(_AGES, (number - self._first) / span if span else 1.0)


def blend(colours: Sequence[Colour], part: float) -> Colour:
    """The colour at `part`, 0 to 1, of the way along `colours`."""
    place = min(max(part, 0.0), 1.0) * (len(colours) - 1)
    index = min(int(place), len(colours) - 2)
    rest = place - index
    red, green, blue = (
        round(one + (other - one) * rest) for one, other in zip(colours[index], colours[index + 1], strict=True)
    )
    return red, green, blue


def _tile(drawn: DiskMap, index: int, cell: Cell, ages: _Ages) -> Tile:
    start = drawn.offset + index * drawn.cell_bytes
    length = min(drawn.cell_bytes, drawn.offset + drawn.length - start)
    title = f"{format_size(length)} at {start}: {format_size(cell.written)} written"
    if cell.newest:
        title += f", in segments {cell.oldest} to {cell.newest}"
    fill = cell.written / length if length else 0.0
    return Tile(min(fill, 1.0), ages.colour(cell.newest) if cell.written else EMPTY, title)


def _bars(segments: Sequence[SegmentFigure], most: int, ages: _Ages) -> list[Bar]:
    step = -(-len(segments) // most) if segments else 1
    groups = [segments[start : start + step] for start in range(0, len(segments), step)]
    sizes = [sum(segment.stored for segment in group) for group in groups]
    largest = max(sizes, default=0)
    bars = []
    for group, size in zip(groups, sizes, strict=True):
        total, live = sum(each.total for each in group), sum(each.live for each in group)
        part = live / total if total else 0.0
        what = f"segment {group[0].number}" if len(group) == 1 else f"{len(group)} segments from {group[0].number} on"
        title = f"{what}: {format_size(size)} stored, {100 * part:.0f}% needed"
        bars.append(Bar(part, size / largest if largest else 0.0, ages.colour(group[0].number), title))
    return bars


def _captions(drawn: DiskMap) -> list[str]:
    captions = [f"each tile is {format_size(drawn.cell_bytes)} of the disk; the fuller, the more of it is written"]
    data = [segment for segment in drawn.segments if not segment.is_map]
    if data:
        stored = sum(segment.stored for segment in data)
        garbage = sum(segment.stored * (1 - segment.live / segment.total) for segment in data if segment.total)
        maps = [segment for segment in drawn.segments if segment.is_map]
        captions += [
            f"colours: segments by age, {data[0].number} the oldest, {data[-1].number} the newest",
            f"{len(data)} segments, {format_size(stored)}, of which {format_size(round(garbage))} garbage: "
            "overwritten since, and freed by garbage collection or kept by snapshots",
        ]
        if maps:
            pages = format_size(sum(segment.stored for segment in maps))
            captions.append(f"{len(maps)} objects of the map, {pages}")
    return captions
