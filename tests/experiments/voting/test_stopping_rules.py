"""Stopping rules: which is the cheapest."""

from __future__ import annotations

from maker.experiments.voting import stopping_rules


def test_ahead_by_k_is_the_cheapest_rule_in_the_table(outcomes):
    """In the scenes of two answers no rule without confidences is below ahead-by-k at an error of 1%."""
    found = {scene.short: column for column, scene in enumerate(stopping_rules.SCENES, 1)}
    table = {row[0]: row for row in outcomes["stopping-rules"].table}
    for short in ("2 answers, p = .75", "2 answers, p = .95"):
        column = found[short]
        ahead = float(table["ahead by k"][column])
        for rule in ("first to k", "majority of n", "Beta posterior", "ESC window"):
            assert float(table[rule][column]) >= ahead
