"""g2disk: giant block devices in userspace for Linux.

A disk is anything that can read and write ranges of bytes (`g2disk.disk.Disk`).  See docs/index.md.
"""
