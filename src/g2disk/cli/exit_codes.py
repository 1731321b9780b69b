"""What the process's exit code says; docs/cli.md shows this table."""

from __future__ import annotations

from g2disk.errors import (
    Busy,
    Corrupt,
    Denied,
    DiskError,
    Exists,
    Fenced,
    Internal,
    Invalid,
    NotFound,
    OutOfRange,
    OutOfSpace,
    ReadOnly,
    Unavailable,
    Unsupported,
)

DECLINED = 1
USAGE = 2
SIGNALLED = 128
"""Plus the signal's number, as in a shell."""

EXIT_CODE: dict[type[DiskError], int] = {
    Invalid: 3,
    OutOfRange: 3,
    NotFound: 4,
    Exists: 5,
    Busy: 6,
    Denied: 7,
    ReadOnly: 8,
    OutOfSpace: 9,
    Unavailable: 10,
    Unsupported: 11,
    Fenced: 12,
    Corrupt: 13,
    Internal: 70,
}

MEANING: dict[int, str] = {
    0: "done",
    DECLINED: "you were asked, and said no",
    USAGE: "the command line is wrong",
    3: "what was asked for cannot be: a size, a name, a range, an address",
    4: "there is no such disk, file or attachment",
    5: "it is there already",
    6: "somebody else uses it",
    7: "you are not allowed to",
    8: "it takes no writes",
    9: "no space is left",
    10: "the server, or something else that is needed, did not answer; a repeat may succeed",
    11: "this server, disk or machine cannot do it",
    12: "the disk is another one now, or lost data",
    13: "data is not what it must be",
    70: "a bug in g2disk or in a disk; report it",
    SIGNALLED + 2: "Ctrl-C (SIGINT); what had begun is undone",
    SIGNALLED + 13: "the reader of standard output went away (SIGPIPE)",
    SIGNALLED + 15: "SIGTERM; what had begun is undone",
}
"""Every code, for people."""
