"""The numbers of the NBD protocol, under the names of its document without the prefix NBD_.

Source: https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md, "Values"; those of extended headers from the
same file in the branch extension-ext-header.  Every number on the wire is unsigned and big-endian.
"""

from __future__ import annotations

from typing import Final

from g2disk import request

# Magic numbers ("Handshake", "Transmission").
NBDMAGIC: Final = 0x4E42444D41474943
"""Opens the server's greeting; "NBDMAGIC" in ASCII."""
IHAVEOPT: Final = 0x49484156454F5054
"""Follows it, and opens every option of the client; "IHAVEOPT" in ASCII."""
OPTION_REPLY_MAGIC: Final = 0x0003E889045565A9
REQUEST_MAGIC: Final = 0x25609513
SIMPLE_REPLY_MAGIC: Final = 0x67446698
STRUCTURED_REPLY_MAGIC: Final = 0x668E33EF
EXTENDED_REQUEST_MAGIC: Final = 0x21E41C71
EXTENDED_REPLY_MAGIC: Final = 0x6E8A278C

# Limits ("Conventions", "Size constraints", "Structured reply types").
MAXIMUM_STRING: Final = 4096
"""Bytes of UTF-8 in a name, a description, a query or an error message."""
DEFAULT_MINIMUM_BLOCK: Final = 1
DEFAULT_PREFERRED_BLOCK: Final = 4096
DEFAULT_MAXIMUM_PAYLOAD: Final = 1 << 25
"""Bytes that one request or reply may carry where no block sizes were negotiated."""
UNFRAGMENTED: Final = 65536
"""Bytes that a server must be able to send in one chunk (CMD_FLAG_DF)."""
MAXIMUM_STATUS_EXTENTS: Final = 1 << 20
"""Extents that one chunk of block status should not exceed."""
EXPORT_NAME_ZEROES: Final = 124
"""Bytes of padding behind the answer to OPT_EXPORT_NAME, unless FLAG_C_NO_ZEROES."""

# Handshake flags (server) and client flags ("Flag fields").
FLAG_FIXED_NEWSTYLE: Final = 1 << 0
FLAG_NO_ZEROES: Final = 1 << 1
FLAG_C_FIXED_NEWSTYLE: Final = 1 << 0
FLAG_C_NO_ZEROES: Final = 1 << 1

# Transmission flags.
FLAG_HAS_FLAGS: Final = 1 << 0
FLAG_READ_ONLY: Final = 1 << 1
FLAG_SEND_FLUSH: Final = 1 << 2
FLAG_SEND_FUA: Final = 1 << 3
FLAG_ROTATIONAL: Final = 1 << 4
FLAG_SEND_TRIM: Final = 1 << 5
FLAG_SEND_WRITE_ZEROES: Final = 1 << 6
FLAG_SEND_DF: Final = 1 << 7
FLAG_CAN_MULTI_CONN: Final = 1 << 8
FLAG_SEND_RESIZE: Final = 1 << 9
FLAG_SEND_CACHE: Final = 1 << 10
FLAG_SEND_FAST_ZERO: Final = 1 << 11
FLAG_BLOCK_STATUS_PAYLOAD: Final = 1 << 12

# Options ("Option types").
OPT_EXPORT_NAME: Final = 1
OPT_ABORT: Final = 2
OPT_LIST: Final = 3
OPT_STARTTLS: Final = 5
OPT_INFO: Final = 6
OPT_GO: Final = 7
OPT_STRUCTURED_REPLY: Final = 8
OPT_LIST_META_CONTEXT: Final = 9
OPT_SET_META_CONTEXT: Final = 10
OPT_EXTENDED_HEADERS: Final = 11

OPTION_NAMES: Final = {
    OPT_EXPORT_NAME: "EXPORT_NAME",
    OPT_ABORT: "ABORT",
    OPT_LIST: "LIST",
    OPT_STARTTLS: "STARTTLS",
    OPT_INFO: "INFO",
    OPT_GO: "GO",
    OPT_STRUCTURED_REPLY: "STRUCTURED_REPLY",
    OPT_LIST_META_CONTEXT: "LIST_META_CONTEXT",
    OPT_SET_META_CONTEXT: "SET_META_CONTEXT",
    OPT_EXTENDED_HEADERS: "EXTENDED_HEADERS",
}

# Replies to options ("Option reply types"); errors have bit 31 set.
REP_ACK: Final = 1
REP_SERVER: Final = 2
REP_INFO: Final = 3
REP_META_CONTEXT: Final = 4
REP_ERROR: Final = 1 << 31
"""The bit that all error replies have."""
REP_ERR_UNSUP: Final = REP_ERROR + 1
REP_ERR_POLICY: Final = REP_ERROR + 2
REP_ERR_INVALID: Final = REP_ERROR + 3
REP_ERR_PLATFORM: Final = REP_ERROR + 4
REP_ERR_TLS_REQD: Final = REP_ERROR + 5
REP_ERR_UNKNOWN: Final = REP_ERROR + 6
REP_ERR_SHUTDOWN: Final = REP_ERROR + 7
REP_ERR_BLOCK_SIZE_REQD: Final = REP_ERROR + 8
REP_ERR_TOO_BIG: Final = REP_ERROR + 9
REP_ERR_EXT_HEADER_REQD: Final = REP_ERROR + 10

REPLY_NAMES: Final = {
    REP_ACK: "ACK",
    REP_SERVER: "SERVER",
    REP_INFO: "INFO",
    REP_META_CONTEXT: "META_CONTEXT",
    REP_ERR_UNSUP: "ERR_UNSUP",
    REP_ERR_POLICY: "ERR_POLICY",
    REP_ERR_INVALID: "ERR_INVALID",
    REP_ERR_PLATFORM: "ERR_PLATFORM",
    REP_ERR_TLS_REQD: "ERR_TLS_REQD",
    REP_ERR_UNKNOWN: "ERR_UNKNOWN",
    REP_ERR_SHUTDOWN: "ERR_SHUTDOWN",
    REP_ERR_BLOCK_SIZE_REQD: "ERR_BLOCK_SIZE_REQD",
    REP_ERR_TOO_BIG: "ERR_TOO_BIG",
    REP_ERR_EXT_HEADER_REQD: "ERR_EXT_HEADER_REQD",
}

# What REP_INFO tells.
INFO_EXPORT: Final = 0
INFO_NAME: Final = 1
INFO_DESCRIPTION: Final = 2
INFO_BLOCK_SIZE: Final = 3

# Commands ("Request types"): the operations of `g2disk.request`, and the one that is no request to a disk.
CMD_READ: Final = request.READ
CMD_WRITE: Final = request.WRITE
CMD_DISC: Final = 2
CMD_FLUSH: Final = request.FLUSH
CMD_TRIM: Final = request.TRIM
CMD_CACHE: Final = request.CACHE
CMD_WRITE_ZEROES: Final = request.ZERO
CMD_BLOCK_STATUS: Final = request.EXTENTS

COMMAND_NAMES: Final = {
    CMD_READ: "READ",
    CMD_WRITE: "WRITE",
    CMD_DISC: "DISC",
    CMD_FLUSH: "FLUSH",
    CMD_TRIM: "TRIM",
    CMD_CACHE: "CACHE",
    CMD_WRITE_ZEROES: "WRITE_ZEROES",
    CMD_BLOCK_STATUS: "BLOCK_STATUS",
}

# Command flags.
CMD_FLAG_FUA: Final = request.FUA
CMD_FLAG_NO_HOLE: Final = request.KEEP_ALLOCATED
CMD_FLAG_DF: Final = 1 << 2
CMD_FLAG_REQ_ONE: Final = 1 << 3
CMD_FLAG_FAST_ZERO: Final = request.FAST
CMD_FLAG_PAYLOAD_LEN: Final = 1 << 5

# Structured and extended reply chunks; error chunks have bit 15 set.
REPLY_FLAG_DONE: Final = 1 << 0
REPLY_TYPE_NONE: Final = 0
REPLY_TYPE_OFFSET_DATA: Final = 1
REPLY_TYPE_OFFSET_HOLE: Final = 2
REPLY_TYPE_BLOCK_STATUS: Final = 5
REPLY_TYPE_BLOCK_STATUS_EXT: Final = 6
REPLY_TYPE_ERROR_BIT: Final = 1 << 15
REPLY_TYPE_ERROR: Final = REPLY_TYPE_ERROR_BIT + 1
REPLY_TYPE_ERROR_OFFSET: Final = REPLY_TYPE_ERROR_BIT + 2

# The context "base:allocation" and its flags.
BASE_ALLOCATION: Final = "base:allocation"
BASE_ALLOCATION_ID: Final = 1
"""The id that our server gives to it; a client takes whatever the server says."""
STATE_HOLE: Final = 1 << 0
STATE_ZERO: Final = 1 << 1

# Errors ("Error values").
EPERM: Final = 1
EIO: Final = 5
ENOMEM: Final = 12
EINVAL: Final = 22
ENOSPC: Final = 28
EOVERFLOW: Final = 75
ENOTSUP: Final = 95
ESHUTDOWN: Final = 108

ERROR_NAMES: Final = {
    EPERM: "EPERM",
    EIO: "EIO",
    ENOMEM: "ENOMEM",
    EINVAL: "EINVAL",
    ENOSPC: "ENOSPC",
    EOVERFLOW: "EOVERFLOW",
    ENOTSUP: "ENOTSUP",
    ESHUTDOWN: "ESHUTDOWN",
}
