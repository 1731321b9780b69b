"""A virtual machine with a stock kernel, whose programs and files are the host's: `boot` it, then `run` scripts in it.

The host's whole file system is there, under a layer of memory that takes every change, so a script does what it likes
as root.  The kernel has the modules that a host may lack: nbd, loop, fuse, and any file system.
"""

from __future__ import annotations

import os
import re
import select
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from g2disk.clock import SystemClock
from tests.vm.kernel import HERE, Kernel, Missing, prepared_kernel, program

__all__ = ["Lost", "Machine", "Missing", "Result", "boot"]

CHECKOUT = HERE.parent.parent
BOOT_SECONDS = 120
MEMORY = "3G"

Process: TypeAlias = subprocess.Popen[bytes]


class Lost(Exception):
    """The machine did not start, or answers no more; the message ends with what its kernel said last."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a script ended."""

    status: int
    """Its exit status; when it took too long, 124, or 137 where it did not end at the first request."""
    output: str
    """All that it and what it started wrote, standard output and error in the order of writing."""


class Machine:
    """A running machine; `boot` makes it."""

    def __init__(self, kernel: Kernel, qemu: Process, directory: Path) -> None:
        self.kernel = kernel
        self.shared = directory
        """A directory that both sides may write to; `/shared` in the machine."""
        self._qemu = qemu
        self._clock = SystemClock()
        self._scripts = 0
        self._unread = b""

    def run(self, script: str, *, timeout: float = 120) -> Result:
        """Run a bash script as root, in a directory of its own, until it ends or `timeout` seconds have passed.

        What it leaves behind, processes, mounts and attached nbd devices, is gone when this returns.  Raises `Lost`.
        """
        self._scripts += 1
        number = self._scripts
        output = self.shared / f"{number}.output"
        (self.shared / f"{number}.sh").write_text(script)
        self._send(f"{number} {timeout}")
        # The machine itself ends a script that takes too long; it has some time more to say so.
        try:
            answer = self._line(timeout + 20)
        except Lost as error:
            written = output.read_text(errors="replace") if output.exists() else ""
            raise Lost(f"{error}\nThe script had written:\n{written}") from None
        status = re.fullmatch(rf"{number} (\d+)", answer)
        if status is None:
            raise Lost(f"the machine answered {answer!r}{self._last_words()}")
        return Result(int(status[1]), output.read_text(errors="replace"))

    def check(self, script: str, *, timeout: float = 120) -> str:
        """The output of a script in which every command must succeed.  Raises AssertionError, with the output."""
        result = self.run(f"set -euo pipefail\n{script}", timeout=timeout)
        if result.status:
            slow = result.status in (124, 137)
            reason = f"took longer than {timeout:g} s" if slow else f"ended with {result.status}"
            raise AssertionError(f"the script {reason}:\n{result.output}")
        return result.output

    def _start(self) -> None:
        self._expect("booted")
        self._send(str(self.shared))
        self._expect("ready")

    def _expect(self, word: str) -> None:
        answer = self._line(BOOT_SECONDS)
        if answer != word:
            raise Lost(f"the machine said {answer!r} instead of {word!r}{self._last_words()}")

    def _send(self, line: str) -> None:
        assert self._qemu.stdin is not None
        try:
            self._qemu.stdin.write(line.encode() + b"\n")
            self._qemu.stdin.flush()
        except BrokenPipeError:
            raise Lost(f"the machine has stopped{self._last_words()}") from None

    def _line(self, timeout: float) -> str:
        """The next line that the machine says on its second serial port."""
        assert self._qemu.stdout is not None
        end = self._clock.now() + timeout
        while b"\n" not in self._unread:
            readable, _, _ = select.select([self._qemu.stdout], [], [], max(0.0, end - self._clock.now()))
            if not readable:
                raise Lost(f"the machine did not answer within {timeout:g} s{self._last_words()}")
            data = os.read(self._qemu.stdout.fileno(), 4096)
            if not data:
                raise Lost(f"the machine has stopped{self._last_words()}")
            self._unread += data
        line, self._unread = self._unread.split(b"\n", 1)
        return line.decode(errors="replace").strip()

    def _last_words(self) -> str:
        said = [
            path.read_text(errors="replace").strip()[-3000:]
            for path in (self.shared / name for name in ("virtiofsd.log", "qemu.log", "console"))
            if path.exists()
        ]
        return ":\n" + "\n".join(filter(None, said))


@contextmanager
def boot() -> Iterator[Machine]:
    """A machine that is ready to run scripts; it is gone, and all its processes with it, when the block ends.

    Raises `Missing` where the host lacks something, and `Lost`.
    """
    kernel = prepared_kernel()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="g2disk-vm-")))
        (directory / "agent.sh").write_text(_agent(kernel))
        files = stack.enter_context(_file_server(directory))
        qemu = stack.enter_context(running(_qemu(kernel, files, directory / "console"), directory / "qemu.log"))
        machine = Machine(kernel, qemu, directory)
        machine._start()
        yield machine


@contextmanager
def running(command: list[str], log: Path, stdin: int = subprocess.PIPE) -> Iterator[Process]:
    """A process that is over when the block ends, or when the test run dies, however it does."""
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [program("setpriv"), "--pdeathsig", "KILL", *command], stdin=stdin, stdout=subprocess.PIPE, stderr=errors
        )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


@contextmanager
def _file_server(directory: Path) -> Iterator[Path]:
    """virtiofsd, serving the whole file system on the socket whose path is given."""
    path = directory / "files.sock"
    command = [program("virtiofsd"), "--fd=0", "-o", "source=/", "-o", "cache=always", "-o", "sandbox=chroot"]
    if os.geteuid() != 0:
        command = [*_become_root(), *command]
    with ExitStack() as stack:
        # It listens before either end is started, so none has to wait for the other.
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
            listening.listen(1)
            process = stack.enter_context(running(command, directory / "virtiofsd.log", listening.fileno()))
        try:
            yield path
        finally:
            # It ends when its one client goes, which is the machine, or this one where no machine came.
            with socket.socket(socket.AF_UNIX) as client:
                client.connect_ex(str(path))
            process.wait(10)


def _become_root() -> list[str]:
    """What to put before a command that needs root.  Raises `Missing` where that would ask for a password."""
    sudo = [program("sudo"), "--non-interactive"]
    if subprocess.run([*sudo, "true"], check=False, capture_output=True).returncode:
        raise Missing(
            "the virtual machine's root sees all of the host's files, and it takes root to serve them; "
            "type `sudo true` to be root for some minutes without a password, or run the tests as root"
        )
    return sudo


def _qemu(kernel: Kernel, files: Path, console: Path) -> list[str]:
    """The command that runs the machine, its second serial port on standard input and output."""
    arguments = "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable no_timer_check"
    return [
        program("qemu-system-x86_64"),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        # Emulated, so that it runs wherever the tests do, in containers and in virtual machines too; the processor is
        # the oldest that today's binaries accept, since emulating newer instructions is slow.
        *("-accel", "tcg,thread=multi", "-cpu", "Nehalem,+rdrand", "-smp", "2", "-m", MEMORY),
        *("-kernel", str(kernel.image), "-initrd", str(kernel.initramfs), "-append", arguments),
        *("-serial", f"file:{console}", "-serial", "stdio"),
        *("-object", f"memory-backend-memfd,id=memory,size={MEMORY},share=on", "-numa", "node,memdev=memory"),
        *("-chardev", f"socket,id=files,path={files}", "-device", "vhost-user-fs-pci,chardev=files,tag=host"),
    ]


def _agent(kernel: Kernel) -> str:
    """agent.sh, told what it must know of this host."""
    of_project = {CHECKOUT, Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent}
    hidden = sorted(str(path) for path in of_project if path.is_relative_to("/tmp") or path.is_relative_to("/run"))
    return "\n".join(
        [
            f"RELEASE={kernel.release}",
            f"MODULES={shlex.quote(str(kernel.modules))}",
            f"PROGRAMS={shlex.quote(str(Path(sys.executable).parent))}",
            f"KEEP=({shlex.join(hidden)})",
            (HERE / "agent.sh").read_text(),
        ]
    )
