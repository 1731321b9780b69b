"""The Disk interface: what every engine, server, client and layer of g2disk agrees on."""

from g2disk.disk.disk import Buffer, Disk, Done
from g2disk.disk.info import MAXIMUM_RANGE, MAXIMUM_REQUEST, DiskInfo, Extent, coalesce

__all__ = ["MAXIMUM_RANGE", "MAXIMUM_REQUEST", "Buffer", "Disk", "DiskInfo", "Done", "Extent", "coalesce"]
