"""Opposite cures: what a cell holds, and that nothing is claimed within chance."""

from __future__ import annotations

import numpy as np
import pytest

from maker.errors import TaskError
from maker.experiments.collapse import opposite_cures as experiment
from maker.experiments.collapse.coins import every
from maker.experiments.collapse.opposite_cures import (
    ALONE,
    AVALANCHE,
    CLEAN,
    COLLAPSE,
    DIRTY,
    KEPT,
    OTHER,
    PLAIN,
    RIGHT,
    SHOWN,
    STAGES,
    VOTE,
    WARM,
    Trained,
)  # fmt: skip
from maker.experiments.collapse.policy import NO_HISTORY, Policy
from maker.experiments.kit.study import Options


def trained(seed):
    """Return three policies that were never trained."""
    asked = every()[np.arange(4)]
    rng = np.random.default_rng(seed)
    return Trained(asked, {name: Policy(rng) for name in ("taught", PLAIN.name, KEPT.name)})


def test_each_cell_holds_what_it_says():
    """The avalanche is what a dirty history costs, and nothing on the state alone; rungs only ever add."""
    here = [trained(0), trained(1)]
    found = experiment.cells(here, 0)
    assert {stage for _, _, stage in found} == set(STAGES)
    clean, dirty = (here[1].one("taught", wrong).mean() for wrong in (CLEAN, DIRTY))
    assert found[AVALANCHE, SHOWN, "taught"][1] == 1 - dirty / clean
    assert found[AVALANCHE, ALONE, "taught"] == [0, 0]
    alone = here[0].one(KEPT.name, NO_HISTORY).mean()
    assert found[COLLAPSE, ALONE, KEPT.name][0] == pytest.approx(found[RIGHT, VOTE, KEPT.name][0] - alone)
    assert found[RIGHT, VOTE, "taught"][0] <= found[RIGHT, WARM, "taught"][0] <= found[RIGHT, OTHER, "taught"][0]


def made(avalanche, collapse):
    """Return cells of three runs: loss to own errors, and what the vote adds, by stage."""
    found = {}
    for at, stage in enumerate(STAGES):
        for run in range(3):
            for key, value in (
                ((AVALANCHE, SHOWN), avalanche[at]), ((AVALANCHE, ALONE), 0.0), ((COLLAPSE, SHOWN), collapse[at]),
                ((COLLAPSE, ALONE), collapse[at]), ((RIGHT, VOTE), 0.4), ((RIGHT, WARM), 0.5), ((RIGHT, OTHER), 0.6),
            ):  # fmt: skip
                found.setdefault((*key, stage), []).append(value + 0.01 * run)
    return found


def test_opposite_cures_are_told_apart():
    """Each helps its own illness, or nothing is claimed: where variety kept gives the vote nothing."""
    said = experiment.shows(made((0.2, 0.1, 0.2), (0.1, 0.05, 0.15)), 0)
    assert said.startswith("Each cure helps its own illness alone here.")
    assert "variety kept adds +0.100 (+0.100 to +0.100) of what the vote adds" in said
    assert experiment.shows(made((0.2, 0.1, 0.2), (0.1, 0.05, 0.05)), 0).startswith("The cures are not told apart")


def test_a_model_is_not_asked():
    """The networks are the experiment's own."""
    with pytest.raises(TaskError, match="opposite-cures asks no model"):
        experiment.run(Options(model="oracle"))
