"""Detectors: what signs are, and when one pays as a flag."""

from __future__ import annotations

import pytest

from maker.decision.sample import Sample
from maker.experiments.replies import detectors
from maker.experiments.replies.detectors import Judged, Sign, before, hanoi_signs, signs
from tiny import tiny


def replies(right, wrong, *names):
    """Return so many right and wrong replies with these signs."""
    return [Judged("m", "t", at < right, frozenset(names)) for at in range(right + wrong)]


@pytest.mark.parametrize(
    ("flagged", "rest", "verdict"),
    [((0, 40), (90, 10), "pays"), ((20, 0), (70, 30), "does not pay"), ((4, 3), (90, 40), "may pay, not shown"),
     ((1, 2), (90, 10), "too few to say"), ((0, 20), (5, 90), "no vote helps either way"),
     ((0, 40), (20, 10), "pays")],
)  # fmt: skip
def test_a_sign_pays_when_a_vote_without_it_is_cheaper(flagged, rest, verdict):
    """It pays where those it throws out err much more, not where they are right, and is not said of a handful."""
    sign = Sign.of("x", replies(*flagged, "x") + replies(*rest))
    assert (sign.flagged.seen, sign.rest.seen, sign.verdict) == (flagged[1], rest[1], verdict)


def test_signs_are_read_from_words_and_length():
    """Each on its case and on nothing else."""
    assert signs(Sample("47 x 8 = 376. Answer: 376", tokens_out=9), 10) == frozenset()
    assert signs(Sample("Wait, 7 x 8 is 56. Answer: 376", tokens_out=10), 10) == {"switch-words", "overrun"}
    assert signs(Sample("Answer: 1\nAnswer: 2"), 10) == {"several-finals"}
    assert signs(Sample("It is impossible."), 10) == {"impossible"}


def test_moves_are_played():
    """A disk that is not on top, or on a smaller one, is illegal; a way back revisits; prose is no move."""
    assert hanoi_signs("I move:\n1 0 2\n2 0 1\n[1, 2, 1]", 2) == frozenset()
    assert hanoi_signs("1 0 2\n1 2 0", 2) == {"revisited"}
    assert hanoi_signs("2 0 2", 2) == hanoi_signs("1 0 2\n2 0 2", 2) == hanoi_signs("1 0 3", 2) == {"illegal"}


def test_the_table_is_made_again_from_what_was_kept():
    """Every wrong reply is counted once, with a sign or without; every row is of a real model."""
    study = tiny("detectors")
    assert study.simulated.startswith("nothing")
    assert len(study.rows) == len(before()) > 500
    wrong = sum(not one.right for one in before())
    assert study.shows.startswith(f"Of {wrong} wrong replies ")
    assert [Judged.read({name: str(cell) for name, cell in row.items()}) for row in study.rows] == before()
    study.draw(figure := pytest.importorskip("matplotlib.figure").Figure())
    assert len(figure.axes) == 2


def test_fresh_replies_are_judged(monkeypatch):
    """A model's replies to products are right or wrong by their last answer."""
    monkeypatch.setattr(
        detectors.Speaker, "replies", lambda _self, prompts, _most: [Sample("Answer: 0", tokens_out=4)] * len(prompts)
    )
    options = detectors.Options(quick=True, model="http://127.0.0.1:9/v1#none")
    found = detectors.fresh(options, 3)
    assert [(one.right, one.signs) for one in found] == [(False, frozenset())] * 3


def test_a_model_that_is_never_right_is_not_measured(monkeypatch):
    """Its signs tell nothing: p is said, and nothing is drawn."""
    monkeypatch.setattr(
        detectors.Speaker, "replies", lambda _self, prompts, _most: [Sample("Answer: 0", tokens_out=4)] * len(prompts)
    )
    study = detectors.run(detectors.Options(quick=True, model="http://127.0.0.1:9/v1#none"))
    assert (study.shows, study.draw, study.answer) == ("nothing to measure: p = 0.", None, "")
