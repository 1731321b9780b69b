"""The formats of volumes: bytes in, values out, and back.

Pure: no I/O, no clock, no randomness (random bytes are passed in).  Each format has a page in docs/formats.  All binary
numbers are little-endian and unsigned.  What is decoded was written by g2disk, or `Corrupt` is raised; what was written
by a newer one that changed the format raises `Unsupported`.
"""
