"""`g2disk map`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from g2disk.cli.copying import extents_of
from g2disk.cli.options import DEFAULT_ENDPOINT, DiskName, Endpoint, Json
from g2disk.cli.output import note, print_json, print_line
from g2disk.cli.picture.layout import lay_out
from g2disk.cli.picture.png import png
from g2disk.cli.picture.scene import compose
from g2disk.cli.picture.svg import svg
from g2disk.cli.picture.terminal import print_scene
from g2disk.cli.running import run
from g2disk.cli.server import connected
from g2disk.disk import Disk
from g2disk.errors import OutOfRange, Unsupported
from g2disk.stores.disk_map import Cell, DiskMap
from g2disk.stores.remote import RemoteStore
from g2disk.units import parse_size

_ROWS = 16
_PICTURE = (128, 48)
"""Tiles of a picture file: columns, rows."""
_SMALLEST = 4096
"""Bytes of a tile; larger ones are multiples."""


def map_disk(
    name: DiskName,
    start: Annotated[str, typer.Option("--from", metavar="SIZE", help="Begin there.")] = "0",
    length: Annotated[
        str, typer.Option("--length", metavar="SIZE", help="Show so much of it; left out: all.", show_default=False)
    ] = "",
    svg_file: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Draw the picture there.")] = None,
    png_file: Annotated[
        Path | None, typer.Option("--png", metavar="FILE", help="Draw the picture there, without words.")
    ] = None,
    endpoint: Endpoint = DEFAULT_ENDPOINT,
    json: Json = False,
) -> None:
    """Draw a disk: what of it is written; on an object store also how old that is, its segments, and their garbage.

    What was written in the last seconds, and is only in the journal yet, is not in the picture.
    """
    console = Console(highlight=False)
    columns, rows = _PICTURE if svg_file or png_file or json else (max(16, min(console.width, 128)), _ROWS)
    offset = parse_size(start) // _SMALLEST * _SMALLEST
    called, drawn = run(_fetch(endpoint, name, offset, parse_size(length) if length else 0, columns * rows))
    if json:
        print_json(_document(called, drawn))
        return
    scene = compose(called, drawn, columns, most_bars=columns * (4 if svg_file or png_file else 2))
    for file, make, words in ((svg_file, svg, True), (png_file, png, False)):
        if file is not None:
            file.write_bytes(make(lay_out(scene, words=words)))
            note(f"drew {file}")
    if svg_file or png_file:
        for line in (scene.heading, *scene.captions):
            print_line(line)
    else:
        print_scene(scene, console)


async def _fetch(endpoint: str, name: str, offset: int, length: int, cells: int) -> tuple[str, DiskMap]:
    async with connected(endpoint) as store:
        entry = await store.get(name)
        if offset >= entry.size:
            raise OutOfRange(f"{entry.name!r} has {entry.size} bytes, and --from is {offset}; begin before its end")
        length = min(length or entry.size, entry.size - offset)
        return entry.name, await _draw(store, entry.name, offset, length, cells)


async def _draw(store: RemoteStore, name: str, offset: int, length: int, cells: int) -> DiskMap:
    try:
        return await store.map(name, offset, length, cells)
    except Unsupported:
        return await _draw_extents(await store.open(name), offset, length, cells)


async def _draw_extents(disk: Disk, offset: int, length: int, cells: int) -> DiskMap:
    """What the disk's extents tell."""
    if not disk.info().extents:
        raise Unsupported("the disk does not say where it holds data; there is nothing to draw")
    cell = _SMALLEST * -(-length // (cells * _SMALLEST))
    written = [0] * -(-length // cell)
    async for extent in extents_of(disk, offset, offset + length):
        if not extent.hole:
            _add(written, cell, extent.offset - offset, extent.length)
    return DiskMap(offset, length, cell, [Cell(count, 0, 0) for count in written], [])


def _add(written: list[int], cell: int, start: int, length: int) -> None:
    end = min(start + length, cell * len(written))
    while start < end:
        index = start // cell
        step = min(end, (index + 1) * cell) - start
        written[index] += step
        start += step


def _document(name: str, drawn: DiskMap) -> dict[str, Any]:
    return {
        "name": name,
        "offset": drawn.offset,
        "length": drawn.length,
        "cell_bytes": drawn.cell_bytes,
        "cells": [{"written": cell.written, "oldest": cell.oldest, "newest": cell.newest} for cell in drawn.cells],
        "segments": [
            {
                "number": segment.number,
                "epoch": segment.epoch,
                "total": segment.total,
                "live": segment.live,
                "stored": segment.stored,
                "is_map": segment.is_map,
            }
            for segment in drawn.segments
        ],
    }
