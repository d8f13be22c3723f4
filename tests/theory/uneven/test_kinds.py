"""What graded draws say of each kind of step, and of a plan."""

from __future__ import annotations

import random

import pytest

from maker.theory.draws import Draw, Seen
from maker.theory.evidence import Evidence
from maker.theory.planner import Projection, project
from maker.theory.uneven.kinds import dropped, judged, kinds, worst


def seen(kind: str, letters: str) -> list[Seen]:
    """Return steps of a kind, a draw each: R right, W wrong, F flagged."""
    return [
        Seen(i, None, b"R", kind, draws=[Draw(c.encode(), "malformed" if c == "F" else None, 7 + i % 2, f"I say {c}")])
        for i, c in enumerate(letters)
    ]


def planned(steps: list[Seen], total: int = 50) -> Projection:
    """Return the plan for a run of such steps, with what its kinds say."""
    return judged(project(Evidence.of(steps, 1), total, 0.95), kinds(steps))


def test_each_kind_has_its_own_figures_and_the_worst_comes_first() -> None:
    """The p of valid draws, the v of all, and tokens from what was written, each with an interval around it."""
    found = kinds(seen("add", "R" * 38 + "W" * 2) + seen("carry", "R" * 10 + "W" * 10 + "F" * 20) + seen("", "R" * 9))
    assert list(found) == ["carry", "add"]
    carry = found["carry"]
    said = carry.as_json()
    assert (carry.n, carry.wrong, carry.asked, carry.dropped, carry.p) == (20, 10, 40, 20, 0.5)
    for name in ("p", "v", "tokens"):
        assert said[f"{name}_low"] < said[name] < said[f"{name}_high"]
    assert said["p_low"] == pytest.approx(0.272, abs=1e-3)  # of 10 of 20, from tables
    assert said["tokens"] == 7.5
    assert found["add"].p == 0.95


def test_wrong_replies_are_kept_short_with_what_was_right() -> None:
    """Up to three different wrong replies of a kind, on one line each."""
    steps = seen("add", "W" * 5)
    for at, step in enumerate(steps):
        step.draws = [Draw(b"W", None, 9, f"no\n{at % 4} " + "x" * 190)]
    slips = kinds(steps)["add"].slips
    assert [slip.reply[:5] for slip in slips] == ["no 0 ", "no 1 ", "no 2 "]
    assert {len(slip.reply) for slip in slips} == {60}
    assert {slip.right for slip in slips} == {"R"}


def test_a_kind_that_is_mostly_wrong_forbids_voting_and_is_named() -> None:
    """Its steps are part of the run, however good the others are."""
    plan = planned(seen("add", "R" * 300) + seen("carry", "R" * 6 + "W" * 24))
    assert (plan.feasible, plan.k, plan.samples, plan.proven) == (False, None, None, False)
    assert plan.success_low <= plan.success <= plan.success_high <= 0.5
    assert "of the kind carry (p = 0.2, 95%: 0.077 to 0.39)" in plan.reason
    assert "add" not in plan.reason


def test_a_kind_without_votes_forbids_voting_and_is_named() -> None:
    """Where no reply of a kind can vote, the run never passes its first step of it."""
    plan = planned(seen("add", "R" * 100) + seen("carry", "F" * 12))
    assert not plan.feasible
    assert "carry (no reply of 12 could vote)" in plan.reason


def test_a_kind_that_may_be_good_is_no_verdict() -> None:
    """Three wrong of five are named, but do not show that more than half are wrong; with none below half nothing is."""
    plan = planned(seen("add", "R" * 300) + seen("carry", "R" * 2 + "W" * 3))
    assert plan.feasible
    assert "carry" in plan.reason
    good = seen("add", "R" * 60) + seen("carry", "R" * 40 + "W" * 2)
    assert planned(good) == project(Evidence.of(good, 1), 50, 0.95)


def test_what_was_dropped_can_be_shown() -> None:
    """Up to three different replies that a flag threw away."""
    steps = seen("add", "RFWF")
    steps[3].draws = [Draw(None, "over_long", 900, "blah")]
    assert [(draw.flag, draw.text) for draw in dropped(steps)] == [("malformed", "I say F"), ("over_long", "blah")]


def test_kinds_differ_beyond_chance_or_not() -> None:
    """The tail is Fisher's, for the worst of several; kinds of one p are told apart once in 40 times at most."""
    assert worst(seen("add", "R" * 100) + seen("carry", "R" * 90 + "W" * 10)) == "carry"
    assert worst(seen("add", "R" * 100) + seen("carry", "R" * 97 + "W" * 3)) == ""  # by chance: .12
    assert worst(seen("add", "R" * 3) + seen("carry", "W" * 3)) == ""  # one in 20
    assert worst(seen("add", "R" * 9 + "W" * 9)) == worst([]) == ""
    assert worst(seen("add", "R" * 9) + seen("carry", "F" * 9)) == ""  # that is for `judged` to say
    chance = random.Random(3)
    called = sum(
        bool(worst([one for kind in "abc" for one in seen(kind, "".join(chance.choices("RW", (9, 1), k=40)))]))
        for _ in range(400)
    )
    assert called <= 400 * 0.025
