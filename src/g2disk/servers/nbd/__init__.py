"""The NBD server: the disks of exports over NBD."""
