"""The tools that people use with NBD, against g2disk's NBD server: direct over a Unix socket, a gateway over TCP."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.nbd_servers import DIRECT, GATEWAY, NbdServer, nbd_server
from tests.support.processes import wait_until

KIB, MIB = 1 << 10, 1 << 20
SIZE = 12 * MIB
DISKS = {"default": SIZE, "copied": SIZE, "blank": SIZE, "integrity": 50 * MIB, "handshake": 4 * MIB}


@pytest.fixture(scope="module", params=[(DIRECT, False), (GATEWAY, True)], ids=[DIRECT, GATEWAY])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NbdServer]:
    kind, tcp = request.param
    directory = tmp_path_factory.mktemp("nbd")
    made = [argument for name, size in DISKS.items() for argument in ("--disk", f"{name}={size}")]
    with nbd_server(directory, kind, "memory:", *made, tcp=tcp) as running:
        yield running


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Data, zeroes and data again, different at every place."""
    path = tmp_path / "image"
    data = random.Random(1).randbytes(SIZE // 3)
    path.write_bytes(data + bytes(SIZE // 3) + data[::-1])
    return path


def run(*command: object, timeout: float = 60) -> str:
    """What the program prints; it must succeed, and say nothing on standard error."""
    done = subprocess.run(
        list(map(str, command)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},  # nbdsh takes any python3
    )
    assert 0 == done.returncode, f"{command[0]}: {done.stderr}{done.stdout[-2000:]}"
    assert "" == done.stderr, done.stderr
    return done.stdout


def same(one: Path, other: Path) -> bool:
    return hashlib.sha256(one.read_bytes()).digest() == hashlib.sha256(other.read_bytes()).digest()


def test_nbdinfo_sees_the_disk(server: NbdServer) -> None:
    """nbdinfo tells size, block sizes and all that a memory disk can do."""
    found = json.loads(run("nbdinfo", "--json", server.uri("blank")))["exports"][0]

    assert ("blank", SIZE) == (found["export-name"], found["export-size"])
    assert (1, 4 * KIB, 64 * MIB) == tuple(
        found[f"block_size_{which}"] for which in ("minimum", "preferred", "maximum")
    )
    can = ("flush", "fua", "trim", "zero", "fast_zero", "multi_conn", "df", "cache")
    assert {"cache": False} == {name: found[f"can_{name}"] for name in can if not found[f"can_{name}"]}
    assert not found["is_read_only"]
    assert ["base:allocation"] == found["contexts"]


def test_nbdinfo_lists_every_disk(server: NbdServer) -> None:
    """nbdinfo --list asks for each export and finds it."""
    found = json.loads(run("nbdinfo", "--list", "--json", server.uri()))["exports"]

    assert DISKS == {entry["export-name"]: entry["export-size"] for entry in found}


def test_nbdinfo_maps_data_and_holes(server: NbdServer) -> None:
    """nbdinfo --map shows what was written, and everything else as a hole that reads as zeroes."""
    run("nbdsh", "-u", server.uri("blank"), "-c", f"h.pwrite(b'x' * {MIB}, {MIB})")
    try:
        found = json.loads(run("nbdinfo", "--map", "--json", server.uri("blank")))

        assert [(0, MIB, 3), (MIB, MIB, 0), (2 * MIB, SIZE - 2 * MIB, 3)] == [
            (entry["offset"], entry["length"], entry["type"]) for entry in found
        ]
    finally:
        run("nbdsh", "-u", server.uri("blank"), "-c", f"h.trim({SIZE}, 0)")


@pytest.mark.parametrize("options", [(), ("--connections=4", "--requests=64"), ("--synchronous",)], ids=str)
def test_nbdcopy_brings_a_file_there_and_back(
    server: NbdServer, image: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """What nbdcopy wrote over several connections, nbdcopy reads back, byte for byte."""
    run("nbdcopy", *options, image, server.uri())
    run("nbdcopy", *options, server.uri(), tmp_path / "back")

    assert same(image, tmp_path / "back")


def test_nbdcopy_copies_from_disk_to_disk(server: NbdServer, image: Path, tmp_path: Path) -> None:
    """From one export to another of the same server, at once; flushed."""
    run("nbdcopy", image, server.uri())
    run("nbdcopy", "--flush", "--connections=4", server.uri(), server.uri("copied"))
    run("nbdcopy", server.uri("copied"), tmp_path / "back")

    assert same(image, tmp_path / "back")


def test_nbdfuse_makes_a_file_of_it(server: NbdServer, image: Path, tmp_path: Path) -> None:
    """What is written to nbdfuse's file is there when the disk is read another way."""
    file = tmp_path / "disk"
    file.touch()
    fuse = subprocess.Popen(["nbdfuse", file, server.uri()], stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_until("the file is there", lambda: file.stat().st_size == SIZE)
        run("cp", "--no-preserve=all", image, tmp_path / "staged")
        with file.open("r+b") as disk:
            disk.write((tmp_path / "staged").read_bytes())
        assert same(image, file)
    finally:
        run("fusermount3", "-u", file)
        fuse.wait(20)
    run("nbdcopy", server.uri(), tmp_path / "back")
    assert same(image, tmp_path / "back")


def test_qemu_img_converts_both_ways(server: NbdServer, image: Path, tmp_path: Path) -> None:
    """qemu-img: raw to the disk, to qcow2, back to the disk; identical each time, and mapped as it is."""
    disk = server.uri("copied")
    run("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", "-W", "-m", "16", image, disk)
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", disk, tmp_path / "image.qcow2")
    run("qemu-img", "convert", "-n", "-f", "qcow2", "-O", "raw", tmp_path / "image.qcow2", server.uri())

    for uri in (disk, server.uri()):
        assert "Images are identical." in run("qemu-img", "compare", "-f", "raw", "-F", "raw", image, uri)
    found = json.loads(run("qemu-img", "map", "--output=json", "-f", "raw", disk))
    assert [(0, SIZE // 3, True), (SIZE // 3, SIZE // 3, False), (SIZE * 2 // 3, SIZE // 3, True)] == [
        (entry["start"], entry["length"], entry["data"]) for entry in found
    ]


def test_qemu_img_measures_and_benchmarks(server: NbdServer) -> None:
    """qemu-img info knows the size; bench writes with flushes and reads, many requests at once."""
    assert SIZE == json.loads(run("qemu-img", "info", "--output=json", "-f", "raw", server.uri()))["virtual-size"]
    for how in (("-w", "--flush-interval=100"), ()):
        said = run("qemu-img", "bench", "-f", "raw", "-t", "none", "-c", 1000, "-d", 64, "-s", "4k", *how, server.uri())
        assert "Run completed" in said


def test_qemu_io_finds_its_patterns_again(server: NbdServer) -> None:
    """qemu-io: patterns, zeroes with and without unmapping, discards, FUA and flushes, checked when read."""
    commands = [
        "write -P 0xaa 0 1M",
        "write -f -P 0xbb 512 512",
        "aio_write -P 0xcc 1M 4M",
        "aio_write -z 6M 1M",
        "aio_flush",
        "write -z -u 64k 64k",
        "discard 128k 64k",
        "flush",
        "read -P 0xaa 0 512",
        "read -P 0xbb 512 512",
        "read -P 0xaa 1024 60k",
        "read -P 0 64k 128k",
        "read -P 0xcc 1M 4M",
        "read -P 0 6M 1M",
        "length",
    ]
    said = run("qemu-io", "-f", "raw", *(part for command in commands for part in ("-c", command)), server.uri())

    assert "Pattern verification failed" not in said
    assert 6 == len(re.findall(r"^read \d+/\d+ bytes", said, re.MULTILINE))
    assert f"{SIZE // MIB} MiB" in said


@pytest.mark.parametrize(
    ("depth", "sizes", "size", "jobs"),
    [(1, "512-64k", "2m", 1), (16, "512-512", "1m", 1), (64, "512-4m", "12m", 1), (32, "4k-64k", "3m", 4)],
    ids=str,
)
def test_fio_verifies_what_it_wrote(
    server: NbdServer, tmp_path: Path, depth: int, sizes: str, size: str, jobs: int
) -> None:
    """fio's own NBD engine, one connection a job: random writes of many sizes, with flushes; each block is verified."""
    run(
        *("fio", "--name=verify", "--ioengine=nbd", f"--uri={server.uri()}", "--rw=randwrite", f"--bsrange={sizes}"),
        *(f"--iodepth={depth}", "--fsync=32", f"--size={size}", f"--numjobs={jobs}", f"--offset_increment={size}"),
        *("--verify=crc32c", "--do_verify=1", "--verify_fatal=1", "--randseed=5", "--output-format=terse"),
        f"--aux-path={tmp_path}",
    )


@pytest.mark.parametrize("structured", [True, False])
def test_nbdsh_runs_a_program(server: NbdServer, structured: bool) -> None:
    """libnbd's shell writes, zeroes, trims and reads, with structured replies and with simple ones."""
    said = run(
        *("nbdsh", "-c", f"h.set_request_structured_replies({structured}); h.connect_uri({server.uri('blank')!r})"),
        *("-c", "h.pwrite(b'a' * 1000, 3, nbd.CMD_FLAG_FUA); h.zero(10, 5, nbd.CMD_FLAG_FAST_ZERO); h.flush()"),
        *("-c", "print(h.pread(16, 0).hex(), h.get_structured_replies_negotiated()); h.trim(4096, 0)"),
    )

    assert f"{bytes(3).hex()}6161{bytes(10).hex()}61 {structured}\n" == said


def test_nbd_client_lists_every_disk(server: NbdServer) -> None:
    """The reference project's nbd-client, which needs no kernel for this."""
    if isinstance(server.address, Path):
        said = subprocess.run(["nbd-client", "-l", "-unix", server.address], capture_output=True, text=True, timeout=20)
    else:
        host, port = server.address
        said = subprocess.run(["nbd-client", "-l", host, str(port)], capture_output=True, text=True, timeout=20)

    assert [f"{name}: memory" for name in sorted(DISKS)] == said.stdout.splitlines()[1:], said.stderr


TESTER = shutil.which("nbd-tester-client")


@pytest.mark.skipif(TESTER is None, reason="nbd-tester-client of the reference project is not on the PATH")
@pytest.mark.parametrize("mode", [(), ("-w",), ("-w", "-f"), ("-o",), ("-h",)], ids=str)
def test_the_reference_projects_tester_is_content(server: NbdServer, mode: tuple[str, ...]) -> None:
    """Throughput with and without writes and flushes, requests beyond the socket's buffer, and the handshake."""
    where = ("-u", server.address) if isinstance(server.address, Path) else tuple(map(str, server.address))
    done = subprocess.run(
        ["nbd-tester-client", *mode, "-N", "handshake", *where],
        stdin=subprocess.DEVNULL,
        timeout=60,
        capture_output=True,
    )

    assert 0 == done.returncode, done.stderr[-500:]
