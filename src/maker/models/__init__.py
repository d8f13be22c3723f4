"""Who answers: implementations of one contract, `decision.sample.Model`, and how they are named.

`load_model("oracle:p=0.99,v=0.97")`: oracle (simulated), neural (bundled), openai and http (over a network).
Any other name is one that the project's `maker.toml` gives (`named.py`). Nothing of them is loaded before it is named.
"""

from __future__ import annotations

import importlib
import typing
from typing import Any

from maker.decision.sample import AnyModel, Model, Prices, Traits
from maker.errors import TaskError
from maker.models.named import EDITIONS, Named, named, names
from maker.models.own import from_callable, from_client
from maker.models.pool import pool_of
from maker.models.providers import OVER_HTTP, from_spec, merged
from maker.task.load import construct

__all__ = [
    "MODELS",
    "from_callable",
    "from_client",
    "in_batches",
    "load_model",
    "over_http",
    "pool_of",
    "spelled",
    "style_of",
]

MODELS = ("neural", "oracle", "openai", "http")


def over_http(spec: str) -> bool:
    """Say whether a specification names a model over HTTP; raises TaskError for a file of names that is not sound."""
    return spec.partition(":")[0] in OVER_HTTP or _named(spec) is not None


def spelled(spec: str, concurrency: int | None = None) -> tuple[str, dict[str, typing.Any]]:
    """Return a specification that means the same without the project's file, and what `from_spec` is told beside it.

    No key is among the settings: they are JSON, and name at most the variable that holds it. Raises TaskError as
    `over_http` does.
    """
    if not over_http(spec):
        return spec, {}
    own = {} if concurrency is None else {"concurrency": concurrency}
    entry = _named(spec)
    if entry is None:
        return spec, own
    settings = merged(entry.settings, own)
    if isinstance(prices := settings.get("prices"), Prices):
        settings["prices"] = prices.model_dump()
    return entry.spec, settings


def load_model(
    spec: str,
    *,
    prices: Prices | typing.Mapping[str, float] | None = None,
    timeout: float | None = None,
    concurrency: int | None = None,
    headers: typing.Mapping[str, str] | None = None,
    extra: typing.Mapping[str, Any] | None = None,
    query: typing.Mapping[str, str] | None = None,
) -> Model:
    """Return a model by its specification: `name` or `name:key=value,key=value`, or by its name in `maker.toml`.

    Over HTTP: `openai:MODEL` with OPENAI_API_KEY from the environment (other providers likewise, `providers.py`), or
    `http://host:port/v1#MODEL` with MAKER_API_KEY if that is set; for these, prices: US dollars a million tokens
    (`input`, `output`, `cached`), which `max_cost` needs; timeout: seconds of one attempt (120); concurrency: requests
    out at once (found by trying); headers, extra fields of the body and query of the address: sent with every request.
    They stand before what `maker.toml` says. More settings: `openai_model`.
    Raises TaskError for an unknown name and for settings that do not fit, ModelError for an address of no use.
    """
    name, _, settings = spec.partition(":")
    if name in EDITIONS:
        name, settings = "neural", f"weights={name},{settings}"
    given: dict[str, Any] = {"prices": prices, "timeout": timeout, "concurrency": concurrency}
    given |= {"headers": headers, "extra": extra, "query": query}
    told = {key: value for key, value in given.items() if value is not None}
    if (entry := _named(spec)) is not None:
        return from_spec(entry.spec, **merged(entry.settings, told))
    if name in OVER_HTTP:
        return from_spec(spec, **told)
    if told and name in MODELS:
        raise TaskError(f"{', '.join(told)}: only models over HTTP take it; {name} runs in this process")
    if name not in MODELS:
        raise TaskError(
            f"there is no model {spec!r}. Known: {', '.join([*MODELS, *names()])}; "
            "for example oracle:p=0.99,v=0.97 or http://127.0.0.1:8080/v1#name"
        )
    values: dict[str, Any] = {}
    for item in filter(None, settings.split(",")):
        key, equals, value = item.partition("=")
        if not equals:
            raise TaskError(f"model {spec!r}: {item!r} is not of the form key=value")
        values[key.strip()] = value.strip()
    module, made = ("neural", "NeuralModel") if name == "neural" else ("oracle", "Oracle")
    model = getattr(importlib.import_module(f"maker.models.{module}"), made)  # `import maker` itself loads no model
    return typing.cast("Model", construct(model, name, values))


def in_batches(model: AnyModel) -> Model:
    """Return a model over HTTP, asked in batches. Raises TaskError for any other, ModelError as `load_model` does."""
    made = load_model(model) if isinstance(model, str) else model
    batch = importlib.import_module("maker.models.openai.batch.model")
    if not isinstance(made, batch.OpenAI):
        raise TaskError(
            f"batch=True: {Traits.name_of(made)} takes no batches: give one model "
            "of one server that has OpenAI's Batch API, such as openai:NAME"
        )
    return typing.cast("Model", batch.Batched(made))


def _named(spec: str) -> Named | None:
    """Return what the project's file says of a name; what names a model by itself needs no file."""
    return None if ":" in spec or spec in (*MODELS, *EDITIONS) or not spec else named(spec)


def style_of(model: AnyModel) -> str | None:
    """Return the only style of prompts that a model reads, where it says so: a task that has styles is given it."""
    if isinstance(model, (list, tuple)):
        return next((style for style in map(style_of, model) if style is not None), None)
    if isinstance(model, str) and model.partition(":")[0] in ("neural", *EDITIONS):
        return str(importlib.import_module("maker.models.neural").NeuralModel.style)
    return getattr(model, "style", None)
