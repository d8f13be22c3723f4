"""What has no answer is refused, by the name of its argument."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from maker import theory

MILLION = 1_048_575  # 2^20 - 1 steps: 20 disks
NAN = float("nan")


# ---- refusals

VALID: dict[str, dict[str, Any]] = {
    "k_min": {"p": 0.9, "steps": 100, "target": 0.95, "m": 1},
    "step_success": {"p": 0.9, "k": 3},
    "run_success": {"p": 0.9, "k": 3, "steps": 100, "m": 1},
    "expected_votes": {"p": 0.9, "k": 3},
    "expected_waves": {"p": 0.9, "k": 3},
    "expected_cost": {"p": 0.9, "k": 3, "steps": 100, "cost_per_sample": 1.0, "v": 0.9, "m": 1},
    "k_from_odds": {"p": 0.4, "p_rival": 0.1, "error": 0.01, "candidates": 5},
    "p_lower": {"wrong": 1, "n": 10, "confidence": 0.95},
    "p_upper": {"wrong": 1, "n": 10, "confidence": 0.95},
    "error_budget": {"target": 0.95, "steps": 100},
}
NEVER: list[Any] = [
    NAN,
    math.inf,
    -math.inf,
    True,
    "0.9",
    None,
    1j,
    -1,
    10**400,
]  # no argument anywhere takes these
ALSO_NEVER: dict[str, list[Any]] = {
    "p": [1.5, 90],
    "k": [0, 3.0, 2.5],
    "steps": [0, 0.5],
    "target": [0, 1, 95],
    "m": [0, 2.0, 101],
    "cost_per_sample": [-0.01],
    "v": [0, 1.1],
    "p_rival": [0.4, 0.5, 0.61],
    "error": [0, 1, 2],
    "candidates": [0, 1, 2.0],
    "wrong": [11, 1.0],
    "n": [0, 10.0, 10**8],
    "confidence": [0, 0.4, 1, 95],
}
REFUSED = [
    (function, argument, value)
    for function, arguments in VALID.items()
    for argument in arguments
    for value in NEVER + ALSO_NEVER[argument]
]


def call(function: str, **changes: Any) -> Any:
    """Call the named function with valid arguments but for the changes."""
    compute: Callable[..., Any] = getattr(theory, function)
    return compute(**{**VALID[function], **changes})


@pytest.mark.parametrize("function", VALID)
def test_the_arguments_of_the_refusal_tests_are_otherwise_accepted(function: str) -> None:
    """Each refusal below is due to its one bad argument, for without it there is a finite answer."""
    assert math.isfinite(call(function))


@pytest.mark.parametrize(("function", "argument", "value"), REFUSED)
def test_what_has_no_answer_is_refused_by_name(function: str, argument: str, value: object) -> None:
    """A value outside its range raises a ValueError whose message names the argument."""
    oversized = argument == "m" and value == 101  # a subtask longer than the run: either could be wrong
    name = "steps" if oversized else argument
    with pytest.raises(ValueError, match=rf"^{name}\b.* must be "):
        call(function, **{argument: value})


def test_expected_waves_refuses_a_k_whose_system_is_too_large() -> None:
    """Beyond k = 500 nothing is computed, rather than a system of a million unknowns."""
    with pytest.raises(ValueError, match="k must be at most 500"):
        theory.expected_waves(0.9, 501)


@pytest.mark.parametrize("p", [0, 1e-9, 0.4, 0.5 - 2**-54, 0.5])
def test_k_min_refuses_a_model_that_is_not_mostly_right(p: float) -> None:
    """At p <= 1/2 no k exists, and no number is returned."""
    with pytest.raises(ValueError, match="p must be above 1/2"):
        theory.k_min(p, 1, 0.1)


@pytest.mark.parametrize("rival", [0.4, 0.5, 0.7])
def test_k_from_odds_refuses_a_rival_as_frequent_as_the_answer(rival: float) -> None:
    """Where a wrong answer is as common as the right one, more votes do not help."""
    with pytest.raises(ValueError, match="p_rival must be below p"):
        theory.k_from_odds(0.4, rival, 0.01, 5)


def test_k_from_odds_refuses_shares_that_exceed_the_whole() -> None:
    """As p and p_rival exclude each other, p_rival is at most 1 - p, written out or computed."""
    assert theory.k_from_odds(0.9, 0.1, 0.01, 2) == theory.k_from_odds(0.9, 1 - 0.9, 0.01, 2)
    with pytest.raises(ValueError, match="p_rival must be at most 1 - p"):
        theory.k_from_odds(0.9, 0.2, 0.01, 2)


def test_expected_cost_refuses_a_race_in_which_nobody_votes() -> None:
    """With p = 0 and m > 1 neither the right answer nor the rival is ever drawn."""
    with pytest.raises(ValueError, match="nothing would vote"):
        theory.expected_cost(0, 3, 100, m=2)


def test_numpy_scalars_are_numbers_but_numpy_booleans_are_not() -> None:
    """Sweeps over numpy arrays work as they are, and a mask passed by mistake is refused."""
    assert theory.k_min(np.float64(0.9978), np.int64(MILLION), np.float32(0.95)) == 3  # type: ignore[arg-type]
    assert theory.step_success(0.9, np.int64(3)) == theory.step_success(0.9, 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="k must be a number"):
        theory.step_success(0.9, np.True_)  # type: ignore[arg-type]
