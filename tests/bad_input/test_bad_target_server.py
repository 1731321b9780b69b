"""What a target server of somebody else can get wrong: each is a clear error, and nothing wrong is served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import grpc
import pytest

from g2disk.errors import Corrupt, DiskError, Fenced, Internal, OutOfSpace, Unavailable, Unsupported
from g2disk.remote import codec, methods
from g2disk.remote.connection import Connection
from g2disk.remote.negotiation import open_remote_disk
from g2disk.remote.pb import catalogue_pb2, disk_pb2, reference_pb2
from g2disk.remote.status import KIND_KEY
from g2disk.stores.remote import RemoteStore

Answer = Callable[[bytes, grpc.aio.ServicerContext[bytes, bytes]], Awaitable[bytes]]

DESCRIPTION = disk_pb2.DescribeReply(
    disk="d", identity="one", instance="a", size=1 << 20, capabilities=disk_pb2.Capabilities(flush=True, extents=True)
)


def saying(raw: bytes) -> Answer:
    async def answer(_request: bytes, _context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        return raw

    return answer


def describing(**changes: object) -> Answer:
    said = disk_pb2.DescribeReply()
    said.CopyFrom(DESCRIPTION)
    for name, value in changes.items():
        setattr(said, name, value)
    return saying(said.SerializeToString())


async def never(_request: bytes, _context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    await asyncio.Event().wait()
    raise AssertionError


def refusing(status: grpc.StatusCode, *trailers: tuple[str, str]) -> Answer:
    async def answer(_request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        await context.abort(status, "because", trailers)
        raise AssertionError

    return answer


@asynccontextmanager
async def server(answers: dict[str, Answer], timeout: float = 5.0) -> AsyncIterator[Connection]:
    """A target server that answers these paths, and a connection to it."""

    class Handler(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
            answer = answers.get(details.method)
            return grpc.unary_unary_rpc_method_handler(answer) if answer else None

    running = grpc.aio.server(handlers=[Handler()])
    port = running.add_insecure_port("127.0.0.1:0")
    await running.start()
    connection = Connection(f"127.0.0.1:{port}", timeout)
    try:
        yield connection
    finally:
        await connection.close()
        await running.stop(0)


DESCRIBE, READ, WRITE, FLUSH = (m.path for m in (methods.DESCRIBE, methods.READ, methods.WRITE, methods.FLUSH))
EXTENTS = methods.EXTENTS.path


@pytest.mark.parametrize(
    "changes",
    [
        {"size": 0},
        {"size": (1 << 64) - 1},
        {"size": 1 << 63},
        {"minimum_block": 3},
        {"preferred_block": 3000},
        {"minimum_block": 1 << 20},
        {"minimum_block": 4096, "size": 512},
    ],
)
async def test_an_impossible_disk_is_not_opened(changes: dict[str, object]) -> None:
    """A description that no disk can have is Corrupt."""
    async with server({DESCRIBE: describing(**changes)}) as connection:
        with pytest.raises(Corrupt, match=r"the target server at .* is broken"):
            await open_remote_disk(connection)


@pytest.mark.parametrize("nonsense", [b"\xff", b"\x0a\xff\xff\xff\xff\x0f", b"\x00\x00"])
async def test_nonsense_for_a_description_is_corrupt(nonsense: bytes) -> None:
    """Bytes that are no message are Corrupt."""
    async with server({DESCRIBE: saying(nonsense)}) as connection:
        with pytest.raises(Corrupt):
            await open_remote_disk(connection)


@pytest.mark.parametrize("length", [0, 1, 511, 513, 4096])
async def test_a_read_of_the_wrong_length_is_never_data(length: int) -> None:
    """A short or long answer to a read is Corrupt, by both protocols."""
    answer = saying(codec.encode_read_reply(bytes(length)))
    reference = {
        methods.REFERENCE_GET_SIZE.path: saying(reference_pb2.GetSizeResponse(size=1 << 20).SerializeToString()),
        methods.REFERENCE_READ.path: answer,
    }
    for answers in ({DESCRIBE: describing(), READ: answer}, reference):
        async with server(answers) as connection:
            disk = await open_remote_disk(connection)

            with pytest.raises(Corrupt, match=f"512 bytes was answered with {length}"):
                await disk.read(0, 512)


async def test_nonsense_for_data_is_corrupt() -> None:
    """A read's answer that is no message is Corrupt."""
    async with server({DESCRIBE: describing(), READ: saying(b"\x0a\xff")}) as connection:
        disk = await open_remote_disk(connection)

        with pytest.raises(Corrupt):
            await disk.read(0, 512)


@pytest.mark.parametrize("lengths", [[], [0], [4097], [4096, 1], [1 << 63, 1 << 63]])
async def test_extents_outside_the_range_are_corrupt(lengths: list[int]) -> None:
    """Extents that do not lie in what was asked for are Corrupt."""
    reply = disk_pb2.ExtentsReply(lengths=lengths, states=[0] * len(lengths)).SerializeToString()
    async with server({DESCRIBE: describing(), EXTENTS: saying(reply)}) as connection:
        disk = await open_remote_disk(connection)

        with pytest.raises(Corrupt):
            await disk.extents(0, 4096)


async def test_a_server_that_never_answers_costs_the_timeout() -> None:
    """No answer is Unavailable after the timeout, for opening and for every request."""
    async with server({DESCRIBE: describing(), READ: never, WRITE: never, FLUSH: never}, timeout=0.3) as connection:
        disk = await open_remote_disk(connection)
        for request in (disk.read(0, 1), disk.write(0, b"x"), disk.flush()):
            with pytest.raises(Unavailable, match="did not answer"):
                await request
    async with server({DESCRIBE: never}, timeout=0.3) as connection:
        with pytest.raises(Unavailable, match="did not answer"):
            await open_remote_disk(connection)


async def test_a_server_of_something_else_is_named_as_such() -> None:
    """A gRPC server without our services is Unsupported, with a hint."""
    async with server({}) as connection:
        with pytest.raises(Unsupported, match="no g2disk target server"):
            await open_remote_disk(connection)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusing(grpc.StatusCode.RESOURCE_EXHAUSTED), OutOfSpace),
        (refusing(grpc.StatusCode.UNKNOWN), Internal),
        (refusing(grpc.StatusCode.UNKNOWN, ("g2disk-errno", "28")), OutOfSpace),
        (refusing(grpc.StatusCode.UNKNOWN, (KIND_KEY, "OutOfSpace")), OutOfSpace),
        (refusing(grpc.StatusCode.UNKNOWN, (KIND_KEY, "Nonsense"), ("g2disk-errno", "x")), Internal),
    ],
)
async def test_errors_of_foreign_servers_find_a_kind(answer: Answer, kind: type[DiskError]) -> None:
    """The trailers win, then the status; what says nothing is Internal."""
    async with server({DESCRIBE: describing(), WRITE: answer}) as connection:
        disk = await open_remote_disk(connection)

        with pytest.raises(DiskError) as failure:
            await disk.write(0, b"x")
        assert kind is type(failure.value)


async def test_a_write_is_never_sent_twice() -> None:
    """A write that may have arrived is an error, not a repeat; a read is repeated."""
    calls: list[str] = []

    def failing_first(name: str, reply: bytes) -> Answer:
        async def answer(_request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            calls.append(name)
            if calls.count(name) == 1:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
            return reply

        return answer

    answers = {
        DESCRIBE: describing(),
        READ: failing_first("read", codec.encode_read_reply(b"x")),
        WRITE: failing_first("write", b""),
    }
    async with server(answers) as connection:
        disk = await open_remote_disk(connection)

        assert b"x" == bytes(await disk.read(0, 1))
        with pytest.raises(Unavailable):
            await disk.write(0, b"x")
        assert ["read", "read", "write"] == calls


async def test_a_flush_by_another_instance_than_the_writes_ends_the_disk() -> None:
    """A server that restarted between write and flush may have lost the write: flush fails, and so does all that
    follows."""
    instances = iter(["a", "b"])

    async def flush(_request: bytes, _context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        return disk_pb2.FlushReply(instance=next(instances)).SerializeToString()

    write = saying(disk_pb2.WriteReply(instance="a").SerializeToString())
    async with server({DESCRIBE: describing(), WRITE: write, FLUSH: flush}) as connection:
        disk = await open_remote_disk(connection)
        await disk.write(0, b"x")
        await disk.flush()
        await disk.write(0, b"x")

        with pytest.raises(Fenced, match="may have lost writes"):
            await disk.flush()
        with pytest.raises(Fenced):
            await disk.read(0, 1)


async def test_a_new_instance_with_nothing_unflushed_is_no_loss() -> None:
    """A restart after a flush lost nothing: the disk goes on."""
    instances = iter(["a", "b", "b"])

    async def flush(_request: bytes, _context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        return disk_pb2.FlushReply(instance=next(instances)).SerializeToString()

    writes = iter(["a", "b"])

    async def write(_request: bytes, _context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        return disk_pb2.WriteReply(instance=next(writes)).SerializeToString()

    async with server({DESCRIBE: describing(), WRITE: write, FLUSH: flush}) as connection:
        disk = await open_remote_disk(connection)
        await disk.write(0, b"x")
        await disk.flush()
        await disk.flush()
        await disk.write(0, b"x")

        await disk.flush()
        assert "b" == disk.info().instance


async def test_an_instance_that_is_left_out_is_not_compared() -> None:
    """A server may say its instance in some replies only: that is no loss, and what it says later still counts."""
    instances = iter(["", "", "b"])

    async def flush(_request: bytes, _context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        return disk_pb2.FlushReply(instance=next(instances)).SerializeToString()

    writes = iter(["a", "", "a"])

    async def write(_request: bytes, _context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        return disk_pb2.WriteReply(instance=next(writes)).SerializeToString()

    async with server({DESCRIBE: describing(), WRITE: write, FLUSH: flush}) as connection:
        disk = await open_remote_disk(connection)
        await disk.write(0, b"x")
        await disk.write(0, b"x")
        await disk.flush()
        await disk.flush()
        assert "a" == disk.info().instance
        await disk.write(0, b"x")

        with pytest.raises(Fenced, match="may have lost writes"):
            await disk.flush()


async def test_a_server_without_flush_may_change_its_instance() -> None:
    """Nothing is ever unflushed there, so a restart between two writes is no loss."""
    instances = iter(["a", "b"])

    async def write(_request: bytes, _context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        return disk_pb2.WriteReply(instance=next(instances)).SerializeToString()

    said = disk_pb2.DescribeReply(disk="d", identity="one", instance="a", size=1 << 20)
    async with server({DESCRIBE: saying(said.SerializeToString()), WRITE: write}) as connection:
        disk = await open_remote_disk(connection)
        await disk.write(0, b"x", fua=True)

        await disk.write(0, b"x")
        await disk.flush()


async def test_another_disk_under_the_same_name_ends_the_disk() -> None:
    """FAILED_PRECONDITION means another disk: no later request is even sent."""
    answers = {DESCRIBE: describing(), READ: refusing(grpc.StatusCode.FAILED_PRECONDITION)}
    async with server(answers) as connection:
        disk = await open_remote_disk(connection)

        with pytest.raises(Fenced, match="accept"):
            await disk.read(0, 1)
        del answers[READ]
        with pytest.raises(Fenced, match="accept"):
            await disk.read(0, 1)


async def test_requests_to_a_foreign_server_stay_below_its_message_limit() -> None:
    """A server that names no limit gets messages of at most 1 MiB of data, and all of it."""
    received: dict[int, int] = {}

    async def write(request: bytes, _context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        piece = codec.decode_write_request(request)
        received[piece.offset] = len(piece.data)
        return b""

    async with server({DESCRIBE: describing(size=1 << 30, instance=""), WRITE: write}) as connection:
        disk = await open_remote_disk(connection)
        await disk.write(100, bytes(5 << 20))

    assert {100 + (index << 20): 1 << 20 for index in range(5)} == received


async def test_a_list_without_end_is_corrupt() -> None:
    """A server that sends the same page for ever does not keep a client for ever."""
    page = catalogue_pb2.ListReply(disks=[catalogue_pb2.DiskEntry(name="d", size=512)], next_page_token="d")
    async with server({methods.LIST.path: saying(page.SerializeToString())}) as connection:
        store = RemoteStore(connection.endpoint, 5)
        with pytest.raises(Corrupt, match="no end"):
            await store.list()
        await store.close()
