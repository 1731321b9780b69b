"""fio with its NBD engine: the command for a case, and what its JSON says."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from bench.cases import KIB, MIB, Case
from bench.errors import BenchError
from bench.processes import output_of

_SLACK = 60.0
"""Seconds on top of its running time that fio may take to connect, lay out and report."""
_FILLING = 600.0
"""Seconds that writing scattered places may take."""


class Target(msgspec.Struct, frozen=True):
    """What fio is pointed at."""

    uri: str
    """Of the export."""
    size: int
    """Bytes from the export's start that are read and written."""
    stride: int = 0
    """Bytes from one place to the next where 4 KiB are read or written; 0 where there is nothing in between."""
    path: str = ""
    """Of a file to be measured instead of an export; flushed with fdatasync."""


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """What one run of fio found, reads and writes together."""

    requests: int
    bytes: int
    iops: float
    bytes_per_second: float
    p50_us: float
    """Microseconds from handing a request to libnbd until its completion; half of the requests took less."""
    p99_us: float
    p999_us: float
    client_cores: float
    """Processor time of fio itself, seconds a second: what it takes, the subject does not get."""
    cpu_seconds: float | None = None
    """Processor time of the subject's processes; None where nobody named them."""
    peak_memory: int | None = None
    """Bytes of memory that these processes took up at most, see `bench.usage`."""

    @property
    def cpu_seconds_per_100k(self) -> float | None:
        """Processor time of the subject's processes for 100,000 requests."""
        return None if self.cpu_seconds is None else self.cpu_seconds * 1e5 / self.requests

    @property
    def cpu_seconds_per_gb(self) -> float | None:
        """Processor time of the subject's processes for 10^9 bytes."""
        return None if self.cpu_seconds is None else self.cpu_seconds * 1e9 / self.bytes


def measure(case: Case, target: Target, seconds: float) -> Measurement:
    """Run the case on the target for `seconds`.  Raises `BenchError`."""
    return parse(output_of(command(case, target, seconds), seconds + _SLACK))


def fill(target: Target) -> None:
    """Write every place of the target once, so that reads find data and not holes.  Raises `BenchError`."""
    if target.stride:
        zones = ("--zonemode=strided", "--zonesize=4k", "--zonerange=4k", f"--zoneskip={target.stride - 4 * KIB}")
        places = target.size // target.stride
        written = f"--io_size={places * 4 * KIB}"
        output_of(_command(target, "--name=fill", "--rw=write", "--bs=4k", "--iodepth=64", *zones, written), _FILLING)
    else:
        output_of(_command(target, "--name=fill", "--rw=write", f"--bs={MIB}", "--iodepth=4"), _SLACK)


def command(case: Case, target: Target, seconds: float) -> list[str]:
    """The command line for the case."""
    return _command(
        target,
        f"--name={case.name}",
        f"--rw={case.rw}",
        f"--rwmixread={case.read_share}",
        f"--bs={case.block}",
        f"--iodepth={case.depth}",
        f"--numjobs={case.connections}",
        "--time_based",
        f"--runtime={round(seconds * 1000)}ms",
        "--norandommap",
        *([f"--blockalign={target.stride}"] if target.stride else []),
        *([f"--{'fdatasync' if target.path else 'fsync'}={case.fsync}"] if case.fsync else []),
    )


def _command(target: Target, *options: str) -> list[str]:
    # Threads, as fio's forked jobs would outlive it; one figure for all directions and connections.
    common = ("--thread", "--unified_rw_reporting=mixed", "--group_reporting", "--percentile_list=50:99:99.9")
    engine = ("--ioengine=nbd", f"--uri={target.uri}")
    if target.path:
        engine = ("--ioengine=psync", f"--filename={target.path}")
    return ["fio", *options, *engine, f"--size={target.size}", *common, "--output-format=json"]


def parse(output: str) -> Measurement:
    """The figures in fio's output, in which notes may stand before the JSON.  Raises `BenchError`."""
    start = output.find("{")
    try:
        document = json.loads(output[start:]) if start >= 0 else {}
        (job,) = document["jobs"]
        return _measurement(job)
    except (ValueError, KeyError) as error:
        raise BenchError(f"fio printed no report ({error!r}); it printed: {output[:500].strip()}") from error


def _measurement(job: dict[str, Any]) -> Measurement:
    if job["error"]:
        raise BenchError(f"fio met error {job['error']} in {job['jobname']}; see the subject's log")
    mixed = job["mixed"]
    if not mixed["total_ios"]:
        raise BenchError(f"no request of {job['jobname']} was answered in time; measure for longer with --seconds")
    percentile = mixed["clat_ns"]["percentile"]
    return Measurement(
        requests=mixed["total_ios"],
        bytes=mixed["io_bytes"],
        iops=mixed["iops"],
        bytes_per_second=mixed["bw_bytes"],
        p50_us=percentile["50.000000"] / 1000,
        p99_us=percentile["99.000000"] / 1000,
        p999_us=percentile["99.900000"] / 1000,
        client_cores=(job["usr_cpu"] + job["sys_cpu"]) / 100 * int(job["job options"].get("numjobs", 1)),
    )
