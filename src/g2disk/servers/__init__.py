"""Servers: a Disk turned into a protocol."""
