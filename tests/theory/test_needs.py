"""What a planned run takes: products of intervals, and None where a figure is not known."""

from __future__ import annotations

import pytest

from gathered import evidence
from maker.decision.sample import Prices
from maker.theory.needs import Needs, plain
from maker.theory.planner import Amount, project

PRICES = Prices(input=1.0, output=2.0)
PLAN = project(evidence(20, 1000), 500, 0.95)


def needs(tokens_in: list[int | None], tokens_out: list[int | None]) -> Needs:
    """Return the needs of the plan for replies of these lengths, half a second each."""
    latencies = [2.0] * len(tokens_in)
    return Needs.of(
        PLAN, evidence(20, 1000), tokens_in, tokens_out, latencies, Prices(input=1.0, output=2.0), 0.5, parallel=True
    )


def test_products_hold_both_intervals():
    """The ends of a sum and a product are those of its parts."""
    a, b = Amount(2, 1, 3), Amount(10, 8, 20)
    assert a * b == Amount(20, 8, 60)
    assert a + b == Amount(12, 9, 23)
    assert a.times(2) == Amount(4, 2, 6)


def test_replies_of_one_length_cost_what_the_samples_are_times():
    """Where all replies are alike, tokens, dollars and seconds are samples times a known figure."""
    found = needs([100] * 30, [10] * 30)
    samples = found.samples
    assert samples is not None and samples.low <= samples.value <= samples.high
    assert (found.tokens_in, found.tokens_out) == (Amount(100, 100, 100), Amount(10, 10, 10))
    assert found.tokens == samples.times(110)
    assert found.cost is not None and found.cost.value == pytest.approx(samples.value * 120e-6)
    assert found.seconds == samples.times(0.5)


def test_a_figure_that_one_reply_lacks_is_not_guessed():
    """One reply without its token count leaves tokens and cost unknown, and nothing else."""
    found = needs([100, None, 100], [10, 10, 10])
    assert (found.tokens_in, found.tokens, found.cost) == (None, None, None)
    assert found.tokens_out is not None and found.samples is not None


def test_batches_cost_half_and_take_nobody_knows_how_long():
    """Tokens and samples stay what they are."""
    plainly = needs([100] * 30, [10] * 30)
    found = plainly.in_batches()
    assert (found.cost, found.seconds) == (plainly.cost.times(0.5), None)
    assert (found.samples, found.tokens) == (plainly.samples, plainly.tokens)
    assert needs([None] * 30, [10] * 30).in_batches().cost is None


def test_json_has_no_infinity():
    """What is not finite is null."""
    assert [plain(number) for number in (1.5, float("inf"), float("nan"))] == [1.5, None, None]
