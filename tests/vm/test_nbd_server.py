"""g2disk's own NBD server under a real kernel, with one connection and with four."""

from __future__ import annotations

import pytest

from tests.vm.machine import Machine
from tests.vm.test_kernel import SECONDS, run

pytestmark = pytest.mark.timeout(SECONDS + 240)

FIO = """
verify() { # random writes of many sizes with fsyncs in between, on many requests in flight, and all of it read back
    fio --name=verify --filename="$1" --direct=1 --ioengine=libaio --rw=randrw --bsrange=512-256k --bs_unaligned=0 \\
        --blockalign=512 --iodepth=32 --size=48M --fsync=64 --verify=crc32c --verify_backlog=256 --do_verify=1 \\
        --randseed=7 --output-format=terse >fio.log || { cat fio.log; return 1; }
}
"""


@pytest.mark.parametrize("connections", [pytest.param(1, marks=pytest.mark.soak), 4])
def test_a_direct_server_keeps_what_the_kernel_writes(machine: Machine, connections: int) -> None:
    """fio verifies random writes on the device, and files on ext4 are whole after the kernel connected anew."""
    output, _ = run(
        machine,
        f"""{FIO}
        serve file:store --disk default=64MiB --listen unix:grpc.sock --nbd unix:nbd.sock
        connect() {{ nbd-client -unix nbd.sock /dev/nbd1 -name default -connections {connections}; }}
        connect
        verify /dev/nbd1
        mkfs.ext4 -q /dev/nbd1
        mkdir files
        mount /dev/nbd1 files
        fill
        rm files/1
        fstrim -v files
        umount files
        nbd-client -d /dev/nbd1
        forget
        connect
        mount /dev/nbd1 files
        sed -i 1d sums
        sha256sum --check sums
        umount files
        e2fsck -f -n /dev/nbd1
        nbd-client -d /dev/nbd1
        """,
    )

    assert 3 == output.count(": OK\n"), output


@pytest.mark.soak  # over gRPC, what the test above does directly
def test_four_connections_share_a_gateway(machine: Machine) -> None:
    """`g2disk attach --connections 4`: fio verifies random writes on the device, and ext4 is clean afterwards."""
    output, found = run(
        machine,
        f"""{FIO}
        serve memory: --disk default=64MiB
        device=$(g2disk attach default --connections 4)
        verify "$device"
        mkfs.ext4 -q "$device"
        mkdir files
        mount "$device" files
        fill
        umount files
        forget
        mount "$device" files
        sha256sum --check sums
        umount files
        e2fsck -f -n "$device"
        g2disk detach default
        echo "left=$(cat /sys/block/nbd*/pid 2>/dev/null | wc -l)"
        """,
    )

    assert 4 == output.count(": OK\n"), output
    assert found["left"] == 0
