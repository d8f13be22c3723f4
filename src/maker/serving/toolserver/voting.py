"""A vote and an estimate for a client, within its share of the day's allowance.

Not covered: prose, on which no two replies agree: a vote has options, or a JSON schema.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from maker.api.vote import vote
from maker.decision.race import Verdict, VoteUsage
from maker.decision.sample import Model, Reply, Request, Traits
from maker.errors import TaskError, Undecided
from maker.sending.budget.limits import Budget
from maker.serving.refused import Refused
from maker.serving.schema import reader_of_schema
from maker.serving.toolserver import commands
from maker.serving.toolserver.allowance import Allowance
from maker.serving.toolserver.inside import Value, parameters_written, task_within
from maker.serving.toolserver.runs import Runs

Tell = Callable[[int], Awaitable[None]]  # called with the calls answered so far

PATIENCE = 60.0  # seconds that a vote waits for a server that is gone
MOST_OPTIONS = 100
_ESTIMATED = (
    "feasible", "proven", "reason", "model", "simulated", "steps", "k", "n", "wrong", "p", "p_low", "p_high", "v",
    "rho", "samples", "success", "tokens", "cost", "seconds", "draws", "stopped",
)  # fmt: skip


class Counted:
    """A model that tells how many calls it has answered; all else about it is the model's own."""

    def __init__(self, model: Model, tell: Tell) -> None:
        self._model, self._tell = model, tell
        self._calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    async def draw(self, requests: Sequence[Request]) -> Sequence[Reply]:
        """Ask the model."""
        replies = await self._model.draw(requests)
        self._calls += len(replies)
        await self._tell(self._calls)
        return replies


@dataclass(slots=True)
class Question:
    """What a client asks to be voted on. options or schema: what an answer can be."""

    text: str
    options: list[str] | None = None
    schema: dict[str, Any] | None = None
    system: str | None = None

    def reader(self) -> Any:
        """Return how replies are read. Raises TaskError unless there are options, or a schema."""
        if (self.options is None) == (self.schema is None):
            raise TaskError("give either options (a list of texts) or answer_schema (a JSON schema): a vote on free "
                            "prose makes no sense, since no two replies agree")  # fmt: skip
        if self.schema is not None:
            try:
                return reader_of_schema(self.schema, "answer_schema")
            except Refused as why:
                raise TaskError(str(why)) from None
        options = tuple(dict.fromkeys(self.options or ()))
        if not 2 <= len(options) <= MOST_OPTIONS:
            raise TaskError(f"options: give 2 to {MOST_OPTIONS} different texts; {len(options)} are given")
        return Literal[options]


async def voted(
    model: Model, allowance: Allowance, question: Question, k: int, calls: int | None, cost: float | None, tell: Tell
) -> dict[str, Any]:
    """Carry out a vote. Raises TaskError for a question that does not fit, Undecided with how the votes stood."""
    traits, reader = Traits.of(model), question.reader()
    if traits.needs_truth:
        raise TaskError(f"the model of this server, {traits.name}, answers the steps of tasks only: start_run takes "
                        "it. For votes the server has to be started with a model over HTTP")  # fmt: skip
    share = allowance.take("vote", calls, cost)
    budget, limits = Budget(), {"max_calls": share.calls, "max_cost": share.cost, "patience": PATIENCE}
    try:
        found = await vote(
            question.text, model=Counted(model, tell), answer=reader, k=k, budget=budget, limits=limits,
            system=question.system,
        )  # fmt: skip
    except Undecided as end:
        counted = "; ".join(f"{answer!r:.80}: {count}" for answer, count in end.tally.votes.items())
        raise TaskError(f"{end} The votes: {counted or 'none'}; {end.tally.flagged} flagged.") from None
    finally:
        allowance.give_back(share, budget.calls, budget.cost)
    return _verdict(found)


def _verdict(found: Verdict[Any]) -> dict[str, Any]:
    """Return a verdict as JSON."""
    usage = found.usage or VoteUsage(0, 0, 0, 0, 0)
    votes = sorted(found.votes.items(), key=lambda vote: -vote[1])
    return {
        "answer": found.answer, "votes": [{"answer": answer, "votes": count} for answer, count in votes],
        "margin": found.margin, "samples": found.samples, "flagged": found.flagged, "calls": usage.calls,
        "tokens_in": usage.tokens_in, "tokens_out": usage.tokens_out, "cost": found.cost,
    }  # fmt: skip


async def estimated(
    runs: Runs, task: str, parameters: Mapping[str, Value], target: float, calls: int | None, cost: float | None
) -> dict[str, Any]:
    """Estimate what a run would need, in a process of its own. Raises TaskError with what that says where it fails."""
    words = ["--", task_within(runs.root, task), *parameters_written(parameters)]
    share = runs.allowance.take("estimate", calls, cost)
    spent, paid = share.calls, share.cost
    try:
        told = await commands.said(
            ["estimate", *runs.model, f"--target={target}", "--quiet", "--json", *share.options, *words]
        )
        spent = int(told.get("draws", spent))
    finally:
        runs.allowance.give_back(share, spent, paid)
    return {name: told[name] for name in _ESTIMATED if name in told}
