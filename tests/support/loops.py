"""Running a test on each event loop that g2disk runs on."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

_LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def on_every_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """The test, once on asyncio's own loop and once on uvloop's."""

    def run(event_loop_kind: str, **arguments: Any) -> None:
        with asyncio.Runner(loop_factory=_LOOPS[event_loop_kind]) as runner:
            runner.run(test(**arguments))

    own = inspect.signature(test).parameters.values()
    kind = inspect.Parameter("event_loop_kind", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    run.__signature__ = inspect.Signature([kind, *own])  # type: ignore[attr-defined]
    run.__name__, run.__doc__ = test.__name__, test.__doc__
    run.pytestmark = getattr(test, "pytestmark", [])  # type: ignore[attr-defined]
    parametrized: Callable[..., None] = pytest.mark.parametrize("event_loop_kind", list(_LOOPS))(run)
    return parametrized
