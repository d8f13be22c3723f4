"""A crew: a long run in several processes is the run that one process makes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import maker
from maker.engine.course import Course
from maker.engine.crew import lead as crew
from maker.engine.crew import order, processes
from maker.engine.crew.launcher import Lost
from maker.engine.crew.stretch import Stretch
from maker.engine.ladder import rungs as ladder
from maker.engine.result import Progress
from maker.testing import check_journal

DISKS, MODEL = 9, "oracle:p=0.97,v=0.95"


@pytest.fixture(autouse=True)
def two_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let short runs have a crew of two, whatever the machine has."""
    monkeypatch.setattr(processes, "FEWEST_STEPS", 200)
    monkeypatch.setattr(processes, "JOB_STEPS", 40)
    monkeypatch.setattr(processes, "_cores", lambda: 2)


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the steps that each stretch brought."""
    brought: list[int] = []
    catch_up = crew.catch_up

    def noted(course: Course, lane: Any, stretch: Stretch) -> bool:
        brought.append(stretch.steps)
        return catch_up(course, lane, stretch)

    monkeypatch.setattr(crew, "catch_up", noted)
    return brought


def run(path: Path | None = None, **changed: Any) -> maker.RunResult:
    """Carry out a Hanoi that a crew takes part in."""
    settings = {"task": maker.load_task("hanoi", disks=DISKS), "model": MODEL, "k": 4, "segments": 8}
    settings.update(changed)
    return maker.run_sync(settings.pop("task"), journal=path, **settings)


def told(result: maker.RunResult) -> dict[str, Any]:
    """Return what a run says of itself, but for the time and the file."""
    return {key: value for key, value in result.as_json().items() if key not in ("seconds", "journal", "replayed")}


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what the same run says without a crew."""
    with monkeypatch.context() as patch:
        patch.setattr(processes, "_cores", lambda: 1)
        return told(run())


def test_a_crew_changes_nothing(tmp_path: Path, alone: dict[str, Any], jobs: list[int]) -> None:
    """State, chain, samples, flags, tokens and scores are those of one process; the journal verifies."""
    result = run(tmp_path / "run.db")
    assert told(result) == alone
    assert sum(jobs) == result.steps == 2**DISKS - 1
    check_journal(tmp_path / "run.db")


def test_where_wins_are_doubted_there_is_no_crew(jobs: list[int]) -> None:
    """Other processes have no ladder: where it is asked about wins too, the run goes on alone."""
    assert run(ladder=[ladder.look_ahead(2, wins=True)]).solved
    assert jobs == []


def test_an_interrupted_crew_resumes(tmp_path: Path, alone: dict[str, Any], jobs: list[int]) -> None:
    """Stopped after a few jobs, the run goes on with another crew, and ends as if nothing had happened."""
    path = tmp_path / "run.db"
    first = run(path, interrupted=lambda: len(jobs) >= 3)
    assert first.stopped == "interrupted"
    assert 0 < first.steps < 2**DISKS - 1
    result = run(path)
    assert told(result) == alone
    assert result.replayed == first.steps
    check_journal(path)


def test_a_lost_process_costs_time_alone(
    alone: dict[str, Any], jobs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the processes are killed, the run comes to the same end with others, or alone."""
    started, start = [], processes.fresh_interpreter

    def begin(*arguments: Any, **settings: Any) -> Any:
        started.append(start(*arguments, **settings))
        return started[-1]

    def kill(seen: Progress) -> None:
        if jobs:
            for process in started:
                process.kill()

    monkeypatch.setattr(processes, "fresh_interpreter", begin)
    monkeypatch.setattr("maker.engine.result.REPORT_SECONDS", 0.0)
    assert told(run(progress=kill)) == alone
    assert sum(jobs) > 0
    assert len(started) > 2, "who was any use is replaced"
    assert all(process.returncode is not None for process in started)


def test_no_process_can_be_started(alone: dict[str, Any], jobs: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no interpreter is found the run goes on alone."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert told(run()) == alone
    assert jobs == []


def test_what_a_process_sends_is_not_trusted(
    alone: dict[str, Any], jobs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stretch whose state is not the plan's is not taken, and neither are bytes that are no stretch."""
    decode = Stretch.decode

    def other(content: bytes) -> Stretch:
        stretch = decode(content)
        stretch.state_digest = bytes(16)
        return stretch

    for broken in (other, lambda content: decode(content[:50])):
        monkeypatch.setattr(Stretch, "decode", broken)
        jobs.clear()
        assert told(run()) == alone


@pytest.mark.parametrize(("model", "stopped"), [
    ("oracle:p=0.9,v=0", "undecided"), ("oracle:p=0.99,copies=0.3", "copied"), ("oracle:p=0.52", "join_mismatch"),
])  # fmt: skip
def test_a_stop_is_the_same_stop(model: str, stopped: str) -> None:
    """What ends a run of one process ends that of a crew."""
    assert run(model=model, k=2).stopped == stopped


def test_lanes_off_the_path_stay_here(alone: dict[str, Any], jobs: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Only lanes that stand where the plan says are handed out."""
    monkeypatch.setattr(crew, "is_known", lambda _, lane: lane.segment.index == 3)
    assert told(run()) == alone
    assert sum(jobs) == 2**DISKS // 8


def flagged(sample: maker.Sample, step: maker.Step, earlier: Any) -> None:
    """Flag nothing, as a flag of the caller's own may."""


@pytest.mark.parametrize("changed", [
    {"limits": {"max_steps": 400}}, {"limits": {"max_calls": 100_000}}, {"limits": {"max_seconds": 1000.0}},
    {"flags": [flagged]}, {"segments": 1}, {"model": "oracle:p=0.97,latency=1e-9"},
])  # fmt: skip
def test_no_crew_where_a_run_is_not_plain(changed: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits on the whole run, flags of the caller's own, one segment and waiting models start no process."""
    monkeypatch.setattr(processes, "fresh_interpreter", None)
    assert run(**changed).steps >= 400


def test_no_crew_for_a_task_that_cannot_be_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that was changed after it was made, or made by other means than `load_task`, stays in this process."""
    monkeypatch.setattr(processes, "fresh_interpreter", None)
    task = maker.load_task("hanoi", disks=DISKS)
    monkeypatch.setattr(task, "legal", task.legal)
    assert run(task=task).solved
    subclass = type("Own", (type(task),), {})
    assert run(task=subclass(disks=DISKS)).solved


def test_few_steps_are_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short run starts no process."""
    monkeypatch.setattr(processes, "fresh_interpreter", None)
    monkeypatch.setattr(processes, "FEWEST_STEPS", 2**DISKS)
    assert run().solved


# -- workers that fail in every way, in this process ---------------------------------------------------------------


class Faulty:
    """A launcher whose workers decide here, and fail as a seed says.

    A worker may not start, be lost before or after it has decided, say what it said before, or too little, cut off or
    of another step, and it may take long. faults: what happened.
    """

    aim = None
    job = 12
    model = "oracle:p=0.95,v=0.9"

    def __init__(self, seed: int, *, trusted: bool, share: float = 0.3) -> None:
        self.random, self.trusted, self.share = random.Random(seed), trusted, share
        self.faults: list[str] = []
        self.said: list[list[bytes]] = []

    async def count(self, lanes: int, steps: int) -> int:
        return min(3, lanes)

    @contextlib.asynccontextmanager
    async def worker(self, told: bytes) -> AsyncIterator[Any]:
        if self.random.random() < self.share / 3:
            self.faults.append("start")
            raise Lost("nobody", "there is no room")
        yield FaultyWorker(self, order.Worker(told))


class FaultyWorker:
    """One of them."""

    name = "faulty"

    def __init__(self, launcher: Faulty, worker: order.Worker) -> None:
        self.launcher, self.worker = launcher, worker

    async def end(self) -> None:
        self.worker.end()

    async def ask(self, told: bytes, answers: int) -> list[bytes]:
        launcher, chance = self.launcher, self.launcher.random
        fault = chance.choice(FAULTS) if chance.random() < launcher.share else "delayed"
        launcher.faults.append(fault)
        for _ in range(chance.randrange(5)):
            await asyncio.sleep(0)
        if fault == "lost before":
            raise Lost(self.name, "killed")
        found = await self.worker.decide(**json.loads(told))
        launcher.said.append(found)
        if fault == "lost after":
            raise Lost(self.name, "killed")
        if fault == "repeated":
            return chance.choice(launcher.said)
        if fault == "torn":
            return [answer[: chance.randrange(len(answer))] for answer in found]
        if fault == "few":
            return found[1:]
        return found


FAULTS = ["lost before", "lost after", "repeated", "torn", "few"]


def with_workers(launcher: Any, monkeypatch: pytest.MonkeyPatch, path: Path | None = None, **changed: Any) -> Any:
    """Carry out a short Hanoi with the workers of a launcher."""
    with monkeypatch.context() as patch:
        patch.setattr("maker.api.run.hired", lambda workers, model: contextlib.nullcontext(launcher))
        return run(path, **{"task": maker.load_task("hanoi", disks=6), "model": Faulty.model, **changed})


@pytest.mark.parametrize("trusted", [True, False])
def test_whatever_workers_do_the_run_is_the_same(
    trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lost, late, repeated and torn answers change nothing: 50 rounds, each to the chain and bill of one process."""
    model, task = Faulty.model, maker.load_task("hanoi", disks=6)
    with monkeypatch.context() as patch:
        patch.setattr(processes, "_cores", lambda: 1)
        alone = told(run(task=task, model=model))
    seen: set[str] = set()
    for seed in range(50):
        launcher = Faulty(seed, trusted=trusted)
        path = tmp_path / f"{seed}.db" if seed % 10 == 0 else None
        assert told(with_workers(launcher, monkeypatch, path)) == alone, seed
        if path is not None:
            check_journal(path)
        seen.update(launcher.faults)
    assert seen == {*FAULTS, "delayed", "start"}


ITEMS = """
from maker import Plan


class Items:
    name, steps = "items", 40
    parameters = {}

    def plan(self, segments=40):
        return Plan.chain(self.steps, int, segments, independent=True)

    def initial_state(self):
        return 0

    def prompt(self, state, step):
        return f"What is {step} + 1?"

    def truth(self, state, step):
        return step + 1

    def parse(self, text):
        return int(text)

    def legal(self, state, action):
        return True

    def apply(self, state, action):
        return state + 1

    def done(self, state):
        return state == self.steps

    def answer(self, state):
        return state
"""


def test_items_are_decided_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no step needs another one, those that do not decide wait for the run itself, and workers go on."""
    (tmp_path / "items.py").write_text(ITEMS)
    task = maker.load_task(f"{tmp_path}/items.py:Items")
    changed = {"task": task, "k": 3, "segments": 40, "limits": {"max_votes": 12}, "ladder": [],
               "model": "oracle:p=0.99,v=0.9,hard=0.1,p_hard=0.5"}  # fmt: skip
    alone = run(**changed)
    assert 0 < len(alone.failed) < 20
    for seed in range(5):
        launcher = Faulty(seed, trusted=False, share=0.2)
        launcher.model = changed["model"]
        found = with_workers(launcher, monkeypatch, **changed)
        assert (found.steps, found.samples, found.failed) == (alone.steps, alone.samples, alone.failed)
        assert {verdict.step: verdict for verdict in found.verdicts()}.keys() == {
            verdict.step: verdict for verdict in alone.verdicts()
        }.keys()
