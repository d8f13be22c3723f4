"""Weights of votes: log odds in half nats, and a margin with the same bound of error as that of equal votes."""

from __future__ import annotations

import math
from itertools import product

import pytest

from maker.errors import Infeasible
from maker.theory.votes.weights import calibrated, margin_for, rate, weighing

TURNS = ["a", "b", "c"]
SEEN = {"a": [300, 30], "b": [300, 90], "c": [300, 120]}
ALIKE = {"a": [300, 30], "b": [300, 30], "c": [300, 30]}


def wrong_by(chances: list[float], weights: list[int], k: int) -> float:
    """Return P(wrong wins) by the chain of margins itself, turn after turn, until hardly a race is open."""
    open_, lost = {0: 1.0}, 0.0
    for draw in range(3000):
        p, w = chances[draw % len(chances)], weights[draw % len(weights)]
        after: dict[int, float] = {}
        for margin, share in open_.items():
            for step, chance in ((w, p), (-w, 1 - p)):
                if abs(margin + step) < k:
                    after[margin + step] = after.get(margin + step, 0.0) + share * chance
                elif step < 0:
                    lost += share * chance
        open_ = after
        if sum(open_.values()) < 1e-9:
            break
    return lost


def test_weights_are_log_odds_in_half_nats_without_what_they_have_in_common() -> None:
    """0.9, 0.7 and 0.6 are worth 4.4, 1.7 and 0.8 half nats; models alike weigh 1, each turn by its model."""
    assert calibrated(SEEN, TURNS) == (4, 2, 1)
    assert calibrated(ALIKE, TURNS) == (1, 1, 1)
    assert calibrated(SEEN, ["b", "a", "b", "c"]) == (2, 4, 2, 1)
    assert calibrated({"a": [300, 30], "b": [300, 90]}, ["a", "b"]) == (2, 1)


@pytest.mark.parametrize("seen", [[300, 150], [30, 12], [0, 0], [10, 10]])
def test_a_model_that_may_be_no_better_than_chance_has_no_weight(seen: list[int]) -> None:
    """Half wrong, too few draws or none: its name, what was seen and the remedy are told, and none weighs 0."""
    with pytest.raises(Infeasible, match=rf"c: {seen[1]} of {seen[0]} votes were wrong.*Leave the model out"):
        calibrated({**SEEN, "c": seen}, TURNS)


def test_the_rate_of_one_model_is_its_log_odds() -> None:
    """By the weight it has; a pool of models alike falls as one of them; where right votes do not prevail it is 0."""
    assert rate([0.8], [1]) == pytest.approx(math.log(4))
    assert rate([0.8], [3]) == pytest.approx(math.log(4) / 3)
    assert rate([0.8, 0.8], [2, 2]) == pytest.approx(math.log(4) / 2)
    assert rate([0.4, 0.5], [1, 1]) == rate([0.5], [1]) == 0
    assert rate([1.0, 0.6], [1, 1]) > 3


@pytest.mark.parametrize("weights", [(1, 1, 1), (2, 2, 2)])
def test_equal_weights_need_the_margin_of_equal_votes(weights: tuple[int, ...]) -> None:
    """The margin is k times what each counts, whatever the models are like."""
    assert margin_for(5, SEEN, TURNS, weights) == 5 * weights[0]
    assert margin_for(5, ALIKE, TURNS, weights) == 5 * weights[0]


@pytest.mark.parametrize(("k", "weights"), list(product([2, 4, 6], [(4, 2, 1), (2, 2, 1), (1, 2, 4), (9, 3, 2)])))
def test_a_margin_for_weights_errs_no_more_than_equal_votes(k: int, weights: tuple[int, ...]) -> None:
    """Worked out exactly at the estimated chances: weighed votes at their margin are wrong no more often."""
    chances = [0.9, 0.7, 0.6]
    assert wrong_by(chances, list(weights), margin_for(k, SEEN, TURNS, weights)) <= wrong_by(chances, [1, 1, 1], k)


def test_weights_that_may_favour_wrong_answers_are_refused() -> None:
    """And those for which no margin that a step can reach is enough."""
    with pytest.raises(Infeasible, match="more often than for right ones"):
        margin_for(3, {"a": [300, 30], "b": [300, 220]}, ["a", "b"], (1, 9))
    with pytest.raises(Infeasible, match="need a margin of"):
        margin_for(1000, SEEN, TURNS, (4, 2, 1))


def test_an_estimate_says_weights_margin_and_share_or_why_there_are_none() -> None:
    """The share of samples is below 1 where models differ, and 1 where they are alike."""
    found = weighing(5, SEEN, TURNS)
    assert (found.votes, found.k) == ((4, 2, 1), margin_for(5, SEEN, TURNS, (4, 2, 1)))
    assert found.share is not None
    assert 0.5 < found.share < 0.9
    assert weighing(5, ALIKE, TURNS).share == pytest.approx(1)
    assert (weighing(None, SEEN, TURNS).votes, weighing(None, SEEN, TURNS).k) == ((4, 2, 1), None)
    assert "c: 150 of 300" in weighing(5, {**SEEN, "c": [300, 150]}, TURNS).why
