// A ramdisk that speaks g2disk.v1, written from proto/g2disk/v1/disk.proto and nothing else.
//
//     node server.js [BYTES] [ADDRESS]      such as: node server.js 67108864 127.0.0.1:8080
//
// Two environment variables are for trying out clients: SESSION=no leaves the Session call out, and WRITE_DELAY=MS lets
// every write take that many milliseconds.

'use strict';

const { randomUUID } = require('node:crypto');
const path = require('node:path');
const { setTimeout: pause } = require('node:timers/promises');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');
const { asFailure, failure } = require('./errors');
const { Sessions } = require('./session');

const NAME = 'default';
const size = Number(process.argv[2] ?? 64 * 1024 * 1024);
const writeDelay = Number(process.env.WRITE_DELAY ?? 0);
const address = process.argv[3] ?? `127.0.0.1:${process.env.PORT ?? 8080}`;

if (!Number.isInteger(size) || size < 512 || size % 512 !== 0) {
  console.error(`a disk has a positive multiple of 512 bytes, not ${process.argv[2]}`);
  process.exit(2);
}
const memory = Buffer.alloc(size);

// Memory is gone after a restart: each start is another disk, and so has another identity and another instance.
const identity = randomUUID();
const instance = randomUUID();

function checkDisk({ disk, identity: expected }) {
  if (disk !== '' && disk !== NAME) {
    throw failure('NotFound', `there is no disk '${disk}'; the only one is '${NAME}'`);
  }
  if (expected !== '' && expected !== identity) {
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
  Write: async ({ offset, data }) => {
    const place = range(offset, data.length);
    if (writeDelay > 0) await pause(writeDelay);
    place.set(data);
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

async function perform(name, request) {
  if (methods[name] === undefined) throw failure('Unsupported', `this disk cannot do ${name}`);
  return methods[name](request);
}

// One gRPC handler a method: check which disk is meant, do the work, answer.
function handler(name) {
  return async (call, callback) => {
    try {
      checkDisk(call.request);
      callback(null, await perform(name, call.request));
    } catch (error) {
      callback(asFailure(error));
    }
  };
}

const definition = protoLoader.loadSync('g2disk/v1/disk.proto', {
  includeDirs: [path.join(__dirname, '..', '..', 'proto')],
  keepCase: true,
  longs: Number,
  defaults: true,
});
const handlers = Object.fromEntries(Object.keys(methods).map((name) => [name, handler(name)]));
const sessions = new Sessions({ check: checkDisk, describe: methods.Describe, perform });
if (process.env.SESSION !== 'no') handlers.Session = (call) => sessions.serve(call);

const server = new grpc.Server();
server.addService(grpc.loadPackageDefinition(definition).g2disk.v1.Disk.service, handlers);

server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) {
    console.error(error.message);
    process.exit(1);
  }
  console.log(`serving ${size} bytes on ${address.startsWith('unix:') ? address : address.replace(/\d+$/, port)}`);
});

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    sessions.shutdown();
    server.tryShutdown(() => process.exit(0));
  });
}
