"""Fixtures of the tests of the reference protocol."""

from __future__ import annotations

import pytest

from .peers import Peers, generate


@pytest.fixture(scope="session")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Peers:
    """The independent server and client, ready to be started."""
    directory = tmp_path_factory.mktemp("reference")
    generate(directory)
    return Peers(directory)
