"""A stock kernel of the distribution, made ready to boot in a virtual machine and kept for the next time."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CACHE = HERE.parent.parent / ".cache" / "vm"

# Debian's, then Ubuntu's packages that stand for the newest kernel made for virtual machines.
META_PACKAGES = ("linux-image-cloud-amd64", "linux-image-virtual", "linux-image-kvm")
PARTS = re.compile(r"\blinux-(?:image|modules)-\d[^\s,|(]*")
# What it takes to see the host's file system; everything else is loaded from there.
BOOT_MODULES = ("virtio_pci", "virtiofs", "overlay")
DECOMPRESSORS = {".xz": "xz", ".zst": "zstd", ".gz": "gzip"}
DOWNLOAD_SECONDS = 300


class Missing(Exception):
    """Something that the machine is made of is not there; the message says what, and how to get it."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """An unpacked kernel and the initramfs that goes with it."""

    release: str
    """As `uname -r` says it."""
    image: Path
    initramfs: Path
    modules: Path
    """What belongs at /lib/modules/`release`."""


def program(name: str) -> str:
    """Where that program is.  Raises `Missing`."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/libexec:/usr/lib/qemu")
    if found is None:
        raise Missing(f"the virtual machine needs {name}, which is not installed; `./dev setup` installs it")
    return found


def prepared_kernel() -> Kernel:
    """The newest kernel that apt knows, from the cache, or downloaded and unpacked into it.  Raises `Missing`."""
    if platform.machine() != "x86_64":
        raise Missing(f"the virtual machine is written for x86_64, and this is {platform.machine()}")
    packages = _kernel_packages()
    key = hashlib.sha256(repr((packages, BOOT_MODULES)).encode() + (HERE / "init.sh").read_bytes()).hexdigest()[:8]
    directory = CACHE / f"{packages[0].replace('=', '_')}-{key}"
    if not directory.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE, prefix="new-") as work:
            made = Path(work) / "made"
            _make(packages, made)
            try:
                made.rename(directory)
            except OSError:
                # Another run was faster; its directory is as good.
                if not directory.exists():
                    raise
    (modules,) = (directory / "lib" / "modules").iterdir()
    return Kernel(
        release=modules.name,
        image=directory / "boot" / f"vmlinuz-{modules.name}",
        initramfs=directory / "initramfs",
        modules=modules,
    )


def _kernel_packages() -> list[str]:
    """NAME=VERSION of the packages that hold the kernel and its modules, the image first."""
    for meta in META_PACKAGES:
        found: list[str] = []
        waiting = PARTS.findall(_described(meta).get("Depends", ""))
        while waiting:
            fields = _described(waiting.pop(0))
            name = f"{fields['Package']}={fields['Version']}" if fields else ""
            if name and name not in found:
                found.append(name)
                waiting += PARTS.findall(fields.get("Depends", ""))
        if found:
            return sorted(found)
    raise Missing(
        f"apt knows no kernel for virtual machines (looked for {', '.join(META_PACKAGES)}); "
        "`./dev setup` fetches the package lists"
    )


def _described(package: str) -> dict[str, str]:
    """The fields of a package that apt would install; none where there is no such package."""
    command = [program("apt-cache"), "show", "--no-all-versions", package]
    shown = subprocess.run(command, check=False, capture_output=True, text=True)
    return dict(line.split(": ", 1) for line in shown.stdout.splitlines() if re.match(r"[A-Z][\w-]*: ", line))


def _make(packages: list[str], target: Path) -> None:
    """Download and unpack the packages into `target`, with an initramfs beside them."""
    target.mkdir()
    # apt may drop its rights for the download, so the directory is open to all.
    with tempfile.TemporaryDirectory(prefix="g2disk-kernel-") as downloads:
        os.chmod(downloads, 0o777)
        for package in packages:
            _do(["apt-get", "download", package], cwd=downloads)
        for archive in Path(downloads).glob("*.deb"):
            _do(["dpkg", "-x", str(archive), str(target)])
    if not (target / "lib").exists():
        (target / "lib").symlink_to("usr/lib")
    (modules,) = (target / "lib" / "modules").iterdir()
    _do(["depmod", "-b", str(target), modules.name])
    _write_initramfs(target, modules.name)


def _write_initramfs(target: Path, release: str) -> None:
    """Pack busybox, init.sh and the modules that the first steps need, in the order of loading."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        for name in ("bin", "modules"):
            (root / name).mkdir()
        shutil.copy(_static_busybox(), root / "bin" / "busybox")
        shutil.copy(HERE / "init.sh", root / "init")
        (root / "init").chmod(0o755)
        order: list[str] = []
        for source in _modules_to_load(target, release):
            plain, suffix = (source.stem, source.suffix) if source.suffix in DECOMPRESSORS else (source.name, "")
            data = source.read_bytes()
            if suffix:
                data = subprocess.run([program(DECOMPRESSORS[suffix]), "-dc"], input=data, check=True, stdout=-1).stdout
            if plain not in order:
                order.append(plain)
                (root / "modules" / plain).write_bytes(data)
        (root / "modules" / "order").write_text("\n".join(order) + "\n")
        names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
        with (target / "initramfs").open("wb") as archive:
            pack = [program("busybox"), "cpio", "-o", "-H", "newc"]
            subprocess.run(pack, cwd=root, input=names.encode(), stdout=archive, stderr=subprocess.PIPE, check=True)


def _modules_to_load(target: Path, release: str) -> list[Path]:
    """The files of `BOOT_MODULES` and what they depend on; built-in ones have none."""
    listed = _do(["modprobe", "-d", str(target), "-S", release, "--show-depends", "--all", *BOOT_MODULES])
    return [Path(line.split()[1]) for line in listed.splitlines() if line.startswith("insmod ")]


def _static_busybox() -> str:
    """A busybox that runs where there is no library."""
    busybox = program("busybox")
    if b"ld-linux" in Path(busybox).read_bytes()[:4096]:
        raise Missing(f"{busybox} needs shared libraries; `./dev setup` installs busybox-static in its place")
    return busybox


def _do(command: list[str], cwd: str | None = None) -> str:
    """Run a step of the making; its output.  Raises `Missing` with what it complained of."""
    command = [program(command[0]), *command[1:]]
    done = subprocess.run(command, check=False, cwd=cwd, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise Missing(
            f"`{' '.join(command)}` failed: {lines[-1]}; `./dev setup` fetches fresh package lists and what is missing"
        )
    return done.stdout
