"""A deterministic simulation of volumes: servers on machines with disks, an object store, and all that goes wrong."""
