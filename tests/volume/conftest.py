from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.volume.harness import Site, crew


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with crew() as threads:
        yield Site(tmp_path, threads)
