"""`file:DIR`, disks as sparse files in a directory: durable, and served without copies."""

from g2disk.stores.file.disk import FileDisk
from g2disk.stores.file.store import FileStore, default_directory

__all__ = ["FileDisk", "FileStore", "default_directory"]
