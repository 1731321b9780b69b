"""Gateway and server are both killed: the next gateway finds the record, and the server gets what it lost."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from g2disk.errors import Fenced
from g2disk.remote.connection import Connection
from g2disk.remote.disk import RemoteDisk
from g2disk.remote.record_file import RecordFile
from tests.support import volatile_file
from tests.support.processes import ROOT, target_server
from tests.support.recording_client import BLOCK, BLOCKS_EACH, WRITERS, content, terms


def write_until_killed(
    endpoint: str, record: Path, seed: int, keep_data: bool
) -> tuple[dict[int, int], dict[int, int]]:
    """By block, the last version that was answered, and the last that was asked for."""
    command = [sys.executable, "-m", "tests.support.recording_client", endpoint, str(record), str(seed), str(keep_data)]
    answered: dict[int, int] = defaultdict(int)
    asked: dict[int, int] = defaultdict(int)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        for number, line in enumerate(process.stdout):
            if number == 1000 + 300 * seed:
                process.kill()
            if line.endswith(b"\n"):
                what, block, version = line.split()
                (answered if what == b"answered" else asked)[int(block)] = int(version)
    return answered, asked


@pytest.mark.parametrize("seed", range(4))
async def test_nothing_answered_is_lost_when_gateway_and_server_are_killed(tmp_path: Path, seed: int) -> None:
    """Every block has the last version that was answered, or one that was under way; after the replay it is durable."""
    served = f"{volatile_file.__file__}:VolatileFile?path={tmp_path}/data"
    listen = f"unix:{tmp_path}/s"
    with target_server(tmp_path, served, listen=listen) as server:
        answered, asked = write_until_killed(server.endpoint, tmp_path / "record", seed, keep_data=True)
        server.process.kill()
    record = RecordFile.open(tmp_path / "record", True)
    assert record.recovered.complete
    assert record.recovered.changes
    with target_server(tmp_path, served, listen=listen) as server:
        connection = Connection(server.endpoint, 20)
        disk = await RemoteDisk.open(connection, "", terms=terms(record, 2))
        await disk.read(0, BLOCK)
        server.process.kill()
        await disk.close()
        await connection.close()
        record.close()

    durable = (tmp_path / "data").read_bytes()
    for block in range(WRITERS * BLOCKS_EACH):
        found = durable[block * BLOCK : (block + 1) * BLOCK]
        version = int.from_bytes(found[4:8], "little")
        assert found == (content(block, version) if version else bytes(BLOCK))
        assert answered[block] <= version <= asked[block]
    after = RecordFile.open(tmp_path / "record", True)
    after.close()
    assert after.recovered.empty


async def test_without_data_the_next_gateway_refuses_to_go_on(tmp_path: Path) -> None:
    """It knows that something is missing, serves nothing, and says so."""
    served = f"{volatile_file.__file__}:VolatileFile?path={tmp_path}/data"
    listen = f"unix:{tmp_path}/s"
    with target_server(tmp_path, served, listen=listen) as server:
        write_until_killed(server.endpoint, tmp_path / "record", 0, keep_data=False)
        server.process.kill()
    record = RecordFile.open(tmp_path / "record", False)
    with target_server(tmp_path, served, listen=listen) as server:
        connection = Connection(server.endpoint, 20)
        disk = await RemoteDisk.open(connection, "", terms=terms(record, 2))
        with pytest.raises(Fenced, match="this gateway was killed"):
            await disk.read(0, BLOCK)
        await disk.close()
        await connection.close()
        record.close()
