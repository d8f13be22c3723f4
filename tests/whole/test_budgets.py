"""Budgets hold by the server's own books: concurrency, retries, odd figures, several draws a call, and crashes.

A crash is what `kill -9` leaves: the journal's files as they are at that moment, copied while calls are out, and the
run that resumes from the copy. The server books a call when it comes in, whatever becomes of it.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

import maker
from maker.decision.sample import Failure, Prices, Request, Sample
from maker.sending import dispatcher as settle
from maker.sending.budget.usage import TEMPLATE_TOKENS
from scratch import scratch

TASK = maker.load_task("hanoi", disks=3)
CAP = 60  # tokens of a reply, at most
CRASHES = 4  # of one trial, at most


class Crash(BaseException):
    """The process is gone."""


@dataclass
class Books:
    """What the server has booked."""

    calls: int = 0
    tokens: int = 0
    cost: float = 0.0


class Server:
    """A model behind a network that fails, reports oddly, and may take the whole process with it."""

    lockstep = False
    name = "billing"

    def __init__(self, chance: random.Random, books: Books, prices: Prices | None, n: int) -> None:
        self.chance, self.books, self.prices, self.n = chance, books, prices, n
        self.journal, self.image = Path(), Path()
        self.dies_after: int | None = None

    async def draw(self, requests: Sequence[Request]) -> list[Sample | Failure]:
        """Book the call, wait a little, and answer in one of many ways."""
        chance, books = self.chance, self.books
        if self.dies_after is not None and self.dies_after <= 0:
            raise Crash  # the dead send nothing
        books.calls += 1
        replies: list[Sample | Failure] = []
        for request in requests:
            told = chance.randint(1, len(request.prompt.encode()) + TEMPLATE_TOKENS)
            wrote = chance.choice((1, chance.randint(1, CAP), CAP))
            cached = chance.randint(0, told) if chance.random() < 0.3 else None
            books.tokens += told + wrote
            if self.prices is not None:
                books.cost += self.prices.cost(told, wrote, cached or 0)
            replies.append(self._reply(request, told, wrote, cached))
        for _ in range(chance.randint(0, 4)):
            await anyio.lowlevel.checkpoint()
        if self.dies_after is not None:
            self.dies_after -= 1
            if self.dies_after == 0:
                self._leave_an_image()
            if self.dies_after <= 0:
                raise Crash
        return replies

    def _leave_an_image(self) -> None:
        for suffix in ("", "-wal"):
            file = self.journal.with_name(self.journal.name + suffix)
            if file.exists():
                shutil.copy(file, self.image.with_name(self.image.name + suffix))

    def _reply(self, request: Request, told: int, wrote: int, cached: int | None) -> Sample | Failure:
        kind = self.chance.random()
        if kind < 0.15:  # lost on its way, or broken: some say what it cost
            return self.chance.choice((
                Failure("transient", "cut off", None, None, None), Failure("transient", "no choices", 0.0, told, wrote),
                Failure("transient", "half a bill", None, told, None),
                Failure("again", "put differently", None, told, wrote),
            ))  # fmt: skip
        right = TASK.render(TASK.truth(request.state, request.address.step))
        text = (
            right
            if kind < 0.8
            else self.chance.choice(("what?", "", None, "move = [1, 0, 1]\nnext_state = [[], [], []]"))
        )
        figures = self.chance.choice(
            ((told, wrote, cached),) * 5 + ((None, None, None), (told, None, None), (None, wrote, 9))
        )
        identity = f"{self.books.calls}-{request.address.draw}"
        return Sample(text, figures[0], figures[1], "stop", identity, None, None, 0.0, None, figures[2])


async def trial(seed: int, folder: Path) -> str:
    """Carry one task out under random caps and crashes; return how it ended."""
    chance = random.Random(seed)
    prices = chance.choice((None, Prices(input=3.0, output=15.0), Prices(input=3.0, output=15.0, cached=0.3)))
    caps: dict[str, Any] = {"concurrency": chance.choice((1, 2, 3, 8, 32))}
    if chance.random() < 0.6:
        caps["max_calls"] = chance.randint(1, 60)
    if chance.random() < 0.6:
        caps["max_tokens"] = chance.randint(500, 30_000)
    if prices is not None and chance.random() < 0.8:
        caps["max_cost"] = chance.uniform(0.001, 0.1)
    books = Books()
    k, segments = chance.choice((1, 2, 3, 4)), chance.choice((1, 2, 7))
    path = folder / f"{seed}-0.db"
    for life in range(CRASHES + 1):
        server = Server(chance, books, prices, chance.choice((1, 1, 2, 3)))
        server.journal, server.image = path, folder / f"{seed}-{life + 1}.db"
        server.dies_after = chance.randint(1, 30) if life < CRASHES and chance.random() < 0.8 else None
        ended = "crash"
        try:
            result = await maker.run(
                TASK, model=server, k=k, journal=path, segments=segments, limits=caps, token_cap=CAP
            )
            ended = result.stopped or "solved"
            assert result.usage.tokens >= books.tokens
            assert result.usage.dispatched >= books.calls
            assert result.cost is None or result.cost >= books.cost - 1e-9
        except Crash:
            path = server.image
        assert books.calls <= caps.get("max_calls", books.calls), (seed, books, caps)
        assert books.tokens <= caps.get("max_tokens", books.tokens), (seed, books, caps)
        assert books.cost <= caps.get("max_cost", books.cost) + 1e-9, (seed, books, caps)
        if ended != "crash":
            return ended
    return "crash"


async def shared_trial(seed: int) -> list[str]:
    """Carry several runs out at once, each with caps of its own and all with one budget; return how they ended."""
    chance = random.Random(seed)
    prices = Prices(input=3.0, output=15.0)
    caps = {"max_cost": chance.uniform(0.001, 0.1), "max_tokens": chance.randint(500, 60_000)}
    budget, books, ends = maker.Budget(max_calls=chance.randint(5, 100), **caps), Books(), []

    async def one() -> None:
        own = {"concurrency": chance.choice((1, 3, 32)), "max_tokens": chance.randint(500, 30_000)}
        server = Server(chance, books, prices, chance.choice((1, 2)))
        result = await maker.run(
            TASK, model=server, k=chance.choice((1, 3)), limits=own, segments=7, token_cap=CAP, budget=budget
        )
        ends.append(result.stopped or "solved")

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            for _ in range(chance.randint(2, 5)):
                group.start_soon(one)
    assert books.calls <= (budget.max_calls or 0), (seed, books, budget)
    assert books.tokens <= budget.tokens <= caps["max_tokens"], (seed, books, budget)
    assert books.cost - 1e-9 <= (budget.cost or 0) <= caps["max_cost"] + 1e-9, (seed, books, budget)
    return ends


@pytest.mark.parametrize("trials", [40, pytest.param(2_000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_no_cap_of_a_shared_budget_is_ever_passed(trials: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the server's own books runs that go on at once never take more than the budget that they share."""
    monkeypatch.setattr(settle, "FIRST_BACKOFF", 0.0)
    monkeypatch.setattr(settle, "LONGEST_AT_START", 0.0)
    monkeypatch.setattr(settle, "LONGEST_BACKOFF", 0.0)

    async def all_of_them() -> set[str]:
        return {end for seed in range(trials) for end in await shared_trial(seed)}

    assert anyio.run(all_of_them) >= {"solved", "max_calls", "max_tokens", "max_cost"}


@pytest.mark.parametrize("trials", [150, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_no_cap_is_ever_passed(trials: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the server's own books no run sends, reads, writes or pays more than its caps, crashes included."""
    monkeypatch.setattr(settle, "FIRST_BACKOFF", 0.0)
    monkeypatch.setattr(settle, "LONGEST_AT_START", 0.0)
    monkeypatch.setattr(settle, "LONGEST_BACKOFF", 0.0)

    async def all_of_them() -> dict[str, int]:
        ends: dict[str, int] = {}
        for seed in range(trials):
            with scratch() as folder:
                ended = await trial(seed, folder)
            ends[ended] = ends.get(ended, 0) + 1
        return ends

    ends = anyio.run(all_of_them)
    print(ends)
    assert ends.keys() >= {"solved", "max_calls", "max_tokens", "max_cost"}
