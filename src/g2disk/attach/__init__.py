"""Attaching disks to this machine: the gateway process, the kernel's nbd devices, FUSE files, and what is attached."""
