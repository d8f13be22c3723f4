"""Where a run stops, and where sending stops: calls, tokens, dollars, seconds.

`Limits` are of one run or vote, and only say when to stop; a resume may raise them. A `Budget` is shared by many.

Not covered: how they are kept (`purse.py`, `funds.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from maker.decision.config import MOST_VOTES, Frozen, validated
from maker.decision.sample import Prices
from maker.errors import TaskError
from maker.sending.budget.purse import Purse
from maker.sending.budget.usage import Usage


class Limits(Frozen):
    """Where a run or a vote stops. None means no limit, except where a default is named.

    The default of max_votes and max_flags is max(100, 20 k). Steps, calls, tokens and cost count the whole run, resumes
    included; tokens are those reported, or the most they can be. patience: how long a run waits for a server that is
    gone, and a draw for one that tells it to wait. concurrency is that of free mode, calls aside that take far longer
    than their like (`late.py`); None or "auto": as many as the model bears, 32 where it does not say. hedge: one of
    those is asked a second time (`hedge.py`), at most one in 20 and one more; both are paid for. on_limit: "pause" has
    a run with a journal wait at max_steps, max_calls, max_tokens or max_cost, until somebody raises it (`maker ctl`).
    """

    max_steps: int | None = Field(default=None, ge=1, description="Decided steps of the run.")
    max_votes: int | None = Field(default=None, ge=1, le=MOST_VOTES, description="Valid votes of one step.")
    max_flags: int | None = Field(default=None, ge=1, le=MOST_VOTES, description="Flagged samples of one step.")
    max_calls: int | None = Field(default=None, ge=1, description="Draws sent, resumes included.")
    max_tokens: int | None = Field(default=None, ge=1, description="Tokens read and written.")
    max_cost: float | None = Field(default=None, gt=0, description="US dollars; needs --prices.")
    max_seconds: float | None = Field(default=None, gt=0, description="Wall seconds of this call.")
    patience: float = Field(default=600.0, gt=0, description="Seconds to wait for a server that is gone (600).")
    concurrency: int | None = Field(default=None, ge=1, description="Draws in flight at once.")
    hedge: bool = Field(default=False, description="Ask calls that hang once more; both are paid for.")
    on_limit: Literal["stop", "pause"] = Field(
        default="stop", description="At a limit of the whole run: stop, or pause and ask (`maker ctl`)."
    )

    @field_validator("concurrency", mode="before")
    @classmethod
    def _found(cls, told: Any) -> Any:
        """Read "auto", the default: as many as the model bears (`models/openai/http/gate.py`)."""
        return None if told == "auto" else told

    def votes_for(self, k: int) -> int:
        """Return the most valid votes that one step may take at margin k."""
        return self.max_votes or max(100, 20 * k)

    def flags_for(self, k: int) -> int:
        """Return the most flagged samples that one step may take at margin k."""
        return self.max_flags or max(100, 20 * k)


def make_limits(limits: Limits | Mapping[str, Any] | None) -> Limits:
    """Return `limits` as Limits; raises TaskError naming the field that does not fit."""
    if isinstance(limits, Limits):
        return limits
    if limits is not None and not isinstance(limits, Mapping):
        raise TaskError(f"limits = {limits!r}: give a Limits or a dict with {', '.join(Limits.model_fields)}")
    return validated(Limits, dict(limits or {}))


def must_have_prices(limits: Limits, prices: Prices | None, budget: Budget | None = None) -> None:
    """Raise TaskError for a cap on money when the model has no prices."""
    capped = limits.max_cost is not None or any(one.max_cost is not None for one in parts(budget))
    if capped and prices is None:
        raise TaskError(
            "max_cost: the model has no prices, so it could not be kept. Give them (load_model(..., "
            "prices={'input': 0.4, 'output': 1.6}), US dollars a million tokens; --prices), or use max_tokens."
        )


def parts(budget: Budget | None) -> Iterator[Budget]:
    """Yield a budget, and those that it is a part of."""
    while budget is not None:
        yield budget
        budget = budget.within


class Budget:
    """What any number of calls may take together: give the same one as `budget=` to each of them.

    max_cost: US dollars; max_tokens: read and written; max_calls: sent. None is no cap. It counts what its calls take
    from when it was made, not what an earlier process has paid; `calls`, `tokens` and `cost` say how much that is. A
    call for which it has no room waits for those that are out, and stops as at a limit of its own when that is no use.
    within: a budget that this one is a part of: its calls take from both. Safe for calls that run at once, in any
    threads and event loops. Raises TaskError for caps that are none.
    """

    def __init__(
        self, *, max_cost: float | None = None, max_tokens: int | None = None, max_calls: int | None = None,
        within: Budget | None = None,
    ) -> None:  # fmt: skip
        caps = validated(Limits, {"max_cost": max_cost, "max_tokens": max_tokens, "max_calls": max_calls})
        self.max_cost, self.max_tokens, self.max_calls = caps.max_cost, caps.max_tokens, caps.max_calls
        self.within = within
        self.purse = Purse(caps, Usage())

    @property
    def calls(self) -> int:
        """Calls sent so far."""
        return self.purse.usage.dispatched

    @property
    def tokens(self) -> int:
        """Tokens spent so far, those included that nobody reported, at most."""
        return self.purse.usage.tokens

    @property
    def cost(self) -> float | None:
        """US dollars spent so far, None where that is not known."""
        return self.purse.usage.known_cost

    def __repr__(self) -> str:
        caps = ((name, getattr(self, name)) for name in ("max_cost", "max_tokens", "max_calls"))
        return f"Budget({', '.join(f'{name}={most}' for name, most in caps if most is not None)})"
