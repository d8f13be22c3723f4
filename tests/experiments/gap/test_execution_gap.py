"""The experiment: runs are planned, kept and gone on with; shares of execution are counted as said."""

from dataclasses import replace
from pathlib import Path

import pytest

from maker.decision.sample import Sample
from maker.errors import TaskError
from maker.experiments.gap import execution_gap as experiment
from maker.experiments.gap.asking import ARMS, BY_MOVE, ONE_CALL, OPERATION, PROGRAM, PYTHON, STATE
from maker.experiments.gap.execution_gap import Group
from maker.experiments.gap.runs import Run
from maker.experiments.kit import speaker
from maker.experiments.kit.files import kept
from maker.experiments.kit.study import Options

FAILED = Run("some", "hanoi", 3, 7, "one call", True, 1, 0, "illegal", True, 4, 4, 1, 90, 40)
TINY = {"hanoi": (2,), "checkers": (1,), "river": (1,), "blocks": (2,)}


def groups(*runs):
    """Return a group for each run."""
    return [Group.of([run]) for run in runs]


def test_every_arm_is_asked_with_and_without_the_algorithm():
    """One operation a call holds it in the code: that arm is asked once; programs in Python only where they may run."""
    plan = experiment.planned(TINY, 2)
    assert {arm for _, arm, _, _ in plan} == {*ARMS} - {PYTHON}
    assert len(plan) == 4 * (2 * (len(ARMS) - 1) - 1) * 2
    assert {given for _, arm, given, _ in plan if arm == OPERATION} == {True}
    assert len(experiment.planned(TINY, 2, code=True)) == len(plan) + 4 * 2 * 2


class Wordy:
    """Says that there is no way, or the moves of the tower of two disks."""

    lockstep = False

    def __init__(self, able):
        self.able, self.calls = able, 0

    async def draw(self, requests):
        """Reply."""
        self.calls += len(requests)
        return [Sample("[1, 0, 1]\n[2, 0, 2]\n[1, 1, 2]" if self.able else "Impossible.", 10, 3)] * len(requests)


def asked(monkeypatch, able, **options):
    """Return the study of a model, the model, and what was said."""
    model, said = Wordy(able), []
    monkeypatch.setattr(speaker, "load_model", lambda _spec: model)
    return experiment.run(Options(model="http://host/v1#wordy", say=said.append, **options)), model, said


def test_a_model_that_solves_nothing_ends_after_the_smallest(monkeypatch):
    """P is said, and nothing is drawn."""
    study, model, said = asked(monkeypatch, False)
    assert study.draw is None
    assert "wordy, T = 0.1: nothing to measure: p = 0, 0 of 81 runs are solved." in study.shows
    assert not any("hanoi 3" in line for line in said) and model.calls < 400


def test_a_model_is_gone_on_with(monkeypatch, tmp_path):
    """What it replied is kept: the same command asks nothing, and rows are read as they were written."""
    study, model, said = asked(monkeypatch, True, quick=True, out=tmp_path)
    assert said[0].startswith("execution-gap: about ") and model.calls
    assert {row["model"] for row in study.rows} == {"wordy, T = 0.1"} and study.simulated == "nothing"
    again, silent, _ = asked(monkeypatch, True, quick=True, out=tmp_path)
    assert (again.rows, silent.calls) == (study.rows, 0)
    rows = [{name: str(cell) for name, cell in row.items()} for row in study.rows]
    assert [Group.read(row).row() for row in rows] == study.rows


def test_a_plan_says_how_many_replies_it_takes():
    """One for a program or an answer whole, half the way of what ends, three of what is voted on."""
    plan = experiment.planned({"hanoi": (3,)}, 1)
    by = {(arm, given): experiment.about([one]) for one in plan for _, arm, given, _ in [one]}
    assert (by[ONE_CALL, True], by[PROGRAM, False], by[BY_MOVE, True], by[STATE, True]) == (1, 1, 4, 10)


def test_rows_that_are_kept_can_be_read():
    """Each group's failures are those of its runs."""
    for row in kept(Path(experiment.__file__).parent, "execution-gap"):
        one = Group.read(row)
        assert sum(one.failures.values()) == one.runs - one.solved


def test_code_is_run_only_where_it_can_be_held_in(monkeypatch):
    """Before anything is asked the door is tried."""

    def refusing(source):
        raise TaskError("no code is run here")

    monkeypatch.setattr(experiment.sandbox, "run", refusing)
    with pytest.raises(TaskError, match="no code is run here"):
        asked(monkeypatch, True, quick=True, allow_code=True)


def test_shares_of_execution_are_of_failures():
    """Solved runs do not count, and decisions are no execution."""
    runs = groups(FAILED, replace(FAILED, planned=False), replace(FAILED, failure=""),
                  replace(FAILED, failure="revisited"))  # fmt: skip
    share = experiment.of_execution(runs)
    assert (share.seen, share.n, experiment.solved(runs).seen) == (1, 3, 1)
    assert experiment._failures(runs) == "illegal 2, revisited 1"
    assert "of failures, 0.333" in experiment.shows("some", runs)


def test_models_stand_below_one_another():
    """Two rows of panels for each model; only the simulated one has the line of its planted chance."""
    figure = pytest.importorskip("matplotlib.figure").Figure()
    experiment.draw(figure, groups(FAILED, replace(FAILED, given=False), replace(FAILED, model="simulated")))
    assert len(figure.axes) == 4
    dotted = [line for axes in figure.axes for line in axes.get_lines() if line.get_linestyle() == ":"]
    assert len(dotted) == 1
