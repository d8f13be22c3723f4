"""Whole runs: solved, lost, stopped and resumed, always as the journal says."""

from __future__ import annotations

import hashlib
import itertools
import linecache
import os
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

import maker
from adding import Adding
from maker.cli.screen import run_rows
from maker.decision.flags import PAPER, empty, malformed
from maker.decision.sample import Failure, Request, Sample
from maker.decision.wave import Wave
from maker.engine.result import Progress, RunResult
from maker.errors import JournalError, ModelError, TaskError
from maker.journal.database import read_records
from maker.journal.records import decode
from maker.models.oracle import Oracle
from maker.task.plan import Plan
from maker.testing import ScriptedModel


class Count(Adding):
    """Counts from 0 to `steps` by asking for one more; a wrong answer below the goal is legal, and carried out."""

    name = "count"

    def __init__(self, steps: int = 6, *, known: bool = True) -> None:
        super().__init__(steps, known=known)
        self.parameters = {"steps": steps, "known": known}

    def apply(self, state: int, action: int) -> int:
        return action

    def done(self, state: int) -> bool:
        return state == self.goal


def hanoi(disks: int) -> Any:
    """Return the built-in task."""
    return maker.load_task("hanoi", disks=disks)


def right(task: Any) -> Callable[[Request], str]:
    """Return a script that answers a Hanoi step rightly."""
    return lambda request: task.render(task.truth(request.state, request.address.step))


def adder(request: Request) -> str:
    """Answer a counting step rightly."""
    return str(request.state + 1)


def decisions(result: RunResult) -> dict[int, Any]:
    """Return what was decided at each step, and by which votes."""
    return {v.step: (v.answer, v.samples, dict(v.votes.items())) for v in result.verdicts()}


def digest(path: Path) -> str:
    """Return a digest of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def balanced(result: RunResult) -> bool:
    """Say whether every draw is accounted for."""
    usage = result.usage
    return usage.in_flight == 0 and (usage.voted, usage.flagged) == (result.samples - result.flagged, result.flagged)


# -- solved ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("disks", range(1, 9))
def test_hanoi_is_solved(disks: int) -> None:
    """Odd and even towers end on the right peg in 2^D - 1 steps, and an independent checker agrees."""
    task = hanoi(disks)
    result = maker.run_sync(task, model="oracle:p=0.9,v=0.95", k=5)
    assert (result.solved, result.stopped, result.exit_code) == (True, None, 0)
    assert (result.steps, result.wrong) == (2**disks - 1, 0)
    assert result.answer == [[], [], list(range(disks, 0, -1))]
    assert task.check([v.answer for v in sorted(result.verdicts(), key=lambda v: v.step)]) is None
    assert balanced(result)


def test_the_same_decisions_however_it_is_carried_out(tmp_path: Path) -> None:
    """Segments, lock-step and free mode with random latencies give every step the same verdict and votes."""
    task = hanoi(7)
    settings: dict[str, Any] = {"p": 0.85, "v": 0.9, "rivals": 2}
    first = maker.run_sync(task, model=Oracle(**settings), k=5, segments=1)
    expected = decisions(first)
    assert (len(expected), first.wrong) == (127, 0)
    assert first.samples > 127 * 5
    for segments in (1, 16, 1024):
        for latency in (0.0, 0.0005):
            model = Oracle(**settings, latency=latency)
            journal = tmp_path / f"{segments}-{latency}.db"
            other = maker.run_sync(task, model=model, k=5, segments=segments, journal=journal)
            assert (other.chain, other.state_digest) == (first.chain, first.state_digest)
            assert decisions(other) == expected
            assert (other.samples, other.flags, other.wrong) == (first.samples, first.flags, first.wrong)


def test_arrival_order_that_depends_on_the_answer() -> None:
    """Wrong answers that always arrive first change no verdict."""
    task = hanoi(4)
    oracle = Oracle(p=0.7, seed=3)
    oracle.bind(task)

    class WrongFirst:
        lockstep = False
        name = oracle.name
        simulated = True

        async def draw(self, requests: Sequence[Request]) -> Sequence[Sample | Failure]:
            (sample,) = await oracle.draw(requests)
            wait = 20 if sample.text == right(task)(requests[0]) else 0
            for _ in range(wait):
                await anyio.lowlevel.checkpoint()
            return [sample]

    slow = maker.run_sync(task, model=WrongFirst(), k=3, segments=4, seed=4)  # a run to the end
    fast = maker.run_sync(task, model=oracle, k=3, segments=4, seed=4)
    assert slow.chain == fast.chain
    assert decisions(slow) == decisions(fast)


def test_another_seed_gives_other_votes() -> None:
    """The run's seed reaches the draws: another seed samples other errors."""
    runs = [maker.run_sync(hanoi(5), model="oracle:p=0.8", k=5, seed=seed) for seed in (0, 0, 1)]
    assert decisions(runs[0]) == decisions(runs[1]) != decisions(runs[2])


def test_task_that_cannot_say_how_long_it_is() -> None:
    """With steps = None the run goes on until `done`, and not one step longer."""
    model = ScriptedModel(adder)
    result = maker.run_sync(Count(7, known=False), model=model, k=2)
    assert (result.solved, result.steps, result.answer, len(model.requests)) == (True, 7, 7, 14)


def test_task_that_is_done_from_the_start() -> None:
    """A task whose first state is the goal is solved without a draw."""
    model = ScriptedModel(adder)
    result = maker.run_sync(Count(0, known=False), model=model, k=2)
    assert (result.solved, result.steps, len(model.requests)) == (True, 0, 0)


def test_eighteen_vote_race() -> None:
    """A race that stays close for seven rounds is decided on its eighteenth vote, by the right margin."""
    script = ["1", "0"] * 7 + ["1"] * 4
    task = Count(1)
    result = maker.run_sync(task, model=ScriptedModel(script), k=4)
    (verdict,) = result.verdicts()
    assert (verdict.answer, verdict.samples, verdict.margin) == (1, 18, 4)
    assert dict(verdict.votes.items()) == {1: 11, 0: 7}
    assert result.solved


# -- lost ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("segments", [1, 8])
@pytest.mark.parametrize("seed", range(5))
def test_coin_flip_loses(seed: int, segments: int) -> None:
    """A model that is right half the time ends unsolved with wrong steps and exit code 1, at any margin."""
    result = maker.run_sync(hanoi(6), model="oracle:p=0.5", k=3, seed=seed, segments=segments)
    assert (result.solved, result.answer, result.exit_code) == (False, None, 1)
    assert result.wrong is not None
    assert result.wrong > 0
    assert result.detail


def test_wrong_plan_is_a_join_mismatch(tmp_path: Path) -> None:
    """Wrong entry states end the run unsolved, and so does its resume, without another draw."""

    class Wrong(Count):
        def plan(self, segments: int = 3) -> Plan:
            return Plan.chain(6, lambda step: step + 1 if step == 4 else step, segments)

    path = tmp_path / "run.db"
    first = maker.run_sync(Wrong(6), model=ScriptedModel(adder), k=2, segments=3, journal=path)
    assert (first.solved, first.stopped, first.exit_code) == (False, "join_mismatch", 1)
    assert "segment 2" in first.detail
    again = ScriptedModel(adder)
    second = maker.run_sync(Wrong(6), model=again, k=2, segments=3, journal=path)
    assert (second.solved, second.stopped, second.exit_code) == (False, "join_mismatch", 1)
    assert again.requests == []
    assert second.detail == first.detail


@pytest.mark.parametrize("lockstep", [True, False])
def test_illegal_winner(tmp_path: Path, lockstep: bool) -> None:
    """An illegal answer that wins under the published flags stops the run and never changes the state."""
    path = tmp_path / "run.db"
    model = ScriptedModel(
        lambda request: "99" if request.address.step == 2 else str(request.state + 1), lockstep=lockstep
    )
    result = maker.run_sync(Count(6), model=model, k=2, flags="paper", journal=path)
    assert (result.solved, result.stopped, result.exit_code) == (False, "illegal", 1)
    assert (result.steps, result.state) == (2, 2)
    assert "step 2" in result.detail
    assert "99" in result.detail
    asked = len(model.requests)
    again = maker.run_sync(Count(6), model=model, k=2, flags="paper", journal=path)
    assert (again.stopped, again.steps, len(model.requests)) == ("illegal", 2, asked)


def test_illegal_answer_is_flagged_by_default() -> None:
    """With the default flags an illegal answer never votes."""
    model = ScriptedModel(lambda request: "99" if request.address.draw % 2 else str(request.state + 1))
    result = maker.run_sync(Count(6), model=model, k=2)
    assert result.solved
    assert set(result.flags) == {"illegal"}


def test_confusion_is_cut_by_flags() -> None:
    """Where long answers are wrong ones, the flags lower the error of a sample several times over."""
    model = "oracle:p=0.9,confusion=0.3"
    flagged = maker.run_sync(hanoi(10), model=model, k=1, segments=1)
    naked = maker.run_sync(hanoi(10), model=model, k=1, segments=1, flags=[])
    assert flagged.wrong is not None
    assert naked.wrong is not None
    assert flagged.wrong / flagged.steps == pytest.approx(0.1, abs=0.03)
    assert naked.wrong / naked.steps == pytest.approx(0.3 + 0.7 * 0.1, abs=0.05)
    assert flagged.flags["over_long"] / flagged.samples == pytest.approx(0.3, abs=0.04)
    assert naked.flags == {}


# -- undecided ----------------------------------------------------------------------------------------------


def test_rambling_model_is_undecided_and_resumable(tmp_path: Path) -> None:
    """A model without one valid reply stops undecided with step, tally and remedy; higher limits go on from there."""
    task, path = hanoi(3), tmp_path / "run.db"
    answer = right(task)
    model = ScriptedModel(lambda r: answer(r) if r.address.step or r.address.draw >= 120 else "Let me think.")
    first = maker.run_sync(task, model=model, k=2, segments=1, journal=path)
    assert (first.solved, first.stopped, first.exit_code, first.steps) == (False, "undecided", 4, 0)
    for part in ("step 0", "100 samples", "votes none", "malformed 100", "Raise max_flags and resume"):
        assert part in first.detail
    assert (first.flagged, first.flags) == (100, {"malformed": 100})
    assert list(first.verdicts()) == []
    model.requests.clear()
    second = maker.run_sync(task, model=model, k=2, segments=1, journal=path, limits={"max_flags": 200})
    assert (second.solved, second.stopped) == (True, None)
    assert [r.address.draw for r in model.requests if r.address.step == 0] == list(range(100, 122))
    assert balanced(second)


@pytest.mark.parametrize("lockstep", [True, False])
def test_fewer_votes_than_the_margin(lockstep: bool) -> None:
    """With max_votes below k no step can be decided: a named stop before the first draw, not an endless wait."""
    model = ScriptedModel(adder, lockstep=lockstep)
    result = maker.run_sync(Count(6), model=model, k=3, limits={"max_votes": 2})
    assert (result.stopped, result.exit_code, model.requests) == ("undecided", 4, [])
    assert "step 0 is undecided after 0 samples" in result.detail
    assert "Raise max_votes" in result.detail


def test_simulated_rambling(tmp_path: Path) -> None:
    """The simulated model without valid replies is undecided, and stays so with the same limits, without a draw."""
    path = tmp_path / "run.db"
    results = [maker.run_sync(hanoi(3), model="oracle:v=0", k=2, journal=path) for _ in range(2)]
    for result in results:
        assert (result.solved, result.stopped, result.exit_code, result.wrong) == (False, "undecided", 4, 0)
        assert "Raise max_flags" in result.detail
    assert results[0].samples == results[1].samples


def test_never_a_plurality(tmp_path: Path) -> None:
    """A vote that leads but not by k ends undecided with both counts; a higher limit decides the same race."""
    path = tmp_path / "run.db"
    script = ["1", "0", "1", "0", "1", "0", "1", "1", "1", "1"]
    first = maker.run_sync(Count(1), model=ScriptedModel(script), k=4, journal=path, limits={"max_votes": 9})
    assert (first.solved, first.answer, first.steps) == (False, None, 0)
    assert (first.stopped, first.exit_code) == ("undecided", 4)
    assert "Raise max_votes" in first.detail
    assert list(first.verdicts()) == []
    second = maker.run_sync(Count(1), model=ScriptedModel(script), k=4, journal=path, limits={"max_votes": 10})
    (verdict,) = second.verdicts()
    assert (second.solved, verdict.samples, verdict.margin) == (True, 10, 4)


def test_lower_limits_do_not_invalidate_decided_steps(tmp_path: Path) -> None:
    """A resume under lower limits keeps every step that the journal holds as decided."""
    path = tmp_path / "run.db"
    first = maker.run_sync(Count(1), model=ScriptedModel(["1", "0", "1", "1", "1"]), k=3, journal=path)
    assert first.solved
    second = maker.run_sync(Count(1), model=ScriptedModel(["1"]), k=3, journal=path, limits={"max_votes": 3})
    assert (second.solved, second.chain) == (True, first.chain)


@pytest.mark.parametrize(
    "reply",
    ["I'm sorry, I can't help with that.", Sample("", finish_reason="content_filter"),
     Sample(None, finish_reason="content_filter")],
)  # fmt: skip
def test_refused_step_is_poison(reply: Any) -> None:
    """A step refused ten times without a valid answer stops the run as a poison step, exit 4."""
    model = ScriptedModel(lambda r: reply if r.address.step == 1 else str(r.state + 1))
    result = maker.run_sync(Count(3), model=model, k=2)
    assert (result.stopped, result.exit_code, result.steps) == ("poison_step", 4, 1)
    assert "step 1" in result.detail
    assert result.flags == {"refused": 10}


# -- the user's code -----------------------------------------------------------------------------------------


class Oops(Exception):
    """What a user's mistake raises."""


def faulty(method: str, at: int, *, known: bool = True) -> Count:
    """Return a task one method of which raises when the count stands at `at`."""
    task = Count(5, known=known)
    original = getattr(task, method)

    def raising(state: Any, *rest: Any) -> Any:
        if state == at:
            raise Oops("a mistake")
        return original(state, *rest)

    setattr(task, method, raising)
    return task


@pytest.mark.parametrize("flags", [None, "paper"])
@pytest.mark.parametrize("lockstep", [True, False])
@pytest.mark.parametrize("method", ["prompt", "legal", "apply"])
def test_task_that_raises_at_a_step(tmp_path: Path, method: str, lockstep: bool, flags: Any) -> None:
    """What prompt, legal or apply raise is a TaskError naming step and method; the steps before are kept."""
    path = tmp_path / "run.db"
    model = ScriptedModel(adder, lockstep=lockstep)
    with pytest.raises(TaskError, match=rf"step 2: {method} raised Oops: a mistake") as error:
        maker.run_sync(faulty(method, 2), model=model, k=2, journal=path, flags=flags)
    assert error.value.exit_code == 2
    assert isinstance(error.value.__cause__, Oops)
    mended = maker.run_sync(Count(5), model=model, k=2, journal=path, flags=flags)
    assert (mended.solved, mended.replayed) == (True, 2)


def test_done_that_raises() -> None:
    """What done raises names the step, or the end of the run."""
    with pytest.raises(TaskError, match="step 3: done raised Oops"):
        maker.run_sync(faulty("done", 3, known=False), model=ScriptedModel(adder), k=1)
    with pytest.raises(TaskError, match="step 5: done raised Oops"):
        maker.run_sync(faulty("done", 5), model=ScriptedModel(adder), k=1)


def test_answer_that_raises() -> None:
    """What answer raises is a TaskError naming it."""
    with pytest.raises(TaskError, match="answer raised Oops: a mistake"):
        maker.run_sync(faulty("answer", 5), model=ScriptedModel(adder), k=1)


def test_initial_state_that_raises(tmp_path: Path) -> None:
    """What initial_state raises is a TaskError naming it, before any draw."""

    class Bad(Count):
        def initial_state(self) -> int:
            raise Oops("no beginning")

    model = ScriptedModel(adder)
    with pytest.raises(TaskError, match="initial_state raised Oops: no beginning"):
        maker.run_sync(Bad(), model=model, k=1, journal=tmp_path / "run.db")
    assert model.requests == []


@pytest.mark.parametrize("steps", [Oops("uncountable"), 0, -3, "five", 2.5])
def test_bad_steps(steps: Any) -> None:
    """A `steps` that raises or is no positive whole number is a TaskError naming it."""

    class Bad(Count):
        @property
        def steps(self) -> Any:
            if isinstance(steps, Oops):
                raise steps
            return steps

        @steps.setter
        def steps(self, value: Any) -> None:
            pass

    with pytest.raises(TaskError, match="steps"):
        maker.run_sync(Bad(), model=ScriptedModel(adder), k=1)


@pytest.mark.parametrize("error", [Oops, TaskError, KeyError, RecursionError, MemoryError])
def test_parser_that_raises_is_a_flag(error: type[Exception]) -> None:
    """Whatever parse raises costs the reply its vote and nothing else."""

    class Picky(Count):
        def parse(self, text: str) -> int:
            if text == "bad":
                raise error("cannot read this")
            return int(text)

    model = ScriptedModel(lambda r: "bad" if r.address.draw == 0 else str(r.state + 1))
    result = maker.run_sync(Picky(4), model=model, k=2)
    assert (result.solved, result.flags) == (True, {"malformed": 4})


def test_prompt_that_is_no_text() -> None:
    """A prompt that is not text is a TaskError naming the step."""

    class Silent(Count):
        def prompt(self, state: int, step: int) -> Any:
            return None if step == 1 else "go"

    with pytest.raises(TaskError, match="step 1: prompt returned NoneType"):
        maker.run_sync(Silent(), model=ScriptedModel(adder), k=1)


def test_answer_that_cannot_be_counted() -> None:
    """A parser that returns an object without a canonical form is a TaskError, not a flag."""

    class Odd(Count):
        def parse(self, text: str) -> Any:
            return object()

    with pytest.raises(TaskError, match="step 0: parse returned an answer that cannot be counted"):
        maker.run_sync(Odd(), model=ScriptedModel(["1"]), k=1)


def test_state_that_cannot_be_digested() -> None:
    """A state without a canonical form is a TaskError naming step and method."""

    class Odd(Count):
        def apply(self, state: Any, action: int) -> Any:
            return float("nan")

    with pytest.raises(TaskError, match="step 0: apply"):
        maker.run_sync(Odd(), model=ScriptedModel(adder), k=1)


def test_flag_that_raises() -> None:
    """What a user's flag raises is a TaskError naming the flag and the step."""

    def nervous(sample: Any, step: Any, earlier: Any) -> None:
        if step.index == 1:
            raise Oops("I saw something")

    with pytest.raises(TaskError, match="step 1: flag nervous raised Oops"):
        maker.run_sync(Count(), model=ScriptedModel(adder), k=1, flags=[nervous])


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"k": 0}, "k = 0"),
        ({"k": 1.5}, "k = 1.5"),
        ({"k": "many"}, "k = 'many'"),
        ({"target": 1.0}, "target"),
        ({"seed": -1}, "seed"),
        ({"segments": 0}, "segments"),
        ({"segments": 2}, "no plan"),
        ({"flags": "none"}, "flags = 'none'"),
        ({"limits": {"max_step": 3}}, "max_step"),
        ({"limits": {"max_calls": 0}}, "max_calls"),
        ({"temperature": -1}, "temperature"),
        ({"keep_samples": "some"}, "keep_samples"),
    ],
)
def test_bad_settings(tmp_path: Path, settings: dict[str, Any], match: str) -> None:
    """A setting that does not fit is a TaskError naming it, and no journal is begun."""
    with pytest.raises(TaskError, match=match):
        maker.run_sync(Count(), **{"model": ScriptedModel(adder), "k": 1, "journal": tmp_path / "run.db", **settings})
    assert list(tmp_path.iterdir()) == []


def test_unknown_model_and_task() -> None:
    """An unknown model and an unknown task are a TaskError each, with the names there are."""
    with pytest.raises(TaskError, match="oracle"):
        maker.run_sync("hanoi", model="gpt-17", k=1)
    with pytest.raises(TaskError, match="hanoi"):
        maker.run_sync("towers", model="oracle", k=1)


# -- no truth for judges --------------------------------------------------------------------------------------


def test_no_truth_reaches_requests_flags_or_votes() -> None:
    """With a truth that is always wrong, the verdicts and states are the same: judges never see it."""

    class Lying(Count):
        def truth(self, state: int, step: int) -> int:
            return -1

    honest = maker.run_sync(Count(6), model=ScriptedModel(adder), k=2)
    lying = maker.run_sync(Lying(6), model=ScriptedModel(adder), k=2)
    assert (lying.stopped, lying.chain, lying.flags) == (None, honest.chain, {})
    assert (honest.wrong, lying.wrong) == (None, 6)


def test_an_end_reached_by_wrong_steps_is_not_solved(tmp_path: Path) -> None:
    """Where steps are known to be wrong the run is not solved, whatever `done` says; verify agrees."""

    class Walk(Adding):
        def truth(self, state: int, step: int) -> int:
            return state + 1

    stray = ScriptedModel(lambda request: str(request.state + (2 if request.address.step in (2, 4) else 1)))
    result = maker.run_sync(Walk(6), model=stray, k=2, journal=tmp_path / "run.db")
    assert (result.solved, result.answer, result.stopped, result.exit_code, result.wrong) == (False, None, None, 1, 2)
    assert result.detail == "all 6 steps are decided, but 2 differ from the truth."
    assert ("result", "NOT solved") in run_rows(result)
    audit = maker.verify(tmp_path / "run.db", Walk(6))
    assert (audit.problem, audit.solved, audit.wrong, audit.exit_code) == (None, False, 2, 1)
    del Walk.truth
    unknown = maker.run_sync(Walk(6), model=stray, k=2)
    assert (unknown.solved, unknown.exit_code, unknown.wrong) == (True, 0, None)


# -- limits and interrupts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("segments", "latency", "limits"),
    [
        (segments, latency, limits)
        for segments in (1, 8)
        for latency in (0.0, 0.0002)
        for limits in (
            {"max_steps": 10},
            {"max_calls": 60},
            {"max_tokens": 12_000},
        )
    ],
)
def test_limits_stop_and_resume(tmp_path: Path, limits: dict[str, int], latency: float, segments: int) -> None:
    """A limit is a named, resumable stop, and the resumed run ends as the undisturbed one."""
    settings: dict[str, Any] = {"k": 3, "segments": segments, "token_cap": 200}
    whole = maker.run_sync(hanoi(5), model=Oracle(p=0.9), **settings)
    path = tmp_path / "run.db"
    first = maker.run_sync(hanoi(5), model=Oracle(p=0.9, latency=latency), journal=path, limits=limits, **settings)
    (name, most) = next(iter(limits.items()))
    assert (first.stopped, first.exit_code, first.solved) == (name, 3, False)
    assert name in first.detail
    used = {
        "max_steps": first.steps,
        "max_calls": first.usage.dispatched,
        "max_tokens": first.usage.tokens_in + first.usage.tokens_out,
    }
    assert 0 < used[name] <= most
    again = maker.run_sync(hanoi(5), model=Oracle(p=0.9, latency=latency), journal=path, limits=limits, **settings)
    assert again.stopped == name
    assert again.steps >= first.steps
    last = maker.run_sync(hanoi(5), model=Oracle(p=0.9, latency=latency), journal=path, **settings)
    assert (last.solved, last.chain, last.state_digest) == (True, whole.chain, whole.state_digest)
    assert decisions(last) == decisions(whole)
    assert (last.samples, last.usage.tokens_out) == (whole.samples, whole.usage.tokens_out)


def test_max_seconds_stops_and_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When its time is over a run stops between waves, and the next call has the time anew."""
    path = tmp_path / "run.db"
    whole = maker.run_sync(hanoi(4), model="oracle", k=2, segments=1)
    with monkeypatch.context() as patch:
        patch.setattr("maker.sending.budget.funds.time", SimpleNamespace(monotonic=itertools.count().__next__))
        first = maker.run_sync(hanoi(4), model="oracle", k=2, segments=1, journal=path, limits={"max_seconds": 5})
    assert (first.stopped, first.exit_code) == ("max_seconds", 3)
    assert 0 < first.steps < 15
    last = maker.run_sync(hanoi(4), model="oracle", k=2, segments=1, journal=path, limits={"max_seconds": 500})
    assert (last.solved, last.chain) == (True, whole.chain)


def test_max_steps_that_is_just_enough() -> None:
    """A run of exactly max_steps steps is not stopped."""
    result = maker.run_sync(hanoi(4), model="oracle", k=1, segments=4, limits={"max_steps": 15})
    assert (result.solved, result.stopped) == (True, None)


@pytest.mark.parametrize("lockstep", [True, False])
def test_interrupted(tmp_path: Path, lockstep: bool) -> None:
    """An interrupt ends the run between waves, resumable, with everything so far kept."""
    path = tmp_path / "run.db"
    asked = itertools.count()
    model = ScriptedModel(adder, lockstep=lockstep)
    first = maker.run_sync(Count(6), model=model, k=2, journal=path, interrupted=lambda: next(asked) >= 3)
    assert (first.stopped, first.exit_code, first.steps, first.solved) == ("interrupted", 3, 3, False)
    assert "resume" in first.detail
    second = maker.run_sync(Count(6), model=model, k=2, journal=path)
    assert (second.solved, second.replayed, len(model.requests)) == (True, 3, 12)


@pytest.mark.asyncio
async def test_cancellation_keeps_the_journal(tmp_path: Path) -> None:
    """A cancelled run leaves a readable journal and no lock, and resumes."""
    path = tmp_path / "run.db"
    stuck = anyio.Event()

    class Stuck(ScriptedModel):
        async def draw(self, requests: Sequence[Request]) -> list[Sample | Failure]:
            if requests[0].address.step == 3:
                stuck.set()
                await anyio.sleep_forever()
            return await super().draw(requests)

    async with anyio.create_task_group() as group:
        group.start_soon(lambda: maker.run(Count(6), model=Stuck(adder, lockstep=False), k=2, journal=path))
        await stuck.wait()
        group.cancel_scope.cancel()
    assert os.listdir(tmp_path) == ["run.db"]  # noqa: PTH208 -- a test may block
    again = await maker.run(Count(6), model=ScriptedModel(adder, lockstep=False), k=2, journal=path)
    assert (again.solved, again.replayed) == (True, 3)
    assert again.usage.cancelled == 2
    assert again.usage.in_flight == 0


@pytest.mark.parametrize(
    ("failure", "error"),
    [(Failure("fatal", "401"), ModelError), (Failure("poison", "400"), None)],
)
def test_failures_end_the_run_as_they_should(tmp_path: Path, failure: Failure, error: type[Exception] | None) -> None:
    """A fatal failure raises ModelError, a poisoned request stops with exit 4; both resume from where they were."""
    path = tmp_path / "run.db"
    model = ScriptedModel(lambda r: failure if r.address.step == 2 else str(r.state + 1), lockstep=False)
    if error is not None:
        with pytest.raises(error, match="step 2"):
            maker.run_sync(Count(4), model=model, k=2, journal=path)
    else:
        result = maker.run_sync(Count(4), model=model, k=2, journal=path)
        assert (result.stopped, result.exit_code, result.steps) == ("poison_step", 4, 2)
    mended = maker.run_sync(Count(4), model=ScriptedModel(adder, lockstep=False), k=2, journal=path)
    assert (mended.solved, mended.replayed, mended.flagged) == (True, 2, 0)
    assert mended.usage.failed >= 1
    assert mended.usage.in_flight == 0


# -- progress ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("latency", [0.0, 0.0002])
def test_progress_shows_acknowledged_work_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, latency: float) -> None:
    """Every glimpse counts steps that another process can already read, and no glimpse shows less than one before."""
    monkeypatch.setattr(sys.modules["maker.engine.result"], "REPORT_SECONDS", 0.0)
    monkeypatch.setattr("maker.journal.writer.GROUP_RECORDS", 4)
    path = tmp_path / "run.db"
    seen: list[Progress] = []

    def show(progress: Progress) -> None:
        stored = sum(isinstance(i, Wave) and i.verdict is not None for i in map(decode, read_records(path)))
        assert progress.steps <= stored
        seen.append(progress)

    model = Oracle(p=0.9, latency=latency)
    result = maker.run_sync(hanoi(6), model=model, k=2, segments=4, journal=path, progress=show)
    assert result.solved
    counts = [progress.steps for progress in seen]
    assert counts == sorted(counts)
    assert [p.samples for p in seen] == sorted(p.samples for p in seen)
    assert counts[-1] > 10
    assert {p.total for p in seen} == {63}


def test_progress_of_a_resumed_run_begins_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From its first glimpse a resumed run shows the steps that it found, and how many there are in all."""
    monkeypatch.setattr(sys.modules["maker.engine.result"], "REPORT_SECONDS", 0.0)
    path = tmp_path / "run.db"
    seen: list[Progress] = []
    maker.run_sync(hanoi(6), model="oracle", k=2, segments=1, journal=path, limits={"max_steps": 20})
    maker.run_sync(hanoi(6), model="oracle", k=2, segments=1, journal=path, progress=seen.append)
    assert min(p.steps for p in seen) >= 20
    assert {(p.replayed, p.total) for p in seen} == {(20, 63)}


# -- resuming -----------------------------------------------------------------------------------------------------

BASE: dict[str, Any] = {"k": 2, "seed": 1, "segments": 4, "temperature": 0.1}


@pytest.mark.parametrize(
    ("field", "disks", "model", "changes"),
    [
        ("k", 4, "oracle", {"k": 3}),
        ("k", 4, "oracle", {"k": "auto"}),
        ("seed", 4, "oracle", {"seed": 2}),
        ("segments", 4, "oracle", {"segments": 2}),
        ("temperature", 4, "oracle", {"temperature": 0.7}),
        ("first_temperature", 4, "oracle", {"first_temperature": 0.0}),
        ("token_cap", 4, "oracle", {"token_cap": 512}),
        ("long_answer", 4, "oracle", {"long_answer": 100}),
        ("target", 4, "oracle", {"target": 0.5}),
        ("flags", 4, "oracle", {"flags": list(PAPER)}),
        ("flags", 4, "oracle", {"flags": [malformed, empty]}),
        ("keep_samples", 4, "oracle", {"keep_samples": "all"}),
        ("model", 4, "oracle:p=0.9", {}),
        ("parameters", 5, "oracle", {}),
        ("steps", 5, "oracle", {}),
        ("prompt", 5, "oracle", {}),
    ],
)
def test_resume_with_other_settings_is_refused(
    tmp_path: Path, field: str, disks: int, model: str, changes: dict[str, Any]
) -> None:
    """Whatever can change a decision is compared: the refusal names field and both values and changes no byte."""
    path = tmp_path / "run.db"
    maker.run_sync(hanoi(4), model="oracle", journal=path, limits={"max_steps": 7}, **BASE)
    before = digest(path)
    with pytest.raises(JournalError, match=rf"[(; ]{field}: journal .*, now ") as error:
        maker.run_sync(hanoi(disks), model=model, journal=path, **{**BASE, **changes})
    assert error.value.exit_code == 6
    assert digest(path) == before
    assert [p.name for p in tmp_path.iterdir()] == ["run.db"]
    assert maker.run_sync(hanoi(4), model="oracle", journal=path, **BASE).solved


SOURCE = '''
class Up:
    """Counts up."""

    steps = 5

    def initial_state(self):
        return 0

    def prompt(self, state, step):
        return f"{state} + 1 ="

    def parse(self, text):
        return int(text)

    def legal(self, state, action):
        return True

    def apply(self, state, action):
        return action

    def done(self, state):
        return state >= 5

    def answer(self, state):
        return state
'''


def fresh(path: Path) -> Any:
    """Load a task file as a new process would."""
    sys.modules.pop(f"maker_task_{path.stem}", None)
    linecache.clearcache()
    return maker.load_task(f"{path}:Up")


def test_changed_task_source_is_refused(tmp_path: Path) -> None:
    """A resume with other task code is refused, naming the code; with the old code it goes on."""
    source, path = tmp_path / "up.py", tmp_path / "run.db"
    source.write_text(SOURCE)
    maker.run_sync(fresh(source), model=ScriptedModel(adder), k=2, journal=path, limits={"max_steps": 2})
    source.write_text(SOURCE.replace("return True", "return action > state"))
    before = digest(path)
    with pytest.raises(JournalError, match=r"code: journal '\w+', now '\w+'"):
        maker.run_sync(fresh(source), model=ScriptedModel(adder), k=2, journal=path)
    assert digest(path) == before
    source.write_text(SOURCE)
    result = maker.run_sync(fresh(source), model=ScriptedModel(adder), k=2, journal=path)
    assert (result.solved, result.replayed) == (True, 2)


class Moody(Count):
    """A task whose `apply` gives another state each time."""

    chance = random.Random(5)

    def apply(self, state: Any, action: int) -> Any:
        return [action, self.chance.random()]

    def legal(self, state: Any, action: int) -> bool:
        return True


def test_random_task_code_is_noticed_on_replay(tmp_path: Path) -> None:
    """A task that computes another state when it is replayed is refused, naming the step."""
    path = tmp_path / "run.db"
    settings: dict[str, Any] = {"model": ScriptedModel(["1"]), "k": 1, "journal": path}
    maker.run_sync(Moody(6), limits={"max_steps": 2}, **settings)
    with pytest.raises(JournalError, match=r"step 0: the task's code gives another result.*random"):
        maker.run_sync(Moody(6), **settings)


def test_parser_that_no_longer_reads_its_answers(tmp_path: Path) -> None:
    """A parser that refuses an answer it once read is an error on resume, naming step and reason."""

    class Fickle(Count):
        def parse(self, text: str) -> int:
            if broken:
                raise ValueError("changed my mind")
            return int(text)

    path, broken = tmp_path / "run.db", False
    maker.run_sync(Fickle(), model=ScriptedModel(adder), k=1, journal=path, limits={"max_steps": 2})
    broken = True
    with pytest.raises(JournalError, match=r"step 0: .*no longer reads.*changed my mind"):
        maker.run_sync(Fickle(), model=ScriptedModel(adder), k=1, journal=path)


@pytest.mark.parametrize(("model", "k"), [("oracle:p=0.9", 3), ("oracle:p=0.9", "auto"), ("oracle:p=0.5", 3)])
def test_finished_journal_gives_the_same_result_without_a_draw(tmp_path: Path, model: str, k: Any) -> None:
    """A finished journal, solved or lost, is replayed to the same result; nothing is sent or written."""
    path = tmp_path / "run.db"
    first = maker.run_sync(hanoi(5), model=model, k=k, segments=1, journal=path)
    before = list(read_records(path))

    class Silent:
        lockstep = True
        simulated = True
        name = maker.load_model(model).name

        async def draw(self, requests: Sequence[Request]) -> Sequence[Sample | Failure]:
            raise AssertionError("nothing was to be sent")

    second = maker.run_sync(hanoi(5), model=Silent(), k=k, segments=1, journal=path)
    ours, theirs = first.as_json(), second.as_json()
    for said in (ours, theirs):
        del said["seconds"], said["replayed"]
    assert ours == theirs
    assert second.replayed == first.steps
    assert list(read_records(path)) == before
    assert decisions(first) == decisions(second)


def test_transient_failures_do_not_change_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst of refused connections costs retries, and changes neither chain nor samples."""
    monkeypatch.setattr("maker.sending.dispatcher.FIRST_BACKOFF", 0.0)
    failed: set[Any] = set()

    def bumpy(request: Request) -> str | Failure:
        if request.address.draw % 2 == 0 and request.address not in failed:
            failed.add(request.address)
            return Failure("transient", "connection refused")
        return adder(request)

    for lockstep in (True, False):
        failed.clear()
        calm = maker.run_sync(Count(6), model=ScriptedModel(adder, lockstep=lockstep), k=3)
        rough = maker.run_sync(Count(6), model=ScriptedModel(bumpy, lockstep=lockstep), k=3)
        assert (rough.chain, rough.samples, rough.flagged) == (calm.chain, calm.samples, 0)
        assert (rough.usage.failed, calm.usage.failed) == (12, 0)
        assert balanced(rough)


@pytest.mark.asyncio
async def test_run_sync_inside_a_running_loop() -> None:
    """The synchronous call works inside an event loop, too."""
    assert maker.run_sync(Count(3), model=ScriptedModel(adder), k=1).solved
    assert (await maker.run(Count(3), model=ScriptedModel(adder), k=1)).solved


def test_first_temperature_of_the_published_flags() -> None:
    """The "paper" preset draws the first sample of each step at temperature 0, the others at the run's."""
    model = ScriptedModel(adder)
    maker.run_sync(Count(2), model=model, k=2, flags="paper", temperature=0.3)
    assert [(r.address.draw, r.temperature) for r in model.requests] == [(0, 0.0), (1, 0.3)] * 2
    model.requests.clear()
    maker.run_sync(Count(2), model=model, k=2, temperature=0.3)
    assert {r.temperature for r in model.requests} == {0.3}
