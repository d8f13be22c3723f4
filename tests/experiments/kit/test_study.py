"""Shares with exact intervals, and tables that line up."""

from __future__ import annotations

import pytest

from maker import theory
from maker.experiments.kit.study import Share, aligned


def test_shares_have_exact_intervals():
    """A share's interval is the two-sided exact one; of no trials it is all of 0 to 1."""
    share = Share(3, 50)
    assert share.low == pytest.approx(1 - theory.p_upper(3, 50, 0.975))
    assert share.high == pytest.approx(1 - theory.p_lower(3, 50, 0.975))
    assert Share(0, 10).low == 0 and Share(10, 10).high == 1
    assert (Share(0, 0).low, Share(0, 0).high, Share(0, 0).text()) == (0.0, 1.0, "-")


def test_tables_line_up():
    """A table's columns begin at the same place in every line."""
    lines = aligned([["a", "bb"], ["ccc", "d"]]).splitlines()
    assert lines == ["a    bb", "-------", "ccc  d"]
