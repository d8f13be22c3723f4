"""The gate of one server for many workers: its keeper hands out permits, in blocks.

A worker asks for as many permits as it has requests that wait, and gets at most its share; each is one request, and a
slot of the gate (`gate.py`) until the worker tells how that ended. So no more requests are out than the gate allows,
however many workers there are, and a window that refusals have closed is closed for all of them. The permits of a
worker that says nothing for EXPIRY seconds are free again: it is gone, or it would have said something.

Not covered: how workers and keeper talk, and the worker's side (`shared.py`). A keeper that dies is made anew by
whoever asks next: its gate finds its limit again, and does not know the requests that are out then.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from typing import NamedTuple

from maker.models.openai.http.gate import Gate, Held, Ticket
from maker.sending.late import Clock

EXPIRY = 30.0  # seconds that a worker may say nothing
WAIT = 5.0  # seconds that a worker waits for permits before it asks again, and so says that it is there

Told = tuple[int, str, float | None]  # a permit, what came of it ("" for nothing), the wait that a refusal named


class Block(NamedTuple):
    """What a worker is given: permits, and how the gate stands. closed: seconds until the window is over."""

    permits: list[int]
    closed: float
    limit: int
    said: str


class Keeper:
    """Keeps the gate of one server. ceiling, clock: as of the gate."""

    def __init__(self, ceiling: int | None, *, clock: Clock = time.monotonic, gate: Gate | None = None) -> None:
        self._gate, self._clock = gate or Gate(ceiling), clock
        self._numbers = itertools.count()
        self._out: dict[str, dict[int, Ticket]] = {}  # by worker
        self._heard: dict[str, float] = {}  # of each worker, when last

    async def ask(self, worker: str, count: int) -> tuple[list[int], float, int, str]:
        """Return a block of up to `count` permits: none where there is none within WAIT seconds. See `Block`."""
        self._hear(worker)
        gate, tickets = self._gate, list[Ticket]()
        try:
            async with asyncio.timeout(WAIT):
                tickets.append(await gate.enter(WAIT))
        except (Held, TimeoutError):
            return self._block([])
        share = max(1, gate.limit // len(self._heard))
        while len(tickets) < min(count, share) and (ticket := gate.enter_at_once()) is not None:
            tickets.append(ticket)
        permits = dict(zip(self._numbers, tickets, strict=False))
        self._hear(worker)
        self._out[worker].update(permits)
        return self._block(list(permits))

    async def tell(self, worker: str, ends: Sequence[Told]) -> tuple[list[int], float, int, str]:
        """Take how requests ended, each once; with none of them it is a sign of life. Returns a block without permits.

        An end is "good", "refused" or "slowed", or "" for a permit that brought no reply.
        """
        self._hear(worker)
        for number, what, wait in ends:
            ticket = self._out[worker].pop(number, None)
            if ticket is None:  # told before, or after its time
                continue
            if what == "refused":
                self._gate.refused(ticket, wait)
            elif what == "good":
                self._gate.good(ticket)
            elif what == "slowed":
                self._gate.slowed(ticket)
            self._gate.leave(ticket)
        return self._block([])

    def _block(self, permits: list[int]) -> Block:
        return Block(permits, self._gate.closed_for, self._gate.limit, str(self._gate))

    def _hear(self, worker: str) -> None:
        """Take note that a worker is there, and free what those hold that are not."""
        now = self._clock()
        self._heard[worker] = now
        self._out.setdefault(worker, {})
        for gone in [name for name, heard in self._heard.items() if now - heard > EXPIRY]:
            del self._heard[gone]
            for ticket in self._out.pop(gone).values():
                self._gate.leave(ticket)
