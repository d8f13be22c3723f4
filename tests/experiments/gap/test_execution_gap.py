"""The experiment: runs are planned, kept and gone on with; shares of execution are counted as said."""

from dataclasses import replace

import pytest

from maker.decision.sample import Sample
from maker.experiments.gap import execution_gap as experiment
from maker.experiments.gap.asking import ARMS, OPERATION
from maker.experiments.gap.runs import Run, kept
from maker.experiments.gap.writers import Simulated
from maker.experiments.kit import speaker
from maker.experiments.kit.study import Options

FAILED = Run("some", "hanoi", 3, 7, "one call", True, 1, 0, "illegal", True, 4, 4, 1, 90, 40)
TINY = {"hanoi": (2,), "checkers": (1,), "river": (1,), "blocks": (2,)}


def test_every_arm_is_asked_with_and_without_the_algorithm():
    """One operation a call holds it in the code: that arm is asked once."""
    plan = experiment.planned(TINY, 2)
    assert len(plan) == 4 * (2 * len(ARMS) - 1) * 2
    assert {given for _, arm, given, _ in plan if arm == OPERATION} == {True}


def test_runs_that_are_known_are_not_made_again():
    """Only what is missing is asked for, and all come in the order of the plan."""
    plan = experiment.planned(TINY, 1)
    runs = list(experiment.measured(Options(), "some", plan, 3, Simulated(0), []))
    asks = []

    def counting(ask, draws, first):
        """Count what is asked."""
        asks.append(ask)
        return Simulated(0)(ask, draws, first)

    again = list(experiment.measured(Options(), "some", plan, 3, counting, runs[:-1]))
    assert again == runs and {(ask.puzzle.name, ask.arm) for ask in asks} == {(runs[-1].puzzle, runs[-1].arm)}


def test_a_model_is_asked_sparingly_and_gone_on_with(monkeypatch, tmp_path):
    """Each run is kept when it ends; when no call is left the same command goes on, and asks nothing twice."""
    seen = []

    class Wordy:
        """Says that there is no way."""

        lockstep = False

        async def draw(self, requests):
            """Note what is asked."""
            seen.extend(requests)
            return [Sample("Impossible.", 10, 3)] * len(requests)

    monkeypatch.setattr(speaker, "load_model", lambda spec: Wordy())
    monkeypatch.setattr(experiment, "FEW_CALLS", 30)
    monkeypatch.setattr(experiment, "LEAST_SIZES", TINY)
    said = []
    options = Options(quick=True, model="http://host/v1#wordy", out=tmp_path, say=said.append)
    first = experiment.run(options)
    asked = len(seen)
    assert asked <= 30 and "no call is left" in said[-1]
    assert "wordy, T = 0.1: nothing to measure: p = 0" in first.shows
    runs = kept(tmp_path / "execution-gap-runs-0.csv")
    assert runs and {run.failure for run in runs} <= {"impossible", "undecided"}
    while "no call is left" in said[-1]:
        experiment.run(options)
    assert len(seen) == sum(run.calls for run in kept(tmp_path / "execution-gap-runs-0.csv"))
    assert len(kept(tmp_path / "execution-gap-runs-0.csv")) == len(experiment.planned(TINY, 1))


def test_shares_of_execution_are_of_failures():
    """Solved runs do not count, and decisions are no execution."""
    runs = [FAILED, replace(FAILED, planned=False), replace(FAILED, failure=""), replace(FAILED, failure="revisited")]
    share = experiment.of_execution(runs)
    assert (share.seen, share.n, experiment.solved(runs).seen) == (1, 3, 1)
    assert experiment._failures(runs) == "illegal 2, revisited 1"
    assert "of failures, 0.333" in experiment.shows("some", runs)


def test_models_stand_below_one_another():
    """Two rows of panels for each model; only the simulated one has the line of its planted chance."""
    figure = pytest.importorskip("matplotlib.figure").Figure()
    experiment.draw(figure, [FAILED, replace(FAILED, given=False), replace(FAILED, model="simulated")])
    assert len(figure.axes) == 16
    dotted = [line for axes in figure.axes for line in axes.get_lines() if line.get_linestyle() == ":"]
    assert len(dotted) == 1
