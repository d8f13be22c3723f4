"""k = "auto": a small calibration that is journaled, paid for once, and refuses what voting cannot mend."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import maker
from adding import Adding
from maker import theory
from maker.decision.config import Config
from maker.decision.sample import Failure, Request, Sample
from maker.engine.calibrate import announced, chosen
from maker.errors import Infeasible, TaskError
from maker.journal.database import read_records
from maker.journal.notes import Calibration
from maker.journal.records import decode
from maker.models.oracle import Oracle
from maker.testing import ScriptedModel, check_journal
from maker.theory.evidence import Evidence
from maker.theory.planner import project


class Known(Adding):
    """The same with its truth."""

    def truth(self, state: int, step: int) -> int:
        return state + 1


def adder(request: Request) -> str:
    """Answer rightly."""
    return str(request.state + 1)


def noisy(request: Request) -> str:
    """Answer wrongly in about an eighth of the draws."""
    return str(request.state + (request.seed % 8 != 0))


def calibrations(path: Path) -> list[dict[str, Any]]:
    """Return the calibration notes of a journal."""
    notes = [item for item in map(decode, read_records(path)) if isinstance(item, dict)]
    return [note["calibration"] for note in notes if "calibration" in note]


def hanoi(disks: int) -> Any:
    """Return the built-in task."""
    return maker.load_task("hanoi", disks=disks)


@pytest.mark.parametrize("disks", [2, 6, 9, 12])
def test_calibration_is_large_enough_and_journaled(tmp_path: Path, disks: int) -> None:
    """At least 300 draws are made whatever the length of the run, and the journal holds what they said."""
    path = tmp_path / "run.db"
    model = "oracle:p=0.95,v=0.9"
    result = maker.run_sync(hanoi(disks), model=model, journal=path, limits={"max_steps": 50})
    (note,) = calibrations(path)
    assert note == result.calibration
    assert note["draws"] >= 300
    assert note["draws"] > note["valid"] > 0.8 * note["draws"]
    assert 0 < note["wrong"] < 0.1 * note["valid"]
    assert note["against"] == "truth"


def test_k_follows_from_the_lower_bound() -> None:
    """The margin is the planner's for what was seen, never less than steps all alike need at the exact bound of p."""
    for target, disks in [(0.5, 8), (0.95, 8), (0.999, 12)]:
        result = maker.run_sync(hanoi(disks), model="oracle:p=0.9", target=target, limits={"max_steps": 5})
        seen = result.calibration
        assert seen is not None
        assert seen["p_plan"] == theory.p_lower(seen["erred"], seen["steps"]) < 0.9
        plan = project(Evidence(**seen["evidence"]), 2**disks - 1, target)
        assert result.k == seen["k"] == plan.k
        assert plan.k is not None
        assert plan.k >= theory.k_min(seen["p_plan"], 2**disks - 1, target)


def test_one_draw_a_step_decides_p_and_erring_steps_are_drawn_again(tmp_path: Path) -> None:
    """All of p comes from 300 first draws; up to 20 steps that erred get 20 draws more, at addresses used once."""
    task = hanoi(12)
    model = ScriptedModel(lambda r: task.render(task.truth(r.state, r.address.step) if r.seed % 8 else wrong(r)))

    def wrong(request: Request) -> Any:
        return task.rivals(request.state, request.address.step)[0]

    result = maker.run_sync(task, model=model, limits={"max_steps": 1})
    seen = result.calibration
    assert seen is not None
    assert seen["steps"] == 300
    assert 15 < seen["erred"] < 60
    asked = [r.address for r in model.requests if r.address.run.startswith("calibration")]
    assert len(set(asked)) == len(asked) == seen["draws"]
    again = [address.step for address in asked if address.run == "calibration/1"]
    assert {again.count(step) for step in again} == {20}
    assert len(set(again)) == min(20, seen["erred"])


def test_errors_that_seem_to_cluster_are_looked_at_longer() -> None:
    """Where the evidence leaves open whether any k will do, up to 1,200 steps are drawn on; else 300."""
    counts = []
    for rho in (0.0, 0.3):
        try:
            result = maker.run_sync(hanoi(12), model=Oracle(p=0.99, rho=rho, seed=3), limits={"max_steps": 1})
            counts.append(result.calibration["steps"] if result.calibration else 0)
        except Infeasible as refused:
            found = re.search(r"of (\d+) valid samples", str(refused))
            counts.append(int(found[1]) if found else 0)
    assert counts[0] == 300
    assert counts[1] > 300


@pytest.mark.parametrize(("p", "rho"), [(0.9, 0.3), (0.95, 0.3), (0.45, 0.0)])
def test_lost_steps_and_hopeless_models_are_refused(p: float, rho: float) -> None:
    """At rho = .3 some steps are wrong most of the time: refused, as p = .45 is, for five models out of five."""
    for seed in range(5):
        with pytest.raises(Infeasible, match=r"no k helps|lost at any k"):
            maker.run_sync(hanoi(10), model=Oracle(p=p, rho=rho, seed=seed), seed=seed)


def solved(p: float, rho: float, trials: int) -> int:
    """Of so many runs of 1,023 steps planned by k auto, each with a model of its own, how many were solved."""
    count = 0
    for seed in range(trials):
        try:
            count += maker.run_sync(hanoi(10), model=Oracle(p=p, rho=rho, seed=seed), seed=seed).solved
        except Infeasible:
            print(f"refused: p={p} rho={rho} seed={seed}")
    return count


@pytest.mark.parametrize("rho", [0.0, 0.01])
def test_planned_runs_reach_their_target(rho: float) -> None:
    """Of 10 runs of 1,023 steps with target .95 at least 9 are solved (of 200 at least 190: slow)."""
    assert solved(0.95, rho, 10) >= 9


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("rho", [0.0, 0.01])
@pytest.mark.parametrize("p", [0.8, 0.9, 0.95, 0.99, 0.998])
def test_two_hundred_planned_runs_reach_their_target(p: float, rho: float) -> None:
    """Of 200 runs of 1,023 steps with target .95, k auto and the real driver, at least 95% are solved."""
    count = solved(p, rho, 200)
    print(f"p={p} rho={rho}: {count} of 200 solved")
    assert count >= 190


def test_calibrated_run_is_solved() -> None:
    """A run whose k was calibrated is solved, and its calibration draws are part of its account."""
    result = maker.run_sync(hanoi(8), model="oracle:p=0.9,v=0.95")
    assert (result.solved, result.wrong) == (True, 0)
    assert result.calibration is not None
    voted = sum(v.samples for v in result.verdicts())
    assert result.samples == voted + result.calibration["draws"]
    assert result.usage.in_flight == 0


@pytest.mark.parametrize("lockstep", [True, False])
def test_free_mode_calibrates_alike(tmp_path: Path, lockstep: bool) -> None:
    """Lock-step and free mode see the same samples and choose the same k."""
    model = Oracle(p=0.9, latency=0.0 if lockstep else 0.0001)
    result = maker.run_sync(hanoi(5), model=model, limits={"max_steps": 1})
    expected = maker.run_sync(hanoi(5), model="oracle:p=0.9", limits={"max_steps": 1})
    assert (result.calibration, result.k) == (expected.calibration, expected.k)


@pytest.mark.parametrize("p", [0.45, 0.5, 0.2])
def test_a_model_that_is_mostly_wrong_is_refused(tmp_path: Path, p: float) -> None:
    """Where no k helps the run is refused before its first step, saying what was seen and what to do."""
    path = tmp_path / "run.db"
    with pytest.raises(Infeasible, match=r"of \d+ valid samples were wrong.*no k helps.*finer") as refused:
        maker.run_sync(hanoi(6), model=Oracle(p=p), journal=path)
    assert refused.value.exit_code == 2
    assert isinstance(refused.value, TaskError)
    assert calibrations(path) == []
    with pytest.raises(Infeasible):  # and again, from the same journal
        maker.run_sync(hanoi(6), model=Oracle(p=p), journal=path)


def test_a_model_that_is_mostly_flagged_is_refused() -> None:
    """Where hardly a sample may vote nothing can be planned, which is said."""
    with pytest.raises(Infeasible, match=r"only \d+ of \d+ samples could vote"):
        maker.run_sync(hanoi(8), model="oracle:p=1,v=0.02")


def test_resume_does_not_calibrate_twice(tmp_path: Path) -> None:
    """A resumed run takes k from its journal; no calibration draw is sent again."""
    path, task = tmp_path / "run.db", Known(50)
    model = ScriptedModel(noisy)
    first = maker.run_sync(task, model=model, journal=path, limits={"max_steps": 10})
    assert sum(r.address.run.startswith("calibration") for r in model.requests) >= 300
    model.requests.clear()
    second = maker.run_sync(task, model=model, journal=path)
    assert [r for r in model.requests if r.address.run.startswith("calibration")] == []
    assert (second.solved, second.k, second.calibration) == (True, first.k, first.calibration)
    assert len(calibrations(path)) == 1
    assert second.usage.in_flight == 0
    check_journal(path, task)


def test_calibration_seeds_never_meet_those_of_the_run(tmp_path: Path) -> None:
    """A sample that chose k never votes: calibration and run share no seed."""
    model = ScriptedModel(noisy)
    maker.run_sync(Known(100), model=model)
    seeds: dict[bool, set[int]] = {True: set(), False: set()}
    for request in model.requests:
        seeds[request.address.run.startswith("calibration")].add(request.seed)
    assert min(map(len, seeds.values())) >= 300
    assert not seeds[True] & seeds[False]


def test_calibration_draws_spread_over_the_run() -> None:
    """With a plan the draws come from the whole run, not from its beginning."""
    task = hanoi(12)
    model = ScriptedModel(lambda r: task.render(task.truth(r.state, r.address.step)))
    maker.run_sync(task, model=model, limits={"max_steps": 1})
    steps = [r.address.step for r in model.requests if r.address.run.startswith("calibration")]
    quarters = [sum(q * 1024 <= step < (q + 1) * 1024 for step in steps) for q in range(4)]
    assert min(quarters) > 40


# -- tasks without a truth ----------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [True, False])
def test_agreement(known: bool) -> None:
    """Without a truth samples are graded against verdicts, which is said; the run is solved."""
    result = maker.run_sync(Adding(200, known=known), model=ScriptedModel(noisy))
    seen = result.calibration
    assert seen is not None
    assert (result.solved, seen["against"]) == (True, "agreement")
    assert seen["draws"] >= 300
    assert 0.05 < seen["wrong"] / seen["valid"] < 0.2
    steps = 200 if known else 1_000_000
    assert seen["steps"] == 100
    assert result.k == chosen(Calibration(**seen), steps, Config()).k >= theory.k_min(seen["p_plan"], steps, 0.95)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("steps", [1, 5, 20])
def test_short_tasks_without_truth_calibrate_too(steps: int, known: bool) -> None:
    """A perfect model on a task of a few steps is calibrated with 300 draws, not refused for their lack."""
    result = maker.run_sync(Adding(steps, known=known), model=ScriptedModel(adder))
    assert result.solved
    assert result.calibration is not None
    assert result.calibration["draws"] >= 300


@pytest.mark.parametrize("steps", [1, 5, 20])
def test_short_tasks_with_truth_calibrate(steps: int) -> None:
    """With a truth a task of a few steps is calibrated with 300 draws as well."""
    result = maker.run_sync(Known(steps), model=ScriptedModel(adder))
    assert result.solved
    assert result.calibration is not None
    assert result.calibration["draws"] >= 300
    assert result.calibration["wrong"] == 0


def test_undecided_calibration_is_a_resumable_stop(tmp_path: Path) -> None:
    """A calibration whose vote does not converge stops undecided, never guesses a k."""
    path = tmp_path / "run.db"
    model = ScriptedModel(lambda r: str(r.address.draw % 2))
    result = maker.run_sync(Adding(10), model=model, journal=path)
    assert (result.stopped, result.exit_code, result.k, result.steps) == ("undecided", 4, None, 0)
    assert calibrations(path) == []


# -- limits during the calibration ---------------------------------------------------------------------------


@pytest.mark.parametrize("task", [Known(400), Adding(400)])
def test_max_calls_holds_over_interrupted_calibrations(tmp_path: Path, task: Any) -> None:
    """max_calls counts the whole run: repeated calls of a stopped calibration never send more in all."""
    path, model = tmp_path / "run.db", ScriptedModel(adder)
    for _ in range(3):
        result = maker.run_sync(task, model=model, journal=path, limits={"max_calls": 200})
        assert (result.stopped, result.exit_code) == ("max_calls", 3)
        assert result.usage.dispatched == len(model.requests) <= 200
        assert result.usage.in_flight == 0


def test_failures_during_calibration_are_no_errors_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused connections during the calibration change neither its counts nor k."""
    monkeypatch.setattr("maker.sending.dispatcher.FIRST_BACKOFF", 0.0)
    failed: set[Any] = set()

    def bumpy(request: Request) -> str | Sample | Failure:
        if request.seed % 3 == 0 and request.seed not in failed:
            failed.add(request.seed)
            return Failure("transient", "connection refused")
        return noisy(request)

    calm = maker.run_sync(Known(50), model=ScriptedModel(noisy))
    rough = maker.run_sync(Known(50), model=ScriptedModel(bumpy))
    assert rough.usage.failed > 50
    assert (rough.calibration, rough.chain) == (calm.calibration, calm.chain)


def test_what_will_be_drawn_is_said_before_it_is_paid_for(caplog: pytest.LogCaptureFixture) -> None:
    """The announcement comes before the first request, and only where requests cost something."""
    seen: list[int] = []

    def script(request: Request) -> str:
        seen.append(len([message for message in caplog.messages if "run.calibration" in message]))
        return adder(request)

    for lockstep, times in ((False, 1), (True, 0)):
        caplog.clear()
        seen.clear()
        maker.run_sync(Known(3), model=ScriptedModel(script, lockstep=lockstep))
        assert set(seen) == {times}
    assert "300 random steps are drawn on once (up to 1,200 while" in announced(Known(3))
    assert "100 steps are voted on, 5 draws or more each, then up to 20" in announced(Adding(3))
    assert "k relies on difficulty that is spread smoothly (Beta), not on the worst case" in announced(Known(3))
    assert "1,200 random steps are drawn on twice" in announced(Known(3), worst_case=True)
    assert "k relies on what holds whatever the shape of difficulty." in announced(Known(3), worst_case=True)


class Carrying(Known):
    """The same in two kinds of steps."""

    def kind(self, state: int, step: int) -> str:
        return "carry" if step % 2 else "add"


def test_k_suffices_for_the_worst_kind(tmp_path: Path) -> None:
    """Where kinds differ beyond chance the note has the worst one, and k suffices for it and for the others."""
    path = tmp_path / "run.db"

    def worse(request: Request) -> str:
        return str(request.state + (request.address.step % 2 == 0 or request.seed % 5 != 0))

    settings: dict[str, Any] = {"journal": path, "limits": {"max_steps": 10}}
    result = maker.run_sync(Carrying(2000), model=ScriptedModel(worse), **settings)
    (note,) = calibrations(path)
    assert note["worst"]["kind"] == "carry"
    parts = [project(Evidence(**part), 2000, 0.95) for part in note["worst"]["apart"]]
    assert result.k == max(part.k or 0 for part in parts) >= theory.k_min(0.8, 2000, 0.95)
    again = maker.run_sync(Carrying(2000), model=ScriptedModel(worse), **settings)
    assert (again.k, again.calibration) == (result.k, note)


def test_kinds_that_are_alike_change_nothing(tmp_path: Path) -> None:
    """Without a difference beyond chance the note and k are those of a task without kinds."""
    notes = []
    for task in (Carrying(2000), Known(2000)):
        path = tmp_path / f"{type(task).__name__}.db"
        maker.run_sync(task, model=ScriptedModel(noisy), journal=path, limits={"max_steps": 1})
        notes += calibrations(path)
    assert notes[0] == notes[1]
    assert "worst" not in notes[0]


def test_a_kind_that_no_vote_mends_is_refused() -> None:
    """A run whose one kind is wrong most of the time does not begin, and the message names the kind."""

    def poor(request: Request) -> str:
        return str(request.state + (request.address.step % 2 == 0 or request.seed % 5 > 2))

    with pytest.raises(Infeasible, match="kind carry"):
        maker.run_sync(Carrying(2000), model=ScriptedModel(poor))


def test_what_the_worst_case_cannot_promise_is_refused(tmp_path: Path) -> None:
    """A clean model carries out a task of four steps by the worst case, and none of sixty: the run says what to do."""
    model = ScriptedModel(adder)
    few = maker.run_sync(Known(4), model=model, worst_case=True, journal=tmp_path / "few.db")
    assert (few.solved, few.calibration is not None and few.calibration["draws"]) == (True, 2400)
    with pytest.raises(maker.Infeasible, match=r"calibration: No k promises 0\.95 .* --k N runs all the same"):
        maker.run_sync(Known(60), model=model, worst_case=True)
    again = maker.run_sync(Known(4), model=model, worst_case=True, journal=tmp_path / "few.db")
    assert again.replayed == few.steps
    with pytest.raises(maker.JournalError, match="worst_case"):
        maker.run_sync(Known(4), model=model, journal=tmp_path / "few.db")


def test_the_worst_case_needs_a_truth() -> None:
    """Where votes would grade the draws, a run by the worst case is refused before one is made."""
    model = ScriptedModel(adder)
    with pytest.raises(maker.Infeasible, match="Give the task a `truth`"):
        maker.run_sync(Adding(4), model=model, worst_case=True)
    assert model.requests == []
