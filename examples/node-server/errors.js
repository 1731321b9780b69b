// Errors as proto/g2disk/v1/disk.proto has them: a gRPC status, and in the trailers the kind and the errno.

'use strict';

const { constants } = require('node:os');
const grpc = require('@grpc/grpc-js');

const KINDS = {
  Invalid: [grpc.status.INVALID_ARGUMENT, constants.errno.EINVAL],
  OutOfRange: [grpc.status.OUT_OF_RANGE, constants.errno.EINVAL],
  Unsupported: [grpc.status.UNIMPLEMENTED, constants.errno.EOPNOTSUPP],
  NotFound: [grpc.status.NOT_FOUND, constants.errno.ENOENT],
  Unavailable: [grpc.status.UNAVAILABLE, constants.errno.EIO],
  Fenced: [grpc.status.FAILED_PRECONDITION, constants.errno.ESTALE],
  Internal: [grpc.status.INTERNAL, constants.errno.EIO],
};

// An Error that grpc-js sends as it is; `kind` and `errno` are for replies of sessions.
function failure(kind, details, status = KINDS[kind][0]) {
  const errno = KINDS[kind][1];
  const metadata = new grpc.Metadata();
  metadata.set('g2disk-kind', kind);
  metadata.set('g2disk-errno', String(errno));
  return Object.assign(new Error(details), { code: status, details, metadata, kind, errno });
}

// What a method threw, as a failure: anything else than a failure is a bug.
function asFailure(error) {
  return error.kind === undefined ? failure('Internal', String(error)) : error;
}

module.exports = { asFailure, failure };
