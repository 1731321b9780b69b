"""grpc.reflection: which services there are, and what their messages look like, for tools such as grpcurl.

Its version v1 has the messages of v1alpha under another package name.  Source: gRPC's "Server reflection protocol".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, text_format
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha import reflection_pb2

from g2disk.remote.status import StatusCode
from g2disk.remote.stream import MessageStream, Status
from g2disk.servers.grpc.handlers import StreamRow

REFLECTION = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")


def reflection_service(services: Sequence[str]) -> list[StreamRow]:
    """The rows of both versions, telling of these services."""
    answers = _Answers(services)

    def start(stream: MessageStream, _metadata: Mapping[str, str]) -> _Conversation:
        conversation = _Conversation(answers, stream, open_ones.discard)
        open_ones.add(conversation)
        return conversation

    def drain() -> None:
        while open_ones:
            open_ones.pop().finish()

    open_ones: set[_Conversation] = set()
    return [StreamRow(f"/{name}/ServerReflectionInfo", start, drain=drain) for name in REFLECTION]


class _Conversation:
    """One call: an answer to each question, at once."""

    def __init__(self, answers: _Answers, stream: MessageStream, closed: Any) -> None:
        self._answers, self._stream, self._closed = answers, stream, closed

    def message(self, data: memoryview) -> None:
        """A question."""
        try:
            request = reflection_pb2.ServerReflectionRequest.FromString(bytes(data))
        except DecodeError:
            self._closed(self)
            self._stream.end(Status(StatusCode.INVALID_ARGUMENT, "what came is no ServerReflectionRequest"))
            return
        self._stream.send((self._answers.to(request).SerializeToString(),))

    def drained(self) -> None:
        """See `MessageHandler.drained`."""

    def ended(self, _status: Status) -> None:
        """No more questions."""
        self._closed(self)
        self._stream.end()

    def finish(self) -> None:
        """The server stops."""
        self._stream.end(Status(StatusCode.UNAVAILABLE, "the server stops"))


class _Answers:
    def __init__(self, services: Sequence[str]) -> None:
        self._services = sorted(services)
        self._pools = (descriptor_pool.Default(), _pool_of_v1())

    def to(self, request: Any) -> Any:
        """The response to a request; what is not known is an error in it."""
        asked = request.WhichOneof("message_request")
        response = reflection_pb2.ServerReflectionResponse(valid_host=request.host, original_request=request)
        if asked == "list_services":
            response.list_services_response.service.extend(
                reflection_pb2.ServiceResponse(name=name) for name in self._services
            )
            return response
        for pool in self._pools:
            try:
                self._look_up(pool, asked, request, response)
            except KeyError:
                continue
            return response
        response.error_response.error_code = StatusCode.NOT_FOUND
        response.error_response.error_message = f"there is no such {asked or 'request'} here"
        return response

    @staticmethod
    def _look_up(pool: Any, asked: str | None, request: Any, response: Any) -> None:
        """Raises KeyError for what the pool does not know."""
        if asked == "file_by_filename":
            found = pool.FindFileByName(request.file_by_filename)
        elif asked == "file_containing_symbol":
            found = pool.FindFileContainingSymbol(request.file_containing_symbol)
        elif asked == "file_containing_extension":
            wanted = request.file_containing_extension
            message = pool.FindMessageTypeByName(wanted.containing_type)
            found = pool.FindExtensionByNumber(message, wanted.extension_number).file
        elif asked == "all_extension_numbers_of_type":
            message = pool.FindMessageTypeByName(request.all_extension_numbers_of_type)
            numbers = response.all_extension_numbers_response
            numbers.base_type_name = message.full_name
            numbers.extension_number.extend(sorted(each.number for each in pool.FindAllExtensions(message)))
            return
        else:
            raise KeyError(asked)
        files = {file.name: _serialized(file) for file in _with_dependencies(found)}
        response.file_descriptor_response.file_descriptor_proto.extend(files.values())


def _with_dependencies(file: Any) -> Iterator[Any]:
    yield file
    for dependency in file.dependencies:
        yield from _with_dependencies(dependency)


def _serialized(file: Any) -> bytes:
    proto = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(proto)
    return proto.SerializeToString()


def _pool_of_v1() -> descriptor_pool.DescriptorPool:
    """Descriptors of reflection's own v1, for which there is no package to install."""
    proto = descriptor_pb2.FileDescriptorProto.FromString(reflection_pb2.DESCRIPTOR.serialized_pb)
    text = text_format.MessageToString(proto).replace("v1alpha", "v1")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(text_format.Parse(text, descriptor_pb2.FileDescriptorProto()).SerializeToString())
    return pool
