"""`DirectoryCache`, a read cache on a local disk that is warm after a restart.

    DIR/.lock     held by the process that uses it
    DIR/chunks    slot after slot, `CHUNK` bytes each
    DIR/index     a header, then a record a slot: what is in it

Nothing is synced and nothing is trusted.  The checksum in a record is of the record's own key and of the chunk's bytes,
so whatever a crash, another version or a bad disk leaves behind, a slot whose record and bytes do not belong together
is found out when it is read, and is a miss.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import struct
from array import array
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from g2disk.disk import Buffer
from g2disk.errors import Busy, DiskError, from_os_error
from g2disk.volume.cache.read_cache import CHUNK
from g2disk.volume.cache.slots import Key, Slots
from g2disk.volume.format.checksum import crc32c

if TYPE_CHECKING:
    from g2disk.volume.format.names import SegmentName

_log = logging.getLogger(__name__)

_HEADER = struct.Struct("<8sII").pack(b"g2cache\n", 1, CHUNK).ljust(64, b"\0")
_KEY = struct.Struct("<16sQII")  # volume, segment number, epoch, chunk
_RECORD = struct.Struct("<16sQIIII")  # the key, length of the chunk, checksum; length 0 is an empty slot
_RECORDS = np.dtype(
    [("volume", "S16"), ("number", "<u8"), ("epoch", "<u4"), ("chunk", "<u4"), ("length", "<u4"), ("checksum", "<u4")]
)
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class DirectoryCache:
    """A `ReadCache` of up to `size` bytes in a directory, which is made where it is missing.

    Reads and writes go through the page cache on the event loop, since a thread would cost more than they do.  Raises
    `Busy` where another process has the directory; `OutOfSpace`, `Denied`, `Unavailable`, where it cannot be used.
    When the disk fails later, one line in the log says so and the cache keeps nothing more.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self.hits = 0
        self.misses = 0
        self._bytes = 0
        self._full = False
        count = max(size // CHUNK, 1)
        self._slots = Slots(count)
        self._lengths = array("I", bytes(4 * count))
        self._checksums = array("I", bytes(4 * count))
        self._volumes: dict[str, bytes] = {}
        self._files: list[int] = []
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._take_lock()
            self._chunks = self._open("chunks")
            self._index = self._open("index")
            self._load(count)
        except OSError as error:
            self.close()
            raise _explain(error, f"opening the cache {path}") from error
        except DiskError:
            self.close()
            raise

    @property
    def used(self) -> int:
        """See `ReadCache.used`."""
        return self._bytes

    @property
    def limit(self) -> int:
        """See `ReadCache.limit`."""
        return len(self._lengths) * CHUNK

    def get(self, volume: str, name: SegmentName, chunk: int) -> Buffer | None:
        """See `ReadCache.get`."""
        slot = self._slots.find(volume, name.number, name.epoch, chunk)
        if slot >= 0:
            data = self._read(slot)
            key = self._key(volume, name, chunk)
            if len(data) == self._lengths[slot] and crc32c(data, crc32c(key)) == self._checksums[slot]:
                self.hits += 1
                return data
            self._empty(slot)
            self._slots.free(slot)
        self.misses += 1
        return None

    def put(self, volume: str, name: SegmentName, chunk: int, data: Buffer) -> None:
        """See `ReadCache.put`."""
        assert 0 < len(data) <= CHUNK
        if self._full:
            return
        slot = self._slots.take((volume, name.number, name.epoch, chunk))
        key = self._key(volume, name, chunk)
        self._bytes += len(data) - self._lengths[slot]
        self._lengths[slot], self._checksums[slot] = len(data), crc32c(data, crc32c(key))
        try:
            _write(self._chunks, data, slot * CHUNK)
            record = _RECORD.pack(*_KEY.unpack(key), self._lengths[slot], self._checksums[slot])
            _write(self._index, record, _place(slot))
        except OSError as error:
            self._give_up(error, "writing to")

    def drop(self, volume: str, number: int) -> None:
        """See `ReadCache.drop`."""
        for slot in self._slots.drop(volume, number):
            self._empty(slot)

    def close(self) -> None:
        """See `ReadCache.close`."""
        for file in self._files:
            os.close(file)
        self._files.clear()

    def _open(self, name: str) -> int:
        file = os.open(self._path / name, _FLAGS, 0o600)
        self._files.append(file)
        return file

    def _take_lock(self) -> None:
        file = self._open(".lock")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy(f"the cache {self._path} is in use by another process; take another directory") from error

    def _load(self, count: int) -> None:
        if os.pread(self._index, len(_HEADER), 0) != _HEADER:
            os.ftruncate(self._index, 0)
            _write(self._index, _HEADER, 0)
        os.ftruncate(self._index, _place(count))  # what is added reads as empty slots
        os.ftruncate(self._chunks, count * CHUNK)
        records = _read_all(self._index, len(_HEADER), count * _RECORD.size)
        table = np.frombuffer(records, dtype=_RECORDS)
        self._restore(records, table)

    def _restore(self, records: Buffer, table: np.ndarray) -> None:
        filled = np.flatnonzero((table["length"] > 0) & (table["length"] <= CHUNK))
        keys: dict[int, Key] = {}
        for slot in filled.tolist():
            volume, number, epoch, chunk, length, checksum = _RECORD.unpack_from(records, slot * _RECORD.size)
            keys[slot] = volume.hex(), number, epoch, chunk
            self._lengths[slot], self._checksums[slot] = length, checksum
            self._bytes += length
        for slot in self._slots.restore(keys):
            self._empty(slot)

    def _key(self, volume: str, name: SegmentName, chunk: int) -> bytes:
        identity = self._volumes.get(volume)
        if identity is None:
            identity = self._volumes[volume] = bytes.fromhex(volume)
        return _KEY.pack(identity, name.number, name.epoch, chunk)

    def _read(self, slot: int) -> Buffer:
        try:
            return os.pread(self._chunks, self._lengths[slot], slot * CHUNK)
        except OSError as error:
            self._give_up(error, "reading from")
            return b""

    def _empty(self, slot: int) -> None:
        self._bytes -= self._lengths[slot]
        self._lengths[slot] = 0
        try:
            _write(self._index, bytes(_RECORD.size), _place(slot))
        except OSError as error:
            self._give_up(error, "writing to")

    def _give_up(self, error: OSError, doing: str) -> None:
        if not self._full:
            self._full = True
            failure = _explain(error, f"{doing} the cache {self._path}")
            _log.warning("! %s; it keeps nothing new until the next start", failure)


def _place(slot: int) -> int:
    return len(_HEADER) + slot * _RECORD.size


def _write(file: int, data: Buffer, position: int) -> None:
    if os.pwrite(file, data, position) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _read_all(file: int, position: int, length: int) -> Buffer:
    data = memoryview(bytearray(length))
    done = 0
    while done < length and (got := os.preadv(file, [data[done:]], position + done)):
        done += got
    return data


def _explain(error: OSError, doing: str) -> DiskError:
    failure = from_os_error(error, doing)
    advice = "; free space there, or give a smaller --cache-size" if error.errno == errno.ENOSPC else ""
    return type(failure)(f"{failure}{advice}")
