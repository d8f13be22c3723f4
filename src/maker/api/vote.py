"""maker.vote: one question, voted on. The first use of this package from agent code.

How replies become answers (`parse`, `answer`, `key`) is told in `answers.py`.

Not covered: a journal. Many questions that must survive a crash are for `maker.map`, many steps for
`maker.run`.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Required, TypeVar, Unpack, overload

from maker.api.opened import Asking, opened
from maker.api.sync import twin
from maker.api.tools.reader import reader_for
from maker.decision.ending import Stop, stuck
from maker.decision.method import Method
from maker.decision.poll import Poll
from maker.decision.race import Verdict, VoteUsage
from maker.decision.sample import AnyModel
from maker.decision.step import Rules
from maker.errors import ModelError, TaskError, Undecided
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
    **asking: Unpack[Asking],
) -> Verdict[Any]:
    """Ask a model one question until one answer is k votes ahead of every other.

    prompt: all that the model reads beside `system`: text, or messages ([{"role", "content"}, ...]). k: the margin, 1
    or more. parse or answer: how to read a reply (neither: bare text). key: answers with equal keys are one
    candidate. tools: what the model may call, functions or schemas; then its calls are the answer (a `Turn`, its calls
    in `verdict.calls`; nobody makes them). tool_choice: as chat servers take it. paraphrases: the same question in
    other words, asked in turn with the prompt. asking: flags, limits, seed, system, temperature, max_tokens, stop and
    so on, as told at `Asking` and `Config`; the limits max_votes and max_flags default to max(100, 20 k).

    Returns the Verdict. Raises Undecided, with the tally, when a limit is met first; TaskError for
    arguments that do not fit; ModelError for an unusable model. Cancellation is safe. The same call repeated draws with
    the same seeds; another question, or another `seed`, with others.
    """
    asked = wordings([prompt, *(paraphrases or ())], "vote: the prompt is")
    reader = reader_for("vote", parse, answer, key, tools, tool_choice)
    check_k("vote", k)
    async with opened(
        vote, model, asking, k=k, keep_samples="none", paraphrase=len(asked) > 1, tools=reader.tools
    ) as (senders, config, red_flags):  # fmt: skip
        own = senders.own
        most = own.limits.votes_for(k), own.limits.flags_for(k)
        question = canonical([under(config.system, view.prompt, config.examples) for view in asked])
        method = Method.of(
            config, k, red_flags, most, run="vote", question=question, schema=reader.schema, tools=reader.tools
        )
        poll = Poll.of(method, Rules(reader.parse), 0, None, asked[0].prompt)
        poll.views = asked if config.paraphrase else ()
        try:
            await decide([poll], own.draw, own.usage)
            if stop := stuck(poll):
                raise stop
        except Stop as end:
            limit = (poll.outcome.limit if poll.outcome else None) or end.kind
            raise Undecided(_of_a_vote(str(end)), tally=reader.tally(poll.tally), step=0, limit=limit) from None
        except (TaskError, ModelError) as error:
            raise type(error)(_of_a_vote(str(error))) from error.__cause__
        took = own.usage
        usage = VoteUsage(took.dispatched, took.voted + took.flagged, took.tokens_in, took.tokens_out, took.assumed)
        verdict = reader.verdict(poll.verdict())
        if isinstance(verdict.answer, Turn):
            verdict = replace(verdict, answer=verdict.answer.after(question))
        return replace(verdict, usage=usage, cost=senders.cost)


vote_sync = twin(vote)


def _of_a_vote(said: str) -> str:
    """Return a message about a run as one about a vote."""
    if not re.search(r"\bstep 0\b|\bresume\b", said):
        return said
    for pattern, instead in _IN_A_RUN:
        said = re.sub(pattern, instead, said)
    return said if "://" in said.split(" ", 1)[0] else said[:1].upper() + said[1:]


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
