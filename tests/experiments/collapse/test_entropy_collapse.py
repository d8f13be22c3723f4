"""Entropy collapse: what is said of looks that are made up, and that nothing is claimed within chance."""

from __future__ import annotations

from dataclasses import replace

import pytest

from maker.errors import TaskError
from maker.experiments.collapse import entropy_collapse as experiment
from maker.experiments.collapse.entropy_collapse import Look
from maker.experiments.collapse.votes import Seen
from maker.experiments.kit.study import Options


def seen(p, right, entropy=1.0):
    """Return what a vote sees, with the same share of right steps at every k above 1."""
    return Seen(p, 0.1, 0.5, 3 * entropy, 1 - right, 0.5, (p, *[right] * 7), (0.0,) * 8, tuple(map(float, range(1, 9))))


def looks(method, falls):
    """Return two runs of two looks: the vote adds .3 at first, and at the end what is given."""
    return [
        Look(method, run, updates, one, one, rank)
        for run in (0, 1)
        for updates, one, rank in ((0, seen(0.4, 0.7), 3.0), (10, seen(0.6, 0.6 + falls, 0.3), 5.0 + run))
    ]


def test_a_model_is_not_asked():
    """The networks are the experiment's own: a model that is named is refused."""
    with pytest.raises(TaskError, match="entropy-collapse asks no model"):
        experiment.run(Options(model="oracle"))


def test_a_loss_is_said_to_be_one_where_it_is_clear():
    """What the vote adds goes down in both runs; the other way's gain is above plain's at the end."""
    found = [*looks("plain", 0.0), *looks("kept", 0.2)]
    said = experiment.shows(found, 0)
    assert said.startswith("Yes: the vote adds 0.300 to the share of right steps before plain training and 0.000 after")
    assert "kept by kept 0.200." in said
    assert "what the vote adds: 0.300 before, 0.000 after (down, -0.300" in said
    assert "what the vote adds up, +0.200" in experiment._against(found, "kept", 0)


def test_a_difference_within_chance_is_not_claimed():
    """Runs that differ both ways show nothing."""
    found = [*looks("plain", 0.1), *looks("kept", 0.1)]
    found[-1] = replace(found[-1], asked=seen(0.6, 0.8))
    found[-3] = replace(found[-3], asked=seen(0.6, 0.6))
    assert "what the vote adds not shown to differ" in experiment._against(found, "kept", 0)


def test_a_table_says_where_no_k_reaches_the_target():
    """90% are reached in no run; plain training has a line for each point, the others for their end."""
    made = experiment.table([*looks("plain", 0.0), *looks("kept", 0.2)], 0)
    assert [line[:2] for line in made[1:]] == [["plain", "0"], ["plain", "10"], ["kept", "10"]]
    assert {line[-2] for line in made[1:]} == {"not by any k"}
