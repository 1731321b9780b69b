"""`g2disk.allocator`: memory that is freed is used again."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import resource
from g2disk.allocator import keep_freed_memory

keep_freed_memory()
for turn in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        buffers = [bytearray(b"x") * (1 << 20) for _ in range(3)]
        del buffers
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults() -> int:
    """Of 50 times three buffers of 1 MiB, after as many to warm up."""
    command = [sys.executable, "-c", PROGRAM]
    return int(subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout)


def test_buffers_of_a_mebibyte_cost_no_page_faults() -> None:
    """Once warm, there is less than one fault for each buffer, where there would be 256."""
    assert page_faults() < 150
