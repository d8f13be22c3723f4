"""The small policy: its exact table, its samples, its gradient."""

from __future__ import annotations

import numpy as np

from maker.experiments.collapse.coins import ANSWERS, every
from maker.experiments.collapse.policy import NO_HISTORY, Policy, number_of, rows_of, seen

ASKED = every()[np.arange(3)]
UNTOLD = np.full(3, NO_HISTORY)


def test_the_table_is_what_is_sampled():
    """P of a whole answer is the product of its tokens' own, and all 216 add up to 1."""
    policy = Policy(np.random.default_rng(1))
    table = policy.table(ASKED)
    assert np.allclose(table.sum(1), 1)
    for number in (0, 100, 215):
        said = np.tile(ANSWERS[number], (3, 1))
        *_, log = policy.forward(seen(*rows_of(ASKED, said, UNTOLD)))
        chance = np.exp(log[np.arange(9), said.ravel()].reshape(3, 3).sum(1))
        assert np.allclose(chance, table[:, number], rtol=1e-4)


def test_samples_follow_the_table():
    """Of many samples, each answer's share of the most likely one lies where its probability says."""
    policy = Policy(np.random.default_rng(1))
    many = every()[np.zeros(4000, np.int64)]
    said = policy.say(many, np.full(4000, NO_HISTORY), np.random.default_rng(2))
    table = policy.table(many[np.arange(1)])[0]
    top = int(table.argmax())
    assert abs((number_of(said) == top).mean() - table[top]) < 4 * np.sqrt(table[top] / 4000)


def test_a_warmer_table_is_flatter():
    """A temperature above 1 raises the entropy, below 1 it lowers it."""
    policy = Policy(np.random.default_rng(1))
    entropy = [-(table * np.log(table)).sum() for table in (policy.table(ASKED, heat=heat) for heat in (0.5, 1.0, 2.0))]
    assert entropy[0] < entropy[1] < entropy[2]


def test_the_gradient_is_the_slope_of_the_loss():
    """A step moves each weight against the slope that finite differences find."""
    policy = Policy(np.random.default_rng(1))
    x = seen(*rows_of(ASKED, ANSWERS[[5, 50, 200]], UNTOLD))
    said = ANSWERS[[5, 50, 200]].ravel()

    def loss():
        return -float(policy.forward(x)[2].astype(float)[np.arange(9), said].sum())

    *layers, log = policy.forward(x)
    slope = np.exp(log)
    slope[np.arange(9), said] -= 1
    before = [weight.copy() for weight in policy.weights]
    policy.step(x, tuple(layers), slope, 1e-3)
    after, policy.weights = policy.weights, before
    for number, place in ((0, (9, 3)), (2, (5, 7)), (4, (9, 2)), (5, (1,))):
        weight = policy.weights[number]
        here = weight[place]
        weight[place] = here + 0.01
        up = loss()
        weight[place] = here - 0.01
        down = loss()
        weight[place] = here
        assert abs(up - down) > 1e-5
        assert np.sign(after[number][place] - here) == -np.sign(up - down)


def test_a_history_is_seen():
    """What is told of wrong answers changes the answer's chances; nothing told is one more input of its own."""
    policy = Policy(np.random.default_rng(1))
    assert not np.allclose(policy.table(ASKED, 0), policy.table(ASKED, 8))
    assert not np.allclose(policy.table(ASKED), policy.table(ASKED, 0))
