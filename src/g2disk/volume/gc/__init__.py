"""Garbage collection: gives back what no head can reach any more, and moves live blocks out of nearly dead segments."""

from g2disk.volume.gc.collector import Collected, Collector

__all__ = ["Collected", "Collector"]
