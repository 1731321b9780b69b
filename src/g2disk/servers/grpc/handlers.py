"""What every gRPC service of ours shares: bytes in, a handler, bytes out, errors as the table says."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc

from g2disk.errors import DiskError, Internal, kind_of_error
from g2disk.remote.methods import Method
from g2disk.remote.status import STATUS, trailers_of

Request = TypeVar("Request")
Reply = TypeVar("Reply")

log = logging.getLogger(__name__)

_LONGEST = 600
"""Characters of an error's message.  gRPC refuses replies with more than 8 KiB of metadata, and says something else
instead; a character takes up to 12 bytes there."""

Row = tuple[Method[Any, Any], Callable[[Any], Awaitable[Any]]]
"""A method and the coroutine function that answers it."""


def row(method: Method[Request, Reply], answer: Callable[[Request], Awaitable[Reply]]) -> Row:
    """A `Row` whose types agree."""
    return method, answer


def service(rows: list[Row]) -> grpc.GenericRpcHandler:
    """The gRPC service made of these rows, which all belong to one service."""
    handlers = {method.name: _unary(method, answer) for method, answer in rows}
    return grpc.method_handlers_generic_handler(rows[0][0].service, handlers)


def _unary(method: Method[Any, Any], answer: Callable[[Any], Awaitable[Any]]) -> grpc.RpcMethodHandler[Any, Any]:
    async def handle(raw: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        try:
            return method.encode_reply(await answer(method.decode_request(raw)))
        except DiskError as error:
            failure = error
        except Exception as error:
            log.exception("! %s", method.path)
            failure = Internal(f"{type(error).__name__} in the target server; its log says more")
        message = str(failure)
        if len(message) > _LONGEST:
            message = f"{message[: _LONGEST - 1]}…"
        await context.abort(STATUS[kind_of_error(failure)], message, trailers_of(failure))
        raise AssertionError("abort raises")

    return grpc.unary_unary_rpc_method_handler(handle)
