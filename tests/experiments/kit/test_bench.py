"""The bench: what is simulated is called so, and what stops a run is one message."""

from __future__ import annotations

import pytest

from maker.decision.ending import Stop
from maker.decision.flags import DEFAULT
from maker.errors import ModelError
from maker.experiments.kit.bench import Bench, Source, oracle, sources, spread
from maker.experiments.kit.study import Options

DISKS = 20


def test_a_simulated_source_is_called_simulated():
    """The oracle's name says so wherever it is shown; the bundled model's does not."""
    assert "(simulated)" in oracle("p=0.9").name and oracle("p=0.9").simulated
    (own,) = sources(Options(model="neural", temperature=1.8), oracle("p=0.9"))
    assert own == Source("neural", 1.8, "neural, T = 1.8") and not own.simulated
    (asked,) = sources(Options(model="oracle:p=0.8"), own)
    assert asked.spec == "oracle:p=0.8" and "(simulated)" in asked.name


def test_spread_draws_each_step_once_where_there_are_enough():
    """Large tasks give different steps, small ones all their steps several times."""
    steps, each = spread(1000, 100, 0)
    assert len(set(steps)) == 100 and each == 1 and spread(1000, 100, 0) == (steps, each) != spread(1000, 100, 1)
    assert spread(7, 100, 0) == (list(range(7)), 15)


def test_a_lost_model_ends_an_experiment_with_one_message():
    """What stops a run (a lost model, a poison step) is a ModelError here, since nothing can be resumed."""
    with Bench(oracle("p=0.9")) as bench:

        async def lose(requests):
            raise Stop("model_lost", "step 1: 10 attempts failed.")

        bench._dispatcher.draw = lose
        with pytest.raises(ModelError, match=r"10 attempts failed\. An experiment keeps no journal"):
            bench.draws(DISKS, [1, 2], 1)


def test_flags_and_votes_of_an_experiment_see_no_truth():
    """The step that flags see holds the task's rules and nothing that knows the right answer."""
    with Bench(oracle("p=0.5")) as bench:
        (poll,) = bench.votes(DISKS, [5], 2, DEFAULT)
    assert not any(hasattr(part, "truth") for part in (poll.step, poll.step.rules, poll.step.state))
