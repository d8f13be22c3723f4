"""All experiments: outcomes are whole, and their figures labelled."""

from __future__ import annotations

import pytest

from maker.experiments.registry import NAMES


@pytest.mark.parametrize("name", NAMES)
def test_an_outcome_is_whole(outcomes, name):
    """Rows have one set of columns, the table is a rectangle, and both paragraphs, n and what is simulated are said."""
    outcome = outcomes[name]
    assert outcome.name == name
    assert outcome.rows and all(row.keys() == outcome.rows[0].keys() for row in outcome.rows)
    assert len(outcome.table) > 1 and len({len(row) for row in outcome.table}) == 1
    for said in (outcome.question, outcome.shows, outcome.shows_not, outcome.n, outcome.simulated):
        assert len(said) > 10 and "nan" not in said.split()
    assert "simulated" in outcome.simulated or "oracle" in outcome.simulated or "all of it" in outcome.simulated


@pytest.mark.parametrize("name", NAMES)
def test_every_axis_is_labelled(outcomes, name):
    """Each panel of each figure has a label, or names, on x, something drawn, and the first one a label on y."""
    figure = pytest.importorskip("matplotlib.figure").Figure(figsize=outcomes[name].size)
    outcomes[name].draw(figure)
    assert figure.axes[0].get_ylabel()
    for axes in figure.axes:
        assert axes.get_xlabel() or axes.get_xticklabels()[0].get_text()
        assert axes.get_lines() or axes.get_images() or axes.patches
