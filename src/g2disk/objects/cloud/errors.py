"""What obstore raises -> the errors of g2disk.

obstore tells most failures apart only by text: its messages hold the HTTP status and the answer's body, where the
stores put a code in XML (Amazon S3 API Reference, "Error responses"; Azure, "Blob service error codes"; Google Cloud
Storage XML API, "HTTP status and error codes").  That text is read here alone.
"""

from __future__ import annotations

import re

from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotSupportedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)

from g2disk.errors import Denied, DiskError, Exists, Invalid, NotFound, OutOfSpace, Unavailable, Unsupported

_STATUS = re.compile(r"non-2xx status code: (\d{3}) ?([^:\n]*)")
_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,80})</Code>")
_TARGET = re.compile(r"Error performing [A-Z]+ (https?://[^/?\s]+)")
_KIND = re.compile(r"HttpError \{\s*kind: (\w+)")
_REASON = re.compile(r'"((?:failed to lookup|[A-Za-z ]*certificate)[^"]{0,120})"')

_CODES: dict[str, type[DiskError]] = {
    "ExpiredToken": Denied,
    "InvalidToken": Denied,
    "TokenRefreshRequired": Denied,
    "InvalidAccessKeyId": Denied,
    "AuthorizationHeaderMalformed": Denied,
    "NoSuchBucket": Unavailable,
    "ContainerNotFound": Unavailable,
    "ContainerBeingDeleted": Unavailable,
    "RequestTimeout": Unavailable,
    "IncompleteBody": Unavailable,
    "BadDigest": Unavailable,
    "QuotaExceeded": OutOfSpace,
    "InsufficientCapacity": OutOfSpace,
    "XMinioStorageFull": OutOfSpace,
    "BlobAlreadyExists": Exists,
}
"""Codes that say more than the status they come with."""

_STATUSES: dict[int, type[DiskError]] = {
    400: Invalid,
    401: Denied,
    403: Denied,
    404: NotFound,
    405: Unsupported,
    412: Exists,
    413: Invalid,
    414: Invalid,
    501: Unsupported,
    507: OutOfSpace,
}
"""All others are `Unavailable`: too many requests, conflicts that a repeat solves, failures of the server."""

_CLASSES: tuple[tuple[type[Exception], type[DiskError]], ...] = (
    (FileNotFoundError, NotFound),
    (AlreadyExistsError, Exists),
    (PreconditionError, Exists),
    (PermissionDeniedError, Denied),
    (UnauthenticatedError, Denied),
    (NotSupportedError, Unsupported),
    (ValueError, Invalid),
)

FOREIGN = (BaseError, FileNotFoundError, ValueError)
"""All that obstore raises."""

_HINTS: dict[str, str] = {
    "ExpiredToken": "renew the credentials",
    "RequestTimeTooSkewed": "set this machine's clock",
    "NoSuchBucket": "make the bucket, or mend the URL",
    "ContainerNotFound": "make the container, or mend the URL",
}

_NO_CONNECTION = "cannot connect"


def translate(error: Exception, doing: str, endpoint: str) -> DiskError:
    """The g2disk error for what obstore raised while `doing` something ("putting s3://bucket/key").

    `endpoint` is the scheme and host that the store is asked at, "" if that is not known.  The message names the cause
    in one line, and holds no part of the request, where a signature may stand.
    """
    text = str(error)
    target = _TARGET.search(text)
    if "redirect without LOCATION" in text:
        return Invalid(f"{doing}: the bucket is in another region: give it with ?region=")
    if target and _is_foreign(target[1], endpoint):
        return Denied(f"{doing}: no credentials could be had from {target[1]} ({_cause(text)}): set them")
    if "Account must be specified" in text:
        return Invalid(f"{doing}: set AZURE_STORAGE_ACCOUNT_NAME, or write ?account=NAME")
    cause = _cause(text)
    if endpoint and cause.startswith(_NO_CONNECTION):
        cause = cause.replace(_NO_CONNECTION, f"{_NO_CONNECTION} to {endpoint}", 1)
    return _kind(error, text)(f"{doing}: {cause}")


def is_missing(error: Exception) -> bool:
    """Whether there is no such object, in a bucket that is there."""
    return _kind(error, str(error)) is NotFound


def is_behind_the_end(error: Exception) -> bool:
    """Whether a range was asked for that begins at or behind the object's end."""
    # Some servers answer 416, others 200 with nothing, and obstore sees that.
    text = str(error)
    return _status(text) == 416 or "Wanted range starting at" in text


def _kind(error: Exception, text: str) -> type[DiskError]:
    code = _CODE.search(text)
    if code and code[1] in _CODES:
        return _CODES[code[1]]
    status = _status(text)
    if status is not None:
        return _STATUSES.get(status, Unavailable)
    return next((kind for foreign, kind in _CLASSES if isinstance(error, foreign)), Unavailable)


def _cause(text: str) -> str:
    """What went wrong, in a few words."""
    status, code = _STATUS.search(text), _CODE.search(text)
    if code:
        hint = _HINTS.get(code[1])
        return f"the store answered {code[1]}" + (f": {hint}" if hint else "")
    if status:
        return f"it answered {status[1]} {status[2]}".rstrip()
    kind, reason = _KIND.search(text), _REASON.search(text)
    if kind and kind[1] == "Timeout":
        return "no answer in time"
    if kind and kind[1] == "Connect":
        return f"{_NO_CONNECTION} ({reason[1]})" if reason else _NO_CONNECTION
    if kind:
        return "the connection broke off"
    return _first_line(text)


def _first_line(text: str) -> str:
    """Without what may hold an address with a signature."""
    line = re.sub(r"^Generic \w+ error: ", "", text.partition("\n")[0])
    return re.sub(r"https?://\S+", "…", line)


def _status(text: str) -> int | None:
    found = _STATUS.search(text)
    return int(found[1]) if found else None


def _is_foreign(target: str, endpoint: str) -> bool:
    """Whether somebody else than the store was asked: who gives out credentials."""
    if not endpoint:
        return "169.254." in target or "metadata" in target or "://sts." in target or "login." in target
    return target.rstrip("/") != endpoint.rstrip("/")
