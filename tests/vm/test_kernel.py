"""The whole chain under a real kernel: target server, gRPC, nbdkit with the plugin, NBD, /dev/nbdN, a file system.

Each test is a script as a person would type it, run in the virtual machine; what it measures it prints as NAME=NUMBER.
"""

from __future__ import annotations

import re
import shlex

import pytest

from g2disk.cli.exit_codes import EXIT_CODE
from g2disk.errors import Busy
from g2disk.units import MAXIMUM_DISK_SIZE
from tests.support.processes import PLUGIN
from tests.vm.machine import Machine

# Emulated, Python starts in seconds; the first test also waits for the machine, and once for the kernel's download.
SECONDS = 600
pytestmark = pytest.mark.timeout(SECONDS + 240)

MIB = 1 << 20
BUSY = EXIT_CODE[Busy]

SHELL = """
serve() { # a target server in the background, ready when this returns
    coproc SERVER { exec g2disk serve "$@"; }
    read -r line <&"${SERVER[0]}"
    echo "$line"
}
connect() { # the server's default disk as /dev/nbd1
    nbdkit -U g2disk.sock python "$PLUGIN" endpoint=localhost:8080
    nbd-client -unix g2disk.sock /dev/nbd1
}
forget() { # what the kernel still has in memory, so that the next read asks the disk
    sync
    echo 3 >/proc/sys/vm/drop_caches
}
fill() { # four files of 3 MiB in the file system at files/, their checksums in sums
    for name in 1 2 3 4; do head -c 3M /dev/urandom >files/$name; done
    sha256sum files/? >sums
}
"""


def run(machine: Machine, script: str) -> tuple[str, dict[str, int]]:
    """The script's output, and the numbers that it printed."""
    output = machine.check(f"PLUGIN={shlex.quote(PLUGIN)}\n{SHELL}{script}", timeout=SECONDS)
    return output, {name: int(number) for name, number in re.findall(r"^(\w+)=(\d+)$", output, re.MULTILINE)}


def test_ext4_lives_on_a_disk_behind_nbdkit(machine: Machine) -> None:
    """Files are whole after the device was let go and attached again, and what mkfs discards and fstrim trims takes no
    space in the store any more."""
    output, used = run(
        machine,
        """
        used() { # bytes of the store
            du --block-size=1 --summarize store | sed "s/\\([0-9]*\\).*/$1=\\1/"
        }
        serve file:store --disk default=64MiB
        nbdkit -U g2disk.sock python "$(g2disk plugin)" endpoint=localhost:8080
        nbd-client -unix g2disk.sock /dev/nbd1
        head -c 16M /dev/urandom >/dev/nbd1
        used filled
        mkfs.ext4 /dev/nbd1
        sync /dev/nbd1
        used formatted

        mkdir files
        mount /dev/nbd1 files
        fill
        umount files
        nbd-client -d /dev/nbd1

        forget
        nbd-client -unix g2disk.sock /dev/nbd1
        mount /dev/nbd1 files
        sha256sum --check sums
        used with_files
        rm files/?
        sync
        fstrim -v files
        used trimmed
        umount files
        e2fsck -f -n /dev/nbd1
        nbd-client -d /dev/nbd1
        """,
    )

    assert 4 == output.count(": OK\n"), output
    assert re.search(r"Discarding device blocks: .*done", output), output
    assert used["filled"] >= 16 * MIB
    assert used["formatted"] <= 8 * MIB
    assert used["with_files"] >= 12 * MIB
    # Beside the files, ext4 writes 4 MiB of inode tables at its leisure.
    assert used["trimmed"] <= used["with_files"] - 8 * MIB


def test_attach_makes_a_device_and_detach_undoes_it(machine: Machine) -> None:
    """The same by `g2disk attach` and `detach`; a disk in use grows, is not detached; at the end nothing is left."""
    output, found = run(
        machine,
        """
        serve memory: --disk default=64MiB
        device=$(g2disk attach default)
        test -b "$device"
        mkfs.ext4 -q "$device"
        mkdir files
        mount "$device" files
        fill
        g2disk resize default 128MiB
        until test $(cat /sys/block/${device#/dev/}/size) = 262144; do sleep 0.1; done
        resize2fs "$device"
        echo "grown=$(df --block-size=1M --output=size files | tail -n 1 | tr -d ' ')"
        status=0
        g2disk detach default || status=$?
        echo "detach_while_mounted=$status"
        umount files
        g2disk detach default
        echo "left=$(cat /sys/block/nbd*/pid /run/g2disk/*/state.json 2>/dev/null | wc -l)"
        echo "daemons=$(pgrep --count --full 'g2disk[.]cli[.]main daemon' || true)"

        g2disk attach default /dev/nbd5
        mount /dev/nbd5 files
        sha256sum --check sums
        allocated() { g2disk info default --json | sed -n 's/.*"allocated": \\([0-9]*\\).*/\\1/p'; }
        before=$(allocated)
        rm files/?
        sync
        fstrim -v files
        umount files
        echo "given_back=$((before - $(allocated)))"
        g2disk detach /dev/nbd5
        """,
    )

    assert 4 == output.count(": OK\n"), output
    assert found.pop("given_back") >= 11 * MIB
    assert found.pop("grown") > 100
    assert {"detach_while_mounted": BUSY, "left": 0, "daemons": 0} == found


def test_a_pebibyte_takes_an_xfs_file_system(machine: Machine) -> None:
    """A disk of 1 PiB is formatted with xfs, mounted and used."""
    output, found = run(
        machine,
        """
        serve memory: --disk default=1PiB
        connect
        # The emulated machine is slow, so: no discards, which would be half a million requests for a disk that is empty
        # anyway; no optional structures in each of the 1024 allocation groups; and a loop device in between, whose
        # memory turns the many small writes that mkfs waits for one by one into few large ones, many at a time.
        loop=$(losetup --find --show --sector-size 4096 /dev/nbd1)
        mkfs.xfs -K -s size=4096 -l size=64m -m reflink=0,finobt=0 -i sparse=0 "$loop"
        losetup --detach "$loop"
        mkdir files
        mount /dev/nbd1 files
        fill
        echo "size=$(df --block-size=1 --output=size files | tail -n 1 | tr -d ' ')"
        umount files
        forget
        mount /dev/nbd1 files
        sha256sum --check sums
        umount files
        nbd-client -d /dev/nbd1
        """,
    )

    assert 4 == output.count(": OK\n"), output
    assert found["size"] > 0.999 * (1 << 50)


def test_the_largest_disk_works_to_its_last_byte(machine: Machine) -> None:
    """8 EiB less 4 KiB attach; both ends and the middle hold what is written there, and a discard takes just its own
    range."""
    output, found = run(
        machine,
        """
        serve memory: --disk default=8EiB
        connect
        size=$(blockdev --getsize64 /dev/nbd1)
        echo "size=$size"
        put() { dd of=/dev/nbd1 seek="$1" bs=4096 count=1 iflag=fullblock oflag=direct status=none; }
        get() { dd if=/dev/nbd1 skip="$1" bs=4096 count=1 "${@:2}" status=none; }
        last=$((size / 4096 - 1))
        middle=$((last / 2))
        behind=$((middle + 64 * 1024 * 1024 / 4))
        for place in 0 $((middle - 1)) $middle $behind $last; do
            head -c 4096 /dev/urandom | tee block.$place | put $place
        done
        cmp block.$middle <(get $middle iflag=direct)
        blkdiscard --offset $((middle * 4096)) --length 64GiB /dev/nbd1
        cmp <(head -c 4096 /dev/zero) <(get $middle iflag=direct)
        for place in 0 $((middle - 1)) $behind $last; do
            cmp block.$place <(get $place iflag=direct)
        done
        cmp block.$last <(get $last)
        test -z "$(get $((last + 1)))"
        nbd-client -d /dev/nbd1
        """,
    )

    assert found["size"] == MAXIMUM_DISK_SIZE, output
