"""The journal: where a volume's writes are before they are in the object store, on a local disk.

`files` is the seam to that disk, `journal` has `Journal`; the bytes are those of `g2disk.volume.format.journal`.
"""
