"""Layers: Disks around a Disk, each with one behaviour.

Info and capabilities pass through unless a layer changes them.  `Metered` is not named here, since it needs
prometheus-client, which is slow to import: take it from `g2disk.disk.layers.metered`.
"""

from g2disk.disk.layers.checked import Checked
from g2disk.disk.layers.faulty import Fault, Faulty, Plan, dice, script
from g2disk.disk.layers.logged import Logged
from g2disk.disk.layers.observing import Observing
from g2disk.disk.layers.read_only import ReadOnlyDisk
from g2disk.disk.layers.slow import Slow
from g2disk.disk.layers.wrapper import Wrapper, innermost

__all__ = [
    "Checked",
    "Fault",
    "Faulty",
    "Logged",
    "Observing",
    "Plan",
    "ReadOnlyDisk",
    "Slow",
    "Wrapper",
    "dice",
    "innermost",
    "script",
]
