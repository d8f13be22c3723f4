"""What a run is told: unknown names and wrong values are refused with one line that names the field."""

import pytest
from pydantic import ValidationError

from maker.decision.config import Config, validated
from maker.errors import TaskError
from maker.sending.limits import Limits, make_limits

_NAN, _INF = float("nan"), float("inf")

_BAD_LIMITS = [
    *[
        (name, bad)
        for name in ("max_steps", "max_votes", "max_flags", "max_calls", "max_tokens", "concurrency")
        for bad in (0, -1, 1.5, "10", True, [1])
    ],
    *[(name, bad) for name in ("max_cost", "max_seconds") for bad in (0, 0.0, -1.0, _NAN, "1", True)],
    ("concurrency", None),
]
_BAD_CONFIG = [
    *[("k", bad) for bad in (0, -1, 1.5, "many", "3", None, True, _NAN)],
    *[("target", bad) for bad in (0.0, 1.0, 1, -0.1, 1.1, _NAN, "0.9", None)],
    *[("seed", bad) for bad in (-1, 2**64, 1.0, "0", None, True)],
    *[(name, bad) for name in ("temperature", "first_temperature") for bad in (-0.1, 10.5, _NAN, _INF, "1")],
    *[(name, bad) for name in ("token_cap", "long_answer", "segments") for bad in (0, -5, 1.5, "8", None)],
    *[("flags", bad) for bad in ("paper", (1,), None)],
    *[("keep_samples", bad) for bad in ("some", "", None, True)],
]


@pytest.mark.parametrize(("name", "bad"), _BAD_LIMITS)
def test_a_wrong_limit_is_refused_by_name(name, bad):
    """A limit of the wrong type or range is a TaskError that names the field and the value, on one line."""
    with pytest.raises(TaskError, match=rf"^Limits: {name}\b.*= ") as caught:
        make_limits({name: bad})
    assert repr(bad) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "bad"), _BAD_CONFIG)
def test_a_wrong_setting_is_refused_by_name(name, bad):
    """A setting of the wrong type or range is a TaskError that names the field, on one line."""
    with pytest.raises(TaskError, match=rf"^Config: {name}\b.*= ") as caught:
        validated(Config, {name: bad})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("model", [Config, Limits])
def test_an_unknown_field_is_refused_with_the_known_ones(model):
    """A misspelt field is never ignored: the message names it and lists every field there is."""
    with pytest.raises(TaskError, match="max_vote = 3") as caught:
        validated(model, {"max_vote": 3})
    assert all(name in str(caught.value) for name in model.model_fields)


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
    """None and an empty mapping mean no limit but the concurrency, and the defaults of votes and flags."""
    made = make_limits(None)
    assert made == make_limits({}) == Limits()
    assert [name for name in Limits.model_fields if getattr(made, name) is not None] == ["concurrency"]


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


@pytest.mark.parametrize(("made", "name", "value"), [(Config(), "k", 3), (Limits(), "max_votes", 3)])
def test_both_are_frozen(made, name, value):
    """What a run was told cannot change under it."""
    with pytest.raises(ValidationError, match="frozen"):
        setattr(made, name, value)


@pytest.mark.parametrize(
    "values",
    [
        {"k": 1}, {"k": "auto"}, {"k": 1500}, {"seed": 2**64 - 1}, {"seed": 0}, {"temperature": 0},
        {"temperature": 10},
        {"first_temperature": 0.0}, {"first_temperature": None}, {"target": 0.9999}, {"flags": ("empty", "own")},
        {"keep_samples": "none"}, {"segments": 1024},
    ],
)  # fmt: skip
def test_good_settings_are_kept(values):
    """The edges of every range are inside, and survive a round trip through JSON."""
    made = validated(Config, values)
    assert {name: getattr(made, name) for name in values} == values
    assert Config.model_validate_json(made.model_dump_json()) == made


def test_limits_and_config_share_no_field():
    """A field either can change a decision (Config) or says when to stop (Limits), never both."""
    assert not set(Config.model_fields) & set(Limits.model_fields)
