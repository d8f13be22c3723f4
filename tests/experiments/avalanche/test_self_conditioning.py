"""Self-conditioning: the exact reader falls with the errors it sees, and a model that can do nothing is not drawn."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from maker.decision.sample import Sample
from maker.experiments.avalanche import self_conditioning as experiment
from maker.experiments.avalanche.marks import Cell
from maker.experiments.avalanche.readers import ExactReader
from maker.experiments.avalanche.self_conditioning import Plan
from maker.experiments.kit import speaker
from maker.experiments.kit.files import kept
from maker.experiments.kit.study import Options
from maker.task.prompt import messages_of
from tiny import tiny


def wrong(questions, draws):
    """Answer everything wrong."""
    return [[question.right + 1] * many for question, many in zip(questions, draws, strict=True)]


def test_a_model_that_cannot_do_the_task_is_not_measured():
    """Nothing right on the last total alone ends the measurement with what was seen there, and says so."""
    cells = experiment.measured(Options(), "none", wrong, Plan(16, 6, 6))
    assert {(cell.arm, cell.k) for cell in cells} == {("state only", 1)}
    assert experiment.shows("none", cells, 0) == "none: nothing to measure: p = 0 with the last total alone."


def test_a_window_that_holds_everything_is_no_arm():
    """16 turns have no window of 25; all other arms are asked at every share, alone and by a vote."""
    right = lambda questions, draws: [[one.right] * many for one, many in zip(questions, draws, strict=True)]  # noqa: E731
    cells = experiment.measured(Options(), "all", right, Plan(16, 2, 2))
    assert {cell.arm for cell in cells} == {"whole history", "window 1", "state only"}
    assert len(cells) == 3 * 2 * 6
    assert all(cell.right.rate == 1 for cell in cells)


def test_what_is_said_is_clear_of_chance():
    """The exact reader's slope over the whole history is below 0 with its interval, that of the total alone is not."""
    cells = experiment.measured(Options(), "exact", ExactReader(0), Plan(40, 40, 40))
    shows = experiment.shows("exact", cells, 0)
    assert "whole history, one reply: the share of right answers falls" in shows
    assert "state only, one reply: the share of right answers is not shown to change" in shows


def test_the_net_stands_beside_the_exact_reader():
    """Both are asked in all arms, after as many turns; the rows of language models come last."""
    cells = tiny("self-conditioning").rows
    exact, net = ([(row["arm"], row["k"], row["share"], row["turns"]) for row in cells if row["reader"] == name]
                  for name in experiment.YARDSTICK)  # fmt: skip
    assert exact == net
    assert len(net) == 4 * 2 * 6
    assert list(dict.fromkeys(row["reader"] for row in cells))[:2] == list(experiment.YARDSTICK)


def cells(k, share, marks):
    """Return one cell of a reader, of the whole history."""
    return Cell("some", "whole history", k, share, 12, (marks,))


def test_a_vote_is_compared_on_the_shares_that_both_were_asked_at():
    """What one reply was asked at alone is left out; so is a clean history."""
    mine = [cells(1, 0.0, "00"), cells(1, 0.5, "00"), cells(1, 1.0, "10"), cells(3, 1.0, "11"), cells(3, 0.0, "00")]
    assert experiment._vote_said(mine) == ["whole history with half or more shifted: 0.50 right alone, 1.00 by a vote"]
    assert experiment._vote_said(mine[:2]) == []


def test_a_reader_without_runs_has_no_empty_panels():
    """Panels of own answers are left out where there are none."""
    figure = pytest.importorskip("matplotlib.figure").Figure()
    experiment.draw(figure, [cells(k, share, "0110") for k in (1, 3) for share in (0.0, 1.0)])
    assert len(figure.axes) == 2
    figure = pytest.importorskip("matplotlib.figure").Figure()
    experiment.draw(
        figure, [cells(1, 0.0, "0110"), cells(3, 0.0, "01"), Cell("some", "state only", 1, None, 12, ("1" * 12,))]
    )
    assert len(figure.axes) == 4


class Adding:
    """Adds, or says a word."""

    lockstep = False

    def __init__(self, able):
        self.able, self.calls = able, 0

    async def draw(self, requests):
        """Reply."""
        self.calls += len(requests)
        sums = [eval(re.sub(r"[^-+0-9]", "", str(messages_of(one.prompt)[-1]["content"]))) for one in requests]
        return [Sample(f"The sum is {one}." if self.able else "seven", 9, 3) for one in sums]


def test_a_model_is_asked_as_often_as_was_said(monkeypatch, tmp_path):
    """A vote takes the reply that counted alone; a second time nothing is asked, and rows are read as written."""
    model, said = Adding(True), []
    monkeypatch.setattr(speaker, "load_model", lambda _spec: model)
    options = Options(model="http://host/v1#some", out=tmp_path, say=said.append, quick=True)
    study = experiment.run(options)
    told = int(re.search(r"about (\d+) replies", said[0])[1])
    assert told * 0.8 < model.calls <= told
    assert study.simulated == "nothing" and study.draw is not None
    rows = [{name: "" if cell is None else str(cell) for name, cell in row.items()} for row in study.rows]
    assert [Cell.read(row).row() for row in rows] == study.rows
    assert {row["share"] for row in study.rows} == {0.0, 0.5, 1.0, None}
    before = model.calls
    assert experiment.run(options).rows == study.rows and model.calls == before


def test_a_model_that_cannot_add_has_no_figure(monkeypatch):
    """It is asked for the last total alone, and p is said."""
    model = Adding(False)
    monkeypatch.setattr(speaker, "load_model", lambda _spec: model)
    study = experiment.run(Options(model="http://host/v1#some"))
    assert study.draw is None and study.shows == "some, T = 0.1: nothing to measure: p = 0 with the last total alone."
    assert model.calls == 30


def test_rows_that_are_kept_can_be_read():
    """Every kept row has marks of the turns it says."""
    for row in kept(Path(experiment.__file__).parent, "self-conditioning"):
        cell = Cell.read(row)
        assert all(len(run) == cell.turns for run in cell.marks) or cell.share is not None
        assert set("".join(cell.marks)) <= {"0", "1"} and cell.marks
