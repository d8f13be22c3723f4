"""What a vote sees: the races are the engine's, and a favourite that is wrong is lost."""

from __future__ import annotations

import numpy as np

from maker import theory
from maker.decision.race import first_to_ahead
from maker.experiments.collapse import votes
from maker.experiments.collapse.votes import KS, MOST, raced, seen


def winner(ballots, k):
    """Return who wins by the engine's rule, and after how many votes; (0, 0) if nobody does."""
    race = first_to_ahead(k, MOST, MOST)
    need, used = next(race), 0
    while used + need <= len(ballots):
        try:
            given, used = ballots[used : used + need], used + need
            need = race.send([b"%d" % one for one in given])
        except StopIteration as ended:
            return (0, 0) if ended.value.winner is None else (int(ended.value.winner), used)
    return 0, 0


def test_races_are_those_of_the_engine():
    """On the same votes, winner and number of votes are those of `decision.race`, for every k."""
    table = np.array([[0.4, 0.3, 0.2, 0.1], [0.05, 0.05, 0.45, 0.45]])
    won, ended = raced(table, 20, np.random.default_rng(3))
    rng = np.random.default_rng(3)
    edges = np.cumsum(table, 1)
    ballots = np.concatenate([np.searchsorted(edge, rng.random((20, MOST)), side="right") for edge in edges])
    for at, k in enumerate(KS):
        assert [winner(list(one), k) for one in ballots] == list(zip(won[at].tolist(), ended[at].tolist(), strict=True))


def test_two_answers_are_decided_as_the_theory_says():
    """With one right answer and one rival the share of right steps and the votes are those of the formulas."""
    table = np.tile([0.7, 0.3], (1, 1))
    found = seen(table, np.array([[True, False]]), 4000, np.random.default_rng(0))
    for k in (2, 3, 4):
        assert abs(found.right[k - 1] - theory.step_success(0.7, k)) < 0.03
        assert abs(found.votes[k - 1] - theory.expected_votes(0.7, k)) < 0.3


def test_right_answers_that_split_lose_to_one_wrong_one():
    """A step whose replies are right 3 times of 5 is lost where a single wrong answer comes oftener than each right."""
    table = np.array([[0.3, 0.3, 0.4]])
    found = seen(table, np.array([[True, True, False]]), 400, np.random.default_rng(0))
    assert (found.p, found.lost, found.halves) == (0.6, 1.0, 0.0)
    assert found.best_k == 1 and found.gain == 0
    assert found.right[7] < 0.5
    assert found.cost is None


def test_a_policy_without_variety_gains_nothing():
    """Where every reply to a step is the same, right at half of the steps, every k is as good as 1."""
    table = np.eye(2)
    found = seen(table, np.array([[True, False], [True, False]]), 10, np.random.default_rng(0))
    assert set(found.right) == {0.5}
    assert (found.entropy, found.agree, found.rho, found.gain) == (0.0, 1.0, 1.0, 0.0)
    assert found.votes == tuple(float(k) for k in KS)


def test_the_cost_is_that_of_the_smallest_k_that_reaches_the_target():
    """Mean votes of the first k with 90% right."""
    one = votes.Seen(0.8, 0, 0, 0, 0, 0, (0.8, 0.85, 0.92, 0.95, 0.95, 0.95, 0.95, 0.95), (0.0,) * 8,
                     (1.0, 2.5, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0))  # fmt: skip
    assert one.cost == 4.0
    assert one.best_k == 4
