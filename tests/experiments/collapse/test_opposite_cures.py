"""Opposite cures: what a cell holds, and that nothing is claimed within chance."""

from __future__ import annotations

import numpy as np
import pytest

from maker.errors import TaskError
from maker.experiments.collapse import opposite_cures as experiment
from maker.experiments.collapse.coins import every
from maker.experiments.collapse.opposite_cures import CLEAN, CURES, DIRTY, ILLNESSES, KEPT, PLAIN, Trained
from maker.experiments.collapse.policy import Policy
from maker.experiments.kit.study import Options


def trained(seed):
    """Return three policies that were never trained."""
    asked = every()[np.arange(4)]
    rng = np.random.default_rng(seed)
    return Trained(asked, {name: Policy(rng) for name in ("taught", PLAIN.name, KEPT.name)})


def test_each_cell_holds_what_it_says():
    """One reply is the exact share under its history; rungs only ever add to what both cures do."""
    here = [trained(0), trained(1)]
    found = experiment.cells(here, 0)
    assert set(found) == {(illness, cure) for illness in ILLNESSES for cure in CURES}
    assert found["avalanche", "as it is"][0] == here[0].one("taught", DIRTY).mean()
    assert found["collapse", "as it is"][1] == here[1].one(PLAIN.name, CLEAN).mean()
    assert found["collapse", "keep variety"][0] == here[0].one(KEPT.name, CLEAN).mean()
    for run in (0, 1):
        assert found["avalanche", "both"][run] == found["collapse", "both"][run]
        assert found["collapse", "both, and warmer"][run] >= found["collapse", "both"][run]


def made(avalanche, collapse):
    """Return cells of three runs: all .4 as they are, then these shares after each cure."""
    cures = {"avalanche": avalanche, "collapse": collapse}
    return {(illness, cure): [0.4 + 0.01 * run + (0 if cure == "as it is" else more) for run in range(3)]
            for illness, (subtract, keep) in cures.items()
            for cure, more in zip(CURES, (0, subtract, keep, 0.3, 0.3, 0.3), strict=True)}  # fmt: skip


def test_opposite_cures_are_told_apart():
    """The cure that adds more is named, and neither where they do not differ."""
    said = experiment.shows(made((0.3, 0.1), (0.1, 0.3)), 0)
    assert "subtracting context adds +0.300 (+0.300 to +0.300), keeping variety +0.100" in said
    assert said.startswith("What helps more, avalanche: subtract context; collapse: keep variety.")
    level = made((0.1, 0.1), (0.1, 0.1))
    level["avalanche", CURES[1]] = [0.6, 0.4, 0.52]
    assert "avalanche: neither clearly" in experiment.shows(level, 0)


def test_a_model_is_not_asked():
    """The networks are the experiment's own."""
    with pytest.raises(TaskError, match="opposite-cures asks no model"):
        experiment.run(Options(model="oracle"))
