"""The experiment `relay`: what is left falls where nothing is voted on, and theory lies beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from maker.decision.sample import Sample
from maker.experiments.kit import speaker
from maker.experiments.kit.files import kept
from maker.experiments.kit.study import Options, Share
from maker.experiments.relaying import relay
from maker.experiments.relaying.documents import written
from maker.experiments.relaying.editors import ModelEditor, Reply
from maker.experiments.relaying.relay import Plan
from maker.experiments.relaying.trips import ARMS, Run
from maker.task.prompt import prompt_of
from tiny import tiny


def test_a_small_study_has_all_arms():
    """Each arm has its runs and its line; what is simulated is called so."""
    study = tiny("relay")
    models = {row["model"] for row in study.rows}
    assert {row["arm"] for row in study.rows if row["scores"]} == {arm.name for arm in ARMS}
    assert len(study.table) == 1 + len(ARMS) * len(models)
    assert "simulated" in study.shows and "replies as right as measured ones" in study.simulated
    study.draw(figure := pytest.importorskip("matplotlib.figure").Figure())
    assert len(figure.axes) == 3 * len(models)


def test_nothing_is_measured_of_a_model_that_cannot_do_it():
    """Where hardly a single edit is right no ledger is sent on, and that is said with p."""
    who = "some", "JSON"
    tried, runs = relay.measured(Options(), "some", lambda jobs: [Reply("?", 1)] * len(jobs), Plan(1, 3, 2, 5, 2))
    assert relay._hopeless(tried) and not runs
    assert relay.shows(who, tried, [], 0) == (
        "some: JSON: nothing to measure: no single edit came back in the form asked for."
    )
    few = {(0, False): Share(1, 50)}
    assert relay.shows(who, few, [], 0) == "some: JSON: nothing to measure: p = 0.02 of single edits."
    assert relay.table({who: (few, [])}, 0)[1][:3] == ["some", "JSON", "single edits"]


class Editing:
    """Edits rightly, or says nothing of use; it counts what it was asked."""

    lockstep = False

    def __init__(self, able):
        self.able, self.calls = able, 0

    async def draw(self, requests):
        """Reply with what the experiment knows to be right."""
        self.calls += len(requests)
        return [Sample(self.right[request.prompt] if self.able else "?", 20, 9) for request in requests]

    def noting(self, monkeypatch):
        """Let an editor say what is right before it asks."""
        self.right, asks = {}, ModelEditor.__call__

        def ask(editor, jobs):
            for job in jobs:
                right = job.right()
                self.right[prompt_of(job.prompt, "")] = right if isinstance(right, str) else written(right, job.form)
            return asks(editor, jobs)

        monkeypatch.setattr(ModelEditor, "__call__", ask)
        monkeypatch.setattr(speaker, "load_model", lambda _spec: self)
        return self


def test_a_model_is_asked_little_and_goes_on(monkeypatch, tmp_path):
    """Arms share replies, so that fewer are asked than counted; a second time none; rows are read as written."""
    model, said = Editing(True).noting(monkeypatch), []
    options = Options(quick=True, model="http://host/v1#some", out=tmp_path, say=said.append)
    study = relay.run(options)
    told = int(re.search(r"about (\d+) replies", said[0])[1])
    assert model.calls <= told
    assert study.simulated == "nothing" and "RS@6 is A 1 (one run)" in study.shows
    counted = sum(row["calls"] or 0 for row in study.rows) + sum(row["votes"] or 0 for row in study.rows)
    assert model.calls < counted
    rows = [{name: "" if cell is None else str(cell) for name, cell in row.items()} for row in study.rows]
    assert relay._study(options, relay._kept_of(rows)).rows == study.rows
    before = model.calls
    assert relay.run(options).rows == study.rows and model.calls == before
    study.draw(figure := pytest.importorskip("matplotlib.figure").Figure())
    assert len(figure.axes) == 3


def test_a_model_that_cannot_edit_has_no_figure(monkeypatch):
    """It ends after the single edits, with rows to keep."""
    model = Editing(False).noting(monkeypatch)
    study = relay.run(Options(model="http://host/v1#some"))
    assert model.calls == 50 and len(study.rows) == 10
    assert study.draw is None and "nothing to measure: no single edit came back" in study.shows


def test_rows_that_are_kept_can_be_read():
    """Each model has trials of its edits, and runs in all arms."""
    for tried, runs in relay._kept_of(kept(Path(relay.__file__).parent, "relay")).values():
        assert tried and {run.arm for run in runs} in ({arm.name for arm in ARMS}, set())


def test_an_edit_is_trusted_when_it_is_shown_to_be_right_more_often_than_not():
    """Nine of ten is enough, seven is not; what never had a vote is not trusted."""
    assert relay._trusted(Share(9, 10))
    assert not relay._trusted(Share(7, 10))
    assert not relay._trusted(Share(0, 0))


def test_theory_is_the_product_over_the_edits():
    """p^2 after a trip of one call each way, and p_sub^2 with a vote."""
    tried = {(edit, back): Share(9, 10) for edit in range(5) for back in (False, True)}
    assert relay.expected("JSON", 1, 2, tried) == pytest.approx([0.9**2, 0.9**4])
    sub = 0.9**3 / (0.9**3 + 0.1**3)
    assert relay.expected("JSON", 3, 1, tried) == pytest.approx([sub**2])


def test_critical_drops_are_counted_with_their_share_of_the_loss():
    """A tenth or more in one trip; gains do not count."""
    run = Run("some", "JSON", ARMS[0].name, 0, 10, 1, scores=[0.95, 0.75, 0.8])
    many, share = relay._critical([run])
    assert (many, share) == (1, pytest.approx(0.8))
