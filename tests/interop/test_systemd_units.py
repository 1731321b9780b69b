"""systemd's own opinion of the units in systemd/."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.support.processes import G2DISK, ROOT


def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    """`systemd-analyze verify` is silent: every setting is known, every program there, and there is no cycle."""
    for unit in (ROOT / "systemd").glob("*.service"):
        name = unit.name.replace("@.", "@some-disk.")
        (tmp_path / name).write_text(re.sub("^(Exec.*=)g2disk ", rf"\1{G2DISK} ", unit.read_text(), flags=re.MULTILINE))
    units = sorted(map(str, tmp_path.iterdir()))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, timeout=60)

    assert 3 == len(units)
    assert (0, "") == (done.returncode, done.stdout + done.stderr)
