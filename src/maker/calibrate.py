"""k = "auto": a small calibration before the first step.

Draws at least 300 samples on steps of the run, judges them by the red flags, grades the valid ones,
and chooses the smallest k that reaches the target when p is as low as the exact one-sided 95% bound.
Samples are graded against the task's truth where it has one. Otherwise the first steps are voted at a large
margin and samples are graded against the verdicts: *agreement*, which cannot see a step that most
samples get wrong in the same way.

Not covered: correlation of errors. A few hundred draws cannot show it; steps that are lost at any k remain possible.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from maker import theory
from maker.canonical import canonical
from maker.config import Config
from maker.errors import Infeasible
from maker.flags import Flag
from maker.plan import Walk, plan_of
from maker.poll import Method, Poll
from maker.prompt import render, views
from maker.settle import Dispatcher, Usage, settle, undecided
from maker.task import Rules, Step, Task, draw_seeds, guarded, seed_key

DRAWS = 300
BATCH = 128  # steps drawn at once
MIN_VALID = 30  # fewer valid samples say nothing about p
AGREEMENT_K = 5
UNKNOWN_STEPS = 1_000_000  # planned for where a task cannot say how long it is
CALIBRATION_EPOCH = 2**32  # its seeds never meet those of the run


@dataclass(slots=True, frozen=True)
class Calibration:
    """What the calibration saw: draws, valid ones, wrong ones of these, against what; and the k it chose."""

    draws: int
    valid: int
    wrong: int
    tokens_in: int
    tokens_out: int
    flags: dict[str, int]
    against: str
    k: int = 0

    def as_note(self) -> dict[str, Any]:
        """Return it as the journal keeps it."""
        return asdict(self)

    def book(self, usage: Usage) -> None:
        """Add the draws of an earlier process to the account."""
        usage.dispatched += self.draws
        usage.voted += self.valid
        usage.flagged += self.draws - self.valid
        usage.tokens_in += self.tokens_in
        usage.tokens_out += self.tokens_out
        usage.flags.update(self.flags)

    def choose(self, steps: int | None, target: float) -> int:
        """Return k for the whole run. Raises Infeasible when voting cannot be shown to work."""
        if self.valid < MIN_VALID:
            raise Infeasible(
                f"calibration: only {self.valid} of {self.draws} samples could vote, too few to plan with. "
                "Look at the flags, make the answer format easier, or take another model."
            )
        low = theory.p_lower(self.wrong, self.valid)
        seen = f"{self.wrong} of {self.valid} valid samples were wrong, p is at least {low:.4f} (95%)"
        if low <= 0.5:
            raise Infeasible(
                f"calibration: {seen}. Voting amplifies the majority: at p <= 1/2 no k helps. "
                "Make the steps finer or take another model; --k N runs all the same."
            )
        return theory.k_min(low, steps or UNKNOWN_STEPS, target)


async def calibrate(
    task: Task, dispatcher: Dispatcher, config: Config, flags: tuple[Flag, ...], rules: Rules
) -> Calibration:
    """Draw on steps of the run and say what was seen.

    Raises Stop at a limit of the run, ModelError, TaskError. The draws are booked in the dispatcher's usage.
    """
    usage = dispatcher.usage
    before = (usage.voted, usage.flagged, usage.tokens_in, usage.tokens_out)
    if hasattr(task, "truth"):
        wrong = await _against_truth(task, dispatcher, config, flags, rules)
    else:
        wrong = await _by_agreement(task, dispatcher, config, flags, rules)
    valid, flagged = usage.voted - before[0], usage.flagged - before[1]
    return Calibration(
        valid + flagged, valid, wrong, usage.tokens_in - before[2], usage.tokens_out - before[3], dict(usage.flags),
        "truth" if hasattr(task, "truth") else "agreement",
    )  # fmt: skip


async def _against_truth(
    task: Task, dispatcher: Dispatcher, config: Config, flags: tuple[Flag, ...], rules: Rules
) -> int:
    """Draw on steps spread over the run; return how many valid samples were not the truth."""
    chosen = list(_known_steps(task, config, seed_key(config.seed, CALIBRATION_EPOCH)))
    per_step = -(-DRAWS // len(chosen))
    wrong = 0
    for at in range(0, len(chosen), BATCH):
        batch = chosen[at : at + BATCH]
        # One wave at margin k takes exactly k samples of a step.
        polls = [_poll(task, index, state, per_step, config, flags, rules) for index, state in batch]
        await settle(polls, dispatcher)
        for poll, (index, state) in zip(polls, batch, strict=True):
            truth = guarded(task.truth, index, "truth", state, index)  # type: ignore[attr-defined]
            wrong += poll.tally.total - poll.tally.counts.get(canonical(truth), 0)
    return wrong


async def _by_agreement(
    task: Task, dispatcher: Dispatcher, config: Config, flags: tuple[Flag, ...], rules: Rules
) -> int:
    """Vote on the first steps at a large margin; return how many valid samples differ from the verdicts.

    A task shorter than the calibration is walked again, with other draws.
    """
    usage, wrong, walk = dispatcher.usage, 0, 0
    begin = usage.voted + usage.flagged
    path = Walk(plan_of(task, config.segments))
    while usage.voted + usage.flagged - begin < DRAWS:
        index, state = path.index, path.state
        poll = _poll(task, index, state, AGREEMENT_K, config, flags, rules, walk)
        while poll.outcome is None:
            await settle([poll], dispatcher)
        if poll.outcome.winner is None:
            raise undecided(poll)
        wrong += poll.tally.total - poll.tally.counts[poll.outcome.winner]
        path.take(guarded(task.apply, index, "apply", state, poll.readings[poll.winner].answer))
        if _at_end(task, path):
            walk, path = walk + 1, Walk(plan_of(task, config.segments))
    return wrong


def _at_end(task: Task, path: Walk) -> bool:
    """Say whether a walk has taken every step."""
    if task.steps is not None:
        return path.index == task.steps
    return bool(guarded(task.done, path.index, "done", path.state))


def _known_steps(task: Task, config: Config, key: bytes) -> Iterator[tuple[int, Any]]:
    """Yield steps of the run with their right states: drawn from the whole run where the plan knows them."""
    plan = guarded(task.plan, None, "plan") if hasattr(task, "plan") else None
    if plan is not None and plan.enter is not None and plan.steps > DRAWS:
        for i in range(DRAWS):
            index = draw_seeds(key, i, 2**32)[0] % plan.steps
            yield index, guarded(plan.enter, index, "entry state", index)
        return
    path = Walk(plan_of(task, config.segments))
    for index in range(min(DRAWS, task.steps or DRAWS)):
        if index and _at_end(task, path):
            return
        yield index, path.state
        truth = guarded(task.truth, index, "truth", path.state, index)  # type: ignore[attr-defined]
        path.take(guarded(task.apply, index, "apply", path.state, truth))


def _poll(
    task: Task, index: int, state: Any, k: int, config: Config, flags: tuple[Flag, ...], rules: Rules, walk: int = 0
) -> Poll:
    step = Step(index, state, rules, config.token_cap, config.long_answer)
    method = Method(
        "calibration", seed_key(config.seed, CALIBRATION_EPOCH, walk), k, max(100, 20 * k), max(100, 20 * k), flags,
        config.temperature, None, config.token_cap, "none",
    )  # fmt: skip
    poll = Poll(step, method, render(task, state, index))
    if config.paraphrase:
        poll.views = views(task, state, index)
    return poll
