"""The contracts that disks are held to."""
