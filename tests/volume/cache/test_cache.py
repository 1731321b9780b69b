"""The read cache, in memory and in a directory."""

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from g2disk.errors import Busy
from g2disk.volume.cache import CHUNK, ReadCache, open_cache
from g2disk.volume.cache.directory import DirectoryCache
from g2disk.volume.cache.memory import MemoryCache
from g2disk.volume.format.names import SegmentName

VOLUME, OTHER = "0123456789abcdef" * 2, "f" * 32
Make = Callable[[int], ReadCache]


@pytest.fixture(params=["memory", "directory"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    made: list[ReadCache] = []

    def new(size: int) -> ReadCache:
        made.append(open_cache(tmp_path if request.param == "directory" else None, size))
        return made[-1]

    yield new
    for cache in made:
        cache.close()


def _name(number: int, epoch: int = 1) -> SegmentName:
    return SegmentName(number, epoch)


def test_what_was_put_is_found_and_nothing_else(make: Make) -> None:
    """A chunk is found under its volume, number, epoch and chunk, and under no other."""
    cache = make(8 * CHUNK)
    cache.put(VOLUME, _name(3), 5, b"data")

    assert cache.get(VOLUME, _name(3), 5) == b"data"
    assert cache.get(OTHER, _name(3), 5) is None
    assert cache.get(VOLUME, _name(4), 5) is None
    assert cache.get(VOLUME, _name(3, 2), 5) is None
    assert cache.get(VOLUME, _name(3), 6) is None
    assert (cache.hits, cache.misses) == (1, 4)


def test_it_is_a_bounded_model_of_a_dictionary(make: Make) -> None:
    """Whatever is put, found and dropped: what is found is what was put last, and the size stays within its bound."""
    rng = random.Random(7)
    cache, model = make(16 * CHUNK), dict[tuple[str, int, int, int], bytes]()
    for _ in range(3000):
        key = rng.choice((VOLUME, OTHER)), rng.randrange(6), rng.randrange(2), rng.randrange(4)
        volume, number, epoch, chunk = key
        match rng.randrange(10):
            case 0:
                cache.drop(volume, number)
                model = {other: data for other, data in model.items() if other[:2] != (volume, number)}
            case 1 | 2 | 3:
                data = rng.randbytes(rng.randrange(1, 300))
                cache.put(volume, _name(number, epoch), chunk, data)
                model[key] = data
            case _:
                found = cache.get(volume, _name(number, epoch), chunk)
                assert found is None or found == model[key]
    held = [cache.get(volume, _name(number, epoch), chunk) for volume, number, epoch, chunk in model]

    assert sum(len(data) for data in held if data is not None) == cache.used
    assert 8 <= sum(data is not None for data in held) <= 16


def test_what_is_used_stays(make: Make) -> None:
    """A chunk that is found again and again outlives any number of others."""
    cache = make(8 * CHUNK)
    cache.put(VOLUME, _name(1), 0, b"hot")
    for number in range(2, 100):
        assert cache.get(VOLUME, _name(1), 0) == b"hot"
        cache.put(VOLUME, _name(number), 0, b"cold")

    assert cache.get(VOLUME, _name(1), 0) == b"hot"
    assert cache.get(VOLUME, _name(2), 0) is None


def test_memory_for_less_than_a_chunk_keeps_nothing() -> None:
    """A cache of no size is none, and costs nothing."""
    cache = MemoryCache(CHUNK - 1)
    cache.put(VOLUME, _name(1), 0, b"data")

    assert cache.get(VOLUME, _name(1), 0) is None
    assert (cache.used, cache.limit) == (0, 0)


def test_a_chunk_does_not_keep_the_buffer_that_it_came_in(make: Make) -> None:
    """What is put may be changed afterwards."""
    cache, buffer = make(CHUNK), bytearray(b"data")
    cache.put(VOLUME, _name(1), 0, memoryview(buffer))
    buffer[:] = b"else"

    assert cache.get(VOLUME, _name(1), 0) == b"data"


def test_no_buffer_is_kept_for_a_part_of_it() -> None:
    """Chunks that came in one buffer are parts of it until one of them goes; then the others are copies, and gone where
    they were read before.
    """
    cache = MemoryCache(5 * CHUNK)
    whole = b"".join(bytes([number]) * CHUNK for number in range(4))
    parts = [memoryview(whole)[at : at + CHUNK] for at in range(0, len(whole), CHUNK)]
    for chunk, part in enumerate(parts):
        cache.put(VOLUME, _name(1), chunk, part)
    assert cache.get(VOLUME, _name(1), 2) is parts[2]
    assert cache.used == 4 * CHUNK
    for number in (2, 3):
        cache.put(VOLUME, _name(number), 0, bytes(CHUNK))

    assert cache.get(VOLUME, _name(1), 0) is None
    kept = [cache.get(VOLUME, _name(1), chunk) for chunk in (1, 2, 3)]
    assert kept == parts[1:]
    assert all(isinstance(each, bytes) for each in kept)
    assert cache.used == 5 * CHUNK
    cache.drop(VOLUME, 1)
    assert cache.used == 2 * CHUNK


def test_chunks_that_were_read_go_with_their_buffer() -> None:
    """Those that a reader in sequence has left behind are not copied: their slots are free again."""
    cache = MemoryCache(4 * CHUNK)
    whole = memoryview(bytes(3 * CHUNK))
    for chunk in range(3):
        cache.put(VOLUME, _name(1), chunk, whole[chunk * CHUNK : (chunk + 1) * CHUNK])
        assert cache.get(VOLUME, _name(1), chunk) is not None
    cache.put(VOLUME, _name(2), 0, bytes(CHUNK))
    cache.get(VOLUME, _name(2), 0)
    cache.put(VOLUME, _name(3), 0, bytes(CHUNK))

    assert [cache.get(VOLUME, _name(1), chunk) for chunk in range(3)] == [None] * 3
    assert cache.used == 2 * CHUNK


def test_dropped_chunks_leave_their_slots_once() -> None:
    """After a segment that came in one buffer was dropped, the cache holds as much as before."""
    cache = MemoryCache(4 * CHUNK)
    whole = memoryview(bytes(3 * CHUNK))
    for chunk in range(3):
        cache.put(VOLUME, _name(1), chunk, whole[chunk * CHUNK : (chunk + 1) * CHUNK])
    cache.drop(VOLUME, 1)
    for number in range(2, 6):
        cache.put(VOLUME, _name(number), 0, bytes([number]) * CHUNK)

    assert cache.used == 4 * CHUNK
    assert all(cache.get(VOLUME, _name(number), 0) == bytes([number]) * CHUNK for number in range(2, 6))


def _fill(path: Path, count: int) -> None:
    cache = DirectoryCache(path, 8 * CHUNK)
    for chunk in range(count):
        cache.put(VOLUME, _name(1), chunk, bytes([chunk]) * (CHUNK - chunk))
    cache.close()


def _present(path: Path, size: int = 8 * CHUNK) -> list[int]:
    cache = DirectoryCache(path, size)
    found = [cache.get(VOLUME, _name(1), chunk) for chunk in range(8)]
    cache.close()
    assert all(data is None or data == bytes([chunk]) * (CHUNK - chunk) for chunk, data in enumerate(found))
    return [chunk for chunk, data in enumerate(found) if data is not None]


def test_a_restart_finds_it_warm(tmp_path: Path) -> None:
    """What was put is found after the cache was closed and opened again, at its size."""
    _fill(tmp_path, 5)
    cache = DirectoryCache(tmp_path, 8 * CHUNK)

    assert cache.used == sum(CHUNK - chunk for chunk in range(5))
    cache.close()
    assert _present(tmp_path) == [0, 1, 2, 3, 4]


def test_another_size_keeps_what_fits(tmp_path: Path) -> None:
    """A smaller cache gives its space back and keeps the rest; a larger one keeps all."""
    _fill(tmp_path, 8)

    assert _present(tmp_path, 20 * CHUNK) == list(range(8))
    assert _present(tmp_path, 3 * CHUNK) == [0, 1, 2]
    assert (tmp_path / "chunks").stat().st_size == 3 * CHUNK
    assert _present(tmp_path, 8 * CHUNK) == [0, 1, 2]


@pytest.mark.parametrize("seed", range(40))
def test_damage_costs_a_miss(tmp_path: Path, seed: int) -> None:
    """Any byte that changes, in the index or the chunks, makes at most a miss, never other data."""
    rng = random.Random(seed)
    _fill(tmp_path, 8)
    name = rng.choice(("index", "index", "chunks"))
    content = bytearray((tmp_path / name).read_bytes())
    for _ in range(rng.randrange(1, 4)):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    (tmp_path / name).write_bytes(content)

    assert len(_present(tmp_path)) < 8 or name == "index"
    cache = DirectoryCache(tmp_path, 8 * CHUNK)
    cache.put(VOLUME, _name(2), 0, b"new")
    assert cache.get(VOLUME, _name(2), 0) == b"new"
    cache.close()


def test_a_chunk_in_the_place_of_another_is_noticed(tmp_path: Path) -> None:
    """The checksum is of the key, too: good data under another chunk's record is a miss."""
    _fill(tmp_path, 2)
    index = bytearray((tmp_path / "index").read_bytes())
    first, second = 64, 64 + (len(index) - 64) // 8
    index[first : first + 32], index[second : second + 32] = index[second : second + 32], index[first : first + 32]
    (tmp_path / "index").write_bytes(index)

    assert _present(tmp_path) == []


@pytest.mark.parametrize("cut", [0, 1, 63, 64, 100, 300])
def test_a_cut_index_is_read_as_far_as_it_goes(tmp_path: Path, cut: int) -> None:
    """An index that a crash left short gives what it has."""
    _fill(tmp_path, 8)
    os.truncate(tmp_path / "index", cut)

    assert set(_present(tmp_path)) <= set(range(8))


def test_a_second_process_goes_on_without_the_directory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """While one process has the directory another gets a cache in memory, and one line in the log."""
    code = f"""
import sys
from pathlib import Path
from g2disk.volume.cache.directory import DirectoryCache
cache = DirectoryCache(Path({str(tmp_path)!r}), 1 << 20)
print("ready", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        with pytest.raises(Busy, match="in use by another process"):
            DirectoryCache(tmp_path, 8 * CHUNK)
        cache = open_cache(tmp_path, 8 * CHUNK)
        assert process.stdin is not None
        process.stdin.close()

    assert isinstance(cache, MemoryCache)
    assert [record.getMessage() for record in caplog.records] == [
        f"! the cache {tmp_path} is in use by another process; take another directory; going on with a cache in memory"
    ]
    again = open_cache(tmp_path, 8 * CHUNK)
    assert isinstance(again, DirectoryCache)
    again.close()


def test_a_full_disk_is_said_once_and_costs_misses(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """When the disk takes no more, what is there is still found, and one line says so."""
    script = f"""
import resource
from pathlib import Path
from g2disk.volume.cache.directory import DirectoryCache
from g2disk.volume.cache.read_cache import CHUNK
from g2disk.volume.format.names import SegmentName
import logging; logging.basicConfig(format="%(message)s")
cache = DirectoryCache(Path({str(tmp_path)!r}), 8 * CHUNK)
resource.setrlimit(resource.RLIMIT_FSIZE, (3 * CHUNK - 10, 3 * CHUNK - 10))
for chunk in range(8):
    cache.put("0" * 32, SegmentName(1, 1), chunk, bytes([chunk]) * CHUNK)
print([chunk for chunk in range(8) if cache.get("0" * 32, SegmentName(1, 1), chunk) == bytes([chunk]) * CHUNK])
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)

    assert result.stdout == "[0, 1]\n"
    assert result.stderr.count("\n") == 1
    assert "keeps nothing new until the next start" in result.stderr
