"""What workers and faults of a run share: the client, the way to the server, the judge, and what goes to the verdict.

One event loop.  The judge is told of a request before it is sent and after it was answered, so it never takes two for
ordered that were in flight together.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from g2disk.errors import Corrupt, DiskError, Fenced, Internal, Invalid, OutOfRange, ReadOnly, Unavailable, Unsupported
from g2disk.request import FLUSH, READ, TRIM, WRITE, ZERO
from g2disk.torture.blocks import ANYTHING, BLOCK, ZEROES, Blocks
from g2disk.torture.client import Client
from g2disk.torture.judge import Finding, Judge, Kind, Pending, Range
from g2disk.torture.plan import Round, Step
from g2disk.torture.proxy import Proxy
from g2disk.torture.verdict import Verdict, Violation

NEVER_RIGHT = (Invalid, OutOfRange, Unsupported, Corrupt, Internal)
"""Errors for which a correct request gives no cause."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What is run."""

    seed: int
    rounds: range
    """The numbers of the rounds."""
    size: int
    """Bytes of the disk's beginning that are used."""
    run: int
    """Up to 64 bits that no other run on this disk has, so that its data is known from this one's."""
    client: bytes
    """16 bytes, the client's id."""
    disk: str = ""
    """The disk's name; empty: the server's default disk."""
    repeat: int = 1
    """Times that each round is run."""
    patience: float = 30.0
    """Seconds after which a request counts as unanswered."""

    def alone(self, number: int, repeat: int) -> Settings:
        """These, but for that one round only, some times over."""
        return replace(self, rounds=range(number, number + 1), repeat=repeat)


class Stage:
    """Made for one run; `open` comes first."""

    def __init__(self, proxy: Proxy, settings: Settings, verdict: Verdict) -> None:
        self.verdict = verdict
        self.client: Client | None = None
        """None while one was thrown away and the next one is not ready."""
        self.ready = asyncio.Event()
        """There is a client."""
        self.refusal: Fenced | None = None
        """Why the client does not go on with the disk."""
        self.round: Round
        """The one that runs."""
        self.blocks: Blocks
        self._proxy = proxy
        self._settings = settings
        self._judge: Judge
        self._generation = 0
        self._identity = self._instance = ""
        """What the server said when everything had been flushed last."""
        self._version = 0

    async def open(self) -> int:
        """Open the disk for the first time; the number of its blocks.  Raises `ReadOnly`, `Invalid`."""
        client = self.client = await self._connect()
        info = client.disk.info()
        if info.read_only:
            raise ReadOnly("the disk is read-only; serve it for writing")
        self._identity, self.verdict.protocol = info.identity, client.protocol
        self.blocks = Blocks(self._settings.run, max(BLOCK, info.minimum_block))
        self._judge = Judge(self.blocks, info.minimum_block)
        count = min(self._settings.size, info.size) // self.blocks.size
        if not count:
            raise Invalid(f"there is not one block of {self.blocks.size} bytes to be used; take a larger disk and size")
        self.ready.set()
        return count

    async def close(self) -> None:
        """Close the client."""
        if self.client is not None:
            await self.client.close()

    async def do(self, client: Client, writer: int, step: Step) -> None:
        """One request of a worker.  What is wrong with its answer goes to the verdict; errors that are no promise's
        breach, a full store say, are raised.
        """
        pending: Pending | None = None
        try:
            if step.operation == FLUSH:
                await self._flush(client)
            elif step.operation == READ:
                await self._read(client, step.where, "while requests ran")
            else:
                pending = self._begin(client, writer, step)
                await self._change(client, writer, step)
                self._judge.acknowledged(pending)
            self.verdict.operations[step.operation] += 1
        except (Fenced, Unavailable, *NEVER_RIGHT) as error:
            # A client that was thrown away left its requests unanswered; `reopen` tells the judge.
            if client is self.client:
                self._failed(client, pending, step.where, error)

    async def look(self, when: str = "at the round's end") -> None:
        """Read and judge all that the round may have touched.  Raises what the disk raises."""
        assert self.client is not None
        await self._read(self.client, self.round.window, when)

    async def settle(self) -> None:
        """Give every block of the round one content, durably.  No request is in flight.  Raises as the disk does."""
        client = self.client
        assert client is not None
        self._judge.forget()
        if not all(self._judge.settled(block) for block in self.round.window):
            step = Step(WRITE, self.round.window)
            pending = self._begin(client, 0, step)
            await self._change(client, 0, step)
            self._judge.acknowledged(pending)
        await self._flush(client)
        self._judge.forget()
        self._instance = client.instance

    async def throw_away(self) -> None:
        """End the client as if it were killed: nothing more of it reaches the server, but what was held back."""
        client, self.client = self.client, None
        self.ready.clear()
        self._proxy.refuse()
        self._proxy.cut()
        if client is not None:
            await client.close()

    async def reopen(self, restarted: bool = False) -> None:
        """Open the disk with another client after `throw_away`, judge what it finds, and settle.

        With `restarted`, the server was killed in between.  Raises what the disk raises.
        """
        self._proxy.open()
        client = self.client = await self._connect()
        if client.identity != self._identity:
            self.verdict.replaced = True
            self.refusal = self.refusal or Fenced("the server has another disk now")
        else:
            lossy = self.refusal is not None or not client.notices or client.instance != self._instance
            self.verdict.losses += lossy
            self._judge.reopened(lossy, fenced=client.fences or restarted)
            await self.look("when another client had opened the disk")
            await self.settle()
        self.ready.set()

    def complain(self, where: Range, error: DiskError) -> None:
        """A request had an error that it must not have."""
        kind: Kind = "unanswered" if isinstance(error, Unavailable) else "failed"
        offset, length = self._bytes(where)
        said = str(error).replace(self._proxy.endpoint, self._proxy.upstream)
        self._note([Finding(kind, offset, length, "an answer", f"{type(error).__name__}: {said}")], "as an answer")

    def _failed(self, client: Client, pending: Pending | None, where: Range, error: DiskError) -> None:
        if isinstance(error, Fenced):
            self.refusal = error
        elif client.fences or not isinstance(error, Unavailable):
            if pending is not None:
                self._judge.failed(pending)
            self.complain(where, error)
        # Without sessions a change whose connection broke may be done or not, at any later time.

    async def _connect(self) -> Client:
        self._generation += 1
        settings = self._settings
        return await Client.open(
            self._proxy.endpoint, settings.disk, settings.client, self._generation, settings.patience
        )

    def _begin(self, client: Client, writer: int, step: Step) -> Pending:
        self._version += 1
        version = {WRITE: self._version, ZERO: ZEROES, TRIM: ANYTHING}[step.operation]
        return self._judge.begin(step.where, version, writer, step.fua and client.disk.info().flush)

    async def _change(self, client: Client, writer: int, step: Step) -> None:
        """Ask for the change that was begun last."""
        offset, length = self._bytes(step.where)
        if step.operation == WRITE:
            data = b"".join(self.blocks.content(block, self._version, writer) for block in step.where)
            await client.disk.write(offset, data, step.fua)
        elif step.operation == ZERO:
            await client.disk.zero(offset, length, step.fua)
        else:
            await client.disk.trim(offset, length, step.fua)

    async def _read(self, client: Client, where: Range, when: str) -> None:
        begun = self._judge.tick()
        data = await client.disk.read(*self._bytes(where))
        self._note(self._judge.read(begun, where, data), when)

    async def _flush(self, client: Client) -> None:
        begun = self._judge.tick()
        await client.disk.flush()
        if client.disk.info().flush:
            self._judge.flushed(begun)

    def _bytes(self, where: Range) -> tuple[int, int]:
        return where.first * self.blocks.size, where.count * self.blocks.size

    def _note(self, findings: list[Finding], when: str) -> None:
        for finding in findings:
            self.verdict.add(Violation(self.round.number, self.round.fault.kind, when, finding))
