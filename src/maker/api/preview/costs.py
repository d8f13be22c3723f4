"""Calls, tokens and dollars of a run that nobody has tried yet: at the least, likely, and at the most.

The least: every reply is right. Likely: what `RIGHT`, `VALID` and `REPLY` assume, which is said beside it. The most:
what the limits allow, tokens bounded as an account bounds them.

Not covered: what the model is really like. That takes calls: `maker estimate`.
"""

from __future__ import annotations

from dataclasses import dataclass

from maker.decision.config import Config
from maker.decision.pool import draws_for, in_force
from maker.decision.sample import Prices, Request
from maker.engine.calibrate import AGREEMENT_STEPS, DRAWS, MOST_AGAIN, MOST_DRAWS
from maker.engine.probe import AGAIN, AGREEMENT_K, ROUNDS
from maker.sending.budget.limits import Limits
from maker.sending.budget.usage import most
from maker.theory import expected_votes, k_min, p_lower

RIGHT, VALID, REPLY = 0.95, 0.98, 100  # of valid replies, of all replies, and tokens of one: what is likely
ASSUMED = (
    f"{RIGHT:.0%} of valid replies right, {VALID:.0%} of all valid, {REPLY} tokens each, a token for 4 bytes asked"
)


@dataclass(frozen=True)
class Need:
    """What a run takes. k: the margin. cost: US dollars, None without prices."""

    k: int
    calls: int
    tokens: int
    cost: float | None


def needs(
    config: Config,
    limits: Limits,
    prices: Prices | None,
    steps: int,
    asked: list[Request],
    *,
    truth: bool,
    turns: int = 0,
) -> dict[str, Need]:
    """Return the least, the likely and the most.

    asked: requests like those of the run. truth: the task knows it. turns: of a pool. Weights that only a calibration
    knows are taken to be equal.
    """
    weights = in_force(config.weights)
    sizes = [len(request.prompt.encode("utf-8", "replace")) for request in asked]
    told = round(sum(sizes) / len(sizes) / 4)
    reply = min(REPLY, config.token_cap)
    best, usual = _margin(config, steps, p_lower(0, DRAWS)), _margin(config, steps, RIGHT)
    bounds = [most(request, prices) for request in asked]
    first, likely, last = _calibration(config, truth=truth, each=turns if config.weights else 1)
    least = first + steps * draws_for(weights, 0, best)
    alike = draws_for(weights, 0, usual)  # so many draws of the same weight
    calls = round(likely + steps * expected_votes(RIGHT, alike) / VALID)
    worst = last + steps * (limits.votes_for(usual) + limits.flags_for(usual))
    if limits.max_calls is not None:
        least, calls, worst = (min(count, limits.max_calls) for count in (least, calls, worst))
    tokens, cost = worst * max(bound.assumed for bound in bounds), worst * max(bound.cost for bound in bounds)
    return {
        "least": _need(best, least, told, 1, prices),
        "likely": _need(usual, calls, told, reply, prices),
        "most": Need(
            usual, worst, min(tokens, limits.max_tokens or tokens),
            None if prices is None else min(cost, limits.max_cost or cost),
        ),
    }  # fmt: skip


def _margin(config: Config, steps: int, p: float) -> int:
    """Return k, or what a calibration would choose at a share p of right replies."""
    return config.k if isinstance(config.k, int) else k_min(p, steps, config.target)


def _calibration(config: Config, *, truth: bool, each: int) -> tuple[int, int, int]:
    """Return the draws of a calibration: the fewest, as many as are likely, the most. each: of a step, with a truth."""
    if isinstance(config.k, int):
        return 0, 0, 0
    if not truth:
        voted = AGREEMENT_STEPS * AGREEMENT_K
        return voted, voted + MOST_AGAIN * AGAIN, AGREEMENT_STEPS * 200 + MOST_AGAIN * AGAIN * ROUNDS
    steps, most_of_all = (2 * MOST_DRAWS, 2 * MOST_DRAWS) if config.worst_case else (each * DRAWS, each * MOST_DRAWS)
    rounds = 1 if config.worst_case else MOST_DRAWS // DRAWS
    return steps, steps + MOST_AGAIN * AGAIN, most_of_all + rounds * MOST_AGAIN * AGAIN * ROUNDS


def _need(k: int, calls: int, tokens_in: int, tokens_out: int, prices: Prices | None) -> Need:
    cost = None if prices is None else prices.cost(calls * tokens_in, calls * tokens_out)
    return Need(k, calls, calls * (tokens_in + tokens_out), cost)
