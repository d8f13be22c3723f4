"""Models by names of a project's own: `maker.toml`, or `[tool.maker]` of a pyproject.toml.

    [models.fast]
    url = "http://127.0.0.1:8080/v1"
    name = "qwen3"
    extra = {reasoning_effort = "low"}

`--model fast` and `model="fast"` then mean all that. The file is $MAKER_CONFIG, else the nearest one from the working
folder upward; nothing is merged from another one. It is read when a name is asked for, never at import.

No key is taken from the file, which people commit and share: `api_key_env` names the variable that holds it.

Not covered: settings of runs; models that run in this process, whose names a file cannot take.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, JsonValue, ValidationError

from maker.decision.config import Frozen
from maker.decision.sample import Prices
from maker.errors import TaskError
from maker.models.headers import holds_key
from maker.models.providers import OVER_HTTP

FILE = "maker.toml"
VARIABLE = "MAKER_CONFIG"
_KEYS = ("api_key", "apikey", "api-key", "key", "token")  # as people write them into a section
EDITIONS = ("neural-1",)  # of the bundled model, each by its own name; `neural` is the one in force
_TAKEN = ("neural", *EDITIONS, "oracle", *OVER_HTTP)
_REMEDY = 'A key does not belong into a file: put it into a variable and name that, api_key_env = "VARIABLE"'


class Entry(Frozen):
    """One section: where a model is, as `url` and `name` or as a specification, and settings of `openai_model`."""

    url: str | None = None
    name: str | None = None
    model: str | None = None
    headers: dict[str, str] | None = None
    extra: dict[str, JsonValue] | None = None
    query: dict[str, str] | None = None
    api_key_env: str | None = None
    timeout: float | None = Field(default=None, gt=0)
    proxy: str | None = None
    ca_file: str | None = None
    uds: str | None = None
    prices: Prices | None = None
    concurrency: Annotated[int, Field(ge=1)] | Literal["auto"] | None = None


class Named(NamedTuple):
    """What a name means: a specification of a model over HTTP, and settings of `openai_model`."""

    spec: str
    settings: dict[str, Any]


def named(name: str) -> Named | None:
    """Return what a name means in the project's file, None where there is no file or no such name in it.

    Raises TaskError, which names file and key and repeats no value, for a file or a section that cannot be used.
    """
    found = _sections()
    if found is None or name not in found[1]:
        return None
    file, sections = found
    where = f"{file}: [models.{name}]"
    entry = _entry(where, sections[name])
    told = {key: value for key, value in entry if value is not None and value != "auto"}
    for key in ("ca_file", "uds"):
        if key in told:
            told[key] = str(file.parent / told[key])
    spec, url, called = (told.pop(key, None) for key in ("model", "url", "name"))
    if spec is None and url and called:
        spec = f"{url}#{called}"
    elif spec is None or url or called or spec.partition(":")[0] not in OVER_HTTP:
        raise TaskError(f'{where}: give url = "http://HOST:PORT/v1" and name = "...", or model = "PROVIDER:NAME"')
    return Named(spec, told)


def file() -> Path | None:
    """Return the project's file of models, None where there is none. Raises TaskError for one that is not sound."""
    found = _sections()
    return found[0] if found is not None else None


def names() -> list[str]:
    """Return the names that the project's file gives to models."""
    found = _sections()
    return sorted(found[1]) if found is not None else []


def _sections() -> tuple[Path, Mapping[str, Any]] | None:
    """Return the project's file and its sections of models, None where there is no such file."""
    told = os.environ.get(VARIABLE)
    if told:
        return Path(told), _models_in(Path(told)) or {}
    folder = Path.cwd()
    for place in (folder, *folder.parents):
        for file in (place / FILE, place / "pyproject.toml"):
            if file.is_file() and (models := _models_in(file)) is not None:
                return file, models
    return None


def _models_in(file: Path) -> Mapping[str, Any] | None:
    """Return the sections of models in a file; None for a pyproject.toml that has nothing of ours."""
    try:
        told: Any = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no TOML"
        at = f" ({error})" if isinstance(error, tomllib.TOMLDecodeError) else ""
        raise TaskError(f"{file}: {reason}{at}. Mend the file, or name another one in {VARIABLE}") from None
    table = ""
    if file.name == "pyproject.toml":
        table, tools = "tool.maker.", told.get("tool")
        told = tools.get("maker") if isinstance(tools, dict) else None
        if told is None:
            return None
    models = told.get("models", {}) if isinstance(told, dict) else None
    if not isinstance(models, dict) or set(told) - {"models"}:
        raise TaskError(f"{file}: what it says of maker is not [{table}models.NAME] alone. Take the rest out")
    for name in models:
        if name in _TAKEN or set(name) & set(":#,"):
            raise TaskError(f"{file}: [{table}models.{name}]: the name means another model. Take one without : # or ,")
    return models


def _entry(where: str, section: Any) -> Entry:
    """Check a section. Raises TaskError."""
    if not isinstance(section, dict):
        raise TaskError(f"{where} is no table: write [models.NAME]")
    for key in section:
        if key.lower() in _KEYS:
            raise TaskError(f"{where} {key}: {_REMEDY}")
    try:
        entry = Entry.model_validate(section)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        at = ".".join(map(str, first["loc"]))
        if first["type"] != "extra_forbidden":
            raise TaskError(f"{where} {at}: {first['msg']}") from None
        near = get_close_matches(at, Entry.model_fields, 1)
        more = f"Did you mean {near[0]}?" if near else f"Known are: {', '.join(Entry.model_fields)}."
        raise TaskError(f"{where} {at}: there is no such key. {more}") from None
    for header in entry.headers or ():
        if holds_key(header):
            raise TaskError(f"{where} headers.{header}: {_REMEDY} (sent as a bearer token)")
    return entry
