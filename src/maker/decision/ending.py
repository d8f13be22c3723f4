"""How a run ends early: by name, resumable; and when a step or an account asks for it.

How the vote on a step ended is asked here and nowhere else: `Poll.won`, `Poll.open`, or why it is `stuck`.

Not covered: limits on what is sent (`sending/budget/limits.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from maker.errors import ModelError
from maker.task.alike import differing_field, looks

if TYPE_CHECKING:
    from maker.decision.poll import Poll
    from maker.decision.sample import Failure
    from maker.sending.budget.usage import Usage


MAX_REFUSALS = 10  # of one step without a valid answer make it a poison step
FEWEST_COPIES = 10  # that stop a run, if they are ...
MOST_COPIES = 0.05  # ... more than this share of the samples that could be copies


class Stop(Exception):
    """A named, resumable end: `kind` is its name, the message says where and what to do.

    step: the one that it is about, None where it is about the run. limit: what of the step's own was met,
    "max_votes", "max_flags", "refused", "poison" or "dead_end"; "" where it is about the run.
    """

    def __init__(self, kind: str, detail: str, exit_code: int = 3, *, step: int | None = None, limit: str = "") -> None:
        super().__init__(detail)
        self.kind = kind
        self.exit_code = exit_code
        self.step = step
        self.limit = limit


def hopeless(step: int, failure: Failure) -> Stop | ModelError | None:
    """Return what ends a run at a failure of a step's draw, None for one that is worth another attempt."""
    if failure.kind == "fatal":
        return ModelError(f"step {step}: {failure.detail}")
    if failure.kind == "poison":
        return Stop("poison_step", f"step {step}: {failure.detail}. Other requests succeed; mend this step and resume.",
                    4, step=step, limit="poison")  # fmt: skip
    return None


def copied_too_often(usage: Usage, steps: int) -> Stop | None:
    """Return the stop of a run whose samples are copies too often: votes on copies are no votes.

    steps: on which samples were drawn; the first sample of each cannot be a copy.
    """
    copies = usage.flags.get("copied", 0)
    if copies < FEWEST_COPIES:
        return None
    comparable = max(copies, usage.voted + usage.flagged - steps)  # steps may have begun and wait for their samples
    if copies <= MOST_COPIES * comparable:
        return None
    return Stop("copied", f"{copies} of {comparable} samples are copies of an earlier one of their step: the server "
                "repeats itself (a cache? one seed for all?), and voting on copies proves nothing. Turn that off and "
                "start again with another journal.", 5)  # fmt: skip


def stuck(poll: Poll) -> Stop | None:
    """Return the stop of a poll that goes no further; None for one that is decided, or due another wave.

    Either it was refused again and again without one valid answer, or it met a limit: which, where it stood, and
    what to do.
    """
    if poll.flags.get("refused", 0) >= MAX_REFUSALS and not poll.tally.total:
        return Stop("poison_step", f"step {poll.step.index} was refused {poll.flags['refused']} times without a valid "
                    "answer. Reword the step or take another model, then resume.", 4, limit="refused")  # fmt: skip
    if poll.dead_end:
        return Stop("undecided", f"step {poll.step.index}: each of its {len(poll.barred)} foremost answers leads to a "
                    "state that breaks the rules, or from which nothing is allowed.", 4, limit="dead_end")  # fmt: skip
    if poll.outcome is None or poll.outcome.limit is None:
        return None
    limit, method, tally = poll.outcome.limit, poll.method, poll.tally
    ends = method.table is not None and limit == "max_votes" and method.max_votes >= method.table.most
    remedy = "More votes would not decide it:" if ends else f"Raise {limit} and resume,"
    message = (
        f"step {poll.step.index} is undecided after "
        f"{standing(tally.counts.values(), poll.flags, method.need(tally.total))}. "
        f"{remedy} make the step finer, or take another model."
    )
    if 2 * poll.flags.get("truncated", 0) > poll.drawn:
        message += f" Most replies were cut off at {poll.step.token_cap} tokens: raise max_tokens."
    called = all(sample.finish_reason == "tool_calls" for sample in poll.samples)
    message += in_common(list(poll.tally.answers.values()), [sample.text for sample in poll.samples], called=called)
    return Stop("undecided", message, 4, limit=limit)


def standing(votes: Iterable[int], flags: Mapping[str, int], k: int | None) -> str:
    """Return how the vote on a step stands. votes: by answer; flags: by kind."""
    counts = sorted(votes, reverse=True)
    kinds = ", ".join(f"{kind} {n}" for kind, n in flags.items()) or "none"
    return (f"{sum(counts) + sum(flags.values())} samples: votes {', '.join(map(str, counts[:5])) or 'none'} "
            f"(k = {k} ahead is needed), flagged {kinds}")  # fmt: skip


def in_common(answers: Sequence[Any], texts: Sequence[str | None], *, called: bool = False) -> str:
    """Return what is the matter with all replies of a step alike, as a further sentence; "" where nothing is seen.

    answers: those that have votes; texts: of all replies, None where one has none or it was not kept. called: all of
    them are tool calls.
    """
    if field := differing_field(answers):
        return f" All but one field agree: the field {field!r} differs; mark it maker.unvoted if it need not count."
    seen = called or any(text is not None for text in texts)
    alike = looks(texts, called=called) if seen and not answers else ""
    return f" No reply has a vote: {alike}." if alike else ""
