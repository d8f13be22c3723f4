"""Which further draws would settle what is open: as many as it takes, and no more than a fiftieth too many."""

from __future__ import annotations

import pytest

from gathered import evidence
from maker.theory.planner import project
from maker.theory.settling import Settling


def settled(wrong: int, n: int, steps: int, **more: int) -> Settling | None:
    """Return what would settle a run of so many steps, at a cent and two seconds a reply."""
    return Settling.of(evidence(wrong, n, **more), steps, 0.95, 3, each=0.01, pace=2.0)


def test_as_many_clean_steps_as_it_says_prove_it() -> None:
    """A clean model: drawn on once on so many steps the run is proven, on a tenth fewer it is not."""
    found = settled(0, 1000, 100)
    assert found is not None
    assert found.repeats == 1
    assert project(evidence(0, found.steps), 100, 0.95, worst=True).proven
    assert not project(evidence(0, int(0.9 * found.steps)), 100, 0.95, worst=True).proven


def test_a_second_draw_pays_where_errors_are_seen_and_do_not_come_twice() -> None:
    """With 1 error in 100 and none twice, single draws never show a run of ten steps; pairs do, and they prove it."""
    found = settled(10, 1000, 10, pairs=1000)
    assert found is not None
    assert found.repeats == 2
    more = evidence(round(found.steps / 100), found.steps, pairs=found.steps)
    assert project(more, 10, 0.95, worst=True).proven


def test_flagged_samples_cost_their_share() -> None:
    """Samples are draws over v, and cost and time are theirs; without prices there is no cost."""
    clean, flagged = settled(0, 900, 5), settled(0, 900, 5, flagged=300)
    assert clean is not None
    assert flagged is not None
    assert flagged.samples == pytest.approx(clean.samples / 0.75)
    assert (flagged.cost, flagged.seconds) == (pytest.approx(flagged.samples / 100), pytest.approx(2 * flagged.samples))
    unpriced = Settling.of(evidence(0, 900), 5, 0.95, 3, each=None, pace=2.0)
    assert unpriced is not None
    assert unpriced.cost is None


def test_where_steps_are_lost_no_draws_settle_it() -> None:
    """Where one step in a hundred is wrong both times, ten million steps would not show a thousand to be right."""
    assert settled(20, 1000, 1000, pairs=1000, collisions=10) is None
