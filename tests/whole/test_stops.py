"""A stop stops: when the time is over, and wherever the run waits then.

The clock jumps (`virtual.py`), and nothing here waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

import maker
from maker.decision.sample import Failure, Model, Reply, Request, Sample
from maker.errors import TaskError, Undecided
from maker.models.oracle import Oracle
from maker.testing import ScriptedModel
from solve_model import NoisySolver
from virtual import virtually

SECONDS = 5.0  # that a call has
LATE = 0.01  # seconds after them by which it must be over
HANOI = maker.load_task("hanoi", disks=5)
YES = ScriptedModel([Sample("yes", 9, 1)])


class Slow:
    """A model over a network that takes its time; it keeps when each call was sent, and how many are out."""

    lockstep = False
    name = "slow"

    def __init__(self, model: Model, seconds: float = 20.0) -> None:
        self.model, self.seconds = model, seconds
        self.sent: list[float] = []
        self.out = 0

    def bind(self, task: Any) -> None:
        """Let the model learn the truth, if it wants to."""
        getattr(self.model, "bind", lambda task: None)(task)

    async def draw(self, requests: Sequence[Request]) -> Sequence[Reply]:
        """Answer after a while."""
        self.sent.append(asyncio.get_running_loop().time())
        self.out += 1
        try:
            await anyio.sleep(self.seconds)
            return await self.model.draw(requests)
        finally:
            self.out -= 1


class Reader(Slow):
    """One that reads text, and is bound to no task."""

    bind = None  # type: ignore[assignment]


async def _vote(model: Model, **settings: Any) -> Any:
    return await maker.vote("Yes?", model=model, **settings)


async def _reliable(model: Model, **settings: Any) -> Any:
    @maker.reliable(model=model, **settings)
    async def agreed(what: str) -> str:
        """Agree to {what}."""
        raise NotImplementedError

    return await agreed("this")


async def _map(model: Model, **settings: Any) -> Any:
    return await maker.map("{item}?", range(40), model=model, k=2, **settings)


async def _run(model: Model, **settings: Any) -> Any:
    return await maker.run(HANOI, model=model, k=2, **settings)


async def _solve(model: Model, **settings: Any) -> Any:
    return await maker.solve("6 * 7", model=model, k=2, **settings)


async def _estimate(model: Model, **settings: Any) -> Any:
    return await maker.estimate(HANOI, model=model, **settings)


Call = Callable[..., Awaitable[Any]]
RESUMED: dict[str, tuple[Call, Callable[..., Slow], Model]] = {
    "map": (_map, Reader, YES), "run": (_run, Slow, Oracle(p=1)), "solve": (_solve, Reader, NoisySolver())
}  # fmt: skip
WITHOUT_JOURNAL: dict[str, tuple[Call, Callable[..., Slow], Model]] = {
    "vote": (_vote, Reader, YES), "reliable": (_reliable, Reader, YES), "estimate": (_estimate, Slow, Oracle(p=1)),
}  # fmt: skip


@pytest.mark.parametrize("slots", [None, 2])
@pytest.mark.parametrize("what", RESUMED)
def test_max_seconds_ends_a_run_in_time(what: str, slots: int | None, tmp_path: Path) -> None:
    """Replies take 20 s and 5 s are given: it ends after 5 s, nothing is sent after them, and all is booked."""
    call, made, inner = RESUMED[what]
    slow, path = made(inner), tmp_path / "stopped.db"
    limits = {"max_seconds": SECONDS, "concurrency": slots}
    result, seconds = virtually(lambda: call(slow, limits=limits, journal=path))
    result = getattr(result, "result", result)
    assert (result.stopped, result.exit_code, slow.out) == ("max_seconds", 3, 0)
    assert SECONDS <= seconds <= SECONDS + LATE and max(slow.sent) < SECONDS
    usage = result.usage
    assert (usage.dispatched, usage.cancelled, usage.in_flight) == (len(slow.sent), len(slow.sent), 0)
    assert usage.assumed >= 1024 * len(slow.sent)

    resumed, _ = virtually(lambda: call(made(inner, 0.1), journal=path))
    resumed = getattr(resumed, "result", resumed)
    assert (resumed.solved, resumed.usage.cancelled) == (True, usage.cancelled)
    assert resumed.usage.assumed == usage.assumed


@pytest.mark.parametrize("what", WITHOUT_JOURNAL)
def test_max_seconds_ends_a_call_without_a_journal_in_time(what: str) -> None:
    """A vote, a reliable function and an estimate end after their seconds, and say why."""
    call, made, inner = WITHOUT_JOURNAL[what]
    slow = made(inner)

    async def stopped() -> str:
        with pytest.raises((Undecided, TaskError)) as error:
            await call(slow, limits={"max_seconds": SECONDS})
        return str(error.value)

    said, seconds = virtually(stopped)
    assert "5.0 seconds are over" in said
    assert SECONDS <= seconds <= SECONDS + LATE and max(slow.sent) < SECONDS and slow.out == 0


@pytest.mark.parametrize("failure", [Failure("transient", "500"), Failure("transient", "429", 4.0)])
def test_max_seconds_ends_the_wait_before_a_repetition(failure: Failure) -> None:
    """Whether the pause is the engine's own or the server's wish, the time ends it."""
    slow = Reader(ScriptedModel([failure]), 0.0)
    result, seconds = virtually(lambda: _map(slow, limits={"max_seconds": SECONDS, "concurrency": 3}))
    assert result.stopped == "max_seconds"
    assert SECONDS <= seconds <= SECONDS + LATE and max(slow.sent) <= SECONDS


def test_max_seconds_ends_a_calibration_in_time() -> None:
    """A run that still looks for its k is stopped as one that has it."""
    slow = Slow(Oracle(p=1))
    result, seconds = virtually(lambda: maker.run(HANOI, model=slow, limits={"max_seconds": SECONDS}))
    assert (result.stopped, result.k, result.usage.cancelled) == ("max_seconds", None, len(slow.sent))
    assert SECONDS <= seconds <= SECONDS + LATE and slow.out == 0


def test_what_came_in_time_counts(tmp_path: Path) -> None:
    """Only what is out when the time is over is lost: a resume pays for no reply twice."""
    path, slow = tmp_path / "run.db", Slow(Oracle(p=1), 2.0)
    first, _ = virtually(lambda: _run(slow, limits={"max_seconds": SECONDS, "concurrency": 2}, journal=path))
    assert first.usage.cancelled == 2
    again = Slow(Oracle(p=1), 2.0)
    last, _ = virtually(lambda: _run(again, limits={"concurrency": 2}, journal=path))
    assert last.solved
    assert len(slow.sent) - 2 + len(again.sent) == last.samples == 2 * 31


# -- given up --------------------------------------------------------------------------------------------------


async def _timeout(work: Awaitable[Any]) -> None:
    async with asyncio.timeout(SECONDS):
        await work


async def _scope(work: Awaitable[Any]) -> None:
    with anyio.fail_after(SECONDS):
        await work


async def _task(work: Awaitable[Any]) -> None:
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().call_later(SECONDS, task.cancel)
    await task


@pytest.mark.parametrize("give_up", [_timeout, _scope, _task])
@pytest.mark.parametrize("what", RESUMED)
def test_a_call_that_is_cancelled_ends_at_once(
    what: str, give_up: Callable[..., Awaitable[None]], tmp_path: Path
) -> None:
    """A timeout around it, a cancelled task: nothing more is sent, what was out is booked by the run that resumes."""
    call, made, inner = RESUMED[what]
    slow, path = made(inner), tmp_path / "cancelled.db"

    async def main() -> None:
        with pytest.raises((TimeoutError, asyncio.CancelledError)):
            await give_up(call(slow, journal=path, limits={"concurrency": 2}))

    _, seconds = virtually(main)
    assert (seconds, slow.out, len(slow.sent)) == (pytest.approx(SECONDS, abs=LATE), 0, 2)
    resumed, _ = virtually(lambda: call(made(inner, 0.1), journal=path))
    resumed = getattr(resumed, "result", resumed)
    assert (resumed.solved, resumed.usage.cancelled) == (True, 2)


@pytest.mark.parametrize("why", [Failure("transient", "down", gone=True), Failure("transient", "429", 60.0)])
@pytest.mark.parametrize(
    ("call", "made"),
    [(_run, Slow), (partial(maker.run, HANOI), Slow), (_solve, Reader)],
    ids=["run", "k auto", "solve"],
)
def test_an_interrupt_ends_the_wait_for_a_server(why: Failure, call: Call, made: Callable[..., Slow]) -> None:
    """The first Ctrl-C of a command ends a run that waits for a server to come back, or as long as it was told."""
    slow = made(ScriptedModel([why]), 0.0)

    def interrupted() -> bool:
        return asyncio.get_running_loop().time() >= SECONDS

    result, seconds = virtually(lambda: call(model=slow, interrupted=interrupted))
    assert (result.stopped, result.exit_code) == ("interrupted", 3)
    assert SECONDS <= seconds <= SECONDS + 1 and max(slow.sent) < SECONDS
