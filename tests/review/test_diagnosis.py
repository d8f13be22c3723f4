"""The diagnosis: right of runs whose trouble is planted, and nothing is said that votes cannot tell."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from maker.api.run import run_sync
from maker.journal.story import Story
from maker.review.diagnosis import Signs, at_least, diagnose
from maker.task.load import load_task

SOLVED = {"solved": True, "stopped": None}
LOST = {"solved": False, "stopped": None}
PLANTED = {
    "healthy": lambda rng: f"oracle:p={rng.uniform(0.93, 0.99):.3f},rivals={rng.randint(1, 4)}",
    "under-determined": lambda rng: f"oracle:p={rng.uniform(0.45, 0.65):.3f},rivals={rng.randint(4, 8)}",
    "collapsed": lambda rng: f"oracle:p=0.97,hard={rng.uniform(0.05, 0.15):.3f},p_hard={rng.uniform(0, 0.2):.3f}",
}


@pytest.mark.parametrize("kind", PLANTED)
def test_simulated_runs_of_each_kind_are_told(kind, tmp_path):
    """Of eight runs of each kind all are told by their journals, with no count of wrong steps to go by."""
    rng, found = random.Random(kind), Counter()
    for number in range(8):
        journal = tmp_path / f"{number}.maker"
        task = load_task("dict-sum", turns=40, keys=1, data_seed=number)
        run_sync(task, model=f"{PLANTED[kind](rng)},seed={number}", k=3, seed=number, journal=journal)
        signs = Signs()
        summary = Story(journal).summary(signs.take)
        close = {name: told for name, told in summary.close.items() if name != "wrong"}
        found[diagnose(signs, summary.k, close).kind] += 1
    assert found == {kind: 8}


def even(**more):
    """Return the signs of 100 steps on which 95% of the first votes agree, as chance alone makes them at k = 3."""
    told = {"steps": 100, "votes": 330, "leading": 314, "agreed": 96, "contested": 14, "doubted": 2, "entropy": 7.0}
    return Signs(**{**told, **more})


def test_agreement_alone_is_not_called_right():
    """Where nothing checks the end, or it is not reached yet, a healthy journal says that nobody knows."""
    assert (
        diagnose(even(), 3, SOLVED).line
        == "healthy: 95% of the votes agree, 14 contested steps with 1.6 answers in effect"
    )
    for close in ({}, {"solved": False, "stopped": "max_calls"}):
        assert "nothing here says whether what they agree on is right" in diagnose(even(), 3, close).line


def test_a_wrong_end_is_collapse_only_where_chance_does_not_explain_it():
    """The same votes at k = 3 are collapsed; at so small a k that chance loses a step, a larger k is the remedy."""
    assert diagnose(even(), 3, LOST).kind == "collapsed"
    few = diagnose(even(doubted=0, agreed=88), 2, LOST)
    assert few.kind == "under-determined" and "a larger k will help" in few.line
    assert diagnose(even(), 3, {"solved": True, "stopped": None, "wrong": 2}).kind == "collapsed"


def test_steps_in_doubt_and_steps_that_are_stuck():
    """More doubt than chance makes is under-determined, and so are open steps whose votes differ."""
    assert "20 steps are in doubt" in diagnose(even(doubted=20), 3, SOLVED).line
    assert "2 open steps have votes for several answers" in diagnose(even(stuck=2), 3, {}).line


def test_contested_steps_that_follow_each_other_are_said():
    """Fourteen contested steps in one row are no chance; two that follow are."""
    assert "follow each other" in diagnose(even(follow=13), 3, SOLVED).line
    assert "follow each other" not in diagnose(even(follow=3), 3, SOLVED).line


@pytest.mark.parametrize(("signs", "k"), [(Signs(), 3), (even(), 1), (even(), None)])
def test_single_votes_tell_nothing(signs, k):
    """Without two votes on a step there is nothing that could agree."""
    assert diagnose(signs, k, LOST).kind == "nothing to tell"


@pytest.mark.parametrize(("seen", "n", "chance"), [(0, 5, 0.1), (2, 5, 0.3), (5, 5, 0.9), (1, 3, 0.0), (3, 9, 1.0)])
def test_the_tail_of_chance(seen, n, chance):
    """It equals the sum over all ways."""
    ways = [sum(bin(way).count("1") == i for way in range(2**n)) for i in range(n + 1)]
    assert at_least(seen, n, chance) == pytest.approx(
        sum(ways[i] * chance**i * (1 - chance) ** (n - i) for i in range(seen, n + 1))
    )
