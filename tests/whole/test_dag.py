"""Plans with branches: they run together, join as planned, and a run is the same however it is carried out."""

from __future__ import annotations

import hashlib
import itertools
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

import maker
from maker.decision.sample import Request
from maker.decision.wave import Wave
from maker.engine.result import RunResult
from maker.errors import JournalError, TaskError
from maker.journal.database import read_records
from maker.journal.records import decode, encode_note, encode_wave
from maker.journal.writer import Journal
from maker.models.oracle import Oracle
from maker.review.checking.verify import verify
from maker.task.canonical import canonical, digest
from maker.task.plan import Plan, Segment, plan_of
from maker.testing import ScriptedModel, check_task
from virtual import virtually

State = list[Any]  # segment, position in it, value

DIAMOND = [(2, ()), (3, (0,)), (1, (0,)), (3, (1, 2))]
FAN = [(1, ()), *[(1 + i % 3, (0,)) for i in range(40)], (2, tuple(range(1, 41)))]
ROOTS = [(3, ()), (2, ()), (4, ()), (2, (0, 2)), (3, (1, 3))]
MERGES = [(2, ())] * 8 + [(4, (2 * i, 2 * i + 1)) for i in range(4)] + [(8, (8, 9)), (8, (10, 11)), (16, (12, 13))]
SHAPES = {"diamond": DIAMOND, "fan": FAN, "roots": ROOTS, "merges": MERGES}


class Mix:
    """Mixes numbers along a DAG; every branch has states of its own, which only the plan brings together."""

    name = "mix"

    def __init__(self, shape: Sequence[tuple[int, tuple[int, ...]]] = DIAMOND, *, known: Sequence[int] = ()) -> None:
        self.shape = list(shape)
        self.steps = sum(length for length, _ in shape)
        self.parameters = {"shape": [[length, list(after)] for length, after in shape], "known": list(known)}
        self.known = known

    def plan(self, segments: int = 0) -> Plan:
        made, start = [], 0
        for index, (length, after) in enumerate(self.shape):
            enter = (lambda _, i=index: self.right_entry(i)) if index in self.known or not after else None
            join = (lambda exits, i=index: self.join(i, exits)) if after else None
            made.append(Segment(index, start, start + length, enter, after, join))
            start += length
        return Plan(made)

    def join(self, index: int, exits: Sequence[State]) -> State:
        assert [exit_[:2] for exit_ in exits] == [[i, self.shape[i][0]] for i in self.shape[index][1]]
        return [index, 0, (sum(exit_[2] for exit_ in exits) + index) % 1009]

    def right_entry(self, index: int) -> State:
        after = self.shape[index][1]
        return self.join(index, [self.right_exit(i) for i in after]) if after else [index, 0, 7 * index]

    def right_exit(self, index: int) -> State:
        state = self.right_entry(index)
        for _ in range(self.shape[index][0]):
            state = self.apply(state, self.truth(state, 0))
        return state

    def initial_state(self) -> State:
        return [0, 0, 0]

    def prompt(self, state: State, step: int) -> str:
        return f"{state}"

    def parse(self, text: str) -> int:
        return int(text)

    def legal(self, state: State, action: int) -> bool:
        return 0 <= action < 1009

    def apply(self, state: State, action: int) -> State:
        return [state[0], state[1] + 1, action]

    def truth(self, state: State, step: int) -> int:
        return (state[2] * 31 + 17 * state[0] + state[1] + 1) % 1009

    def done(self, state: State) -> bool:
        return state == self.right_exit(len(self.shape) - 1)

    def answer(self, state: State) -> int:
        return int(state[2])


def right(task: Mix) -> Callable[[Request], str]:
    """Return a script that answers rightly."""
    return lambda request: str(task.truth(request.state, request.address.step))


def decisions(result: RunResult) -> dict[int, Any]:
    """Return what was decided at each step, and by which votes."""
    return {v.step: (v.answer, v.samples, dict(v.votes.items())) for v in result.verdicts()}


def random_shape(seed: int) -> list[tuple[int, tuple[int, ...]]]:
    """Return a random DAG with one sink."""
    rng = random.Random(seed)
    shape: list[tuple[int, tuple[int, ...]]] = []
    for index in range(rng.randint(2, 14)):
        after = tuple(rng.sample(range(index), rng.randint(0, min(3, index))))
        shape.append((rng.randint(1, 5), after))
    used = {before for _, after in shape for before in after}
    return [*shape, (2, tuple(i for i in range(len(shape)) if i not in used))]


# -- solved ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_lockstep_and_free_mode_take_the_same_decisions(shape: Any) -> None:
    """In batches, or each on its own with random latencies and few slots: same verdicts, votes and chain."""
    task = Mix(shape)
    settings: dict[str, Any] = {"p": 0.85, "v": 0.9, "rivals": 3}
    first = maker.run_sync(task, model=Oracle(**settings), k=5)
    assert (first.solved, first.wrong, first.steps) == (True, 0, task.steps)
    assert first.state == task.right_exit(len(shape) - 1)
    assert first.segments == len(shape)
    for concurrency in (1, 3, 64):
        other = maker.run_sync(task, model=Oracle(**settings, latency=0.0002), k=5, limits={"concurrency": concurrency})
        assert (other.solved, other.chain, other.state_digest) == (True, first.chain, first.state_digest)
        assert decisions(other) == decisions(first)


@pytest.mark.parametrize("seed", range(20))
def test_any_dag_ends_where_one_worker_would(seed: int) -> None:
    """Random DAGs, some entries known beforehand, in both modes: the last state is that of walking it alone."""
    shape = random_shape(seed)
    task = Mix(shape, known=range(0, len(shape), 3))
    check_task(task)
    for lockstep in (True, False):
        result = maker.run_sync(task, model=ScriptedModel(right(task), lockstep=lockstep), k=2)
        assert (result.solved, result.state, result.wrong) == (True, task.right_exit(len(shape) - 1), 0)
        assert result.samples == 2 * task.steps


def test_a_last_segment_that_ends_by_done() -> None:
    """The last segment may end by `done` alone, even before its first step, once its predecessors are joined."""

    class Open(Mix):
        def plan(self, segments: int = 0) -> Plan:
            *rest, last = super().plan().segments
            return Plan([*rest, Segment(last.index, last.start, None, None, last.after, last.join)])

    for steps in (3, 0):
        task = Open([*DIAMOND[:3], (steps, (1, 2))] if steps else DIAMOND)
        task.steps = None  # type: ignore[assignment]
        if not steps:
            task.done = lambda state: state[0] == 3  # type: ignore[method-assign]
        for lockstep in (True, False):
            result = maker.run_sync(task, model=ScriptedModel(right(task), lockstep=lockstep), k=1)
            assert (result.solved, result.steps) == (True, 6 + steps)


def test_calibration_walks_the_plan() -> None:
    """Calibration draws on states that the plan really has, with and without a truth to grade by."""
    task = Mix(MERGES)
    seen = maker.run_sync(task, model="oracle:p=0.95", k="auto")
    assert (seen.solved, seen.calibration["against"]) == (True, "truth")

    class Untold(Mix):
        truth = property()  # type: ignore[assignment]

    untold = Untold(ROOTS)
    model = ScriptedModel(lambda r: str(Mix.truth(untold, r.state, r.address.step)))
    untold.done = lambda state: state[0] == 4  # type: ignore[method-assign]
    blind = maker.run_sync(untold, model=model, k="auto")
    assert (blind.solved, blind.calibration["against"]) == (True, "agreement")
    asked = {r.prompt for r in model.requests if r.address.run.startswith("calibration")}
    assert asked == {r.prompt for r in model.requests if not r.address.run.startswith("calibration")}


def test_a_plan_of_one_segment_is_the_sequential_chain(tmp_path: Path) -> None:
    """A plan that happens to have one branch only runs, resumes and verifies as any chain."""
    path, task = tmp_path / "run.db", Mix([(4, ())])
    assert maker.run_sync(task, model=ScriptedModel(right(task)), k=1, journal=path).solved
    assert verify(path, task).solved


# -- stopped ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lockstep", [True, False])
def test_a_known_entry_that_the_join_contradicts(tmp_path: Path, lockstep: bool) -> None:
    """A wrong step in a branch shows where its exit joins a known entry: a named stop, and the same on resume."""
    path, task = tmp_path / "run.db", Mix(DIAMOND, known=[3])

    def slips(request: Request) -> str:
        return "5" if request.address.step == 3 else right(task)(request)

    first = maker.run_sync(task, model=ScriptedModel(slips, lockstep=lockstep), k=2, journal=path)
    assert (first.solved, first.stopped, first.exit_code) == (False, "join_mismatch", 1)
    assert "step 6: what segment 1, 2 ended in does not join segment 3" in first.detail
    again = ScriptedModel(slips, lockstep=lockstep)
    second = maker.run_sync(task, model=again, k=2, journal=path)
    assert (second.stopped, second.detail, again.requests) == ("join_mismatch", first.detail, [])
    assert "segment 2 does not join segment 3" in str(verify(path, task).problem)
    unseen = maker.run_sync(Mix(DIAMOND), model=ScriptedModel(slips, lockstep=lockstep), k=2)
    assert (unseen.solved, unseen.stopped, unseen.exit_code) == (False, None, 1)


@pytest.mark.parametrize("lockstep", [True, False])
@pytest.mark.parametrize("fault", ["raises", "no form"])
def test_a_join_that_cannot_be_made(tmp_path: Path, lockstep: bool, fault: str) -> None:
    """A join that raises, or returns what cannot be digested, is a TaskError with its step; waiting workers end too."""

    class Broken(Mix):
        def join(self, index: int, exits: Sequence[State]) -> State:
            if index == 3:
                return [exits[5] if fault == "raises" else object()]
            return super().join(index, exits)

    task = Broken(DIAMOND)
    match = "step 6: join raised IndexError" if fault == "raises" else "step 6: join of segment 3 returned a state"
    for _ in range(2):
        with pytest.raises(TaskError, match=match):
            maker.run_sync(task, model=ScriptedModel(right(task), lockstep=lockstep), k=1, journal=tmp_path / "run.db")


@pytest.mark.parametrize("latency", [0.0, 0.0001])
@pytest.mark.parametrize("limits", [{"max_steps": 9}, {"max_calls": 40}, {"max_votes": 3}])
def test_a_stop_wakes_the_workers_that_wait(tmp_path: Path, latency: float, limits: dict[str, int]) -> None:
    """With branches waiting for one another a stop still ends the run, and its resume ends as an undisturbed run."""
    task, path = Mix(MERGES), tmp_path / "run.db"
    whole = maker.run_sync(task, model=Oracle(p=0.9), k=3)
    first = maker.run_sync(task, model=Oracle(p=0.9, latency=latency), k=3, journal=path, limits=limits)
    assert first.stopped == ("undecided" if "max_votes" in limits else next(iter(limits)))
    last = maker.run_sync(task, model=Oracle(p=0.9, latency=latency), k=3, journal=path)
    assert (last.solved, last.chain) == (True, whole.chain)
    assert decisions(last) == decisions(whole)


def test_a_model_that_fails_ends_the_workers_that_wait() -> None:
    """An error in one branch is raised though other workers wait for it to end."""

    def fails(request: Request) -> maker.Failure | str:
        return maker.Failure("fatal", "401") if request.address.step == 0 else "1"

    with pytest.raises(maker.ModelError, match="step 0: 401"):
        maker.run_sync(Mix(DIAMOND), model=ScriptedModel(fails, lockstep=False), k=1)


def test_an_interrupt_wakes_the_workers_that_wait(tmp_path: Path) -> None:
    """An interrupt while one branch works and all others wait ends the run, resumable."""
    task, path, asked = Mix(DIAMOND), tmp_path / "run.db", itertools.count()
    model = ScriptedModel(right(task), lockstep=False)
    first = maker.run_sync(task, model=model, k=1, journal=path, interrupted=lambda: next(asked) >= 4)
    assert (first.stopped, first.steps) == ("interrupted", 1)
    assert maker.run_sync(task, model=model, k=1, journal=path).solved


def test_a_plan_and_a_task_of_different_length() -> None:
    """A plan that does not have the task's steps is refused before a draw."""
    task = Mix(DIAMOND)
    task.steps = 10
    with pytest.raises(TaskError, match="the plan has 9 steps and the task 10"):
        maker.run_sync(task, model=ScriptedModel(["1"]), k=1)


# -- killed and resumed ----------------------------------------------------------------------------------


@pytest.mark.parametrize("latency", [0.0, 0.0001])
def test_resumed_at_every_record(tmp_path: Path, latency: float) -> None:
    """A journal cut off after any record resumes to the same decisions, state and chain, and verifies."""
    task = Mix([(1, ()), (2, (0,)), (1, (0,)), (1, ()), (2, (1, 2, 3))], known=[1])
    whole_path = tmp_path / "whole.db"
    whole = maker.run_sync(task, model=Oracle(p=0.8, latency=latency), k=3, journal=whole_path)
    records = [r for r in read_records(whole_path) if isinstance(decode(r), Wave) or "header" in decode(r)]
    assert len(records) > task.steps
    for kept in range(len(records) + 1):
        path = tmp_path / f"{kept}.db"
        with Journal(path) as journal:
            list(journal.replay())
            for record in records[:kept]:
                journal.append(record)
        before = 0 if not kept else sum(decode(r).verdict is not None for r in records[1:kept])
        again = maker.run_sync(task, model=Oracle(p=0.8, latency=latency), k=3, journal=path)
        assert (again.solved, again.chain, again.state, again.replayed) == (True, whole.chain, whole.state, before)
        assert decisions(again) == decisions(whole)
        audit = verify(path, task)
        assert (audit.problem, audit.solved, audit.answer) == (None, True, whole.answer)
        assert f"{len(task.plan().graph.edges)} joins" in audit.checked


def test_the_state_of_an_unfinished_run_is_the_one_its_digest_names() -> None:
    """Wherever a run with branches stops, the state it gives, if any, is that after the unbroken sequence of steps."""
    given = 0
    for shape in SHAPES.values():
        task = Mix(shape)
        for steps in range(task.steps):
            model = ScriptedModel(right(task))
            result = maker.run_sync(task, model=model, k=1, limits={"max_steps": steps} if steps else {"max_calls": 1})
            if result.state is not None and result.state_digest:
                assert digest(canonical(result.state)).hex() == result.state_digest
                given += 1
    assert given > 40


# -- verified --------------------------------------------------------------------------------------------


def forged(path: Path, task: Mix, change: Callable[[list[Any]], None]) -> Any:
    """Change what a journal holds, write it anew with a right chain, and verify that."""
    content = [decode(record) for record in read_records(path)]
    change(content)
    copy = path.with_name("forged.db")
    with Journal(copy) as journal:
        list(journal.replay())
        for item in content:
            journal.append(encode_wave(item) if isinstance(item, Wave) else encode_note(item))
    return verify(copy, task)


def test_a_branch_decided_before_its_predecessors(tmp_path: Path) -> None:
    """A journal in which a segment begins before its predecessors are finished is refused by verify and resume."""
    path, task = tmp_path / "run.db", Mix(DIAMOND)
    maker.run_sync(task, model=ScriptedModel(right(task)), k=1, journal=path)

    def change(content: list[Any]) -> None:
        early = next(item for item in content if isinstance(item, Wave) and item.step == 6)
        content.remove(early)
        content.insert(1, early)

    audit = forged(path, task, change)
    assert "step 6 was decided before segment 1 was finished" in str(audit.problem)
    with pytest.raises(JournalError, match="step 6 is not the next one of its segment"):
        maker.run_sync(task, model=ScriptedModel(right(task)), k=1, journal=path.with_name("forged.db"))


def test_a_task_whose_plan_has_another_number_of_segments(tmp_path: Path) -> None:
    """A journal of another plan than the task's is refused with both numbers."""
    path, task = tmp_path / "run.db", Mix(DIAMOND)
    maker.run_sync(task, model=ScriptedModel(right(task)), k=1, journal=path)
    with pytest.raises(TaskError, match="has 4 segments; asked for so many the task gives 5"):
        verify(path, Mix(ROOTS))


@pytest.mark.parametrize("segments", [2, 3, 5, 1024])
def test_branches_are_not_counted_out(segments: int) -> None:
    """A plan of branches has as many as it has: asked for fewer or more it says so, asked for as many it runs."""
    task = Mix(DIAMOND)
    with pytest.raises(TaskError, match="this plan has 4 branches whatever is asked; leave --segments out"):
        maker.run_sync(task, model=ScriptedModel(right(task)), k=1, segments=segments)
    assert maker.run_sync(task, model=ScriptedModel(right(task)), k=1, segments=4).segments == 4


def test_more_segments_than_were_asked_for_are_refused() -> None:
    """So is a chain in more segments than asked; in fewer it is what was asked for: at most so many."""

    class Deaf(Mix):
        """Is always cut in four."""

        def plan(self, segments: int = 0) -> Plan:
            return Plan([Segment(i, i, i + 1, lambda step: [0, step, 0]) for i in range(4)])

    with pytest.raises(TaskError, match="this plan has 4 branches"):
        plan_of(Deaf([(4, ())]), 3)
    assert len(plan_of(Deaf([(4, ())]), 9).segments) == 4


# -- together --------------------------------------------------------------------------------------------


class Timed(Oracle):
    """An oracle that keeps how long each of its draws took."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.took: dict[tuple[int, int], float] = {}

    async def _wait(self, requests: Sequence[Request]) -> None:
        (request,) = requests
        fraction = int.from_bytes(hashlib.blake2b(b"%d" % request.seed, digest_size=4).digest(), "little") / 2**32
        self.took[request.address.step, request.address.draw] = seconds = 2 * self.latency * fraction
        await anyio.sleep(seconds)


def timed(task: Mix, **limits: int) -> tuple[float, float, float]:
    """Run on the virtual clock; return makespan, critical path, and the seconds one worker would take."""
    model = Timed(p=0.9, latency=1.0)
    result, makespan = virtually(lambda: maker.run(task, model=model, k=4, limits=limits))
    assert result.solved
    seconds: dict[int, float] = {}
    for _, record in result._book.chain():  # type: ignore[union-attr]
        wave = decode(record)
        if isinstance(wave, Wave):
            drawn = [model.took[wave.step, draw] for draw in range(wave.first, wave.first + len(wave))]
            seconds[wave.step] = seconds.get(wave.step, 0.0) + max(drawn)
    ends: list[float] = []
    for segment in task.plan().segments:
        own = sum(seconds[step] for step in range(segment.start, segment.stop or 0))
        ends.append(own + max((ends[i] for i in segment.predecessors), default=0.0))
    return makespan, ends[-1], sum(seconds.values())


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_makespan_is_the_critical_path(shape: Any) -> None:
    """Given enough concurrency a run takes as long as its longest path of segments, to 10%, not as their sum."""
    makespan, critical, alone = timed(Mix(shape), concurrency=256)
    assert critical <= makespan * 1.000001
    assert makespan <= 1.1 * critical
    assert makespan < alone


def test_the_makespan_with_one_slot_is_the_sum() -> None:
    """One draw at a time takes longer than one step at a time: the clock of these tests does count."""
    makespan, critical, alone = timed(Mix(MERGES), concurrency=1)
    assert critical < alone < makespan


def test_a_newly_ready_branch_begins_at_once() -> None:
    """Many short branches behind one long one: whoever is idle takes the next, and none waits for the whole level."""
    shape = [(1, ()), (20, (0,)), (1, (0,)), *[(3, (2,)) for _ in range(5)], (1, (1, 3, 4, 5, 6, 7))]
    makespan, critical, _ = timed(Mix(shape), concurrency=64)
    assert makespan <= 1.1 * critical


def test_lockstep_takes_every_ready_branch_in_one_batch() -> None:
    """An in-process model is asked for all ready branches at once, newly ready ones from the next round on."""
    task, batches = Mix(FAN), []

    class Counting(ScriptedModel):
        async def draw(self, requests: Sequence[Request]) -> Any:
            batches.append(len({request.address.step for request in requests}))
            return await super().draw(requests)

    assert maker.run_sync(task, model=Counting(right(task)), k=1).solved
    assert batches == [1, 40, 26, 13, 1, 1]


def test_the_engine_module_needs_no_networkx() -> None:
    """A run with branches loads no networkx: only the graph, when asked for, does."""
    code = (
        "import sys, maker; from maker.task.plan import Plan, Segment\n"
        "Plan([Segment(0, 0, 1, int), Segment(1, 1, 2, int, ()), Segment(2, 2, 3, None, (0, 1), sum)])\n"
        "sys.exit('networkx' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
