// The Session call of g2disk.v1: batches of requests in, the disk's methods, batches of replies out.
//
// Requests run side by side, and all that are done in one turn of the event loop are answered in one message.

'use strict';

const grpc = require('@grpc/grpc-js');
const { asFailure, failure } = require('./errors');

const MIB = 1024 * 1024;
const LIMITS = {
  maximum_in_flight_requests: 1024,
  maximum_in_flight_bytes: 16 * MIB,
  maximum_message: 4 * MIB, // what grpc-js takes
};
const MARGIN = 4096; // bytes that a message may have around its largest piece of data
const ROW = 1024; // more than a reply takes beside its data, and than a message takes beside its replies
const LONGEST_ERROR = 200; // characters
const MOST_CLIENTS = 10000; // whose last attempt is remembered when they are gone

const READ = 0;
const WRITE = 1;
const FUA = 1;
const KEEP_ALLOCATED = 2;
const FAST = 16;
const OPERATIONS = {
  [READ]: { method: 'Read', flags: 0 },
  [WRITE]: { method: 'Write', flags: FUA },
  3: { method: 'Flush', flags: 0 },
  4: { method: 'Trim', flags: FUA },
  5: { method: 'Cache', flags: 0 },
  6: { method: 'Zero', flags: FUA | KEEP_ALLOCATED | FAST },
  7: { method: 'Extents', flags: 0 },
};

const OPENING = 'opening'; // in flight like a request, until it is confirmed
const NOTHING = Buffer.alloc(0);

// All sessions of a server with one disk, which is an object with
//   check({ disk, identity })   throws a failure when another disk is meant,
//   describe()                  what Describe answers,
//   perform(method, request)    what that method answers; a promise.
class Sessions {
  constructor(disk) {
    this.disk = disk;
    this.live = new Set();
    this.newest = new Map(); // client -> its last attempt, and that session while it lives
  }

  serve(call) {
    this.live.add(new Session(this, call));
  }

  // Let `session` be its client's only one.  The one before it, if it lives, is returned: it must be over first.
  enter(session) {
    const { client, attempt } = session;
    const last = this.newest.get(client) ?? { attempt: 0, session: null };
    if (attempt <= last.attempt) {
      throw failure('Fenced', `attempt ${attempt} comes after attempt ${last.attempt} of the same client; it is stale`);
    }
    this.newest.delete(client); // a Map keeps the order of insertion
    this.newest.set(client, { attempt, session });
    for (const [other, { session: live }] of this.newest) {
      if (this.newest.size <= MOST_CLIENTS) break;
      if (live === null) this.newest.delete(other);
    }
    return last.session;
  }

  leave(session) {
    this.live.delete(session);
    const last = this.newest.get(session.client);
    if (last !== undefined && last.session === session) last.session = null;
  }

  shutdown() {
    for (const session of this.live) session.end(failure('Unavailable', 'the server is shutting down'));
  }
}

class Session {
  constructor(sessions, call) {
    this.sessions = sessions;
    this.disk = sessions.disk;
    this.call = call;
    this.opened = null; // what was answered to the opening
    this.inFlight = new Map(); // id -> bytes
    this.bytesInFlight = 0;
    this.replies = []; // not sent yet
    this.ending = false; // nothing is begun any more; the stream ends when all is answered,
    this.last = null; // with this failure, or with OK
    this.over = false; // nothing is begun or sent any more; what is in flight goes on
    this.finished = new Promise((resolve) => (this.finish = resolve)); // over, and nothing in flight
    call.on('data', (message) => this.receive(message));
    call.on('end', () => this.end(null));
    call.on('cancelled', () => this.close(null));
  }

  receive(message) {
    if (this.over || this.ending) return;
    try {
      if (this.opened !== null) this.take(message);
      else if (!this.inFlight.has(OPENING)) this.open(message);
      else throw failure('Invalid', 'a message came before the session was open');
    } catch (error) {
      this.close(error);
    }
  }

  open({ client, attempt, disk, identity, open, ids, payload }) {
    this.longestReply = open?.maximum_message || 4 * MIB;
    invalid(open === null, 'the first message of a session has `open`');
    invalid(ids.length > 0 || payload.length > 0, 'the first message of a session has no requests');
    invalid(client.length !== 16 || attempt < 1, 'a client has 16 bytes, and its attempts count from 1 up');
    invalid(this.longestReply < 2 * MARGIN, `a client takes messages of ${2 * MARGIN} bytes at least`);
    this.disk.check({ disk, identity });

    this.client = client.toString('hex');
    this.attempt = attempt;
    const older = this.sessions.enter(this);
    this.inFlight.set(OPENING, 0);
    this.confirm(open, older)
      .catch((error) => this.close(error))
      .finally(() => this.settle(OPENING));
  }

  // Answer the opening when nothing of the older session can happen any more.
  async confirm(wanted, older) {
    if (older !== null) {
      older.close(failure('Fenced', 'the same client has opened a newer session; this one is stale'));
      await older.finished;
    }
    const description = this.disk.describe();
    this.opened = { description, ...LIMITS };
    for (const name of ['maximum_in_flight_requests', 'maximum_in_flight_bytes']) {
      this.opened[name] = Math.min(wanted[name] || LIMITS[name], LIMITS[name]);
    }
    this.send({ opened: this.opened });
  }

  // A batch: all of it is checked before any of it is begun.
  take(message) {
    this.checkHead(message);
    const requests = requestsOf(message);
    const ids = new Set(message.ids);
    const taken = message.ids.some((id) => this.inFlight.has(id));
    invalid(taken || ids.size < requests.length, 'the id of a request is that of another one in flight');
    const bytes = requests.reduce((sum, request) => sum + request.bytes, this.bytesInFlight);
    const { maximum_in_flight_requests: mostRequests, maximum_in_flight_bytes: mostBytes } = this.opened;
    if (this.inFlight.size + requests.length > mostRequests || bytes > mostBytes) {
      const details = `more than ${mostRequests} requests and ${mostBytes} bytes would be in flight`;
      throw failure('Invalid', details, grpc.status.RESOURCE_EXHAUSTED);
    }
    for (const request of requests) {
      this.inFlight.set(request.id, request.bytes);
      this.perform(request);
    }
    this.bytesInFlight = bytes;
  }

  checkHead({ client, attempt, disk, identity, open }) {
    const same = client.toString('hex') === this.client && attempt === this.attempt;
    invalid(open !== null, 'a session is opened once');
    invalid(!same || disk !== this.opened.description.disk, 'this is another client, attempt or disk than was opened');
    this.disk.check({ disk, identity });
  }

  async perform(request) {
    const reply = { id: request.id, data: NOTHING };
    try {
      const { data } = await this.disk.perform(this.methodOf(request), request);
      if (request.operation === READ) reply.data = data;
    } catch (error) {
      const { kind, errno, details } = asFailure(error);
      reply.error = { id: request.id, kind, errno, message: details.slice(0, LONGEST_ERROR) };
    }
    if (this.replies.length === 0) setImmediate(() => this.answer());
    this.replies.push(reply);
  }

  // The name of the request's method.  Throws what speaks against the request.
  methodOf({ operation, flags, length }) {
    const known = OPERATIONS[operation];
    if (known === undefined || (flags & ~known.flags) !== 0) {
      throw failure('Invalid', `there is no operation ${operation} with flags ${flags}`);
    }
    if (operation === READ && length > this.longestReply - MARGIN) {
      throw failure('Invalid', `split a read of ${length} bytes into pieces of ${this.longestReply - MARGIN}`);
    }
    return known.method;
  }

  // Send the replies there are, in as few messages as the client takes.
  answer() {
    const replies = this.replies;
    this.replies = [];
    let batch = [];
    let size = ROW;
    for (const reply of replies) {
      const more = ROW + reply.data.length;
      if (size + more > this.longestReply) {
        this.sendBatch(batch);
        batch = [];
        size = ROW;
      }
      batch.push(reply);
      size += more;
    }
    this.sendBatch(batch);
    for (const { id } of replies) this.settle(id);
  }

  sendBatch(replies) {
    const good = replies.filter(({ error }) => error === undefined);
    this.send({
      ids: good.map(({ id }) => id),
      lengths: good.map(({ data }) => data.length),
      errors: replies.map(({ error }) => error).filter((error) => error !== undefined),
      payload: Buffer.concat(good.map(({ data }) => data)),
    });
  }

  send(message) {
    if (this.over) return;
    const { identity, instance } = this.opened.description;
    if (!this.call.write({ identity, instance, attempt: this.attempt, ...message })) {
      // The client is slow to read replies, so no more of its requests are read meanwhile.
      this.call.pause();
      this.call.once('drain', () => this.call.resume());
    }
  }

  settle(id) {
    this.bytesInFlight -= this.inFlight.get(id);
    this.inFlight.delete(id);
    this.look();
  }

  // End the stream when what is in flight is answered: with this failure, or with OK when it is null.
  end(error) {
    if (!this.ending) this.last = error;
    this.ending = true;
    this.look();
  }

  // End the stream at once.
  close(error) {
    if (this.over) return;
    this.over = true;
    if (error === null) this.call.end();
    else this.call.emit('error', asFailure(error));
    this.look();
  }

  // See whether it is time to end.
  look() {
    if (this.inFlight.size > 0) return;
    if (this.over) {
      this.sessions.leave(this);
      this.finish();
    } else if (this.ending) {
      this.close(this.last);
    }
  }
}

function invalid(condition, details) {
  if (condition) throw failure('Invalid', details);
}

// The requests of a message, each with its part of the payload.
function requestsOf({ ids, operations, offsets, lengths, payload }) {
  const columns = [operations, offsets, lengths];
  invalid(columns.some((column) => column.length !== ids.length), 'the columns of a message are equally long');
  let at = 0;
  const requests = ids.map((id, i) => {
    const operation = operations[i] & 0xff;
    const flags = operations[i] >>> 8;
    const data = payload.subarray(at, operation === WRITE ? at + lengths[i] : at);
    if (operation === WRITE) at += lengths[i];
    return {
      id,
      operation,
      flags,
      offset: offsets[i],
      length: lengths[i],
      data,
      bytes: operation === READ || operation === WRITE ? lengths[i] : 0,
      fua: (flags & FUA) !== 0,
      keep_allocated: (flags & KEEP_ALLOCATED) !== 0,
      fast: (flags & FAST) !== 0,
    };
  });
  invalid(at !== payload.length, `the writes of this message have ${at} bytes, and it has ${payload.length}`);
  return requests;
}

module.exports = { Sessions };
