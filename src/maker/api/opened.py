"""What a call needs, opened and closed: models, task, settings, limits, and who sends.

Promises: what was made here is closed when the call ends, however it ends, and closing is not cut short by
cancellation; a model that the caller gave stays open.

Not covered: the journal, which closes itself; the arguments that one call alone has.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio

from maker.decision.config import Config, validated
from maker.decision.flags import Flag, chain, flag_name
from maker.decision.sample import Model, Traits
from maker.engine.senders import Senders
from maker.errors import TaskError
from maker.models import load_model, over_http
from maker.models.own import from_callable
from maker.sending.dispatcher import Dispatcher
from maker.sending.limits import Limits, make_limits
from maker.sending.usage import Usage
from maker.task.task import Task


@asynccontextmanager
async def opened(
    model: Model | str, *, others: Mapping[str, Model | str] | None = None, task: Task | None = None,
    flags: str | Sequence[Flag] | None = None, limits: Limits | Mapping[str, Any] | None = None, **settings: Any,
) -> AsyncIterator[tuple[Senders, Config, tuple[Flag, ...]]]:  # fmt: skip
    """Load models, bind them to the task, check settings and limits; close what was loaded in the end.

    others: further models, by the name that changes bear. task: None for a call without one, which binds no model.
    settings: of `Config`; keep_samples None keeps the texts that were paid for.

    Yields who sends, with limits and account; the settings; the flags. Raises TaskError for what does not fit,
    ModelError for a model that cannot be made.
    """
    red_flags = chain(flags)
    async with AsyncExitStack() as stack:
        bounds = make_limits(limits)
        first, *more = [_ready(asked, task, stack, bounds) for asked in (model, *(others or {}).values())]
        own = Dispatcher(first, bounds, Usage())
        traits = own.traits
        if settings.get("keep_samples", "") is None:
            settings["keep_samples"] = "none" if traits.simulated or traits.lockstep else "all"
        config = validated(Config, {**settings, "flags": tuple(map(flag_name, red_flags))})
        if config.paraphrase and traits.needs_truth:
            raise TaskError("paraphrase: a simulated model answers the task's own prompt only; use another model")
        yield Senders(own, dict(zip(others or (), more, strict=True)), task), config, red_flags


def _ready(asked: Model | str, task: Task | None, stack: AsyncExitStack, limits: Limits) -> Model:
    """Return a model that can be asked about a task; one made here is closed with the stack."""
    at_once = limits.concurrency if isinstance(asked, str) and over_http(asked) else None
    model = load_model(asked, concurrency=at_once) if isinstance(asked, str) else asked
    if callable(model) and not hasattr(model, "draw"):
        model = from_callable(model)
    traits = Traits.of(model)
    if model is not asked and traits.close is not None:
        stack.push_async_callback(_shielded, traits.close)
    if task is not None and traits.bind is not None:
        traits.bind(task)
    return model


async def _shielded(close: Callable[[], Awaitable[None]]) -> None:
    with anyio.CancelScope(shield=True):
        await close()
