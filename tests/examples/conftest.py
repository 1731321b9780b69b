"""Fixtures of the tests of examples/."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.examples.node import node_server
from tests.support.processes import Server


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The target server in Node.js, on a port of its own."""
    with node_server(tmp_path_factory.mktemp("node")) as server:
        yield server
