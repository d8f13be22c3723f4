"""Arms in turn: which are dropped, in which unit a run is dearer, and what is paired."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

import maker
from maker.api.drawing.arms import Arm, Arms, Entry
from maker.api.drawing.looks import Goal
from maker.decision.ending import Stop
from maker.decision.sample import Sample
from maker.engine.probe import Probe
from maker.errors import ModelError
from maker.theory.compare import Pairs
from maker.theory.draws import Draw, Seen
from maker.theory.evidence import Evidence


def seen(letters: str) -> list[Seen]:
    """Return steps with a draw each: R right, W wrong, F flagged."""
    return [Seen(i, None, b"R", draws=[Draw(c.encode(), "malformed" if c == "F" else None, 7)])
            for i, c in enumerate(letters)]  # fmt: skip


class Recorded:
    """What an arm needs of a probe, of steps that were seen elsewhere."""

    against = "truth"

    def __init__(self, letters: str, tokens: int | None = 10, price: float | None = None) -> None:
        self.seen = seen(letters)
        self.replies = [Sample("x", tokens, tokens)] * len(letters)
        prices = None if price is None else maker.Prices(input=price, output=price)
        self.dispatcher = SimpleNamespace(prices=prices, traits=SimpleNamespace(bind=None, turns=()))
        self.task = None

    def chosen(self, count: int, *, once: bool) -> list[Seen]:
        return list(self.seen)

    @property
    def evidence(self) -> Evidence:
        return Evidence.of(self.seen, 1)

    async def on(self, steps: Sequence[Seen], repeats: int) -> None:
        raise self.error

    error: Exception = AssertionError()


def arm(name: str, letters: str, steps: int = 100, **probe: Any) -> Arm:
    """Return an arm that has seen this."""
    entry = Entry(name, "", cast("maker.Task", None), "")
    return Arm(entry, cast("Probe", Recorded(letters, **probe)), Goal(steps, True, True, 0.95), None, 1)


def dropped(*arms: Arm) -> list[str]:
    """Return which arms go on after a look in which each drew all its steps."""
    left = Arms(arms).drop(list(arms), [one.probe.seen for one in arms])
    return [one.entry.name for one in left if isinstance(one, Arm)]


GOOD, POOR = "R" * 60, "RW" * 10 + "RRRW" * 10


def test_what_is_shown_to_be_worse_and_dearer_is_dropped() -> None:
    """Wrong alone in 20 of 60 pairs: dropped, with the counts said; a few errors are not enough."""
    poor = arm("poor", POOR)
    assert dropped(arm("good", GOOD), poor) == ["good"]
    assert poor.left_for == ("dropped after 60 pairs: wrong alone in 20, good alone in 0, and its run would be dearer")
    assert dropped(arm("good", GOOD), arm("poor", "W" * 3 + "R" * 57)) == ["good", "poor"]


@pytest.mark.parametrize(
    ("good", "poor", "kept"),
    [
        ({"tokens": 500}, {"tokens": 5}, True), ({"tokens": 5}, {"tokens": 5}, False),
        ({"tokens": 5, "price": 100.0}, {"tokens": 9, "price": 0.1}, True),  # dollars come before tokens
        ({"tokens": 500, "price": 1.0}, {"tokens": 5}, True),  # one has no price: tokens
        ({"tokens": None}, {"tokens": 1}, False),  # one does not count tokens: samples
        ({"steps": 1000}, {"steps": 10}, True),  # fewer steps make up for more errors
    ],
)  # fmt: skip
def test_what_makes_the_run_cheaper_is_kept(good: dict[str, Any], poor: dict[str, Any], kept: bool) -> None:
    """In dollars, tokens or samples: the first that both tell."""
    assert (dropped(arm("good", GOOD, **good), arm("poor", POOR, **poor)) == ["good", "poor"]) is kept


def test_an_arm_without_votes_is_paired_with_nobody() -> None:
    """Flagged replies leave no pairs, and so nothing to drop by."""
    arms = Arms([arm("good", GOOD), arm("mute", "F" * 60)])
    arms.drop(list(arms.arms), [one.probe.seen for one in arms.arms])
    assert arms.pairs == {("good", "mute"): Pairs(0, 0, 0)}
    assert not arms.arms[1].left_for


def test_what_is_wrong_with_its_model_is_its_own() -> None:
    """It draws no more, and says why; a limit of all of them ends all of them."""
    lost = arm("lost", "")
    for error in (ModelError("no such model"), Stop("model_lost", "gone"), Stop("poison_step", "step 3")):
        Recorded.error = error
        assert asyncio.run(lost.on(30)) == []
        assert (lost.error, lost.left) == (error, [])
    for kind in ("max_cost", "interrupted"):
        Recorded.error = Stop(kind, "enough")
        with pytest.raises(Stop, match="enough"):
            asyncio.run(lost.on(30))
