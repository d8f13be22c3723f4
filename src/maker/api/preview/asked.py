"""What a run would send, and what it would take: its first question, one in the middle, and the calls. No call is made.

The question in the middle is known where the plan knows the state before each step, or the task its truth; elsewhere it
depends on answers that nobody has given yet.

Not covered: how a server words a request in JSON (`models/openai/request.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Unpack

from maker.api.opened import Asking, opened
from maker.api.preview.costs import Need, needs
from maker.api.run import run
from maker.api.sync import twin
from maker.decision.config import Config
from maker.decision.method import Method
from maker.decision.poll import Poll
from maker.decision.sample import AnyModel, Request
from maker.decision.step import Rules
from maker.journal.notes import UNKNOWN_STEPS
from maker.task.plan import Plan, Walk, plan_of
from maker.task.prompt import render, views
from maker.task.task import Task, guarded

FARTHEST = 1000  # steps that are walked to the middle where no plan knows it


@dataclass(frozen=True)
class Preview:
    """What a run would do. asked: the first request, and one in the middle, where that is known.

    steps: of the run; known: the task said how many. needs: the least, likely, and the most.
    """

    model: str
    steps: int
    known: bool
    asked: Sequence[Request]
    needs: dict[str, Need]

    def as_json(self) -> dict[str, Any]:
        """Return the object that `maker run --dry-run --json` prints."""
        sent = [
            {
                "step": request.address.step, "messages": list(request.messages), "temperature": request.temperature,
                "max_tokens": request.max_tokens, "stop": list(request.stop), "schema": request.schema,
            }
            for request in self.asked
        ]  # fmt: skip
        return {
            "model": self.model, "steps": self.steps if self.known else None, "requests": sent,
            **{name: asdict(need) for name, need in self.needs.items()}, "exit_code": 0,
        }  # fmt: skip


async def preview(
    task: Task, *, model: AnyModel, k: int | str = "auto", target: float = 0.95, worst_case: bool = False,
    segments: int | None = None, paraphrase: bool = False, **asking: Unpack[Asking],
) -> Preview:  # fmt: skip
    """Say what `run` with these arguments would ask, and what it would take; nothing is sent.

    Raises TaskError for what does not fit, ModelError for a model that cannot be made.
    """
    plan = plan_of(task, segments)
    async with opened(
        run, model, asking, task=task, k=k, target=target, worst_case=worst_case, segments=len(plan.segments),
        paraphrase=paraphrase,
    ) as (senders, config, _):  # fmt: skip
        own = senders.own
        known = guarded(lambda: task.steps, None, "steps")
        steps = min(known or UNKNOWN_STEPS, own.limits.max_steps or UNKNOWN_STEPS**2)
        asked = [_request(task, config, index, state) for index, state in _steps(task, plan, steps)]
        found = needs(config, own.limits, own.prices, steps, asked, truth=hasattr(task, "truth"),
                      turns=len(own.traits.turns))  # fmt: skip
        return Preview(own.traits.name, steps, known is not None, asked, found)


preview_sync = twin(preview)


def _steps(task: Task, plan: Plan, steps: int) -> list[tuple[int, Any]]:
    """Return the first step with its state, and one in the middle if it is known."""
    first, middle = Walk(plan), steps // 2
    chosen = [(0, first.state)]
    if middle and plan.enter is not None:
        chosen.append((middle, plan.state_at(middle)))
    elif middle and hasattr(task, "truth"):
        for _ in range(min(middle, FARTHEST)):
            truth = guarded(task.truth, first.index, "truth", first.state, first.index)
            state = guarded(task.apply, first.index, "apply", first.state, truth)
            if guarded(task.done, first.index, "done", state):
                break
            first.take(state)
        chosen += [(first.index, first.state)] if first.index else []
    return chosen


def _request(task: Task, config: Config, index: int, state: Any) -> Request:
    """Return the first request of a step, as it is sent."""
    method = Method.of(config, 1, (), (1, 1), run="preview", schema=getattr(task, "schema", None))
    poll = Poll.of(method, Rules.of(task), index, state, render(task, state, index))
    poll.views = views(task, state, index) if config.paraphrase else ()
    return poll.requests()[0]
