"""Margins that widen, walked exactly: against simulated races, and what the arms show."""

from __future__ import annotations

import numpy as np
import pytest

from maker import theory
from maker.decision.race import first_to_ahead
from maker.experiments.voting import margins
from maker.theory.votes.mixture import Steps
from maker.theory.votes.tables import Table
from tiny import tiny


def test_constant_k_on_steps_alike_is_the_formula():
    """Error and votes are those of the gambler's ruin, and next to nothing stays open."""
    seen = margins.walk(Table(3, (), margins.MOST))(margins.chances(((1.0, Steps(0.9)),)))
    assert seen.wrong == pytest.approx(1 - theory.step_success(0.9, 3))
    assert seen.votes == pytest.approx(theory.expected_votes(0.9, 3))
    assert seen.undecided < 1e-12


def test_a_walk_is_what_the_engines_race_does():
    """Wrong, undecided and votes over a mixed population are those of races by the engine's own rule."""
    table, n, rng = Table(2, (4, 7, 9, 13), margins.MOST), 4000, np.random.default_rng(5)
    parts = ((0.5, Steps(0.9)), (0.5, Steps(0.6, 0.2)))
    seen = margins.walk(table)(margins.chances(parts))
    wrong = undecided = votes = 0
    for _ in range(n):
        p = 0.9 if rng.random() < 0.5 else rng.beta(0.6 * 4, 0.4 * 4)
        race, took = first_to_ahead(2, margins.MOST, 1, None, table), 0
        try:
            need = next(race)
            while True:
                took += need
                need = race.send([b"+" if rng.random() < p else b"-" for _ in range(need)])
        except StopIteration as end:
            wrong += end.value.winner == b"-"
            undecided += end.value.winner is None
            votes += took
    assert seen.wrong == pytest.approx(wrong / n, abs=4 * (seen.wrong / n) ** 0.5)
    assert seen.undecided == pytest.approx(undecided / n, abs=4 * (seen.undecided / n) ** 0.5 + 1e-3)
    assert seen.votes == pytest.approx(votes / n, rel=0.1)


def test_the_posterior_asks_for_the_least_lead_that_convinces():
    """At a level of 1% six votes to none decide and five do not; the lead at 40 votes is that of the binomial tail."""
    table = margins.posterior(0.01)
    assert (table.k, table.wanting(5, 5)) == (6, 1)
    for total in (20, 39, 60):
        least = next(m for m in range(total % 2, total, 2) if theory_tail(total, m) <= 0.01)
        assert least - 1 <= table.need(total) <= least


def theory_tail(total: int, margin: int) -> float:
    """Return P(share <= 1/2) at a lead, under a uniform prior: a tail of total + 1 tosses."""
    rival = (total - margin) // 2
    return sum(float(np.exp(margins._log_choose(total + 1, i))) for i in range(rival + 1)) / 2 ** (total + 1)


def test_moments_of_a_mixture_are_those_of_its_beta():
    """The Beta that stands for two points has their mean and variance; for steps alike it has none."""
    found = margins.moments(margins.TWO_POINTS)
    assert found.p == pytest.approx(0.961)
    assert found.rho * found.p * (1 - found.p) == pytest.approx(0.95 * 0.98**2 + 0.05 * 0.6**2 - 0.961**2)
    assert margins.moments(margins.ALIKE).alike


def test_the_arms_show_what_the_page_says():
    """Alike: the table is constant k. Two points: fewer wrong, more undecided. Hostile: the belief is paid for."""
    rows = tiny("margins").table[1:]
    first = {rows[at][0]: rows[at : at + len(margins.AT)] for at in range(0, len(rows), len(margins.AT))}
    wrong = {title: [[float(cell.split(",")[0]) for cell in row[2:4]] for row in part if "-" not in row[3:4]]
             for title, part in first.items()}  # fmt: skip
    alike, two, hostile = (
        next(v for title, v in wrong.items() if key in title) for key in ("alike: p", "two", "for rho")
    )
    assert all(constant == pytest.approx(table, rel=0.3) for constant, table in alike)
    assert two[-1][1] < two[-1][0]
    assert all(table > constant for constant, table in hostile)
