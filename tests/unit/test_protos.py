"""The generated code in src/g2disk/remote/pb is what proto/ says."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PB = ROOT / "src" / "g2disk" / "remote" / "pb"


def test_the_generated_code_is_current(tmp_path: Path) -> None:
    """Generating from proto/ again gives the committed files, no more and no fewer; else run ./dev protos."""
    subprocess.run([sys.executable, ROOT / "scripts" / "protos.py", tmp_path], check=True)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    committed = {path.name: path.read_text() for path in PB.glob("*_pb2.py*")}
    assert committed == made
