"""maker.vote: one question, voted on. The first use of this package from agent code.

How replies become answers (`parse`, `answer`, `key`) is told in `answers.py`.

Not covered: a journal. Many questions that must survive a crash are for `maker.map`, many steps for
`maker.run`.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Required, TypedDict, TypeVar, Unpack, overload

from maker.api.answers import reader_of
from maker.api.opened import opened
from maker.api.sync import twin
from maker.decision.ending import Stop, stuck
from maker.decision.flags import Flag
from maker.decision.method import Method
from maker.decision.poll import Poll
from maker.decision.race import Verdict
from maker.decision.sample import Model
from maker.decision.step import Rules
from maker.errors import TaskError, Undecided
from maker.sending.dispatcher import decide
from maker.sending.limits import Limits

T = TypeVar("T")
Flags = str | Sequence[Flag] | None


class Settings(TypedDict, total=False):
    """How to vote; what each means is told at `vote`."""

    k: int
    flags: Flags
    limits: Limits | Mapping[str, Any] | None
    temperature: float
    seed: int


class Asking(Settings, total=False):
    """How to vote, and on whose answers."""

    model: Required[Model | str]
    key: Callable[[Any], Any] | None


@overload
async def vote(prompt: str, *, parse: None = ..., answer: None = ..., **asking: Unpack[Asking]) -> Verdict[str]: ...
@overload
async def vote(
    prompt: str, *, parse: Callable[[str], T], answer: None = ..., **asking: Unpack[Asking]
) -> Verdict[T]: ...
@overload
async def vote(prompt: str, *, parse: None = ..., answer: type[T], **asking: Unpack[Asking]) -> Verdict[T]: ...
@overload
async def vote(prompt: str, *, parse: None = ..., answer: Any, **asking: Unpack[Asking]) -> Verdict[Any]: ...
async def vote(
    prompt: str,
    *,
    model: Model | str,
    k: int = 3,
    parse: Callable[[str], Any] | None = None,
    answer: Any = None,
    key: Callable[[Any], Any] | None = None,
    flags: Flags = None,
    limits: Limits | Mapping[str, Any] | None = None,
    temperature: float = 0.1,
    seed: int = 0,
) -> Verdict[Any]:
    """Ask a model one question until one answer is k votes ahead of every other.

    prompt: all that the model reads. k: the margin, 1 or more. parse or answer: how to read a reply
    (neither: bare text). key: answers with equal keys are one candidate. flags: None for the default
    red flags, "paper", or a list of callables. limits: `Limits` or a dict; max_votes and max_flags
    default to max(100, 20 k). seed: of the draws.

    Returns the Verdict. Raises Undecided, with the tally, when a limit is met first; TaskError for
    arguments that do not fit; ModelError for an unusable model. Cancellation is safe.
    """
    if not isinstance(prompt, str) or not prompt:
        raise TaskError("vote: the prompt must be text, and not empty")
    reader = reader_of("vote", parse, answer, key)
    check_k("vote", k)
    async with opened(
        model, flags=flags, limits=limits, k=k, temperature=temperature, seed=seed, keep_samples="none",
        first_temperature=0.0 if flags == "paper" else None,
    ) as (senders, config, red_flags):  # fmt: skip
        own = senders.own
        most = own.limits.votes_for(k), own.limits.flags_for(k)
        method = Method.of(config, k, red_flags, most, run="vote", schema=reader.schema)
        poll = Poll.of(method, Rules(reader.parse), 0, None, prompt)
        try:
            await decide([poll], own.draw, own.usage)
            if stop := stuck(poll):
                raise stop
        except Stop as end:
            limit = (poll.outcome.limit if poll.outcome else None) or end.kind
            raise Undecided(str(end), tally=reader.tally(poll.tally), step=0, limit=limit) from None
    return reader.verdict(poll.verdict())


vote_sync = twin(vote)


def check_k(caller: str, k: object) -> None:
    """Raise TaskError for a margin that is no number: only runs can plan their own."""
    if isinstance(k, bool) or not isinstance(k, int):
        raise TaskError(f"{caller}: k = {k!r}: give a whole number; only runs can plan their own k")


def places(caller: str, template: str) -> set[str]:
    """Return the names that a template's places begin with: "item" of {item}, {item.x} and {item[x]}.

    Raises TaskError for text that is no template.
    """
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]
    except ValueError as error:
        raise TaskError(f"{caller}: the text is no template: {error}. Write {{{{ and }}}} for braces.") from None
    return {re.split(r"[.\[]", field)[0] for field in fields}
