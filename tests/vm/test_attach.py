"""`g2disk attach` under a real kernel: the device outlives the daemon, the server and nbdkit, and hides no loss.

Each test is a script as a person would type it, run in the virtual machine; what it measures it prints as NAME=NUMBER.
"""

from __future__ import annotations

import re

import pytest

from tests.vm.machine import Machine

# Emulated, each command takes some seconds to start.
SECONDS = 600
pytestmark = pytest.mark.timeout(SECONDS + 240)

SHELL = r"""
export G2DISK_ENDPOINT=unix:$PWD/server.sock
serve() { # a target server in the background, its process in SERVER; one that was killed is started anew like this
    rm -f server.sock
    g2disk serve "$@" --listen "$G2DISK_ENDPOINT" >>server.log 2>&1 &
    SERVER=$!
    until test -S server.sock; do sleep 0.1; kill -0 $SERVER || { cat server.log; exit 1; }; done
}
kill_server() {
    kill -KILL $SERVER
    wait $SERVER || true
}
process() { # KIND DISK: the pid of the disk's daemon or gateway
    grep -A 1 "\"$1\": {" $(grep -l "\"disk\": \"$2\"" /run/g2disk/*/state.json) | tr -dc '0-9\n' | grep .
}
show() { # how the first disk is, as NAME=VALUE
    g2disk status --json | sed -n '1,/}/s/^ *"\(state\|cause\|unflushed_bytes\)": "\?\(.*[^",]\)"\?,\?$/\1=\2/p'
}
timed() { # NAME COMMAND: prints the milliseconds that it took
    local from=${EPOCHREALTIME/./}
    "${@:2}"
    echo "$1=$(((${EPOCHREALTIME/./} - from) / 1000))"
}
"""


def run(machine: Machine, script: str) -> tuple[str, dict[str, int]]:
    """The script's output, and the numbers that it printed."""
    output = machine.check(f"{SHELL}{script}", timeout=SECONDS)
    return output, {name: int(number) for name, number in re.findall(r"^(\w+)=(\d+)$", output, re.MULTILINE)}


@pytest.mark.soak
def test_devices_outlive_server_daemon_and_nbdkit(machine: Machine) -> None:
    """While files are written on two mounted disks, the server stays away for longer than the kernel's request timeout,
    and the daemons and nbdkit are killed; nobody sees an error, every file is whole, and one disk has grown meanwhile.
    """
    output, found = run(
        machine,
        """
        serve file:store --disk a=64MiB --disk b=64MiB
        g2disk attach a --connections 2 --record "$PWD/record"
        g2disk attach b /dev/nbd5 --via nbdkit
        for disk in a b; do
            mkfs.ext4 -q /dev/g2disk/$disk
            mkdir $disk
            mount /dev/g2disk/$disk $disk
            echo 0 >written.$disk
        done
        write() { # DISK: files, until there is a file "stop"
            for number in $(seq 10000); do
                head -c 60K /dev/urandom >$1/$((number % 10))
                sync $1/$((number % 10))
                echo $number >written.$1
                test ! -e stop || return 0
            done
        }
        write a & A=$!
        write b & B=$!
        go_on() { # until both have written more
            for disk in a b; do
                before=$(cat written.$disk)
                until test $(cat written.$disk) -gt $((before + 1)); do kill -0 $A; kill -0 $B; sleep 0.05; done
            done
        }
        timed undisturbed go_on

        daemon=$(process daemon a)
        kill_server
        until dmesg | grep -q "nbd0: Connection timed out" && dmesg | grep -q "nbd5: Connection timed out"; do
            sleep 0.1
        done
        show
        serve file:store
        timed after_server go_on

        kill -KILL $daemon $(process gateway b)
        test "$(g2disk attach a)" = /dev/nbd0
        timed after_daemon_and_nbdkit go_on
        kill -KILL $(process daemon b)
        go_on
        test "$(g2disk attach b)" = /dev/nbd5

        g2disk resize a 128MiB
        until test $(cat /sys/block/nbd0/size) = 262144; do sleep 0.1; done
        resize2fs /dev/g2disk/a
        echo "size=$(df --block-size=1M --output=size a | tail -n 1 | tr -d ' ')"
        touch stop
        wait $A
        wait $B
        for disk in a b; do (cd $disk; sha256sum ? >../sums.$disk); umount $disk; done
        echo 3 >/proc/sys/vm/drop_caches
        for disk in a b; do
            e2fsck -f -n /dev/g2disk/$disk
            mount /dev/g2disk/$disk $disk
            (cd $disk; sha256sum --check ../sums.$disk)
            umount $disk
            g2disk detach $disk
        done
        echo "left=$(ls -d /run/g2disk/[0-9]* record/* /dev/g2disk/* /sys/block/nbd*/pid 2>/dev/null | wc -l)"
        echo "processes=$(pgrep --count --full 'nbdkit|g2disk[.]cli[.]main' || true)"
        """,
    )

    assert 20 == output.count(": OK\n"), output
    assert "state=waiting" in output
    assert found["size"] > 100
    assert (0, 0) == (found["left"], found["processes"])


@pytest.mark.soak
def test_a_loss_is_not_hidden_and_can_be_accepted(machine: Machine) -> None:
    """When a memory server comes back empty, reads fail and status says why, until a person accepts the disk as it is;
    when the daemons and a server that forgets nothing were killed with unflushed data, there is none, with a record and
    without; and with --timeout a server that is away fails requests, until it is back.
    """
    output, found = run(
        machine,
        """
        put() { dd if=data of=/dev/g2disk/$1 bs=4k count=16 oflag=direct status=none; }
        get() { dd if=/dev/g2disk/$1 bs=4k count=16 iflag=direct status=none; }
        fails() { ! get "$1" 2>/dev/null; }
        head -c 64K /dev/urandom >data
        serve memory: --disk a=1MiB
        g2disk attach a
        put a
        kill_server
        serve memory: --disk a=1MiB
        fails a
        show
        g2disk accept a
        cmp <(get a) <(head -c 64K /dev/zero)
        kill_server
        g2disk detach a --force

        serve file:store --disk a=1MiB --disk b=1MiB
        g2disk attach a --timeout 5
        g2disk attach b --record "$PWD/record"
        put a
        put b
        show
        process daemon a >pid.a
        process daemon b >pid.b
        kill -KILL $(cat pid.a pid.b)
        kill_server
        serve file:store
        g2disk attach a
        g2disk attach b
        cmp data <(get a)
        cmp data <(get b)
        show
        kill_server
        timed bounded fails a
        serve file:store
        until get a 2>/dev/null | cmp - data; do sleep 0.1; done
        g2disk detach a
        g2disk detach b
        """,
    )

    assert re.search(r"state=failed\ncause=.*another disk.*g2disk accept", output), output
    assert "state=connected" in output
    assert 2 == output.count("unflushed_bytes=65536")
    assert 4000 < found["bounded"] < 30000


def test_a_hung_device_is_detached_by_force(machine: Machine) -> None:
    """With the server and the daemon stopped and a writer in uninterruptible sleep, `detach --force` takes no more than
    three seconds longer than a command that does nothing, status no more than two, and the writer gets its error.  A
    quarter of the former is for the noise of a machine that has other things to do.
    """
    output, found = run(
        machine,
        """
        serve memory: --disk a=64MiB
        g2disk attach a
        mkfs.ext4 -q /dev/nbd0
        mkdir files
        mount /dev/nbd0 files
        timed idle_status g2disk status
        daemon=$(process daemon a)
        (while dd if=/dev/zero of=files/x bs=64k count=8 oflag=direct 2>error; do :; done; touch ended) &
        until test -e files/x; do sleep 0.05; done
        kill -STOP $SERVER $daemon
        until ps -eo stat,args | grep -q "^D.*[d]d if=/dev/zero"; do sleep 0.1; done
        timed hung_status g2disk status
        from=${EPOCHREALTIME/./}
        g2disk detach nothing 2>/dev/null || echo "nothing=$(((${EPOCHREALTIME/./} - from) / 1000))"
        timed force g2disk detach a --force
        until test -e ended; do sleep 0.05; done
        cat error
        umount files
        echo "left=$(ls -d /run/g2disk/[0-9]* /dev/g2disk/* /sys/block/nbd*/pid 2>/dev/null | wc -l)"
        kill -CONT $SERVER
        """,
    )

    assert "daemon does not answer" in output
    assert "Input/output error" in output
    assert 0 == found["left"]
    noise = found["nothing"] // 4
    assert found["force"] - found["nothing"] <= 3000 + noise, found
    assert found["hung_status"] - found["idle_status"] <= 2000 + noise, found
