"""The virtual machine itself, before anything of ours runs in it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import wait_until
from tests.vm.kernel import Missing, prepared_kernel, program
from tests.vm.machine import CHECKOUT, Machine, running

# The first test that needs the machine also waits for it, and the very first one for the kernel's download.
pytestmark = pytest.mark.timeout(240)


def test_a_script_gives_its_status_and_all_its_output(machine: Machine) -> None:
    """The exit status arrives, and standard output and error in the order of writing."""
    result = machine.run("echo one; echo two >&2; echo three; exit 7")

    assert 7 == result.status
    assert "one\ntwo\nthree\n" == result.output


def test_a_failing_command_fails_the_check(machine: Machine) -> None:
    """`check` stops at the first command that fails, and shows what was written until then."""
    with pytest.raises(AssertionError, match=r"ended with 1:\nbefore\n$"):
        machine.check("echo before; false | cat; echo after")


def test_the_machine_is_a_running_system(machine: Machine) -> None:
    """Root, another kernel than the host's, the modules, devices and directories that programs expect."""
    output = machine.check(
        """
        echo "$(id -u) $(uname -r)"
        ls /dev/nbd* | wc -l
        losetup --find
        ls -l /dev/fuse /dev/null /dev/ptmx /dev/stdout /proc/self /sys/block >/dev/null
        for directory in /tmp /run /dev/shm "$HOME" .; do touch "$directory/file"; done
        if (exec 4<>/dev/tcp/127.0.0.1/1) 2>refusal; then exit 1; fi
        grep --max-count=1 --only-matching 'Connection refused' refusal
        """
    )

    assert [f"0 {machine.kernel.release}", "16", "/dev/loop0", "Connection refused"] == output.splitlines()


def test_the_host_keeps_its_files(machine: Machine, tmp_path: Path) -> None:
    """What a script changes outside /shared changes in the machine only; what it puts in /shared arrives."""
    marker = CHECKOUT / ".cache" / "only-in-the-machine"
    machine.check(f"touch {marker}; test -e {marker}; echo seen >/shared/arrived")

    assert not marker.exists()
    assert "seen\n" == (machine.shared / "arrived").read_text()


def test_a_script_that_takes_too_long_is_ended(machine: Machine) -> None:
    """What it wrote until then is there, and the next script runs."""
    result = machine.run("echo waiting; sleep 1234", timeout=10)

    assert (124, "waiting\n") == (result.status, result.output)
    assert "next\n" == machine.check("echo next")


def test_nothing_is_left_of_a_script(machine: Machine) -> None:
    """Its processes, mounts and nbd devices go when it ends, even a file system with unwritten data on a dead disk."""
    machine.check(
        """
        nbdkit -U "$PWD/sock" memory 64M
        nbd-client -unix "$PWD/sock" /dev/nbd2
        mkfs.ext4 -q /dev/nbd2
        mount /dev/nbd2 /mnt
        head -c 20M /dev/urandom >/mnt/dirty
        setsid sleep 1234 &
        """
    )
    after = machine.run("pgrep -a 'sleep|nbdkit'; grep nbd2 /proc/mounts; cat /sys/block/nbd2/size")

    assert "0\n" == after.output


def test_the_kernel_attaches_nbdkits_own_memory_disk(machine: Machine) -> None:
    """The walk without any part of ours: where this fails, so does everything below, and not by our fault."""
    output = machine.check(
        """
        nbdkit -U "$PWD/sock" memory 64M
        nbd-client -unix "$PWD/sock" /dev/nbd1
        mkfs.ext4 -q /dev/nbd1
        mkdir files
        mount /dev/nbd1 files
        for name in 1 2 3; do head -c 3M /dev/urandom >files/$name; done
        sha256sum files/? >sums
        umount files
        nbd-client -d /dev/nbd1
        nbd-client -unix "$PWD/sock" /dev/nbd1
        mount /dev/nbd1 files
        sha256sum --check sums
        fstrim -v files
        umount files
        nbd-client -d /dev/nbd1
        """
    )

    assert 3 == output.count(": OK\n")
    assert "trimmed" in output


def test_a_process_ends_with_its_block(tmp_path: Path) -> None:
    """The block's end ends the process, whether it was left in peace or by an exception."""
    with running(["sleep", "1234"], tmp_path / "log") as peaceful:
        assert peaceful.poll() is None
    with pytest.raises(KeyboardInterrupt), running(["sleep", "1234"], tmp_path / "log") as interrupted:
        raise KeyboardInterrupt

    assert [-signal.SIGKILL, -signal.SIGKILL] == [peaceful.returncode, interrupted.returncode]


def test_a_process_ends_with_the_test_run(tmp_path: Path) -> None:
    """When the test run is killed, and no block comes to its end, its processes are killed too."""
    source = f"""
from pathlib import Path
from tests.vm.machine import running
with running(["sleep", "1234"], Path("{tmp_path}/log")) as process:
    print(process.pid, flush=True)
    process.wait()
"""
    with subprocess.Popen([sys.executable, "-c", source], cwd=CHECKOUT, stdout=subprocess.PIPE) as test_run:
        assert test_run.stdout is not None
        status = Path("/proc", test_run.stdout.readline().decode().strip(), "status")
        try:
            wait_until("the process runs", lambda: "Name:\tsleep" in status.read_text())
        finally:
            test_run.kill()

    wait_until("the process is dead", lambda: not status.exists() or "zombie" in status.read_text())


def test_a_missing_program_is_named_with_the_way_to_get_it() -> None:
    """What is not installed fails the test that needs it, and says how to install it."""
    with pytest.raises(Missing, match=r"needs no-such-program, .*`\./dev setup`"):
        program("no-such-program")


def test_the_kernel_is_made_once(machine: Machine) -> None:
    """The second time it comes from the cache, the very same files."""
    made = machine.kernel.initramfs.stat().st_mtime_ns

    assert machine.kernel == prepared_kernel()
    assert made == machine.kernel.initramfs.stat().st_mtime_ns
