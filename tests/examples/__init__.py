"""The disks and servers of examples/."""
