"""Checking volumes on an object store, and repairing them."""

from g2disk.volume.fsck.report import Finding, Kind, LostRange, Report

__all__ = ["Finding", "Kind", "LostRange", "Report"]
