"""Values of every format, fixed for ever: the golden files in data/ hold them."""

from __future__ import annotations

import numpy as np

from g2disk.volume.format.catalogue import CatalogueEntry, StoreMark
from g2disk.volume.format.compression import Compression
from g2disk.volume.format.journal import WRITE, ZERO, FileHeader
from g2disk.volume.format.keys import Secret, WrappedKey, wrap
from g2disk.volume.format.manifest import Ancestor, EpochRecord, Head, Manifest, PageReference, Run, SnapshotRecord
from g2disk.volume.format.pages import U64, IndexPage, References, TablePage
from g2disk.volume.format.sealing import Sealer
from g2disk.volume.format.segment import SegmentKind, SegmentName, build_segment

KEY = bytes(range(32))
PASSPHRASE = Secret("passphrase", b"correct horse battery staple")
RAW = Secret("raw", bytes(range(64, 96)))
VOLUME = "00112233445566778899aabbccddeeff"
PARENT = "ffeeddccbbaa99887766554433221100"
BLOCK = 4096
NAME = SegmentName(0x1234, 7)
ZEROES = [(3, 5), (1 << 40, 1 << 41)]
MARK = StoreMark(created=1700000000.0)
ENTRY = CatalogueEntry(volume=VOLUME, created=1700000000.5)


def block(number: int, block_size: int = BLOCK) -> bytes:
    """A block that compresses, and is like no other."""
    return (b"block %d " % number * block_size)[:block_size]


def noise(number: int, block_size: int = BLOCK) -> bytes:
    """A block that does not compress."""
    return np.random.default_rng(number).bytes(block_size)


EXTENTS = [(10, block(10) + block(11) + noise(12)), (1 << 30, block(99)), (40, b"".join(map(noise, range(40, 60))))]
BLOCKS = [*range(10, 13), 1 << 30, *range(40, 60)]
"""The block of the disk at each ordinal of EXTENTS."""
CONTENT = b"".join(data for _, data in EXTENTS)

SEALERS = {
    "plain": Sealer(),
    "lz4": Sealer(Compression.LZ4),
    "zstd": Sealer(Compression.ZSTD),
    "encrypted": Sealer(Compression.NONE, KEY),
    "encrypted-zstd": Sealer(Compression.ZSTD, KEY),
}


def wrapped(secret: Secret) -> WrappedKey:
    """The key, at a cost that tests can bear."""
    return wrap(KEY, secret, bytes(range(100, 132)), cost=4)


def segment(sealer: Sealer, block_size: int = BLOCK) -> bytes:
    """The sample segment's object."""
    _, parts = build_segment(NAME, SegmentKind.DATA, (100, 105), EXTENTS, ZEROES, block_size, sealer)
    return b"".join(parts)


def manifest() -> Manifest:
    """One that has everything."""
    page = PageReference(number=3, epoch=2, offset=4096, length=700)
    head = Head(
        root=page,
        table=PageReference(number=3, epoch=2, offset=0, length=4096),
        checkpoint=4,
        applied=20,
        runs=(Run(first=20, end=25, epoch=2), Run(first=25, end=31, epoch=3)),
        next=31,
        sequence=1234567890123,
        abandoned=((8, 11),),
    )
    snapshot = SnapshotRecord(name="früh", created=1700000100.25, size=1 << 40, head=head, clones=(PARENT,))
    return Manifest(
        version=17,
        token="0123456789abcdef0123456789abcdef",
        volume=VOLUME,
        epoch=4,
        size=(1 << 63) - 4096,
        block_size=BLOCK,
        durability="remote",
        compression="zstd",
        encryption=wrapped(PASSPHRASE),
        description='"a disk" \n',
        created=1700000000.0,
        head=head,
        snapshots=(snapshot,),
        ancestry=(Ancestor(first=1, first_map=1, volume=PARENT), Ancestor(first=12, first_map=3, volume=VOLUME)),
        epochs=(
            EpochRecord(epoch=3, journal=PARENT, sequence=99, first=25),
            EpochRecord(epoch=4, journal="", sequence=1234567890123, first=31),
        ),
        next_map=5,
        shrink_requested=1 << 30,
    )


def index_page(rows: int = 5) -> IndexPage:
    """Also good as a root page."""
    numbers = np.arange(rows, dtype="<u8")
    return IndexPage(
        numbers * 1000 + 7,
        References(numbers + (1 << 33), *(np.asarray(numbers * factor, "<u4") for factor in (1, 4096, 777))),
    )


def locations() -> U64:
    """Of a leaf: some zero, some far."""
    found: U64 = np.arange(1024, dtype="<u8") ** 6 * (np.arange(1024) % 3 != 0)
    return found


def table_page(rows: int = 6) -> TablePage:
    """Data segments and map objects."""
    numbers: U64 = np.arange(1, rows + 1, dtype="<u8")
    return TablePage(
        numbers=numbers,
        bytes=np.asarray(numbers << 24, "<u8"),
        born=np.asarray(numbers * 3, "<u8"),
        died=np.asarray(numbers % 2 * 9, "<u8"),
        epochs=np.asarray(numbers, "<u4"),
        live=np.asarray(numbers * 100, "<u4"),
        total=np.asarray(numbers * 4096, "<u4"),
        kinds=np.asarray(numbers > rows // 2, "<u1"),
    )


JOURNAL = FileHeader(
    journal="a" * 32,
    volume=VOLUME,
    epoch=6,
    number=9,
    first_position=9 * (64 << 20) + 16,
    first_sequence=5000,
    previous_end=9 * (64 << 20) + 16,
    block_size=BLOCK,
    salt=bytes(range(16)),
)
CHANGES = [(WRITE, 7, 2, block(7) + block(8)), (ZERO, 1 << 44, 1 << 45, None), (WRITE, 0, 1, noise(1))]
