"""A disk in memory, in a few lines: g2disk serve 'examples/ramdisk.py:RamDisk?size=64MiB'."""

from g2disk.units import parse_size


class RamDisk:
    """A ramdisk."""

    def __init__(self, size: str = "64MiB") -> None:
        self.size = parse_size(size)
        self.data = bytearray(self.size)

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes."""
        return bytes(self.data[offset : offset + length])

    def write(self, offset: int, data: memoryview) -> None:
        """Keep all of `data`."""
        self.data[offset : offset + len(data)] = data
