"""The worst part of a run, planned by itself: a kind, or a stretch."""

from __future__ import annotations

import numpy as np
import pytest

from maker.theory.draws import Draw, Seen
from maker.theory.evidence import Evidence
from maker.theory.planner import Projection, project
from maker.theory.uneven.parts import Part, parts, planned


def seen(kind: str, letters: str) -> list[Seen]:
    """Return steps of a kind, a draw each: R right, W wrong."""
    return [Seen(i, None, b"R", kind, draws=[Draw(c.encode(), None, 7)]) for i, c in enumerate(letters)]


def both(share_wrong: int, n: int) -> tuple[Projection, Projection, list[Projection]]:
    """Return the plan for all steps, that with a worst kind of n steps of which some err, and those of the parts."""
    sides = [seen("carry", "W" * share_wrong + "R" * (n - share_wrong)), seen("add", "R" * 300)]
    whole = Evidence.of([*sides[1], *sides[0]], 1)
    found = [Evidence.of(side, 1) for side in sides]
    split = planned(whole, [Part(*found, kind="carry")], 50, 0.95)
    return project(whole, 50, 0.95), split, [project(one, 50, 0.95) for one in found if one.n >= 30]


def test_k_is_planned_as_if_all_steps_were_of_the_worst_kind() -> None:
    """One k for the run, that of the worst kind alone; its reason names the kind, and samples are those of the mix."""
    plan, found, (alone, others) = both(20, 100)
    assert plan.k is not None
    assert found.k is not None
    assert others.k is not None
    assert found.samples is not None
    assert alone.samples is not None
    assert others.samples is not None
    assert found.k == alone.k > max(plan.k, others.k)
    mixed = alone.samples.value / 4 + others.samples.value * 3 / 4 * found.k / others.k
    assert found.samples.value == pytest.approx(mixed)
    assert "Steps of the kind carry err more than the others, beyond chance" in found.reason
    assert "as if all steps were of that kind" in found.reason
    assert 0.95 <= found.success == alone.success
    assert found.success_low <= found.success <= found.success_high


def test_others_that_need_more_than_the_worst_kind_decide() -> None:
    """A kind that errs less on the whole, and always at the same steps, is not covered by the k of the worst."""
    sides = [seen("carry", "W" * 40 + "R" * 160), seen("add", "R" * 190 + "W" * 10)]
    for step in sides[1]:
        step.draws *= 3
    found = [Evidence.of(side, 1) for side in sides]
    plan = planned(Evidence.of([*sides[0], *sides[1]], 1), [Part(*found, kind="carry")], 50, 0.95)
    assert "as if all steps were of the others, which need more" in plan.reason
    assert not plan.feasible


def test_a_worst_kind_that_may_be_below_one_half_forbids_the_plan() -> None:
    """Where its bound is not above 1/2 no k is shown to help its steps, however the mean stands."""
    plan, found, _ = both(45, 100)
    assert plan.feasible
    assert (found.feasible, found.k, found.samples, found.proven) == (False, None, None, False)
    assert "kind carry" in found.reason


def test_a_worst_kind_that_was_hardly_seen_is_named_and_plans_nothing() -> None:
    """Fewer than 30 draws are no ground for a k, and the estimate says what to do."""
    plan, found, _ = both(5, 20)
    assert (found.k, found.samples) == (plan.k, plan.samples)
    assert "only 20 were seen: draw on more steps" in found.reason


def test_too_few_others_leave_the_plan_as_it_is() -> None:
    """Where nearly all steps are of the worst kind, the plan for all is the plan for it."""
    sides = [seen("carry", "W" * 40 + "R" * 160), seen("add", "R" * 29)]
    whole = Evidence.of([*sides[0], *sides[1]], 1)
    part = Part(*(Evidence.of(side, 1) for side in sides), kind="carry")
    assert planned(whole, [part], 50, 0.95) == project(whole, 50, 0.95)


def drawn(rates: np.ndarray) -> list[Seen]:
    """Return steps of one kind with such error rates, a draw each."""
    wrong = np.random.default_rng(3).random(len(rates)) < rates
    return seen("", "".join("W" if bad else "R" for bad in wrong))


def test_a_stretch_where_errors_gather_is_planned_by_itself() -> None:
    """A task whose last fifth errs at .2 gets the k of that fifth, and is told where it lies; an even one is left."""
    where = np.arange(1000)
    steps = drawn(np.where(where < 800, 0.002, 0.2))
    (part,) = parts(steps, 1)
    assert part.ends is not None
    assert (part.kind, part.ends[1]) == ("", 999)
    assert abs(part.ends[0] - 800) < 20
    whole = Evidence.of(steps, 1)
    plan = planned(whole, [part], 200, 0.95)
    assert plan.k == project(part.found, 200, 0.95).k
    assert plan.k > (project(whole, 200, 0.95).k or 0)  # type: ignore[operator]
    assert f"Steps {part.what} err more than the others, beyond chance: planned as if all" in plan.reason
    assert plan.worst_case.lost_high == project(whole, 200, 0.95).worst_case.lost_high
    assert parts(drawn(np.full(1000, 0.04)), 1) == []


def test_a_part_is_kept_in_a_journal() -> None:
    """A note of a part says as much as the part; of a kind it is what older journals have."""
    evidence = Evidence.of(seen("add", "R" * 9 + "W"), 1)
    for part in (Part(evidence, evidence, kind="add"), Part(evidence, evidence, ends=(7, 900))):
        assert Part.of(part.as_note()) == part
    assert list(Part(evidence, evidence, kind="add").as_note()) == ["kind", "apart"]


def test_one_part_that_forbids_is_enough_and_one_that_explains_may_save() -> None:
    """Where the mean allows a k, a part that has none forbids it; where all together have none, a part may have one."""
    fine, poor = Evidence.of(seen("", "R" * 297 + "W" * 3), 1), Evidence.of(seen("", "R" * 16 + "W" * 24), 1)
    whole = Evidence.of(seen("", "R" * 600 + "W" * 30), 1)
    assert planned(whole, [Part(fine, fine, ends=(0, 9)), Part(poor, fine, kind="x")], 50, 0.95).k is None
    assert planned(poor, [Part(fine, fine, ends=(0, 9)), Part(poor, fine, kind="x")], 50, 0.95).k is not None


def test_the_worst_case_needs_no_parts() -> None:
    """What holds whatever the shape holds for parts of any kind: planned by it, none of them changes the plan."""
    sides = [Evidence.of(seen("", letters), 1) for letters in ("R" * 80 + "W" * 9, "R" * 900)]
    whole = Evidence.of(seen("", "R" * 980 + "W" * 9), 1)
    part = Part(sides[0], sides[1], ends=(0, 9))
    assert planned(whole, [part], 5, 0.95, worst=True) == project(whole, 5, 0.95, worst=True)
