"""Object stores: the seam `ObjectStore`, what keeps it (S3, Google Cloud Storage, Azure, a directory, memory), and
layers around it.
"""

from g2disk.objects.keys import check_key
from g2disk.objects.store import ObjectEntry, ObjectStore

__all__ = ["ObjectEntry", "ObjectStore", "check_key"]
