"""Limits: wrong ones are refused with one line that names the field, and none is raised behind the caller's back."""

import pytest

from maker.decision.ending import Stop
from maker.errors import TaskError
from maker.sending.budget.funds import Funds
from maker.sending.budget.limits import Budget, Limits, make_limits, must_have_prices, parts
from maker.sending.budget.usage import Usage

_NAN, _INF = float("nan"), float("inf")

_BAD_LIMITS = [
    *[
        (name, bad)
        for name in ("max_steps", "max_votes", "max_flags", "max_calls", "max_tokens", "concurrency")
        for bad in (0, -1, 1.5, "10", True, [1])
    ],
    *[(name, bad) for name in ("max_cost", "max_seconds") for bad in (0, 0.0, -1.0, _NAN, "1", True)],
    ("concurrency", "many"),
]


@pytest.mark.parametrize(("name", "bad"), _BAD_LIMITS)
def test_a_wrong_limit_is_refused_by_name(name, bad):
    """A limit of the wrong type or range is a TaskError that names the field and the value, on one line."""
    with pytest.raises(TaskError, match=rf"^Limits: {name}\b.*= ") as caught:
        make_limits({name: bad})
    assert repr(bad) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_cause_is_not_a_pydantic_page():
    """The TaskError stands alone: pydantic's own report is suppressed from the traceback."""
    with pytest.raises(TaskError) as caught:
        make_limits({"max_votes": 0})
    assert caught.value.__suppress_context__
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "values",
    [
        {}, {"max_votes": 1}, {"max_cost": 0.01, "max_seconds": 5}, {"concurrency": 1}, {"max_calls": 10**12},
        {"max_tokens": None},
    ],
)  # fmt: skip
def test_good_limits_are_taken_from_a_mapping(values):
    """A mapping becomes Limits with just those fields set; a Limits object passes through untouched."""
    made = make_limits(values)
    assert made == Limits(**values)
    assert {name: getattr(made, name) for name in values} == values
    assert make_limits(made) is made


def test_no_limits_are_the_defaults():
    """None and an empty mapping mean no limit, and a concurrency that finds itself."""
    made = make_limits(None)
    assert made == make_limits({}) == Limits()
    assert [name for name in Limits.model_fields if getattr(made, name) is not None] == [
        "patience", "hedge", "on_limit",
    ]  # fmt: skip
    assert make_limits({"concurrency": "auto"}) == made


def test_a_mapping_of_limits_is_not_changed():
    """The caller's dict is copied, not kept."""
    values = {"max_votes": 5}
    made = make_limits(values)
    values["max_votes"] = 6
    assert made.max_votes == 5


@pytest.mark.parametrize(("k", "most"), [(1, 100), (3, 100), (5, 100), (6, 120), (50, 1000)])
def test_default_votes_and_flags_of_a_step(k, most):
    """Without limits a step may take max(100, 20 k) votes, and as many flags."""
    assert Limits().votes_for(k) == Limits().flags_for(k) == most == max(100, 20 * k)


@pytest.mark.parametrize("k", [1, 3, 50])
def test_given_votes_and_flags_hold_for_every_k(k):
    """Limits that were given are not raised behind the caller's back."""
    limits = Limits(max_votes=7, max_flags=9)
    assert (limits.votes_for(k), limits.flags_for(k)) == (7, 9)


@pytest.mark.parametrize("caps", [{"max_cost": 0}, {"max_tokens": -1}, {"max_calls": 1.5}, {"max_cost": "1"}])
def test_a_budget_with_a_wrong_cap_is_refused_by_name(caps):
    """As a limit of the same name is."""
    with pytest.raises(TaskError, match=next(iter(caps))):
        Budget(**caps)


def test_a_budget_says_what_is_spent():
    """Nothing at first, which is known; and its caps are in its repr."""
    budget = Budget(max_cost=1, max_calls=5)
    assert (budget.calls, budget.tokens, budget.cost) == (0, 0, 0.0)
    assert repr(budget) == "Budget(max_cost=1.0, max_calls=5)"


def test_a_budget_may_be_part_of_another():
    """Its calls take from both; where the whole has no room nothing is held in the part."""
    whole = Budget(max_calls=3)
    one, other = Budget(max_calls=2, within=whole), Budget(within=whole)
    assert [list(parts(None)), list(parts(one))] == [[], [one, whole]]
    first, second = Funds(Limits(), Usage(), one), Funds(Limits(), Usage(), other)
    first.hold_calls(2)
    first.sent(2)
    with pytest.raises(Stop, match="max_calls"):
        first.hold_calls(1)
    with pytest.raises(Stop, match="max_calls"):
        second.hold_calls(2)
    second.hold_calls(1)
    second.sent(1)
    assert (one.calls, other.calls, whole.calls) == (2, 1, 3)


def test_a_cap_on_money_holds_for_the_parts_too():
    """A model without prices is refused where any of the budgets is of dollars."""
    with pytest.raises(TaskError, match="no prices"):
        must_have_prices(Limits(), None, Budget(within=Budget(max_cost=1)))
