"""Generate the message classes of proto/ into a directory: src/g2disk/remote/pb, or the one given as argument.

Flat, because the files import nothing from each other; messages only, because services are wired by hand.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
PB = ROOT / "src" / "g2disk" / "remote" / "pb"


def generate(target: Path) -> None:
    """Write a `_pb2.py` and a `_pb2.pyi` to `target` for every file of proto/; fails where protoc does."""
    sources = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as scratch:
        protoc = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={PROTO}"]
        subprocess.run([*protoc, f"--python_out={scratch}", f"--pyi_out={scratch}", *sources], check=True)
        for made in sorted(Path(scratch).rglob("*_pb2.py*")):
            shutil.copyfile(made, target / made.name)


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else PB)
