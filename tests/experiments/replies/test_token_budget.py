"""Token budget: votes have no more tokens than the long answer, and a model that can do nothing is not measured."""

from __future__ import annotations

import pytest

from maker.experiments.kit.study import Options
from maker.experiments.replies import token_budget as experiment
from maker.experiments.replies.thinkers import Said
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


def test_the_stand_in_is_called_so():
    """Its study says that chances are planted; rows keep every answer."""
    study = tiny("token-budget")
    assert "planted" in study.simulated and "what was put in" in study.shows_not
    assert study.rows[0]["given"].count(";") == study.rows[0]["asked"].count(";") == 39
    study.draw(figure := pytest.importorskip("matplotlib.figure").Figure())
    assert len(figure.axes) == 2
