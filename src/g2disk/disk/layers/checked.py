"""`Checked`, the border: no wrong request passes to the inner disk, and no wrong answer or foreign exception back."""

from __future__ import annotations

from g2disk.disk.disk import Buffer, Disk, Done
from g2disk.disk.foreign import as_disk_error, ask
from g2disk.disk.info import MAXIMUM_RANGE, DiskInfo, Extent
from g2disk.disk.layers.wrapper import Wrapper, innermost
from g2disk.errors import DiskError, Internal, Invalid, OutOfRange, ReadOnly
from g2disk.request import EXTENTS, FLUSH, OPERATIONS, READ, TRIM, WRITE, ZERO, Request

_CHANGES = (WRITE, TRIM, ZERO)
_ANSWERED = (READ, EXTENTS)


class Checked(Wrapper):
    """Keeps callers to the promises of `Disk`, and the inner disk to its own.

    Wrong requests raise, with the inner disk not asked: `Invalid` (types, negative numbers, alignment, length),
    `ReadOnly`, `OutOfRange`.  A correct request of length 0 is answered at once.

    Wrong answers raise `Internal` and say what the disk returned.  Exceptions that are not `DiskError`s are turned into
    some; see `g2disk.disk.foreign`.
    """

    def __init__(self, inner: Disk) -> None:
        super().__init__(inner)
        self._name = type(innermost(inner)).__name__

    async def read(self, offset: int, length: int) -> Buffer:
        """See `Disk.read`."""
        info = self._check(offset, length)
        _check_request(info, "read", length)
        if not length:
            return b""
        data = await ask(self._name, self.inner.read, offset, length)
        wrong = _wrong_data(data, length)
        if wrong:
            raise Internal(f"read of {self._name} {wrong} for {length} at {offset}; mend the disk")
        return data

    async def write(self, offset: int, data: Buffer, fua: bool = False) -> None:
        """See `Disk.write`."""
        length = _length(data)
        info = self._check(offset, length, change="write")
        _check_request(info, "write", length)
        if length:
            await ask(self._name, self.inner.write, offset, data, fua)

    async def flush(self) -> None:
        """See `Disk.flush`."""
        await ask(self._name, self.inner.flush)

    async def trim(self, offset: int, length: int, fua: bool = False) -> None:
        """See `Disk.trim`."""
        self._check(offset, length, change="trim")
        if length:
            await ask(self._name, self.inner.trim, offset, length, fua)

    async def zero(
        self, offset: int, length: int, fua: bool = False, may_trim: bool = True, fast: bool = False
    ) -> None:
        """See `Disk.zero`."""
        info = self._check(offset, length, change="zero")
        _check_zero(info, length)
        if length:
            await ask(self._name, self.inner.zero, offset, length, fua, may_trim, fast)

    async def extents(self, offset: int, length: int) -> list[Extent]:
        """See `Disk.extents`; for length 0 there are none."""
        self._check(offset, length)
        if not length:
            return []
        extents = await ask(self._name, self.inner.extents, offset, length)
        wrong = _wrong_extents(extents, offset, length)
        if wrong:
            raise Internal(f"extents of {self._name} for {length} bytes at {offset} {wrong}; mend the disk")
        return extents

    async def cache(self, offset: int, length: int) -> None:
        """See `Disk.cache`."""
        self._check(offset, length)
        if length:
            await ask(self._name, self.inner.cache, offset, length)

    def submit(self, requests: list[Request], done: Done) -> list[Request]:
        """See `Disk.submit`; wrong requests, and those of length 0, are done before this returns."""
        try:
            info = self.info()
        except DiskError as error:
            for request in requests:
                request.error = error
            done(requests)
            return []
        size, most, block, writable = info.size, info.maximum_request, info.minimum_block, not info.read_only
        good: list[Request] = []
        settled: list[Request] = []
        for request in requests:
            length = request.length
            if (
                (request.operation == READ or (request.operation == WRITE and writable and len(request.data) == length))
                and 0 < length <= most
                and 0 <= request.offset <= size - length
                and (block == 1 or not (request.offset | length) & (block - 1))
            ) or self._may_pass(request, info):
                good.append(request)
            else:
                settled.append(request)
        if settled:
            done(settled)
        return self._submit(good, done) if good else []

    async def close(self) -> None:
        """See `Disk.close`."""
        await ask(self._name, self.inner.close)

    def info(self) -> DiskInfo:
        """See `Disk.info`."""
        try:
            return self.inner.info()
        except DiskError:
            raise
        except Exception as error:
            raise as_disk_error(error, f"info of {self._name}") from error

    def _submit(self, requests: list[Request], done: Done) -> list[Request]:
        """Have the inner disk take the requests.  Where it raises, those that it has not reported by then are done, and
        what it says of them later is not heard.
        """
        taken = False
        reported: list[Request] = []
        unheard: set[Request] = set()

        def check(finished: list[Request]) -> None:
            if unheard:
                finished = [request for request in finished if request not in unheard]
            elif not taken:
                reported.extend(finished)
            for request in finished:
                if request.operation in _ANSWERED and request.error is None:
                    self._check_answer(request)
            done(finished)

        try:
            left = [*self.inner.submit(requests, check)]
        except Exception as error:  # noqa: BLE001  whatever a disk raises: it is reported and logged
            unheard.update(set(requests).difference(reported))
            failed = [request for request in requests if request in unheard]
            problem = as_disk_error(error, f"submit of {self._name}")
            for request in failed:
                request.data, request.error = None, type(problem)(*problem.args)
            done(failed)
            return []
        taken = True
        return left

    def _may_pass(self, request: Request, info: DiskInfo) -> bool:
        """Whether the inner disk is to be asked; if not, the request has its error, or has nothing to do."""
        operation, length = request.operation, request.length
        if operation == FLUSH:
            return True
        try:
            if operation not in OPERATIONS:
                raise Invalid(f"there is no operation {operation}")
            if operation == WRITE and _length(request.data) != length:
                raise Invalid(f"a write of {length} bytes came with {_length(request.data)}")
            self._check_range(info, request.offset, length, OPERATIONS[operation] if operation in _CHANGES else "")
            if operation in (READ, WRITE):
                _check_request(info, OPERATIONS[operation], length)
            if operation == ZERO:
                _check_zero(info, length)
        except DiskError as error:
            request.error = error
            return False
        if not length:
            request.data = [] if operation == EXTENTS else b""
        return length > 0

    def _check_answer(self, request: Request) -> None:
        wrong, what = "", f"{OPERATIONS[request.operation]} of {self._name}"
        if request.operation == EXTENTS:
            wrong = _wrong_extents(request.data, request.offset, request.length)
        else:
            wrong = _wrong_data(request.data, request.length)
        if wrong:
            where = f"{request.length} bytes at {request.offset}"
            request.data, request.error = None, Internal(f"{what} for {where} {wrong}; mend the disk")

    def _check(self, offset: int, length: int, change: str = "") -> DiskInfo:
        """Raise what is wrong with a request for this range; `change` names an operation that changes the disk."""
        info = self.info()
        self._check_range(info, offset, length, change)
        return info

    def _check_range(self, info: DiskInfo, offset: int, length: int, change: str) -> None:
        if type(offset) is not int or type(length) is not int:
            raise Invalid(f"offset {offset!r} and length {length!r} must be whole numbers of bytes")
        if offset < 0 or length < 0:
            raise Invalid(f"offset {offset} and length {length} must not be negative")
        if change and info.read_only:
            raise ReadOnly(f"this disk is read-only, it takes no {change}; open it for writing")
        if offset > info.size or length > info.size - offset:
            raise OutOfRange(f"{length} bytes at {offset} reach beyond the end of the disk, which has {info.size}")
        block = info.minimum_block
        if offset % block or length % block:
            raise Invalid(f"{length} bytes at {offset} are not aligned; ask for multiples of {block} bytes")


def _check_request(info: DiskInfo, operation: str, length: int) -> None:
    if length > info.maximum_request:
        limit = info.maximum_request
        raise Invalid(f"a {operation} of {length} bytes is too long; split it into pieces of at most {limit}")


def _check_zero(info: DiskInfo, length: int) -> None:
    if length > MAXIMUM_RANGE and not info.zero:
        raise Invalid(f"zeroing {length} bytes by writes is too long; split it into pieces of at most {MAXIMUM_RANGE}")


def _length(data: Buffer) -> int:
    if isinstance(data, (bytes, bytearray)):
        return len(data)
    if isinstance(data, memoryview) and data.contiguous and data.format == "B" and data.ndim == 1:
        return data.nbytes
    raise Invalid(f"cannot write a {type(data).__name__}; give bytes, a bytearray or a contiguous memoryview of bytes")


def _wrong_data(data: Buffer, length: int) -> str:
    """What is wrong with the inner disk's answer to a read, or nothing."""
    if not isinstance(data, (bytes, bytearray, memoryview)):
        return f"returned {type(data).__name__}, not bytes"
    count = data.nbytes if isinstance(data, memoryview) else len(data)
    return "" if count == length else f"returned {count} bytes"


def _wrong_extents(extents: list[Extent], offset: int, length: int) -> str:
    """What is wrong with the inner disk's answer, or nothing."""
    if not isinstance(extents, list):
        return f"returned {type(extents).__name__}, not a list"
    if not extents:
        return "returned none"
    at, end = offset, offset + length
    for extent in extents:
        if not isinstance(extent, Extent):
            return f"returned {type(extent).__name__}, not an Extent"
        if extent.offset != at:
            return f"returned an extent at {extent.offset} where the next begins at {at}"
        if extent.length <= 0 or extent.end > end:
            return f"returned an extent of {extent.length} bytes at {at}, which must have 1 to {end - at}"
        at = extent.end
    return ""
