"""What a call needs, opened and closed: models, task, settings, limits, and who sends.

Promises: what was made here is closed when the call ends, however it ends, and closing is not cut short by
cancellation; a model that the caller gave stays open. Connections of models over HTTP stay, too, for the next call:
they close when nobody uses them for some seconds, and with their event loop (`models/openai/http/line.py`).

Not covered: the journal, which closes itself; the arguments that one call alone has.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from difflib import get_close_matches
from typing import Any, TypedDict, cast

import anyio

from maker.decision.config import Config, validated
from maker.decision.flags import Flag, chain, flag_name
from maker.decision.sample import AnyModel, Model, Traits
from maker.engine.senders import Senders
from maker.errors import TaskError
from maker.models import load_model, over_http, pool_of, style_of
from maker.models.own import from_callable
from maker.sending.budget.limits import Budget, Limits, make_limits
from maker.sending.budget.usage import Usage
from maker.sending.dispatcher import Dispatcher
from maker.task.load import builtin_tasks, load_task, task_parameters
from maker.task.task import Task
from maker.task.tools import INSTEAD, Tools

Flags = str | Sequence[Flag | str] | None


class Asking(TypedDict, total=False):
    """The settings of asking, the same for vote, map, reliable, run, estimate and solve.

    flags: None for the default red flags, "paper" (whose first draw of each step is at temperature 0), or a list of
    callables, and of names such as "default" and "several-finals". weights: how many votes a draw of each turn
    of a pool counts, and k counts these; or "calibrated", with k "auto". limits: `Limits` or a dict, of this call;
    budget: a `Budget` that other calls take from, too. max_tokens: of one reply; token_cap is its older name. The
    others, and the defaults of all: see `Config`.
    """

    flags: Flags
    limits: Limits | Mapping[str, Any] | None
    budget: Budget | None
    seed: int
    system: str | None
    examples: Sequence[tuple[str, str]]
    temperature: float | None
    first_temperature: float | None
    max_tokens: int
    token_cap: int
    long_answer: int
    stop: Sequence[str]
    weights: Sequence[int] | str


@asynccontextmanager
async def opened(
    caller: Callable[..., Any], model: AnyModel, asking: Asking, *, others: Mapping[str, AnyModel] | None = None,
    task: Task | None = None, beside: Senders | None = None, tools: Tools | None = None, **settings: Any,
) -> AsyncIterator[tuple[Senders, Config, tuple[Flag, ...]]]:  # fmt: skip
    """Load models, bind them to the task, check settings and limits; close what was loaded in the end.

    caller: the function whose settings they are. others: further models, by the name that changes bear. task: None for
    a call without one, which binds no model. beside: who sends for another model of the same call, with whom limits and
    account are shared. tools: what the models are offered. settings: of `Config`, beside those of asking; keep_samples
    None keeps the texts that were paid for.

    Yields who sends, with limits and account; the settings; the flags. Raises TaskError for what does not fit, and
    outside asyncio; ModelError for a model that cannot be made.
    """
    _check_loop(caller)
    check_names(caller, asking)
    red_flags = chain(asking.get("flags"))
    settings |= _config_of(caller.__name__, asking)
    async with AsyncExitStack() as stack:
        bounds = make_limits(asking.get("limits"))
        first, *more = [_ready(asked, task, stack, bounds) for asked in (model, *(others or {}).values())]
        for ready in (first, *more) if tools is not None else ():
            if not Traits.of(ready).native_tools:
                raise TaskError(f"{caller.__name__}: tools: {Traits.name_of(ready)} takes none. {INSTEAD}.")
        if beside is None:
            own = Dispatcher(first, bounds, Usage(), shared=asking.get("budget"))
        else:
            own = Dispatcher(first, bounds, beside.own.usage, beside=beside.own)
        traits = own.traits
        if settings.get("keep_samples", "") is None:
            settings["keep_samples"] = "none" if traits.simulated or traits.lockstep else "all"
        config = validated(Config, {**settings, "flags": tuple(map(flag_name, red_flags))})
        if config.paraphrase and traits.needs_truth:
            raise TaskError("paraphrase: a simulated model answers the task's own prompt only; use another model")
        _check_weights(caller.__name__, config, len(traits.turns), bool(others))
        yield Senders(own, dict(zip(others or (), more, strict=True)), task, config.system), config, red_flags


def task_for(name: str, model: AnyModel, **parameters: Any) -> Task:
    """Return a task by its name; in the style that the model reads, where it says so and no design was chosen.

    Raises TaskError as `load_task` does.
    """
    style = style_of(model)
    known = name.replace("_", "-") in builtin_tasks()
    given = {"style", "design"} & set(parameters)
    if style is not None and not given and known and "style" in task_parameters(name):
        parameters["style"] = style
    return load_task(name, **parameters)


def check_names(caller: Callable[..., Any], given: Mapping[str, Any], beside: Collection[str] = ()) -> None:
    """Raise TaskError for a setting that there is not, and name the nearest. beside: others that there are."""
    for name in given:
        if name not in Asking.__annotations__ and name not in beside:
            known = [*inspect.signature(caller).parameters, *beside, *Asking.__annotations__]
            near = get_close_matches(name, known, 1)
            raise TaskError(f"{caller.__name__}: there is no setting {name!r}. "
                            + (f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known)}."))  # fmt: skip


def _check_loop(caller: Callable[..., Any]) -> None:
    """Raise TaskError where no asyncio loop runs, as under trio: nothing was asked then."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise TaskError(
            f"{caller.__name__}: this works in an asyncio loop only, and none is running here (trio?). "
            "Call the function that ends in _sync in a thread: anyio.to_thread.run_sync"
        ) from None


def _config_of(caller: str, asking: Asking) -> dict[str, Any]:
    """Return settings of asking under the names that `Config` has for them."""
    told: dict[str, Any] = {name: value for name, value in asking.items() if name not in ("flags", "limits", "budget")}
    if not isinstance(asking.get("budget"), Budget | None):
        raise TaskError(
            f"{caller}: budget = {asking.get('budget')!r}: give a maker.Budget; limits are of one call alone"
        )
    if "max_tokens" in told:
        if "token_cap" in told:
            raise TaskError(f"{caller}: max_tokens and its older name token_cap are both given; give max_tokens")
        told["token_cap"] = told.pop("max_tokens")
    if isinstance(told.get("stop"), str):
        raise TaskError(f"{caller}: stop = {told['stop']!r}: give a list of texts")
    if "stop" in told:
        told["stop"] = tuple(told["stop"] or ())
    if not isinstance(told.get("weights", ""), str):
        told["weights"] = tuple(told["weights"] or ())
    if asking.get("flags") == "paper" and told.get("first_temperature") is None:
        told["first_temperature"] = 0.0
    return told


def _check_weights(caller: str, config: Config, turns: int, others: bool) -> None:
    """Raise TaskError for weights that are not those of a pool, or do not go with the other settings."""
    weights, where = config.weights, f"{caller}: weights"
    if not weights:
        return
    if not turns:
        raise TaskError(
            f"{where}: the model is no pool, so there is nothing to weigh. Leave them out, or give several."
        )
    if weights == "calibrated" and config.k != "auto":
        raise TaskError(f'{where} = "calibrated": k counts votes that only the calibration knows. Give k = "auto", '
                        "of a run, or the numbers that `maker estimate` finds, with the k that it says.")  # fmt: skip
    if not isinstance(weights, str) and len(weights) != turns:
        raise TaskError(
            f"{where} = {list(weights)}: the pool has {turns} turns: give a weight for each, in their order."
        )
    if config.k == "table" or config.worst_case:
        what = 'k = "table"' if config.k == "table" else "worst_case"
        raise TaskError(f"{where}: {what} is planned for votes that count one each. Leave the weights out, or {what}.")
    if others:
        raise TaskError(f"{where}: they are those of the pool's models, and another model has none. Leave the rung "
                        "another_model out of the ladder, or the weights.")  # fmt: skip


def _ready(asked: AnyModel, task: Task | None, stack: AsyncExitStack, limits: Limits) -> Model:
    """Return a model that can be asked about a task; one made here is closed with the stack."""
    if isinstance(asked, (list, tuple)):  # what stands there twice is made once
        made = {id(one) if not isinstance(one, str) else one: one for one in asked}
        ready = {key: _ready(one, task, stack, limits) for key, one in made.items()}
        return pool_of([ready[one if isinstance(one, str) else id(one)] for one in asked])
    if callable(asked) and not hasattr(asked, "draw"):
        model: Model = from_callable(asked)
    elif not isinstance(asked, str):
        model = cast("Model", asked)
    elif limits.concurrency is not None and over_http(asked):
        model = load_model(asked, concurrency=limits.concurrency)
    else:
        model = load_model(asked)
    traits = Traits.of(model)
    if model is not asked and traits.close is not None and not (isinstance(asked, str) and over_http(asked)):
        stack.push_async_callback(_shielded, traits.close)
    if task is not None and traits.bind is not None:
        traits.bind(task)
    return model


async def _shielded(close: Callable[[], Awaitable[None]]) -> None:
    with anyio.CancelScope(shield=True):
        await close()
