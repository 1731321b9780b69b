"""The NBD server's model, held against volumes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from g2disk.stores.volumes import VolumeStore, VolumeStoreOptions
from g2disk.units import MIB
from tests.model.test_nbd_server import Requests
from tests.support.nbd_servers import DIRECT, nbd_server
from tests.volume.harness import SECRET

FORMS = [{}, {"compression": "lz4", "block-size": "8192"}, {"compression": "zstd", "encrypt": "yes"}]


async def create(url: str, directory: Path, form: dict[str, str]) -> None:
    store = await VolumeStore.at(url, VolumeStoreOptions(directory / "journal", key=SECRET))
    await store.create("default", 4 * MIB, options=form)
    await store.close()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_replies_are_those_of_an_array_of_bytes(tmp_path: Path, form: dict[str, str]) -> None:
    """Whatever is in flight together, over several connections, while segments are made all the time."""
    url, key = f"objects:{tmp_path}/bucket", tmp_path / "key"
    key.write_text(SECRET.value.hex())
    asyncio.run(create(url, tmp_path, form))
    options = ["--journal", str(tmp_path / "journal"), "--journal-size", "1MiB", "--key-file", str(key)]
    with nbd_server(tmp_path, DIRECT, url, *options) as server:
        run_state_machine_as_test(
            type("RequestsOfAVolume", (Requests,), {"server": server}),
            settings=settings(
                max_examples=25,
                stateful_step_count=40,
                derandomize=True,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
