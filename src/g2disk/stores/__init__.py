"""Stores: catalogues of disks, each behind a URL."""
