"""The socket by which commands speak with an attachment's daemon."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from g2disk.attach.control import Order, Report, ask, serve_control
from g2disk.errors import Busy, Invalid, Unavailable

REPORT = Report(condition="waiting", since=5.5, cause="the server is away", in_flight=3, unflushed_bytes=1 << 40)


async def answer(order: Order) -> Report:
    if order == "detach":
        raise Busy("it is mounted")
    return REPORT


async def test_what_the_daemon_reports_arrives_whole(tmp_path: Path) -> None:
    """Every field, for as many as ask."""
    async with serve_control(tmp_path / "sock", answer):
        assert REPORT == await ask(tmp_path / "sock", "status", 5)
        assert REPORT == await ask(tmp_path / "sock", "accept", 5)


async def test_an_error_of_the_daemon_is_raised_where_it_was_asked(tmp_path: Path) -> None:
    """The same kind, and the same words."""
    async with serve_control(tmp_path / "sock", answer):
        with pytest.raises(Busy, match=r"^it is mounted$"):
            await ask(tmp_path / "sock", "detach", 5)


async def test_a_daemon_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    """The connection is taken by the kernel, and no answer comes: an error after the time that was given."""
    with socket.socket(socket.AF_UNIX) as stuck:
        stuck.bind(str(tmp_path / "sock"))
        stuck.listen()
        with pytest.raises(Unavailable, match=r"^daemon does not answer: nothing within 0\.05 s"):
            await ask(tmp_path / "sock", "status", 0.05)


async def test_a_daemon_that_is_gone_is_an_error_at_once(tmp_path: Path) -> None:
    """Also where it left its socket behind, and it leaves none when it ends well."""
    async with serve_control(tmp_path / "sock", answer):
        pass
    assert not (tmp_path / "sock").exists()
    with pytest.raises(Unavailable, match="daemon does not answer"):
        await ask(tmp_path / "sock", "status", 5)


async def test_nonsense_is_refused_and_the_daemon_goes_on(tmp_path: Path) -> None:
    """An order that there is not, and no JSON at all."""
    async with serve_control(tmp_path / "sock", answer):
        with pytest.raises(Invalid, match="no order"):
            await ask(tmp_path / "sock", "dance", 5)  # type: ignore[arg-type]
        with socket.socket(socket.AF_UNIX) as rude:
            rude.connect(str(tmp_path / "sock"))
            rude.sendall(b"\xff\n")
            assert REPORT == await ask(tmp_path / "sock", "status", 5)
