"""Layers: Disks around a Disk, each with one behaviour.

Info and capabilities pass through unless a layer changes them.
"""

from g2disk.disk.layers.checked import Checked
from g2disk.disk.layers.wrapper import Wrapper

__all__ = ["Checked", "Wrapper"]
