"""Where the models of known providers are, and models over HTTP made by address or by name.

One row of `PROVIDERS` is one prefix: `groq:NAME` is NAME at Groq, with the key from GROQ_API_KEY. Other fields
than the address and the key are not assumed: what a server does not take shows when it is asked.

Not covered: models that run in this process (`models/__init__.py`); prices, which would age.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from maker.decision.sample import Prices
from maker.errors import ModelError
from maker.models.endpoints import Endpoints

if TYPE_CHECKING:
    from maker.models.openai.client import OpenAI

AZURE_KEY = "AZURE_OPENAI_API_KEY"
AZURE_VERSION = "2024-10-21"  # of Azure's interface, where OPENAI_API_VERSION names no other


class Provider(NamedTuple):
    """Where a provider's chat completions are. variable: of the environment, with the key; needed: or not."""

    url: str
    variable: str
    needed: bool = True


PROVIDERS = {
    "openai": Provider("https://api.openai.com/v1", "OPENAI_API_KEY"),
    "openrouter": Provider("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "groq": Provider("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "mistral": Provider("https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    "deepseek": Provider("https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    "gemini": Provider("https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY"),
    "anthropic": Provider("https://api.anthropic.com/v1", "ANTHROPIC_API_KEY"),
    "together": Provider("https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    "fireworks": Provider("https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    "ollama": Provider("http://127.0.0.1:11434/v1", "MAKER_API_KEY", needed=False),
    "lmstudio": Provider("http://127.0.0.1:1234/v1", "MAKER_API_KEY", needed=False),
    "vllm": Provider("http://127.0.0.1:8000/v1", "MAKER_API_KEY", needed=False),
}
OVER_HTTP = (*PROVIDERS, "azure", "http", "https")  # what a specification over HTTP begins with


def openai_model(
    url: str, name: str, *, headers: Mapping[str, str] | None = None, extra: Mapping[str, Any] | None = None,
    query: Mapping[str, str] | None = None, api_key: str | None = None, api_key_env: str | None = None,
    timeout: float = 120.0, proxy: str | None = None, ca_file: str | None = None, uds: str | None = None,
    concurrency: int | None = None, n: int = 1, prices: Prices | Mapping[str, float] | None = None,
) -> OpenAI:  # fmt: skip
    """Return the model `name` of an OpenAI-compatible server.

    url: such as http://127.0.0.1:8080/v1. headers: sent with every request. extra: fields of the body, such as
    {"reasoning_effort": "low"}; they replace ours. query: of the address (Azure's api-version). api_key: sent as a
    bearer token; api_key_env: the variable of the environment that holds it. timeout: seconds of one attempt.
    proxy: http://HOST:PORT, or "env" for the environment's; without it none is used. ca_file: certificates to
    trust. uds: a unix socket to connect to. concurrency: the most requests out at once, None: as many as
    the server is found to bear. n: draws that may share a call. prices: US dollars a million tokens (`input`,
    `output`, `cached`).

    Raises ModelError for what cannot be used, without repeating what could be a key; nothing is sent yet.
    """
    if api_key is not None and api_key_env is not None:
        raise ModelError("give api_key or api_key_env, not both")
    key = _key(name, api_key_env) if api_key_env is not None else api_key
    reach = importlib.import_module("maker.models.openai.http.reach").Reach(
        headers=dict(headers or {}), query=dict(query or {}), proxy=proxy, ca_file=ca_file, uds=uds
    )
    made: OpenAI = importlib.import_module("maker.models.openai").OpenAI(
        url, name, key=key, timeout=timeout, concurrency=concurrency, n=n, prices=prices, reach=reach, extra=extra
    )
    return made


def from_spec(spec: str, **settings: Any) -> OpenAI | Endpoints:
    """Return the model that a specification names: "PROVIDER:NAME", or "http(s)://HOST:PORT/v1#NAME".

    Several addresses of one model are joined by commas before the "#": "http://A/v1,http://B/v1#NAME".

    settings: as `openai_model` takes them. The key comes from the environment: from `api_key_env`, else from the
    provider's variable, and MAKER_API_KEY (if set) for a URL. Raises ModelError, without repeating what could be a key.
    """
    prefix, _, name = spec.partition(":")
    if prefix == "azure":
        return _azure(spec, name, settings)
    if prefix in PROVIDERS:
        url, variable, needed = PROVIDERS[prefix]
    else:
        url, _, name = spec.partition("#")
        variable, needed = "MAKER_API_KEY", False
    if settings.get("api_key_env") is None:
        settings["api_key"] = _key(spec, variable) if needed else os.environ.get(variable)
    return _several(url.split(","), name, **settings) if "," in url else openai_model(url, name, **settings)


def _several(urls: Sequence[str], name: str, **settings: Any) -> Endpoints:
    """Return a model that several servers answer for. Their order does not matter."""
    models = {model.name: model for url in urls for model in [openai_model(url.strip(), name, **settings)]}
    sources = {full.rpartition("#")[0]: model for full, model in sorted(models.items())}
    return Endpoints(sources, f"{','.join(sources)}#{next(iter(models)).rpartition('#')[2]}")


def merged(first: Mapping[str, Any], then: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of `openai_model` where those of `then` stand before the first.

    What consists of names and values is merged name by name; the case of a header's name does not matter.
    """
    told = {**first, **then}
    for setting in ("extra", "query"):
        if setting in told:
            told[setting] = {**(first.get(setting) or {}), **(then.get(setting) or {})}
    if "headers" in told:
        headers = [*(first.get("headers") or {}).items(), *(then.get("headers") or {}).items()]
        told["headers"] = dict({name.lower(): (name, value) for name, value in headers}.values())
    return told


def _azure(spec: str, name: str, settings: dict[str, Any]) -> OpenAI:
    """Return a deployment of Azure: it stands in the path, and the key in a header of its own."""
    url = os.environ.get("AZURE_OPENAI_ENDPOINT", "").strip().rstrip("/")
    if not url:
        raise ModelError(f"{spec} needs an address: set AZURE_OPENAI_ENDPOINT to https://NAME.openai.azure.com")
    version = os.environ.get("OPENAI_API_VERSION", "").strip() or AZURE_VERSION
    key = _key(spec, settings.pop("api_key_env", None) or AZURE_KEY)
    own = {"headers": {"api-key": key}, "query": {"api-version": version}}
    return openai_model(f"{url}/openai/deployments/{quote(name, safe='')}", name, **merged(own, settings))


def _key(what: str, variable: str) -> str:
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ModelError(f"{what} needs a key: set {variable} in the environment")
    return key
