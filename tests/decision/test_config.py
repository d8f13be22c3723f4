"""What a run is told: unknown names and wrong values are refused with one line that names the field."""

import pytest
from pydantic import ValidationError

from maker.decision.config import Config, validated
from maker.errors import TaskError
from maker.sending.budget.limits import Limits

_NAN, _INF = float("nan"), float("inf")
_BAD_CONFIG = [
    *[("k", bad) for bad in (0, -1, 1.5, "many", "3", None, True, _NAN)],
    *[("target", bad) for bad in (0.0, 1.0, 1, -0.1, 1.1, _NAN, "0.9", None)],
    *[("seed", bad) for bad in (-1, 2**64, 1.0, "0", None, True)],
    *[(name, bad) for name in ("temperature", "first_temperature") for bad in (-0.1, 10.5, _NAN, _INF, "1")],
    *[(name, bad) for name in ("token_cap", "long_answer", "segments") for bad in (0, -5, 1.5, "8", None)],
    *[("flags", bad) for bad in ("paper", (1,), None)],
    *[("keep_samples", bad) for bad in ("some", "", None, True)],
]


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
