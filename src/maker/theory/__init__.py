"""The arithmetic of voting, before a run and after; the public equations are here. Pure."""

from maker.theory.votes.bounds import p_lower, p_upper
from maker.theory.votes.equations import (
    effective_votes,
    error_budget,
    expected_cost,
    expected_votes,
    expected_waves,
    k_from_odds,
    k_min,
    run_success,
    step_success,
)

__all__ = [
    "effective_votes", "error_budget", "expected_cost", "expected_votes", "expected_waves", "k_from_odds", "k_min",
    "p_lower", "p_upper", "run_success", "step_success",
]  # fmt: skip
