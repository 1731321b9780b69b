"""What the tests of snapshots, garbage collection and fsck share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.volume.lifecycle.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)
