"""The subjects: NBD servers to be measured.

To add one, write a class like those of `ours` and `others`, and name it in `SUBJECTS`.
"""

from __future__ import annotations

from bench.subjects.others import NbdkitFile, NbdkitMemory, NbdkitPython, NbdServer, QemuNbd
from bench.subjects.ours import G2diskDirect, G2diskNbd, G2diskNoRecord, G2diskPlugin, UnaryPlugin
from bench.subjects.scale import Crowded, Huge, ManyDisks, Small
from bench.subjects.subject import Subject
from bench.subjects.volumes import BareFile, Chunks, Memory, Volume

SUBJECTS: tuple[type[Subject], ...] = (
    G2diskNbd,
    G2diskNoRecord,
    G2diskDirect,
    G2diskPlugin,
    UnaryPlugin,
    NbdkitMemory,
    NbdkitPython,
    NbdkitFile,
    QemuNbd,
    NbdServer,
)
"""In the order of a round."""

SCALE_SUBJECTS: tuple[type[Small], ...] = (Small, ManyDisks, Crowded, Huge)
"""Of `--scale`: the first is what the others are compared with."""

VOLUME_SUBJECTS: tuple[type[Subject], ...] = (Memory, Volume, BareFile, Chunks)
"""Of `--volumes`."""
