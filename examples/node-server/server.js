// A ramdisk that speaks g2disk.v1, written from proto/g2disk/v1/disk.proto and nothing else.
//
//     node server.js [BYTES] [ADDRESS]      such as: node server.js 67108864 127.0.0.1:8080

'use strict';

const { randomUUID } = require('node:crypto');
const { constants } = require('node:os');
const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');

const NAME = 'default';
const size = Number(process.argv[2] ?? 64 * 1024 * 1024);
const address = process.argv[3] ?? `127.0.0.1:${process.env.PORT ?? 8080}`;

if (!Number.isInteger(size) || size < 512 || size % 512 !== 0) {
  console.error(`a disk has a positive multiple of 512 bytes, not ${process.argv[2]}`);
  process.exit(2);
}
const memory = Buffer.alloc(size);

// Memory is gone after a restart: each start is another disk, and so has another identity and another instance.
const identity = randomUUID();
const instance = randomUUID();

const KINDS = {
  NotFound: [grpc.status.NOT_FOUND, constants.errno.ENOENT],
  Fenced: [grpc.status.FAILED_PRECONDITION, constants.errno.ESTALE],
  OutOfRange: [grpc.status.OUT_OF_RANGE, constants.errno.EINVAL],
};

function failure(kind, details) {
  const [code, errno] = KINDS[kind];
  const metadata = new grpc.Metadata();
  metadata.set('g2disk-kind', kind);
  metadata.set('g2disk-errno', String(errno));
  return Object.assign(new Error(details), { code, details, metadata });
}

function checkDisk(request) {
  if (request.disk !== '' && request.disk !== NAME) {
    throw failure('NotFound', `there is no disk '${request.disk}'; the only one is '${NAME}'`);
  }
  if (request.identity !== '' && request.identity !== identity) {
    throw failure('Fenced', `'${NAME}' is another disk now, ${identity}`);
  }
}

// The bytes that a request names.  Numbers above 2^53 are rounded, and lie beyond the end all the same.
function range(offset, length) {
  if (offset + length > size) {
    throw failure('OutOfRange', `${length} bytes at ${offset} reach beyond the disk's ${size}`);
  }
  return memory.subarray(offset, offset + length);
}

const methods = {
  Describe: () => ({
    disk: NAME,
    identity,
    instance,
    size,
    capabilities: { flush: true, trim: true, zero: true, fast_zero: true, multi_conn: true },
    description: `ramdisk of Node.js ${process.version}`,
  }),
  Read: ({ offset, length }) => ({ data: range(offset, length) }),
  Write: ({ offset, data }) => {
    range(offset, data.length).set(data);
    return { instance };
  },
  Flush: () => ({ instance }),
  Trim: ({ offset, length }) => {
    range(offset, length).fill(0);
    return { instance };
  },
  Zero: ({ offset, length }) => {
    range(offset, length).fill(0);
    return { instance };
  },
};

// One gRPC handler a method: check which disk is meant, do the work, answer.
function handler(work) {
  return (call, callback) => {
    try {
      checkDisk(call.request);
      callback(null, work(call.request));
    } catch (error) {
      callback(error.code === undefined ? { code: grpc.status.INTERNAL, details: String(error) } : error);
    }
  };
}

const definition = protoLoader.loadSync('g2disk/v1/disk.proto', {
  includeDirs: [path.join(__dirname, '..', '..', 'proto')],
  keepCase: true,
  longs: Number,
  defaults: true,
});
const server = new grpc.Server();
server.addService(
  grpc.loadPackageDefinition(definition).g2disk.v1.Disk.service,
  Object.fromEntries(Object.entries(methods).map(([name, work]) => [name, handler(work)])),
);

server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) {
    console.error(error.message);
    process.exit(1);
  }
  console.log(`serving ${size} bytes on ${address.startsWith('unix:') ? address : address.replace(/\d+$/, port)}`);
});

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => server.tryShutdown(() => process.exit(0)));
}
