"""Training: advantages, what each way pushes, and that a policy learns."""

from __future__ import annotations

import numpy as np
import pytest

from maker.experiments.avalanche.readers import error_rate
from maker.experiments.collapse.coins import split
from maker.experiments.collapse.policy import NO_HISTORY, Policy
from maker.experiments.collapse.training import CLIP, METHODS, Drawn, Method, _push, _written, draw, taught, update

WAYS = {method.name: method for method in METHODS}


def pushed(way, advantage, moved, **more):
    """Return what a way pushes, of tokens with these advantages and changes of log P."""
    old = np.log(np.full(len(moved), 0.3, np.float32))
    drawn = Drawn(np.zeros(0), np.zeros(0), old, np.array(advantage, np.float32), 0.0, 0.0)
    method = Method(way, **more) if more else WAYS[way]
    return _push(method, drawn, old + np.array(moved, np.float32), np.random.default_rng(0))


def test_what_is_clipped_pushes_no_more_but_in_gppo():
    """Beyond the bound in the direction of its advantage a token has no gradient; in GPPO a share of the bound's."""
    advantage, moved = [1, 1, -1, -1], [0.5, -0.5, -0.5, 0.5]
    assert pushed("plain", advantage, moved) == pytest.approx([0, np.exp(-0.5), 0, -np.exp(0.5)])
    kept = pushed("GPPO", advantage, moved, constant=0.5)
    assert kept == pytest.approx([0.5 * (1 + CLIP), np.exp(-0.5), -0.5 * (1 - CLIP), -np.exp(0.5)])
    assert pushed("Clip-higher", [1.0], [0.24], high=0.28) == pytest.approx([np.exp(0.24)])
    assert pushed("plain", [1.0], [0.24]) == pytest.approx([0])


def test_kl_cov_holds_back_the_tokens_of_most_covariance():
    """The top 2% by covariance pay for having moved; all others push as if nothing were clipped."""
    advantage, moved = [1.0] * 50 + [-1.0] * 50, [0.0] * 100
    moved[7] = 1.0
    found = pushed("KL-Cov", advantage, moved)
    free = np.array(advantage) * np.exp(moved)
    assert found[7] == pytest.approx(free[7] - WAYS["KL-Cov"].constant)
    assert (found != free.astype(np.float32)).sum() == 1


def test_clip_cov_leaves_some_tokens_of_high_covariance_out():
    """A share of the tokens, all with a covariance between 1 and 5, has no gradient."""
    advantage, moved = [2.0] * 10 + [-2.0] * 90, [1.0] * 10 + [0.0] * 90
    advantage = np.array(advantage) + np.linspace(0, 0.1, 100)
    found = pushed("Clip-Cov", advantage, np.array(moved) * 0.15, constant=0.05)
    assert not (found == 0).any()  # none has so much covariance
    found = pushed("Clip-Cov", advantage, np.array(moved) * 0.9, constant=0.05, high=9.0)
    assert (found == 0).sum() == 5 and (found[:10] == 0).sum() == 5


def test_advantages_are_those_of_groups():
    """Each group of eight has advantages of mean 0; a group of equal rewards has none."""
    rng = np.random.default_rng(0)
    drawn = draw(Policy(rng), split(rng)[0], rng)
    groups = drawn.advantage[::3].reshape(-1, 8)
    assert np.allclose(groups.mean(1), 0, atol=1e-5)
    assert 0 <= drawn.reward <= 1 and 0 < drawn.entropy <= np.log(6)


@pytest.mark.parametrize("name", WAYS)
def test_a_policy_learns_in_every_way(name):
    """A few updates on two questions alone raise the reward there."""
    rng = np.random.default_rng(0)
    learned = split(rng)[0][np.arange(2)]
    policy = taught(rng, learned, 5)
    before = (policy.table(learned) * learned.right).sum(1).mean()
    for _ in range(6):
        update(policy, WAYS[name], draw(policy, learned, rng), rng)
    assert (policy.table(learned) * learned.right).sum(1).mean() > before + 0.05


def test_writers_who_err_are_known_by_their_record():
    """Half of the rows are told a record; those with more wrong ones are wrong oftener, as the exact reader says."""
    right = np.zeros((20_000, 3), np.int64)
    said, wrong = _written(right, np.random.default_rng(0))
    erred = said.any(1)
    assert abs((wrong == NO_HISTORY).mean() - 0.5) < 0.02
    for count in (0, 4):
        rate = erred[wrong == count].mean() * 216 / 215  # an error hits the right answer now and then
        assert abs(rate - error_rate(count, 8)) < 0.03
