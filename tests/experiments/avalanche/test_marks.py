"""Measures of marks: slopes, horizons and errors after errors that are known."""

from __future__ import annotations

import numpy as np

from maker.experiments.avalanche.marks import Cell, Measure, bootstrapped, follows, horizon, slope


def test_a_slope_that_is_known():
    """From all right to none right the slope is -1; even marks have an interval that holds 0, all right ones too."""
    falls = [Cell("a", "arm", 1, share, 9, (mark * 50,)) for share, mark in ((0.0, "1"), (1.0, "0"))]
    fall = slope(falls, 0)
    assert (fall.value, fall.low) == (-1, -1) and -1 < fall.high < -0.9
    right = slope([Cell("a", "arm", 1, share, 9, ("1" * 10,)) for share in (0.0, 1.0)], 0)
    assert right.value == 0 and right.low < -0.1 and right.high > 0.1
    even = slope([Cell("a", "arm", 1, share, 9, ("01" * 50,)) for share in (0.0, 0.5, 1.0)], 0)
    assert even.value == 0 and even.low < 0 < even.high
    assert slope(falls[:1], 0) == Measure(None, None, None)


def test_the_horizon_is_the_first_turn_with_half_the_runs_lost():
    """One run of three lost is none; two lost by turn 3 is turn 3, whatever comes right after."""
    assert horizon(np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]], bool)) == 3
    assert horizon(np.array([[1, 1], [1, 1], [1, 0]], bool)) is None


def test_errors_that_follow_errors():
    """Where the wrong turns stand together they follow each other, where they alternate they never do."""
    together = np.array([[False] * 20, [True] * 20])
    assert follows(together) == 2
    assert follows(np.array([[turn % 2 == 0 for turn in range(30)]])) == 0
    assert follows(np.ones((5, 5), bool)) is None


def test_an_interval_holds_what_is_measured():
    """Runs of one kind alone have an interval of one point; an end that was not reached has no upper end."""
    lost = np.zeros((10, 4), bool)
    assert bootstrapped(lost, horizon, 0) == Measure(1, 1, 1)
    assert bootstrapped(~lost, horizon, 0).text("> 4") == "> 4"
    mixed = np.array([[True] * 4] * 5 + [[False] * 4] * 6, bool)
    assert bootstrapped(mixed, horizon, 0).text("> 4") == "1 (1 to > 4)"


def test_a_cell_is_read_as_it_was_written():
    """A row keeps its marks and its share, and says how many were right."""
    cell = Cell.of("a", "window 1", 3, 0.25, 9, [[True, False, True]])
    assert Cell.read({key: "" if value is None else str(value) for key, value in cell.row().items()}) == cell
    assert (cell.right.seen, cell.right.n) == (2, 3)
    own = Cell.of("a", "window 1", 1, None, 2, [[True, False], [False, False]])
    assert Cell.read({key: "" if value is None else str(value) for key, value in own.row().items()}) == own
    assert own.runs.tolist() == [[True, False], [False, False]]
