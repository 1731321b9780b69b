"""The virtual machine that the tests of this directory share: booting one takes about ten seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.vm.machine import Machine, boot


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    with boot() as running:
        yield running
