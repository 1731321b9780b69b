"""The Prometheus metrics of g2disk.

Each class makes the families of one subject in the registry that it is given; the objects that count take the class as
an argument, so nothing is global.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (
    *(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
"""From a request served from memory to one that waited out a broken connection."""


class DiskMetrics:
    """What disks are asked, and how they answer; labelled by disk and operation (a method of `Disk`)."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("disk", "operation")
        self.requests = Counter(
            "g2disk_requests", "Requests that have ended, in whatever way.", labels, registry=registry
        )
        self.bytes = Counter(
            "g2disk_bytes", "Bytes of the ranges of requests that succeeded.", labels, unit="bytes", registry=registry
        )
        self.errors = Counter(
            "g2disk_request_errors",
            "Requests that failed, by kind of error (g2disk.errors), or were cancelled (kind Cancelled).",
            (*labels, "kind"),
            registry=registry,
        )
        self.seconds = Histogram(
            "g2disk_request_seconds",
            "Seconds from a request to its end.",
            labels,
            buckets=_SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge("g2disk_requests_in_flight", "Requests that run now.", ("disk",), registry=registry)
