"""What a run takes at the least, likely, and at the most: by hand, and against runs of models that are as assumed."""

from __future__ import annotations

from typing import Any

import pytest

import maker
from maker.api.preview.costs import RIGHT, VALID, Need, needs
from maker.decision.address import Address
from maker.decision.config import Config
from maker.decision.sample import Prices, Request
from maker.sending.budget.limits import Limits


def said(
    steps: int = 100, *, prices: Prices | None = None, truth: bool = True, turns: int = 0, **given: Any
) -> dict[str, Need]:
    """Return the needs of a run whose requests have 400 bytes."""
    limits = Limits(**{name: given.pop(name) for name in list(given) if name in Limits.model_fields})
    config = Config(**{"k": 3, "token_cap": 200, **given})
    return needs(config, limits, prices, steps, [Request(Address("r", 0, 0), "x" * 400, 0)], truth=truth, turns=turns)


def test_a_given_margin_needs_no_calibration():
    """K draws a step at the least, a few more likely, and what the limits allow at the most."""
    found = said(prices=Prices(input=1.0, output=2.0))
    assert found["least"] == Need(3, 300, 300 * 101, pytest.approx(300 * (100 + 2) / 1e6))
    assert (found["likely"].calls, found["likely"].tokens) == (340, 340 * 200)
    assert (found["most"].calls, found["most"].tokens) == (20_000, 20_000 * (400 + 64 + 1024))
    assert found["most"].cost == pytest.approx(20_000 * (464 + 2 * 1024) / 1e6)


@pytest.mark.parametrize(("truth", "draws"), [(True, 300), (False, 500)])
def test_a_calibration_is_counted(truth: bool, draws: int):
    """With k = auto its draws come first, and the margin grows with the steps."""
    short, long = said(100, k="auto", truth=truth), said(1_000_000, k="auto", truth=truth)
    assert short["least"].calls == draws + 100 * short["least"].k
    assert long["likely"].k > short["likely"].k >= short["least"].k
    assert short["least"].calls < short["likely"].calls < short["most"].calls
    assert all(need.cost is None for need in short.values())


def test_votes_that_weigh_take_fewer_calls_and_a_calibration_of_each_model():
    """12 votes are five draws of 4, 2, 1, 4 and 2; a calibration draws on each step with every model."""
    assert said(weights=(4, 2, 1), turns=3)["least"].calls == 100
    assert said(k=12, weights=(4, 2, 1), turns=3)["least"].calls == 500
    plain, weighed = said(k="auto", turns=3), said(k="auto", weights="calibrated", turns=3)
    assert weighed["least"].calls - plain["least"].calls == 600
    assert weighed["most"].calls - plain["most"].calls == 2_400


def test_limits_bound_all_three():
    """No more calls, tokens or dollars than the limits allow, and fewer where a step may take fewer."""
    found = said(max_calls=10, max_tokens=999, max_cost=0.001, prices=Prices(input=1.0, output=1.0))
    assert [need.calls for need in found.values()] == [10, 10, 10]
    assert (found["most"].tokens, found["most"].cost) == (999, 0.001)
    assert said(max_votes=5, max_flags=5)["most"].calls == 1_000


def test_a_model_as_it_is_assumed_takes_about_as_many_calls_as_are_likely():
    """A simulated run with these rates has as many samples as was said, within a few percent."""
    task = maker.load_task("hanoi", disks=10)
    result = maker.run_sync(task, model=f"oracle:p={RIGHT},v={VALID}", k=3)
    assert result.samples == pytest.approx(said(1023)["likely"].calls, rel=0.05)
