"""fio with its NBD engine: the command for a case, and what its JSON says."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from bench.cases import MIB, Case
from bench.errors import BenchError
from bench.processes import output_of

_SLACK = 60.0
"""Seconds on top of its running time that fio may take to connect, lay out and report."""


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """What one run of fio found, reads and writes together."""

    requests: int
    iops: float
    bytes_per_second: float
    p50_us: float
    """Microseconds from handing a request to libnbd until its completion; half of the requests took less."""
    p99_us: float
    p999_us: float
    cpu_us: float | None = None
    """Processor time of the subject's processes, microseconds a request; None where they are not ours to watch."""


def measure(case: Case, uri: str, size: int, seconds: float) -> Measurement:
    """Run the case on the first `size` bytes of the export for `seconds`.  Raises `BenchError`."""
    return parse(output_of(command(case, uri, size, seconds), seconds + _SLACK))


def fill(uri: str, size: int) -> None:
    """Write the first `size` bytes once, so that reads find data and not holes.  Raises `BenchError`."""
    output_of(_command(uri, size, "--name=fill", "--rw=write", f"--bs={MIB}", "--iodepth=4"), _SLACK)


def command(case: Case, uri: str, size: int, seconds: float) -> list[str]:
    """The command line for the case."""
    return _command(
        uri,
        size,
        f"--name={case.name}",
        f"--rw={case.rw}",
        f"--rwmixread={case.read_share}",
        f"--bs={case.block}",
        f"--iodepth={case.depth}",
        f"--numjobs={case.connections}",
        "--time_based",
        f"--runtime={round(seconds * 1000)}ms",
        "--norandommap",
    )


def _command(uri: str, size: int, *options: str) -> list[str]:
    # Threads, as fio's forked jobs would outlive it; one figure for all directions and connections.
    common = ("--thread", "--unified_rw_reporting=mixed", "--group_reporting", "--percentile_list=50:99:99.9")
    engine = ("--ioengine=nbd", f"--uri={uri}", f"--size={size}")
    return ["fio", *options, *engine, *common, "--output-format=json"]


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
        iops=mixed["iops"],
        bytes_per_second=mixed["bw_bytes"],
        p50_us=percentile["50.000000"] / 1000,
        p99_us=percentile["99.000000"] / 1000,
        p999_us=percentile["99.900000"] / 1000,
    )
