"""Self-conditioning: the exact reader falls with the errors it sees, and a model that can do nothing is not drawn."""

from __future__ import annotations

from maker.experiments.avalanche import self_conditioning as experiment
from maker.experiments.kit.study import Options
from tiny import tiny


def wrong(questions, draws):
    """Answer everything wrong."""
    return [[question.right + 1] * many for question, many in zip(questions, draws, strict=True)]


def test_a_model_that_cannot_do_the_task_is_not_measured():
    """Nothing right on the last total alone ends the measurement with what was seen there, and says so."""
    cells = experiment.measured(Options(), "none", wrong, 16, 6)
    assert {(cell.arm, cell.k) for cell in cells} == {("state only", 1)}
    assert experiment.shows("none", cells, 0) == "none: nothing to measure: p = 0 with the last total alone."


def test_a_window_that_holds_everything_is_no_arm():
    """16 turns have no window of 25; all other arms are asked at every share, alone and by a vote."""
    right = lambda questions, draws: [[one.right] * many for one, many in zip(questions, draws, strict=True)]  # noqa: E731
    cells = experiment.measured(Options(), "all", right, 16, 2)
    assert {cell.arm for cell in cells} == {"whole history", "window 1", "state only"}
    assert len(cells) == 3 * 2 * 6
    assert all(cell.right.rate == 1 for cell in cells)


def test_what_is_said_is_clear_of_chance():
    """The exact reader's slope over the whole history is below 0 with its interval, that of the total alone is not."""
    study = tiny("self-conditioning")
    assert "whole history, one reply: the share of right answers falls" in study.shows
    assert "state only, one reply: the share of right answers is not shown to change" in study.shows
