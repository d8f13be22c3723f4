"""How figures of estimates are written, and what a drawing says while it goes on."""

from __future__ import annotations

import pytest

from maker.cli.amounts import amount, duration, told
from maker.cli.screen import Bar
from maker.engine.probe import Pace
from maker.theory.planner import Amount


def test_amounts_and_durations_are_said_as_people_do() -> None:
    """With their intervals; in a unit that suits."""
    assert amount(Amount(1234.5, 1000, 2000)) == "1,234 (1,000 to 2,000)"
    assert amount(Amount(0.5, 0.25, 1), 2) == "0.50 (0.25 to 1.00)"
    assert [duration(seconds) for seconds in (3, 119, 600, 7199, 36000)] == [
        "about 3 s", "about 119 s", "about 10 min", "about 120 min", "about 10 h"
    ]  # fmt: skip


def test_a_slow_drawing_says_what_a_reply_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first ten replies seconds, money and how long; again when more are wanted; a fast one says nothing."""
    said: list[str] = []
    monkeypatch.setattr("maker.cli.amounts.note", said.append)
    show = told(Bar(None, ""), "estimate")
    for count, wanted, pace in ((5, 30, Pace(10, 2.0, 0.0004, 50)), (10, 30, Pace(20, 2.0, 0.0004, 40)),
                                (35, 60, Pace(70, 2.0, None, 50)), (59, 60, Pace(118, 2.0, None, 2))):  # fmt: skip
        show["progress"](count, wanted)
        show["pace"](pace)
    assert said == [
        "estimate: 2.00 s and $0.0004 a reply, about 100 s left for 30 steps, more if they err",
        "estimate: 2.00 s a reply, about 100 s left for 60 steps, more if they err",
    ]
    said.clear()
    show = told(Bar(None, ""), "estimate")
    show["progress"](5, 30)
    show["pace"](Pace(10, 0.001, None, 50))
    assert said == []
