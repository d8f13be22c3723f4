"""Winning texts come back in step order."""

from __future__ import annotations

from maker.review.checking.winners import TOGETHER, Winners


def test_texts_come_in_step_order() -> None:
    """However many there are and however they came, all are there once, in step order, and late ones, too."""
    kept = Winners()
    for step in reversed(range(2 * TOGETHER + 1)):
        kept.add(step, b"%d" % step)
    assert list(kept.in_order()) == [b"%d" % step for step in range(2 * TOGETHER + 1)]
    kept.add(2 * TOGETHER + 1, b"last")
    assert list(kept.in_order())[-2:] == [b"%d" % (2 * TOGETHER), b"last"]
    kept.close()
