"""maker.vote: one question, voted on. The first use of this package from agent code.

`parse` turns a reply into an answer; or `answer` names a type: `str` and `Literal` are bare text
(stripped), everything else (int, float, bool, lists, pydantic models) is JSON, validated strictly.

Not covered: a journal. For many questions that must survive a crash, use a run.
"""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, overload

import anyio
from pydantic import PydanticUserError, TypeAdapter

from maker.config import Config, Limits, make_limits, validated
from maker.errors import TaskError, Undecided
from maker.flags import Flag, chain, flag_name
from maker.load import load_model
from maker.poll import Method, Poll
from maker.sample import Model
from maker.settle import Dispatcher, Stop, Usage, poisoned, settle, undecided
from maker.task import Rules, Step, seed_key
from maker.threads import in_new_loop
from maker.vote import Verdict

T = TypeVar("T")


@overload
async def vote(
    prompt: str, *, model: Model | str, k: int = ..., parse: Callable[[str], T], answer: None = ...,
    flags: str | Sequence[Flag] | None = ..., limits: Limits | Mapping[str, Any] | None = ...,
    temperature: float = ..., seed: int = ...,
) -> Verdict[T]: ...  # fmt: skip
@overload
async def vote(
    prompt: str, *, model: Model | str, k: int = ..., parse: None = ..., answer: type[T],
    flags: str | Sequence[Flag] | None = ..., limits: Limits | Mapping[str, Any] | None = ...,
    temperature: float = ..., seed: int = ...,
) -> Verdict[T]: ...  # fmt: skip
@overload
async def vote(
    prompt: str, *, model: Model | str, k: int = ..., parse: None = ..., answer: Any = ...,
    flags: str | Sequence[Flag] | None = ..., limits: Limits | Mapping[str, Any] | None = ...,
    temperature: float = ..., seed: int = ...,
) -> Verdict[Any]: ...  # fmt: skip
async def vote(
    prompt: str,
    *,
    model: Model | str,
    k: int = 3,
    parse: Callable[[str], Any] | None = None,
    answer: Any = None,
    flags: str | Sequence[Flag] | None = None,
    limits: Limits | Mapping[str, Any] | None = None,
    temperature: float = 0.1,
    seed: int = 0,
) -> Verdict[Any]:
    """Ask a model one question until one answer is k votes ahead of every other.

    prompt: all that the model reads. k: the margin, 1 or more. parse or answer: how to read a reply
    (neither: bare text). flags: None for the default red flags, "paper", or a list of callables.
    limits: `Limits` or a dict; max_votes and max_flags default to max(100, 20 k). seed: of the draws.

    Returns the Verdict. Raises Undecided, with the tally, when a limit is met first; TaskError for
    arguments that do not fit; ModelError for an unusable model. Cancellation is safe.
    """
    if not isinstance(prompt, str) or not prompt:
        raise TaskError("vote: the prompt must be text, and not empty")
    reader, schema = _reader(parse, answer)
    if isinstance(k, bool) or not isinstance(k, int):
        raise TaskError(f"vote: k = {k!r}: give a whole number; only runs can plan their own k")
    red_flags = chain(flags)
    engine = load_model(model) if isinstance(model, str) else model
    config = validated(Config, {
        "k": k, "temperature": temperature, "seed": seed, "flags": tuple(map(flag_name, red_flags)),
        "first_temperature": 0.0 if flags == "paper" else None,
    })  # fmt: skip
    bounds = make_limits(limits)
    method = Method(
        "vote", seed_key(seed), k, bounds.votes_for(k), bounds.flags_for(k), red_flags, config.temperature,
        config.first_temperature, config.token_cap, "none", schema,
    )  # fmt: skip
    poll = Poll(Step(0, None, Rules(reader), config.token_cap, config.long_answer), method, prompt)
    try:
        await _decide(poll, Dispatcher(engine, bounds, Usage()))
    except Stop as stop:
        limit = (poll.outcome.limit if poll.outcome else None) or stop.kind
        raise Undecided(str(stop), tally=poll.tally, step=0, limit=limit) from None
    finally:
        if isinstance(model, str) and hasattr(engine, "aclose"):
            with anyio.CancelScope(shield=True):
                await engine.aclose()
    return poll.verdict()


def vote_sync(prompt: str, **settings: Any) -> Verdict[Any]:
    """Ask as `vote` does, from synchronous code, also inside a running event loop; takes the same keywords."""
    return in_new_loop(lambda: vote(prompt, **settings))


async def _decide(poll: Poll, dispatcher: Dispatcher) -> None:
    while poll.outcome is None:
        await settle([poll], dispatcher)
        if stop := poisoned(poll):
            raise stop
    if poll.outcome.winner is None:
        raise undecided(poll)


def _reader(parse: Callable[[str], Any] | None, answer: Any) -> tuple[Callable[[str], Any], dict[str, Any] | None]:
    """Return how to read a reply, and the JSON schema of the answer where it is JSON."""
    if parse is not None and answer is not None:
        raise TaskError("vote: give parse= or answer=, not both")
    if parse is not None:
        if not callable(parse):
            raise TaskError(f"vote: parse = {parse!r} is not callable")
        return parse, None
    if answer is None or answer is str:
        return str.strip, None
    if typing.get_origin(answer) is typing.Literal:
        options = {str(option): option for option in typing.get_args(answer)}
        return lambda text: _option(text.strip(), options), None
    if inspect.isroutine(answer):
        raise TaskError(f"vote: answer = {answer!r} is a function; give it as parse=")
    try:
        adapter = TypeAdapter(answer)
        schema = adapter.json_schema()
    except PydanticUserError as error:
        raise TaskError(f"vote: answer = {answer!r} is no type that JSON can be read as: {error}") from None
    return lambda text: _json(text, adapter), schema


def _option(text: str, options: dict[str, Any]) -> Any:
    if text not in options:
        raise ValueError(f"{text[:80]!r} is none of {', '.join(options)}")
    return options[text]


def _json(text: str, adapter: TypeAdapter[Any]) -> Any:
    """Read JSON strictly; a key given twice is refused, since either value could be meant."""
    json.loads(text, object_pairs_hook=_unique)
    return adapter.validate_json(text, strict=True)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key is given twice")
    return dict(pairs)
