"""maker.vote: one question, voted on. The first use of this package from agent code.

How replies become answers (`parse`, `answer`, `key`) is told in `answers.py`.

An agent's decisions, one after another, survive a crash with `journal=` and `step=` (`engine/decisions.py`).

Not covered: many questions at once (`maker.map`), and steps that are known beforehand (`maker.run`).
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Required, TypeVar, Unpack, overload

from maker.api.answers import Reader
from maker.api.opened import Asking, opened
from maker.api.sync import twin
from maker.api.tools.reader import reader_for
from maker.decision.config import KeepSamples
from maker.decision.ending import Stop, stuck
from maker.decision.method import Method
from maker.decision.poll import Poll
from maker.decision.pool import in_force
from maker.decision.race import Verdict, VoteUsage
from maker.decision.sample import AnyModel
from maker.decision.step import Rules
from maker.engine.decisions import Decisions
from maker.engine.senders import Senders
from maker.errors import ModelError, TaskError, Undecided
from maker.journal.writer import Journal
from maker.sending.budget.usage import Usage
from maker.sending.settle import decide
from maker.task.canonical import canonical
from maker.task.prompt import under, wordings
from maker.task.tools import Turn

T = TypeVar("T")
BRACES = "Write {{ and }} for braces, as around a sample of JSON."  # to whoever writes a template

Prompt = str | Sequence[Mapping[str, Any]]  # text, or messages as chat servers take them
Offered = Callable[..., Any] | Mapping[str, Any]  # a tool: a function, or a schema as chat servers take it
ToolChoice = str | Mapping[str, Any] | None

# What messages about runs say, and what a vote says instead: it has no steps, and no journal to go on with.
_IN_A_RUN = (
    (r"\bstep 0 was\b", "the question was"), (r"\bstep 0 is\b", "the vote is"), (r"\bstep 0: ", ""),
    (r"\bthe step finer\b", "the question easier"), (r"\b(Reword|mend) th(e|is) step\b", r"\1 the question"),
    (r"(, then|,? and) resume\b", ""), (r"\bRun the same command to resume\b", "Ask again"),
    (r"\brun the same command to resume\b", "ask again"),
)  # fmt: skip


class Settings(Asking, total=False):
    """How to vote: as `Asking`, and what is told at `vote`."""

    k: int
    paraphrases: Sequence[Prompt] | None


class Voting(Settings, total=False):
    """How to vote, and on whose answers."""

    model: Required[AnyModel]
    key: Callable[[Any], Any] | None
    tool_choice: ToolChoice
    journal: str | Path | None
    step: str | int | None


@overload
async def vote(prompt: Prompt, *, tools: Sequence[Offered], **asking: Unpack[Voting]) -> Verdict[Turn]: ...
@overload
async def vote(prompt: Prompt, *, parse: None = ..., answer: None = ..., **asking: Unpack[Voting]) -> Verdict[str]: ...
@overload
async def vote(
    prompt: Prompt, *, parse: Callable[[str], T], answer: None = ..., **asking: Unpack[Voting]
) -> Verdict[T]: ...
@overload
async def vote(prompt: Prompt, *, parse: None = ..., answer: type[T], **asking: Unpack[Voting]) -> Verdict[T]: ...
@overload
async def vote(prompt: Prompt, *, parse: None = ..., answer: Any, **asking: Unpack[Voting]) -> Verdict[Any]: ...
async def vote(
    prompt: Prompt,
    *,
    model: AnyModel,
    k: int = 3,
    parse: Callable[[str], Any] | None = None,
    answer: Any = None,
    key: Callable[[Any], Any] | None = None,
    tools: Sequence[Offered] | None = None,
    tool_choice: ToolChoice = None,
    paraphrases: Sequence[Prompt] | None = None,
    journal: str | Path | None = None,
    step: str | int | None = None,
    **asking: Unpack[Asking],
) -> Verdict[Any]:
    """Ask a model one question until one answer is k votes ahead of every other.

    prompt: all that the model reads beside `system`: text, or messages ([{"role", "content"}, ...]). k: the margin, 1
    or more. parse or answer: how to read a reply (neither: bare text). key: answers with equal keys are one
    candidate. tools: what the model may call, functions or schemas; then its calls are the answer (a `Turn`, its calls
    in `verdict.calls`; nobody makes them). tool_choice: as chat servers take it. paraphrases: the same question in
    other words, asked in turn with the prompt. journal, step: a file of decisions, and the name of this one in it: the
    same call again takes the verdict from there, or goes on where it broke off; limits of calls, tokens and cost are
    then of the whole file. asking: flags, limits, seed, system, temperature, max_tokens, stop and
    so on, as told at `Asking` and `Config`; the limits max_votes and max_flags default to max(100, 20 k).

    Returns the Verdict. Raises Undecided, with the tally, when a limit is met first; TaskError for
    arguments that do not fit; ModelError for an unusable model; JournalError for a journal that cannot be used, and for
    a step of it that was another question. Cancellation is safe. The same call repeated draws with
    the same seeds; another question, or another `seed`, with others.
    """
    asked = wordings([prompt, *(paraphrases or ())], "vote: the prompt is")
    reader = reader_for("vote", parse, answer, key, tools, tool_choice)
    check_k("vote", k)
    _check_step(journal, step)
    keep: KeepSamples | None = "none" if journal is None else None
    async with opened(
        vote, model, asking, k=k, keep_samples=keep, paraphrase=len(asked) > 1, tools=reader.tools
    ) as (senders, config, red_flags):  # fmt: skip
        most = senders.own.limits.votes_for(k), senders.own.limits.flags_for(k)
        weights = in_force(config.weights)
        question = canonical([under(config.system, view.prompt, config.examples) for view in asked])

        def begin(run: str, number: int) -> Poll:
            """Return the vote as it begins, under its place in a journal."""
            method = Method.of(
                config, k, red_flags, most, run=run, question=question, schema=reader.schema, tools=reader.tools,
                weights=weights,
            )  # fmt: skip
            rules = Rules(reader.parse, apply=lambda *_: number + 1)
            poll = Poll.of(method, rules, number, None, asked[0].prompt)
            poll.views = asked if config.paraphrase else ()
            return poll

        with nullcontext() if journal is None else Journal(journal) as book:
            kept = None if book is None else Decisions(senders, config, book)
            poll = begin("vote", 0)
            if kept is not None and step is not None:
                poll = kept.open(step, question, reader.described, begin)
            before, paid = replace(senders.own.usage), senders.cost or 0.0
            await _decided(poll, senders, kept, reader)
        verdict = reader.verdict(poll.verdict())
        if isinstance(verdict.answer, Turn):
            verdict = replace(verdict, answer=verdict.answer.after(question))
        cost = None if senders.cost is None else senders.cost - paid
        return replace(verdict, usage=_used(senders.own.usage, before), cost=cost)


async def _decided(poll: Poll, senders: Senders, kept: Decisions | None, reader: Reader[Any]) -> None:
    """Carry a vote out, in its journal if it has one. Raises as `vote` does, in its words."""
    number = poll.step.index
    try:
        await (decide([poll], senders.own.draw, senders.own.usage) if kept is None else kept.decide(poll))
        if stop := stuck(poll):
            raise stop
    except Stop as end:
        limit = (poll.outcome.limit if poll.outcome else None) or end.kind
        said = _of_a_vote(str(end), number)
        raise Undecided(said, tally=reader.tally(poll.tally), step=number, limit=limit) from None
    except (TaskError, ModelError) as error:
        raise type(error)(_of_a_vote(str(error), number)) from error.__cause__


def _used(now: Usage, before: Usage) -> VoteUsage:
    """Return what was used since then."""
    return VoteUsage(
        now.dispatched - before.dispatched, now.voted + now.flagged - before.voted - before.flagged,
        now.tokens_in - before.tokens_in, now.tokens_out - before.tokens_out, now.assumed - before.assumed,
    )  # fmt: skip


vote_sync = twin(vote)


def _of_a_vote(said: str, number: int) -> str:
    """Return a message about a run as one about a vote. number: of the vote, among its run's steps."""
    said = re.sub(rf"\bstep {number}\b", "step 0", said)
    if not re.search(r"\bstep 0\b|\bresume\b", said):
        return said
    for pattern, instead in _IN_A_RUN:
        said = re.sub(pattern, instead, said)
    return said if "://" in said.split(" ", 1)[0] else said[:1].upper() + said[1:]


def _check_step(journal: object, step: object) -> None:
    """Raise TaskError unless there is a journal with a step in it, or neither."""
    if (journal is None) != (step is None):
        raise TaskError("vote: journal= and step= go together: the step is the name of this decision in the journal")
    if step is not None and (type(step) not in (str, int) or step == ""):
        raise TaskError(f"vote: step = {step!r:.60}: give a text or a whole number that names this decision")


def check_k(caller: str, k: object) -> None:
    """Raise TaskError for a margin that is no number: only runs can plan their own."""
    if isinstance(k, bool) or not isinstance(k, int):
        raise TaskError(f"{caller}: k = {k!r}: give a whole number; only runs can plan their own k")


def places(caller: str, texts: Iterable[str]) -> set[str]:
    """Return the names that the places of a template's texts begin with: "item" of {item}, {item.x} and {item[x]}.

    Raises TaskError for text that is no template.
    """
    try:
        parsed = [part for text in texts for part in string.Formatter().parse(text)]
    except ValueError as error:
        raise TaskError(f"{caller}: the text is no template: {error}. {BRACES}") from None
    return {re.split(r"[.\[]", field)[0] for _, field, _, _ in parsed if field is not None}
