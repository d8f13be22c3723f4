"""A server that refuses or hangs costs little more than a client whose requests back off each by itself; virtual time.

The cells are those of `tests/benchmarks/throttled.py`, which measures the same against a server of its own.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from itertools import count
from typing import NamedTuple

import pytest

from maker.decision.address import Address
from maker.decision.sample import Failure, Reply, Request, Sample
from maker.models.openai.http.gate import Gate
from maker.sending import dispatcher
from maker.sending.budget.limits import Limits
from maker.sending.budget.usage import Usage
from virtual import virtually

AT_ONCE = 64  # workers of the bare client, and steps side by side
LEAST = 0.6  # of what the bare client gets


class Case(NamedTuple):
    """How a server behaves: the share of requests it refuses, or its slots; the share that hangs."""

    name: str
    delay: float = 0.05  # seconds a reply
    refused: float = 0.0
    wait: float = 0.0  # Retry-After
    slots: int = 10_000
    hang: float = 0.0
    timeout: float = 120.0
    seconds: float = 2.0  # it is watched


CASES = (
    Case("1% refused, Retry-After 1", refused=0.01, wait=1),
    Case("5% refused, Retry-After 1", refused=0.05, wait=1),
    Case("30% refused, Retry-After 1", refused=0.3, wait=1),
    Case("1% refused, no wait named", refused=0.01),
    Case("5% refused, no wait named", refused=0.05),
    Case("30% refused, no wait named", refused=0.3),
    Case("2% refused, replies of 1 s", delay=1.0, refused=0.02, wait=1, seconds=8.0),
    Case("16 slots, the rest refused", slots=16, wait=1),
    Case("16 slots, no wait named", slots=16),
    Case("5% hang, timeout 1 s", hang=0.05, timeout=1.0),
)


class Server:
    """Answers after a while, or refuses at once."""

    def __init__(self, case: Case) -> None:
        self.case, self.choose = case, random.Random(7)
        self.out = self.done = self.refusals = 0

    async def ask(self, noticed: Callable[[], None]) -> Failure | None:
        case = self.case
        await asyncio.sleep(0.001)
        if self.choose.random() < case.refused or self.out >= case.slots:
            self.refusals += 1
            noticed()
            return Failure("transient", "429", case.wait or None)
        self.out += 1
        try:
            await asyncio.sleep(3600 if self.choose.random() < case.hang else case.delay)
        finally:
            self.out -= 1
        self.done += 1
        return None


class Gated:
    """The server behind a gate, as a model; what `OpenAI` does with one but for the bytes."""

    name, lockstep = "gated", False

    def __init__(self, server: Server, concurrency: int | None) -> None:
        self.server = server
        self.gate = Gate(concurrency, clock=asyncio.get_running_loop().time, jitter=server.choose.random)

    def bears(self) -> int:
        return 2 * self.gate.limit

    async def draw(self, requests: Sequence[Request]) -> list[Reply]:
        case, gate = self.server.case, self.gate
        ticket = await gate.enter(case.timeout)
        try:
            async with asyncio.timeout(case.timeout):
                failure = await self.server.ask(lambda: gate.refused(ticket, case.wait or None))
            if failure is None:
                gate.good(ticket)
            return [failure or Sample("OK")]
        except TimeoutError:
            gate.slowed(ticket)
            return [Failure("transient", "no whole reply in time")]
        finally:
            gate.leave(ticket)


async def watched(server: Server, work: Callable[[], object]) -> Server:
    """Let workers ask a server for a while, and return it."""
    workers = [asyncio.ensure_future(work()) for _ in range(AT_ONCE)]  # type: ignore[arg-type]
    await asyncio.sleep(server.case.seconds)
    for worker in workers:
        worker.cancel()
    ends = await asyncio.gather(*workers, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends), "no step was lost"
    return server


async def bare(case: Case) -> Server:
    """Ask with requests that back off each by itself."""
    server, choose = Server(case), random.Random(8)

    async def work() -> None:
        refusals = 0
        while True:
            try:
                async with asyncio.timeout(case.timeout):
                    refusals = refusals + 1 if await server.ask(lambda: None) else 0
            except TimeoutError:
                refusals += 1
            if refusals:
                await asyncio.sleep((case.wait or 0.05 * 2**refusals) * (1 + choose.random() / 4))

    return await watched(server, work)


async def engine(case: Case, concurrency: int | None) -> Server:
    """Ask as a run does, with steps of one draw."""
    server, steps = Server(case), count()
    sends = dispatcher.Dispatcher(Gated(server, concurrency), Limits(concurrency=concurrency), Usage())

    async def work() -> None:
        while True:
            await sends.draw([Request(Address("run", next(steps), 0), "prompt", 1, max_tokens=5)])

    return await watched(server, work)


@pytest.mark.parametrize("concurrency", [AT_ONCE, None], ids=["told", "found"])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_refusal_slows_one_request_not_the_run(case, concurrency, monkeypatch):
    """The run gets most of what a bare client gets, whether its concurrency is told or found, from the start on."""
    monkeypatch.setattr(dispatcher, "jitter", random.Random(9).random)
    theirs, _ = virtually(lambda: bare(case))
    ours, _ = virtually(lambda: engine(case, concurrency))
    assert ours.done >= LEAST * theirs.done, f"{ours.done / theirs.done:.2f} of the bare client"
    if concurrency is None and case.slots < AT_ONCE:
        assert ours.refusals <= theirs.refusals, "it finds what the server bears with fewer refusals"
