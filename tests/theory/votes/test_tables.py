"""Margins that widen: the chance behind them, their shape, and constant k where all steps are alike."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maker import theory
from maker.theory.votes.mixture import Steps
from maker.theory.votes.tables import MOST, Table, leader_wrong, table_for, widest

populations = st.builds(Steps, st.floats(0.55, 0.999), st.floats(0, 0.3))
deltas = st.sampled_from([0.05, 1e-3, 1e-6])
shares = st.sampled_from([0.0, 1e-4, 0.02])
few = settings(max_examples=25, deadline=None)


def rising(x: Fraction, n: int) -> Fraction:
    """Return x (x + 1) ... (x + n - 1)."""
    found = Fraction(1)
    for i in range(n):
        found *= x + i
    return found


@given(st.fractions(1, 9), st.fractions(Fraction(1, 50), 1), st.integers(0, 12), st.integers(0, 12), st.booleans())
@few
def test_the_chance_is_that_of_exact_arithmetic(x: Fraction, y: Fraction, b: int, more: int, coins: bool):
    """P(leader wrong) equals the quotient of rising factorials in rational numbers, with coins and without."""
    a, share = b + more, Fraction(1, 64) if coins else Fraction(0)
    right = rising(x, a) * rising(y, b) / rising(x + y, a + b)
    wrong = rising(x, b) * rising(y, a) / rising(x + y, a + b)
    coin = share / 2 ** (a + b + 1)
    exact = ((1 - share) * wrong + coin) / ((1 - share) * (right + wrong) + 2 * coin)
    steps = Steps(float(x / (x + y)), float(1 / (1 + x + y)))
    assert leader_wrong(steps, a, b, float(share)) == pytest.approx(float(exact), rel=1e-9)


def test_the_same_margin_says_less_on_a_contested_step():
    """At a mean of .9978 and rho = .1 a lead of three is a thousand times likelier to be wrong at 10:7 than at 3:0."""
    steps = Steps(0.9978, 0.1)
    assert leader_wrong(steps, 3, 0) == pytest.approx(4.1e-5, rel=0.02)
    assert leader_wrong(steps, 10, 7) == pytest.approx(0.0943, rel=0.02)


@given(st.floats(0.51, 0.9999), st.floats(1, 1e6), st.floats(0.5, 0.999))
@few
def test_on_steps_that_are_alike_the_table_is_constant_k(p: float, steps: float, target: float):
    """With rho = 0 and no coins the table never widens, and its k is the smallest that reaches the target."""
    table, k = table_for(Steps(p), theory.error_budget(target, steps)), Steps(p).k_for(steps, target)
    assert (table and (table.k, table.widens)) == (k and (k, ()))


def test_the_limit_of_steps_that_are_nearly_alike_is_constant_k():
    """The general way of computing the table arrives at constant k as rho goes to nothing."""
    nearly = table_for(Steps(0.9, 2e-8), 1e-3)
    assert nearly is not None
    assert nearly.k == table_for(Steps(0.9), 1e-3).k
    assert nearly.need(200) == nearly.k


@given(populations, deltas, shares, st.integers(1, 300))
@few
def test_the_margin_is_the_least_that_keeps_the_chance_and_grows_with_the_total(
    steps: Steps, delta: float, coins: float, total: int
):
    """At a total that can be voted, need() holds the chance at delta, a vote less does not, and it never falls."""
    table = table_for(steps, delta, coins)
    if table is None or total < table.k or total > table.most:
        return
    need = table.need(total)
    assert table.need(total - 1) <= need <= table.need(total - 1) + 1
    assert leader_wrong(steps, (total + need) / 2, (total - need) / 2, coins) <= delta * (1 + 1e-6)
    assert (
        leader_wrong(steps, (total + need - 1) / 2, (total - need + 1) / 2, coins) > delta * (1 - 1e-6)
        or need == table.k
    )


@given(populations, deltas, shares, st.integers(0, 200), st.data())
@few
def test_no_fewer_votes_than_wanting_can_decide(
    steps: Steps, delta: float, coins: float, total: int, data: st.DataObject
):
    """`wanting` votes for the leader decide exactly, and no smaller number of them does."""
    table = table_for(steps, delta, coins)
    if table is None:
        return
    margin = data.draw(st.integers(0, min(total, table.need(total) - 1)))
    votes = table.wanting(margin, total)
    assert votes > 0
    assert all(margin + i < table.need(total + i) for i in range(min(votes, table.most - total)))
    assert total + votes > table.most or margin + votes == table.need(total + votes)


def test_a_coin_asks_for_ever_more():
    """Where a share of steps are coins the margin outgrows what a coin wanders: four times its root, at 400 votes."""
    table = table_for(Steps(0.99), 1e-4, 0.01)
    assert table is not None
    assert table.need(400) > 4 * 400**0.5


def test_what_no_margin_reaches_has_no_table():
    """Steps so mixed that a unanimous vote convinces nobody have no table."""
    assert table_for(Steps(0.51, 0.3), 1e-6) is None


@pytest.mark.parametrize(
    "given_", [(0.5, 0.0, 0.01, 0.0), (0.9, 0.0, 0.0, 0.0), (0.9, 0.0, 1.0, 0.0), (0.9, 0.0, 0.1, 1.0)]
)
def test_senseless_tables_are_refused(given_: tuple[float, float, float, float]):
    """A table needs p above 1/2, a delta inside (0, 1) and some steps that are no coins."""
    p, rho, delta, coins = given_
    with pytest.raises(ValueError, match="a table needs"):
        table_for(Steps(p, rho), delta, coins)


def test_a_table_comes_back_from_its_note_or_is_refused():
    """The note is the whole table; a number that was changed no longer has its digest."""
    table = table_for(Steps(0.96, 0.1), 1e-3)
    assert table is not None
    note = table.as_note()
    assert Table.of(note, table.k) == table
    for forged in (note | {"widens": note["widens"][1:]}, note | {"most": note["most"] + 1}):
        with pytest.raises(ValueError, match="digest"):
            Table.of(forged, table.k)
    with pytest.raises(ValueError, match="digest"):
        Table.of(note, table.k - 1)


@pytest.mark.parametrize(
    "given_", [(0, (), 9), (3, (5, 4), 9), (3, (2,), 9), (3, (5,), 4), (3, (True,), 9), (3, (), MOST + 1)]
)
def test_what_is_no_table_is_refused(given_: tuple[int, tuple[int, ...], int]):
    """Totals are whole, in order, from k to the end."""
    with pytest.raises(ValueError, match="a table needs"):
        Table(*given_)


@given(st.sampled_from([0.1, 0.02, 0.0]), st.sampled_from([0.05, 0.01]), deltas, st.integers(1, 400))
@few
def test_the_widest_of_two_asks_for_the_larger_margin(rho: float, other: float, delta: float, total: int):
    """At each total that can be voted the widest table needs what the stricter of the two needs."""
    first, second = table_for(Steps(0.9, rho), delta), table_for(Steps(0.97, other), delta)
    assert first is not None
    assert second is not None
    both = widest(first, second)
    if both.k <= total <= both.most:
        assert both.need(total) == max(first.need(total), second.need(total))
    assert widest(first, first) == first
