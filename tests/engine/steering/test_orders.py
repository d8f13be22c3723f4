"""A run that is steered: it pauses, goes on, stops and keeps other limits, and decides what it would have decided."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread

import maker
from maker.decision.sample import Prices, Request, Sample
from maker.engine.result import RunResult
from maker.engine.steering.address import socket_of, tell
from maker.errors import JournalError
from maker.journal.notes import Steered
from maker.journal.story import Story
from maker.review.checking.verify import verify
from scratch import scratch
from solve_model import NoisySolver, problems

ITEMS, K = range(7), 2
CALLS = len(ITEMS) * K
PROBLEM = problems(1)[0][0]


class Sure:
    """A model behind a network that says always the same; at: what to do before a call of some number is answered."""

    lockstep = False
    name = "sure"

    def __init__(
        self, at: dict[int, Callable[[], Awaitable[None]]] | None = None, prices: Prices | None = None
    ) -> None:
        self.at, self.prices = at or {}, prices
        self.calls = self.out = self.peak = 0

    async def draw(self, requests: Sequence[Request]) -> list[Sample]:
        self.calls += 1
        self.out += 1
        self.peak = max(self.peak, self.out)
        try:
            if self.calls in self.at:
                await self.at[self.calls]()
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
            return [Sample("yes", 10, 2) for _ in requests]
        finally:
            self.out -= 1


@pytest.fixture
def journal() -> Iterator[Path]:
    """Offer a place for a journal."""
    with scratch() as folder:
        yield folder / "run.db"


async def told(journal: Path, order: str, **more: Any) -> dict[str, Any]:
    """Give an order from another thread, as another process would."""
    return await to_thread.run_sync(tell, journal, {"order": order, **more})


def steering_of(journal: Path) -> list[Steered]:
    """Return what a journal says of orders."""
    return [item for _, item in Story(journal).events() if isinstance(item, Steered)]


async def go(model: Sure, journal: Path | None, items: Sequence[int] = ITEMS, **limits: Any) -> RunResult:
    """Ask about some items."""
    limits = {"concurrency": 4, **limits}
    return (await maker.map("Is {item} fine?", items, model=model, k=K, journal=journal, limits=limits)).result


async def stands(journal: Path, state: str) -> dict[str, Any]:
    """Return how a run stands as soon as it is in a state."""
    while True:
        try:
            said = await told(journal, "status")
        except JournalError:  # it has not begun to listen
            await anyio.lowlevel.checkpoint()
            continue
        if said["state"] == state:
            return said


async def while_it_runs(run: Awaitable[RunResult], person: Awaitable[None]) -> RunResult:
    """Let somebody speak to a run."""
    async with asyncio.TaskGroup() as group:
        running = group.create_task(run)  # type: ignore[arg-type]
        group.create_task(person)  # type: ignore[arg-type]
    return running.result()


@pytest.mark.asyncio
async def test_a_paused_run_sends_nothing_and_then_goes_on(journal: Path) -> None:
    """No call is sent after a pause, what was out comes and is kept, and the end is that of an undisturbed run."""
    undisturbed = await go(Sure(), None)

    async def pause() -> None:
        assert (await told(journal, "pause"))["state"] == "paused"

    model = Sure({5: pause})

    async def person() -> None:
        said = await stands(journal, "paused")
        while said["in_flight"]:
            said = await told(journal, "status")
        before = model.calls
        for _ in range(20):
            said = await told(journal, "status")
        assert (model.calls, said["calls"], said["state"]) == (before, before, "paused")
        assert (await told(journal, "resume"))["state"] == "running"

    result = await while_it_runs(go(model, journal), person())
    assert (result.solved, result.chain, model.calls) == (True, undisturbed.chain, CALLS)
    assert [note.order for note in steering_of(journal)] == ["pause", "resume"]
    assert verify(journal).problem is None
    assert not socket_of(journal).exists()


@pytest.mark.asyncio
@pytest.mark.parametrize("paused", [False, True])
async def test_a_run_that_is_stopped_can_be_resumed(journal: Path, paused: bool) -> None:
    """Stop ends a run by name once what is out has come, paused or not; the same call resumes it."""

    async def stop() -> None:
        if paused:
            await told(journal, "pause")
        assert (await told(journal, "stop"))["state"] == "stopping"

    first = Sure({5: stop})
    result = await go(first, journal)
    assert (result.stopped, result.exit_code) == ("interrupted", 3)
    second = Sure()
    assert (await go(second, journal)).solved
    assert first.calls + second.calls == CALLS  # nothing is paid twice


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("limits", "order", "more"),
    [
        ({"max_calls": 6}, "set", {"limits": {"max_calls": None}}),
        ({"max_cost": 0.00115}, "set", {"limits": {"max_cost": 5}}),
        ({"max_tokens": 1_150}, "set", {"limits": {"max_tokens": None}}),
        ({"max_steps": 3}, "extend", {"steps": 4}),
    ],
)
async def test_a_run_asks_at_a_limit(journal: Path, limits: dict[str, Any], order: str, more: dict[str, Any]) -> None:
    """A limit of the whole run that is met is a question, with on_limit; raised, the run goes on to its end."""
    model = Sure(prices=Prices(input=1, output=1) if "max_cost" in limits else None)

    async def person() -> None:
        said = await stands(journal, "asking")
        assert said["limit"] in limits
        assert next(iter(limits)) in said["why"]
        again = await told(journal, "resume")  # asks once more: nothing was raised
        assert again["state"] == "running"
        await stands(journal, "asking")
        assert (await told(journal, order, **more))["state"] == "running"

    result = await while_it_runs(go(model, journal, on_limit="pause", **limits), person())
    assert (result.solved, model.calls) == (True, CALLS)
    assert {note.limit for note in steering_of(journal)} == {"", *limits}


@pytest.mark.asyncio
async def test_without_a_journal_nobody_is_asked() -> None:
    """Where nobody could answer, a limit stops the run as ever."""
    assert (await go(Sure(), None, max_calls=6, on_limit="pause")).stopped == "max_calls"


@pytest.mark.asyncio
async def test_a_lower_limit_stops_a_run(journal: Path) -> None:
    """Limits can be lowered, too: what is spent already counts."""

    async def less() -> None:
        assert "error" not in await told(journal, "set", limits={"max_calls": 6})

    result = await go(Sure({5: less}), journal, concurrency=1)
    assert result.stopped == "max_calls"
    assert result.usage.dispatched < CALLS


@pytest.mark.asyncio
async def test_concurrency_is_raised_and_lowered(journal: Path) -> None:
    """More calls are out after more are allowed, and steps are taken up for them; fewer after fewer."""
    widened = []

    async def more() -> None:
        await told(journal, "set", limits={"concurrency": 9})

    async def full() -> None:
        while model.peak < 9:
            await anyio.lowlevel.checkpoint()

    async def less() -> None:
        assert model.peak == 9
        await told(journal, "set", limits={"concurrency": 1})

    async def later() -> None:
        alone = 0
        while alone < 1000:  # those that were let through before the order was heard begin, and end
            alone = alone + 1 if model.out == 1 else 0
            await anyio.lowlevel.checkpoint()
        model.peak = 0

    class Widened(Sure):
        def widen(self, concurrency: int) -> None:
            widened.append(concurrency)

    model = Widened({5: more, **dict.fromkeys(range(6, 15), full), 60: less, 80: later})
    assert (await go(model, journal, range(60), concurrency=2)).solved
    assert (widened, model.peak) == ([9, 1], 1)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("order", "more", "why"),
    [
        ("set", {"limits": {"k": 5}}, "k changes decisions"),
        ("set", {"limits": {"model": "x", "max_calls": 1}}, "model changes decisions"),
        ("set", {"limits": {"max_votes": 5}}, "max_votes changes decisions"),
        ("set", {"limits": {"patience": 5}}, "not to be set"),
        ("set", {"limits": {"max_calls": 0}}, "max_calls"),
        ("set", {"limits": {"max_calls": "many"}}, "max_calls"),
        ("set", {"limits": {"max_cost": 1}}, "no prices"),
        ("set", {"limits": {}}, "give limits"),
        ("set", {}, "give limits"),
        ("extend", {"steps": 0}, "how many more steps"),
        ("extend", {"steps": True}, "how many more steps"),
        ("extend", {"steps": 3}, "no max_steps"),
        ("dance", {}, "there is no order 'dance'"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(journal: Path, order: str, more: dict[str, Any], why: str) -> None:
    """A refused order changes nothing, is not journaled, and says what is wrong with it."""
    heard = []

    async def ask() -> None:
        heard.append(await told(journal, order, **more))

    assert (await go(Sure({3: ask}), journal)).solved
    assert why in heard[0]["error"]
    assert not steering_of(journal)


@pytest.mark.asyncio
async def test_a_model_in_this_process_is_steered_too(journal: Path) -> None:
    """A run that computes without a pause between its batches hears orders, and keeps those that make sense there."""
    heard = []

    async def person() -> None:
        heard.append(await stands(journal, "running"))
        heard.append(await told(journal, "pause"))
        heard.append(await told(journal, "set", limits={"concurrency": 3}))
        heard.append(await told(journal, "set", limits={"max_tokens": 3}))
        heard.append(await told(journal, "stop"))

    run = maker.run(maker.load_task("hanoi", disks=20), model="oracle:p=0.9,v=1", k=3, segments=1, journal=journal)
    result = await while_it_runs(run, person())
    assert result.stopped == "interrupted"
    assert [said["state"] for said in heard[1:]] == ["paused", "paused", "paused", "stopping"]
    assert "computes in the run's process" in heard[2]["error"]
    assert "counts its tokens only" in heard[3]["error"]


@pytest.mark.asyncio
async def test_a_paused_run_hears_its_caller(journal: Path) -> None:
    """An interrupt ends a run that is paused, though nothing is asked between its waves."""
    paused = anyio.Event()

    async def person() -> None:
        await stands(journal, "running")
        await told(journal, "pause")
        paused.set()

    task = maker.load_task("hanoi", disks=20)
    run = maker.run(task, model="oracle:p=0.9,v=1", k=3, segments=1, journal=journal, interrupted=paused.is_set)
    assert (await while_it_runs(run, person())).stopped == "interrupted"


@pytest.mark.asyncio
async def test_a_solve_is_steered_by_the_same_orders(journal: Path) -> None:
    """A solve that met a limit asks, and ends as it would have."""

    async def person() -> None:
        await stands(journal, "asking")
        await told(journal, "set", limits={"max_calls": None})

    limits = {"max_calls": 3, "on_limit": "pause"}
    solve = maker.solve(PROBLEM, model=NoisySolver(lockstep=False), k=1, journal=journal, limits=limits)
    assert (await while_it_runs(solve, person())).solved
