"""Convergence: open steps fall as theory says, and the seed decides."""

from __future__ import annotations

import numpy as np

from maker.decision.flags import PAPER
from maker.experiments import convergence
from maker.experiments.kit.bench import Bench, oracle
from tiny import tiny

DISKS = 20


def test_the_seed_decides(outcomes):
    """The same seed gives the same rows, another seed others."""
    assert tiny("convergence").rows == outcomes["convergence"].rows
    assert tiny("convergence", seed=1).rows != outcomes["convergence"].rows


def test_convergence_follows_the_planted_p():
    """With one p for all steps the open steps fall as theory says; after no round and before k votes all are open."""
    with Bench(oracle("p=0.8,v=0.9")) as bench:
        seen = convergence.counted(bench, bench.votes(DISKS, list(range(1, 1001)), convergence.K, PAPER))
    assert seen.rounds[0].rate == 1 == seen.votes[convergence.K - 1].rate
    for share, expected in zip(seen.rounds, convergence.walks.after_waves(0.8, 0.9, convergence.K, 12), strict=True):
        assert abs(share.rate - expected) < 4 * np.sqrt(0.25 / 1000)
    assert seen.open == 0 and seen.p.low < 0.8 < seen.p.high
