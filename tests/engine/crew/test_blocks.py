"""Blocks: whatever workers do, caps hold in total, what was sent is booked, and what came is used.

The workers decide in this process, as in `test_lead.py`; the server is one of our own.
"""

from __future__ import annotations

import contextlib
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import maker
from counting_on import counting
from maker.engine.crew import blocks, order
from maker.engine.crew.launcher import Lost
from maker.engine.crew.noted import Noted
from maker.errors import MakerError
from maker.testing import FaultServer, Reply, check_journal, error
from maker.testing.replies import Received

STEPS = 24


def reply(received: Received, **fields: Any) -> Reply:
    """Answer as the seed says: right in most cases."""
    number = int(received.prompt.split()[2])
    chance = random.Random(received.body["seed"]).random()
    usage = {"prompt_tokens": 60, "completion_tokens": 10}
    return Reply(str(number + 1 if chance < 0.8 else number + 2), fields={"usage": usage, **fields})


@pytest.fixture
def server() -> Iterator[FaultServer]:
    """Have a server that answers as the seed of a request says."""
    with FaultServer(reply) as server:
        yield server


class Launcher:
    """Workers that decide here. fails: says by number of the job what goes wrong."""

    aim, trusted, job = None, False, 4

    def __init__(self, model: str, fails: Any = lambda number: "", workers: int = 2) -> None:
        self.model, self.fails, self.workers = model, fails, workers
        self.jobs = 0
        self.said: list[bytes] = []
        self.told: list[dict[str, Any]] = []

    async def count(self, lanes: int, steps: int) -> int:
        return min(self.workers, lanes)

    @contextlib.asynccontextmanager
    async def worker(self, told: bytes) -> AsyncIterator[Any]:
        yield At(self, order.Worker(told))


class At:
    """One of them."""

    name = "here"

    def __init__(self, launcher: Launcher, worker: order.Worker) -> None:
        self.launcher, self.worker = launcher, worker

    async def end(self) -> None:
        self.worker.end()

    async def ask(self, told: bytes, answers: int) -> list[bytes]:
        launcher = self.launcher
        launcher.jobs += 1
        fault = launcher.fails(launcher.jobs)
        if isinstance(fault, Exception):
            raise fault
        if fault == "before":
            raise Lost(self.name, "killed")
        job = json.loads(told)
        launcher.told.append(job)
        found = await self.worker.decide(**job)
        assert len(found) == answers
        last, launcher.said = launcher.said, found
        if fault == "after":
            raise Lost(self.name, "killed")
        if fault == "torn":
            return [*found[:-1], found[-1][:-3]]
        if fault == "unpaid":
            return [*found[:-1], Noted(job["name"]).encode()]
        if fault == "twice":
            return [*found[:-1], *last[-1:]]
        return found


@pytest.fixture
def task() -> maker.Task:
    """Return a task that a worker can make again."""
    return counting(STEPS)


def run(task: maker.Task, model: str, launcher: Launcher | None = None, **changed: Any) -> maker.RunResult:
    """Carry the task out, by workers or alone."""
    with pytest.MonkeyPatch.context() as patch:
        if launcher is not None:
            patch.setattr("maker.api.run.hired", lambda workers, model: contextlib.nullcontext(launcher))
        return maker.run_sync(task, model=model, **{"k": 3, "segments": 6, "max_tokens": 16, **changed})


def told(result: maker.RunResult) -> dict[str, Any]:
    """Return what a run says of itself, but for the time, the file, and how its calls were seen."""
    apart = ("seconds", "journal", "replayed", "observed")
    return {key: value for key, value in result.as_json().items() if key not in apart}


def seeds(server: FaultServer) -> Counter[Any]:
    """Count how often each draw was asked for."""
    return Counter((received.prompt, received.body["seed"]) for received in server.requests)


def test_workers_at_a_server_make_the_same_run(server: FaultServer, task: maker.Task, tmp_path: Path) -> None:
    """Chain, samples, tokens and calls are those of one process, each draw is made once, and the journal verifies."""
    alone = run(task, server.spec())
    assert alone.solved
    calls = server.ledger.calls
    server.requests.clear()
    path, launcher = tmp_path / "run.db", Launcher(server.spec())
    found = run(task, server.spec(), launcher, journal=path)
    assert told(found) == told(alone)
    assert launcher.jobs > 4
    assert server.ledger.calls == 2 * calls == 2 * found.usage.dispatched
    assert set(seeds(server).values()) == {1}
    check_journal(path, task)
    assert run(task, server.spec(), journal=path).usage == found.usage


@pytest.mark.parametrize("limit", [
    {"max_calls": 13}, {"max_calls": 40}, {"max_calls": 70}, {"max_tokens": 5000}, {"max_steps": 7},
])  # fmt: skip
def test_caps_hold_in_total(limit: dict[str, Any], server: FaultServer, task: maker.Task, tmp_path: Path) -> None:
    """Workers stay below a cap of the whole run together; the run stops as alone would, and a raise resumes it."""
    path = tmp_path / "run.db"
    found = run(task, server.spec(), Launcher(server.spec()), journal=path, limits=limit)
    ((name, most),) = limit.items()
    assert found.stopped == name
    taken = {"max_calls": server.ledger.calls, "max_tokens": found.usage.tokens, "max_steps": found.steps}[name]
    assert 0 < taken <= most
    assert found.usage.dispatched == server.ledger.calls
    assert name != "max_steps" or taken == most
    check_journal(path, task)
    whole = run(task, server.spec(), Launcher(server.spec()), journal=path)
    assert whole.solved
    assert set(seeds(server).values()) == {1}, "what was paid for is used"


def test_a_shared_budget_holds(server: FaultServer, task: maker.Task) -> None:
    """A budget that other calls take from, too, counts what workers take, once, and stops them."""
    budget = maker.Budget(max_calls=500)
    found = run(task, server.spec(), Launcher(server.spec()), budget=budget)
    assert found.solved
    assert (budget.calls, budget.tokens) == (server.ledger.calls, found.usage.tokens)
    small = maker.Budget(max_calls=30)
    assert run(task, server.spec(), Launcher(server.spec()), budget=small).stopped == "max_calls"
    assert 0 < small.calls <= 30


@pytest.mark.parametrize("fault", ["before", "after", "torn", "twice", "unpaid"])
def test_a_lost_block_is_booked(fault: str, server: FaultServer, task: maker.Task, tmp_path: Path) -> None:
    """A worker that is lost, or says what cannot be: its block counts as spent, also at a replay; the end is one."""
    alone = run(task, server.spec())
    before = server.ledger.calls
    path = tmp_path / "run.db"
    launcher = Launcher(server.spec(), lambda number: fault if number == 3 else "")
    found = run(task, server.spec(), launcher, journal=path)
    assert (found.solved, found.chain, found.samples) == (True, alone.chain, alone.samples)
    usage, sent = found.usage, server.ledger.calls - before
    assert usage.cancelled > 0
    assert usage.in_flight == 0
    assert alone.usage.dispatched <= sent <= usage.dispatched
    assert run(task, server.spec(), journal=path).usage == usage
    check_journal(path, task)


def test_lost_workers_and_a_cap(server: FaultServer, task: maker.Task) -> None:
    """Where workers are lost again and again, the server has never had more calls than the cap."""
    for seed in range(8):
        chance, before = random.Random(seed), server.ledger.calls
        faults = ["before", "after", "torn", "twice", "unpaid", "", "", ""]
        launcher = Launcher(server.spec(), lambda number, chance=chance, faults=faults: chance.choice(faults))
        found = run(task, server.spec(), launcher, limits={"max_calls": 120})
        assert server.ledger.calls - before <= found.usage.dispatched <= 120
        assert found.usage.in_flight == 0


class DiedError(MakerError):
    """Ends a run as if its process had been killed."""


def test_a_block_that_was_out_when_the_process_died_is_booked(
    server: FaultServer, task: maker.Task, tmp_path: Path
) -> None:
    """At a resume a block that was never returned counts as sent and spent at the most; the run ends as it would."""
    alone, path = run(task, server.spec()), tmp_path / "run.db"
    launcher = Launcher(server.spec(), lambda number: DiedError("killed") if number == 3 else "", workers=1)
    with pytest.raises(DiedError):
        run(task, server.spec(), launcher, journal=path)
    found = run(task, server.spec(), Launcher(server.spec()), journal=path)
    assert (found.solved, found.chain, found.samples) == (True, alone.chain, alone.samples)
    assert found.usage.cancelled > 0
    assert found.usage.dispatched == alone.usage.dispatched + found.usage.cancelled


def test_what_a_job_had_no_room_for_is_gone_on_with(
    server: FaultServer, task: maker.Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block that is too small ends a job early; the samples of the step that was begun are told with the next one."""
    monkeypatch.setattr(blocks, "SPARE", 0.0)
    alone = run(task, server.spec(), segments=2)
    server.requests.clear()
    launcher = Launcher(server.spec(), workers=1)
    found = run(task, server.spec(), launcher, segments=2)
    assert told(found) == told(alone)
    assert any(job["known"] for job in launcher.told)
    assert set(seeds(server).values()) == {1}


def test_a_model_that_changes_stops_the_run(task: maker.Task, tmp_path: Path) -> None:
    """Workers do not accept a change of the server's model in the run's place; accepted by the run, it goes on."""
    came: list[Received] = []

    def other(received: Received) -> Any:
        came.append(received)
        return reply(received, model="old" if len(came) < 30 else "new")

    with FaultServer(other) as server:
        path = tmp_path / "run.db"
        assert run(task, server.spec(), Launcher(server.spec()), journal=path).stopped == "model_changed"
        found = run(task, server.spec(), Launcher(server.spec()), journal=path, accept_change=["model"])
        assert found.solved
        assert set(seeds(server).values()) == {1}
        check_journal(path, task)


@pytest.mark.parametrize("limit", [{"max_calls": 200}, {"max_tokens": 30_000}, {"max_steps": 17}])
def test_limits_of_a_model_in_memory(limit: dict[str, Any]) -> None:
    """A simulated model is bounded in the same way, and stops where a limit is met; below it nothing is changed."""
    task, model = maker.load_task("hanoi", disks=6), "oracle:p=0.95,v=0.9"
    launcher = Launcher(model)
    found = run(task, model, launcher, limits=limit, max_tokens=256)
    assert found.stopped == next(iter(limit))
    assert launcher.jobs > 2
    taken = {"max_calls": found.usage.dispatched, "max_tokens": found.usage.tokens, "max_steps": found.steps}
    ((name, most),) = limit.items()
    assert 0 < taken[name] <= most
    wide = {"max_tokens": 256, "limits": {"max_calls": 10**6, "max_tokens": 10**8}}
    assert told(run(task, model, Launcher(model), **wide)) == told(run(task, model, **wide))


def test_an_interrupt_does_not_wait_for_a_server(task: maker.Task, tmp_path: Path) -> None:
    """Workers that wait for a server which tells them to wait end their jobs; what came is kept for a resume."""
    came: list[Received] = []

    def busy(received: Received) -> Any:
        came.append(received)
        return reply(received) if len(came) < 30 else error(429, headers={"Retry-After": "500"})

    path = tmp_path / "run.db"
    with FaultServer(busy) as server:
        found = run(task, server.spec(), Launcher(server.spec()), journal=path, interrupted=lambda: len(came) > 30)
        assert found.stopped == "interrupted"
        assert found.seconds < 30
    check_journal(path, task)
