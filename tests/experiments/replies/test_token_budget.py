"""Token budget: votes have no more tokens than the long answer, and a model that can do nothing is not measured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from maker.decision.sample import Sample
from maker.experiments.kit import speaker
from maker.experiments.kit.files import kept
from maker.experiments.kit.study import Options
from maker.experiments.replies import token_budget as experiment
from maker.experiments.replies.thinkers import Said
from maker.experiments.replies.token_budget import Answers
from tiny import tiny


def thinker(right):
    """Return a thinker that is right where `right(product number, round)` says so."""
    rounds = []

    def think(asked, tokens):
        rounds.append(tokens)
        return [Said(one.right if right(at, len(rounds)) else -at, max(tokens, 4)) for at, one in enumerate(asked)]

    return think


def test_a_vote_has_as_many_short_answers_as_the_tokens_allow():
    """Eight answers of 4 tokens for a thought of 32, or as many as the limit allows."""
    found = experiment.measured(Options(), "x", thinker(lambda _at, round_: round_ > 1), 5, 2, [32, 64], 10)
    by = {(one.way, one.length): one for one in found}
    votes = by[experiment.VOTES, 32]
    assert (votes.each, votes.tokens, by[experiment.LONG, 32].tokens) == (8, 32, 32)
    assert by[experiment.VOTES, 64].each == 10
    assert votes.right.rate == 1 > by[experiment.LONG, 0].right.rate
    assert by[experiment.LONG, 0].differ.n == 5


def test_a_model_that_cannot_multiply_is_not_measured():
    """After the first thought it ends, with p; no figure of more."""
    found = experiment.measured(Options(), "x", thinker(lambda _at, _round: False), 5, 2, [32, 64], 10)
    assert [(one.way, one.length) for one in found] == [(experiment.LONG, 0), (experiment.LONG, 32)]
    assert experiment.shows(found) == "nothing to measure: p = 0."


class Multiplying:
    """Multiplies at once; a long thought it does not end."""

    lockstep = False

    def __init__(self, able):
        self.able, self.calls = able, 0

    async def draw(self, requests):
        """Reply."""
        self.calls += len(requests)
        [one] = requests
        if "step by step" in one.prompt and one.max_tokens > 16:
            return [Sample("Let me see.", 9, one.max_tokens, "length")]
        x, y = map(int, re.search(r"(\d+) x (\d+)", one.prompt).groups())
        return [Sample(str(x * y * self.able), 9, 4, "stop")]


def asked(monkeypatch, able, **options):
    """Return the study of a model, the model, and what was said."""
    model, said = Multiplying(able), []
    monkeypatch.setattr(speaker, "load_model", lambda _spec: model)
    return experiment.run(Options(model="http://host/v1#some", say=said.append, **options)), model, said


def test_a_model_is_asked_as_often_as_was_said(monkeypatch, tmp_path):
    """At most so often; a second time nothing is asked, and rows are read as they were written."""
    study, model, said = asked(monkeypatch, 1, quick=True, out=tmp_path)
    told = int(re.search(r"about (\d+) replies", said[0])[1])
    assert told * 0.7 < model.calls <= told
    assert "at once 1.00 right" in study.shows and study.answer.startswith("Of some, T = 0.1, at best 100%")
    rows = [{name: str(cell) for name, cell in row.items()} for row in study.rows]
    assert [Answers.read(row).row() for row in rows] == study.rows
    again, model, _ = asked(monkeypatch, 1, quick=True, out=tmp_path)
    assert (again.rows, model.calls) == (study.rows, 0)


def test_what_cannot_be_done_has_no_figure(monkeypatch):
    """P is said, and no thought longer than the first is asked for."""
    study, model, _ = asked(monkeypatch, 0)
    assert study.draw is None and study.shows == "some, T = 0.1: nothing to measure: p = 0."
    assert model.calls == 8 * 3 * 3


def test_rows_that_are_kept_can_be_read():
    """Each names products and as many answers to each."""
    for row in kept(Path(experiment.__file__).parent, "token-budget"):
        one = Answers.read(row)
        assert len(one.asked) == len(one.given) and len({len(said) for said in one.given}) == 1


def test_the_stand_in_is_called_so():
    """Its study says that chances are planted; rows keep every answer."""
    study = tiny("token-budget")
    assert "planted" in study.simulated and "what was put in" in study.shows_not
    assert study.rows[0]["given"].count(";") == study.rows[0]["asked"].count(";") == 39
    study.draw(figure := pytest.importorskip("matplotlib.figure").Figure())
    assert len(figure.axes) == 2 * len({row["model"] for row in study.rows})
