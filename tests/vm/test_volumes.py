"""Volumes on S3 under a real kernel: everything dies but the bucket, and the file system is whole.

moto is the store; it runs in the machine, beside the server, and is all that is left of a host that died.
"""

from __future__ import annotations

import re

import pytest

from tests.vm.machine import Machine

# Emulated, each command takes some seconds to start.
SECONDS = 600
pytestmark = pytest.mark.timeout(SECONDS + 240)

SHELL = r"""
export AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any AWS_REGION=us-east-1
ENDPOINT=http://127.0.0.1:5000
STORE="s3://bucket/disks?endpoint=$ENDPOINT"
touch sums

start_moto() { # the object store, with a bucket; it takes its time to load, and is waited for in `host`
    moto_server -H 127.0.0.1 -p 5000 >moto.log 2>&1 </dev/null &
    MOTO=$!
}
moto_is_ready() {
    until curl -s -f -o /dev/null -X PUT "$ENDPOINT/bucket"; do
        kill -0 "$MOTO" || { cat moto.log; return 1; }
        sleep 0.1
    done
}
host() { # NAME [OPTION...]: a host that has nothing but the bucket: serves it, and has the disk's device in DEVICE
    start_server "$@"
    g2disk attach a --foreground 1<>"$1/said.daemon" 2>>"$1/log" </dev/null &
    DAEMON=$!
    read -r -t 100 DEVICE <>"$1/said.daemon" || { cat "$1/log"; return 1; }
}
start_server() { # the same, without the device
    mkdir -p "$1"
    export G2DISK_ENDPOINT=unix:$PWD/$1/server.sock G2DISK_RUN_DIR=$PWD/$1/run
    rm -f "$1"/said.* "$1/server.sock"
    mkfifo "$1/said.server" "$1/said.daemon"
    g2disk serve "$STORE" --journal "$1/journal" --cache "$1/cache" --cache-size 64MiB --listen "$G2DISK_ENDPOINT" \
        "${@:2}" 1<>"$1/said.server" 2>>"$1/log" </dev/null &
    SERVER=$!
    read -r -t 100 _ <>"$1/said.server" || { cat "$1/log"; return 1; }
}
mounted() { # DIRECTORY: the disk's file system there; a kernel that died has left it to its log
    mkdir "$1"
    mount "$DEVICE" "$1"
}
write() { # DIRECTORY NAME: files, each noted in `sums` when it has been synced, until the disk is gone
    local number
    for number in $(seq 1000); do
        head -c 200K /dev/urandom 2>/dev/null >"$1/$2.$number" && sync "$1/$2.$number" 2>/dev/null || return 0
        (cd "$1" && sha256sum "$2.$number") >>sums
    done
}
written() { # NUMBER: until so many files are synced
    until [ "$(wc -l <sums)" -ge "$1" ]; do
        kill -0 "$SERVER" && kill -0 "$DAEMON"
        sleep 0.05
    done
}
die() { # DIRECTORY: the server and the daemon are killed in the middle of it all, and the kernel forgets the disk
    kill -KILL "$SERVER" "$DAEMON"
    wait "$SERVER" "$DAEMON" 2>/dev/null || true
    nbd-client -d "$DEVICE" >/dev/null
    wait "$WRITER"
    umount "$1"
    echo 3 >/proc/sys/vm/drop_caches
}
check() { # DIRECTORY: every file that was synced is there and whole
    (cd "$1" && sha256sum --check ../sums)
}
lap() { # NAME: how long it took since the last one, in milliseconds
    echo "$1=$(((${EPOCHREALTIME/./} - SINCE) / 1000))"
    SINCE=${EPOCHREALTIME/./}
}
SINCE=${EPOCHREALTIME/./}
"""


def run(machine: Machine, script: str) -> tuple[str, dict[str, int]]:
    """The script's output, and the numbers that it printed."""
    output = machine.check(f"{SHELL}{script}", timeout=SECONDS)
    return output, {name: int(number) for name, number in re.findall(r"^(\w+)=(\d+)$", output, re.MULTILINE)}


FIRST_HOST = """
start_moto
moto_is_ready
lap moto
host one --durability remote --disk a=64MiB
lap first_host
mkfs.ext4 -q "$DEVICE"
mounted files
write files one & WRITER=$!
written 6
lap wrote
die files
rm -r one
lap died
"""

LAST_HOST = """
umount "$FILES"
e2fsck -f -n "$DEVICE"
g2disk fsck "$STORE" --data
lap checked
echo "synced=$(wc -l <sums)"
"""


def test_a_file_system_outlives_its_host(machine: Machine) -> None:
    """With durability remote a host dies in mid-write, with its journal and cache: another has every synced file whole,
    from the bucket alone, and the file system is clean then, and so is the volume, to the last checksum.
    """
    output, found = run(
        machine,
        f"""
        {FIRST_HOST}
        # With no daemon in between: Python starts in seconds.
        start_server two --nbd "unix:$PWD/two/nbd.sock"
        DEVICE=/dev/nbd1
        nbd-client -unix two/nbd.sock "$DEVICE" -name a
        mounted again
        lap second_host
        check again
        FILES=again
        {LAST_HOST}
        """,
    )

    assert found["synced"] >= 6, output
    assert output.count(": OK\n") == found["synced"], output
    assert re.search(r"^a: clean: \d+ segments", output, re.MULTILINE), output


@pytest.mark.soak
def test_a_file_system_outlives_servers_and_caches(machine: Machine) -> None:
    """The same, and then with durability journal the server, the daemon and the cache go, and the journal is enough."""
    output, found = run(
        machine,
        f"""
        {FIRST_HOST}
        host two --durability journal
        mounted again
        lap second_host
        check again
        before=$(wc -l <sums)
        write again two & WRITER=$!
        written $((before + 12))
        die again
        rm -r two/cache
        lap wrote_and_died
        host two
        mounted at_last
        lap third_host
        check at_last
        FILES=at_last
        {LAST_HOST}
        """,
    )

    assert found["synced"] >= 18, output
    assert output.count(": OK\n") >= 6 + found["synced"], output
    assert re.search(r"^a: clean: \d+ segments", output, re.MULTILINE), output
