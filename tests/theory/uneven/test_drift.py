"""Whether errors gather somewhere along a task: seldom said of what is even, and found where they do."""

from __future__ import annotations

import numpy as np
import pytest

from maker.theory.draws import Draw, Seen
from maker.theory.uneven.drift import stretch, within

WHERE = np.arange(1000)


def seen(wrong: np.ndarray) -> list[Seen]:
    """Return steps that erred or did not, every third of a task, in no order."""
    steps = [Seen(3 * i, None, b"R", draws=[Draw(b"W" if bad else b"R", None, 7)]) for i, bad in enumerate(wrong)]
    return steps[::-1]


@pytest.mark.parametrize("errors", [2, 5, 20, 200])
def test_steps_that_are_alike_seldom_look_as_if_they_drifted(errors: int) -> None:
    """Of 300 samples with so many errors at any place at most 9 are called a drift, three times 1%."""
    rng = np.random.default_rng(errors)
    assert sum(stretch(seen(rng.permutation(WHERE) < errors)) is not None for _ in range(300)) <= 9


@pytest.mark.parametrize(
    ("rates", "first", "last"),
    [
        (np.where(WHERE < 900, 0.001, 0.15), 2700, 2997),
        (np.where(abs(WHERE - 500) < 50, 0.2, 0.001), 1353, 1647),
        (np.where(abs(WHERE - 500) > 450, 0.2, 0.001), 2850, 150),
        (np.where(WHERE < 100, 0.15, 0.001), 0, 297),
    ],
    ids=["end", "middle", "both ends", "start"],
)
def test_where_errors_gather_is_found(rates: np.ndarray, first: int, last: int) -> None:
    """A tenth of the task that errs a hundred times as often is found wherever it lies, to a few steps."""
    rng = np.random.default_rng(1)
    for _ in range(5):
        wrong = rng.random(1000) < rates
        ends = stretch(seen(wrong))
        assert ends is not None
        assert abs(ends[0] - first) < 200
        assert abs(ends[1] - last) < 200
        assert all(within(3 * int(at), ends) for at in np.flatnonzero(wrong & (rates > 0.1)))


def test_nothing_is_said_of_what_shows_nothing() -> None:
    """Without an error, or with nothing else, there is no stretch, nor without a valid draw."""
    flagged = [Seen(i, None, b"R", draws=[Draw(None, "malformed", 7)]) for i in range(40)]
    assert stretch(seen(WHERE < 0)) is stretch(seen(WHERE >= 0)) is stretch(flagged) is stretch([]) is None


def test_a_stretch_may_lie_at_both_ends() -> None:
    """Its ends are steps of it, and what lies between them in the other order is not."""
    assert [within(step, (5, 9)) for step in (4, 5, 9, 10)] == [False, True, True, False]
    assert [within(step, (9, 5)) for step in (4, 5, 7, 9, 10)] == [True, True, False, True, True]
