"""What a calibration saw as a table of margins: where it comes from, and what has none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from maker import theory
from maker.errors import Infeasible
from maker.theory.draws import Draw, Seen
from maker.theory.evidence import Evidence
from maker.theory.margins import coin_share, margins
from maker.theory.votes.mixture import Steps
from maker.theory.votes.tables import table_for, widest

RIGHT, WRONG = Draw(b"1", None, 1), Draw(b"0", None, 1)


def seen(index: int, first: Draw, again: str = "") -> Seen:
    """Return a step drawn on once, and again: "+" for a right draw, "-" for a wrong one."""
    return Seen(index, None, b"1", draws=[first], again=[RIGHT if sign == "+" else WRONG for sign in again])


CLEAN = [seen(i, RIGHT) for i in range(290)]
ERRED = [seen(i, WRONG, "+" * 20) for i in range(290, 300)]
MIXED = [seen(i, WRONG, "+-" * 10) for i in range(290, 300)]


def test_coins_are_what_was_drawn_again_and_not_cleared():
    """Ten of 300 steps that erred and stayed unclear are twice as many coins; those that cleared are none."""
    power = Evidence.of(CLEAN + MIXED, 1).power
    assert coin_share(CLEAN + MIXED, power) == pytest.approx(10 / 300 / power)
    assert coin_share(CLEAN + ERRED, power) == coin_share(CLEAN, power) == 0
    assert coin_share(CLEAN + ERRED[:5] + MIXED[5:], power) == pytest.approx(5 / 300 / power)


def test_the_table_is_that_of_the_careful_population():
    """P is at its exact lower bound, rho at its best estimate, and the chance a step what the whole run allows."""
    found = Evidence.of(CLEAN + ERRED[:6] + MIXED[6:], 1)
    table = margins(found, (), 0.01, 1000, 0.9)
    assert table == table_for(Steps(found.p_plan, found.rho), theory.error_budget(0.9, 1000), 0.01)
    assert table.widens


def test_without_errors_it_is_the_constant_k_that_auto_plans():
    """Where nothing erred rho is 0, and the table never widens."""
    found = Evidence.of(CLEAN, 1)
    table = margins(found, (), 0.0, 1000, 0.9)
    assert (table.k, table.widens) == (theory.k_min(found.p_plan, 1000, 0.9), ())


def test_kinds_that_differ_have_the_widest_of_their_tables():
    """Each kind is planned apart, as if all steps were of it; one that was seen too seldom is not planned apart."""
    whole, worse, others = (Evidence.of(steps, 1) for steps in (CLEAN + ERRED, CLEAN[:40] + ERRED, CLEAN[40:]))
    each = [margins(part, (), 0.0, 1000, 0.9) for part in (worse, others)]
    assert margins(whole, (worse, others), 0.0, 1000, 0.9) == widest(*each)
    few = replace(worse, n=29)
    assert margins(whole, (few, others), 0.0, 1000, 0.9) == margins(whole, (), 0.0, 1000, 0.9)


def test_what_has_no_table_is_refused_with_the_reason():
    """No table for p that may be 1/2 or less, nor where steps differ so much that unanimous votes convince nobody."""
    bad = Evidence.of([seen(i, WRONG if i % 2 else RIGHT) for i in range(100)], 1)
    with pytest.raises(Infeasible, match=r"p may be 0\.4"):
        margins(bad, (), 0.0, 1000, 0.9)
    apart = [seen(i, WRONG if i % 3 == 0 else RIGHT, "-" * 20 if i % 3 == 0 else "") for i in range(300)]
    with pytest.raises(Infeasible, match="even 1,500 votes"):
        margins(Evidence.of(apart, 1), (), 0.0, 1e9, 0.99)
