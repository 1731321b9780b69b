"""What of the journal goes into a segment."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from g2disk.disk import Buffer
from g2disk.volume.journal.entry import WRITE, ZERO, Entry
from g2disk.volume.packing import pack

SIZE = 512
BLOCKS = 64

CHANGES = st.lists(
    st.tuples(st.sampled_from([WRITE, WRITE, ZERO]), st.integers(0, BLOCKS - 1), st.integers(1, 24)), min_size=1
)


class Ground:
    """A journal in a string, and the disk that its entries make."""

    def __init__(self, changes: list[tuple[int, int, int]]) -> None:
        random = Random(1)
        self.data = bytearray(16)
        self.entries: list[Entry] = []
        self.disk: dict[int, bytes] = {}
        for sequence, (kind, block, most) in enumerate(changes, 7):
            count = min(most, BLOCKS - block)
            self.entries.append(Entry(sequence, kind, block, count, len(self.data)))
            if kind == WRITE:
                data = random.randbytes(count * SIZE)
                self.data += data
                self.disk.update({block + n: data[n * SIZE : (n + 1) * SIZE] for n in range(count)})
            else:
                self.disk.update({block + n: bytes(SIZE) for n in range(count)})
            self.data += bytes(random.choice([0, 16]))

    def read(self, position: int, length: int) -> Buffer:
        return bytes(self.data[position : position + length])


@given(CHANGES)
def test_a_segment_has_the_same_effect_as_its_entries(changes: list[tuple[int, int, int]]) -> None:
    """Its zeroes, then its data, give each block its last version; no block is stored twice."""
    ground = Ground(changes)
    packed = pack(ground.entries, SIZE, ground.read)
    assert packed.sequences == (7, 6 + len(changes))
    disk = {block + n: bytes(SIZE) for block, count in packed.zeroes for n in range(count)}
    stored: list[int] = []
    for block, data in packed.extents:
        for n in range(len(data) // SIZE):
            stored.append(block + n)
            disk[block + n] = bytes(data[n * SIZE : (n + 1) * SIZE])
    assert disk == ground.disk
    assert stored == sorted(set(stored))


def test_a_sequential_writers_data_is_not_copied() -> None:
    """Extents are what was read from the journal."""
    ground = Ground([(WRITE, 0, 32), (WRITE, 32, 32)])
    taken: list[Buffer] = []

    def read(position: int, length: int) -> Buffer:
        taken.append(ground.read(position, length))
        return taken[-1]

    assert [data for _, data in pack(ground.entries, SIZE, read).extents] == taken
