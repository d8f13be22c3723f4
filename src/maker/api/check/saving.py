"""A model kept in a project's file: one section `[models.NAME]` added or replaced, the rest left as it stands.

The file is a maker.toml, or a pyproject.toml that has a `[tool.maker]` and then holds `[tool.maker.models.NAME]`.

No key is ever written, only the name of the variable that holds it. The file is replaced as a whole, once the new text
is known to say what it should and nothing else.

Not covered: reading models from it.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from maker.errors import TaskError
from maker.models import MODELS
from maker.models.named import FILE, file
from maker.models.providers import AZURE_KEY, OVER_HTTP, PROVIDERS

PROJECT = "pyproject.toml"
_NAME = re.compile(r"[A-Za-z0-9_-]+")


def checked_name(name: str) -> str:
    """Return a name under which a model can be kept. Raises TaskError for any other."""
    if not _NAME.fullmatch(name) or name in MODELS or name in OVER_HTTP:
        raise TaskError(f"--save {name}: give a name of letters, digits, - and _, which no model or provider has")
    return name


def section_of(spec: str) -> dict[str, Any]:
    """Return what a section says of a model over HTTP; the address of Azure stays with the environment.

    Raises TaskError for any other model.
    """
    prefix, _, name = spec.partition(":")
    if prefix == "azure":
        return {"model": spec, "api_key_env": AZURE_KEY}
    if prefix in PROVIDERS:
        url, variable, needed = PROVIDERS[prefix]
    elif prefix in ("http", "https"):
        url, _, name = spec.partition("#")
        variable, needed = "MAKER_API_KEY", False
    else:
        raise TaskError(f"--save: {spec} is all that there is to say: only a model over HTTP is kept under a name")
    key = {"api_key_env": variable} if needed or os.environ.get(variable) else {}
    return {"url": url, "name": name, **key}


def nearest() -> Path:
    """Return the file that models are read from; where there is none, a maker.toml to be made here."""
    return file() or Path.cwd() / FILE


def save(path: Path, name: str, section: Mapping[str, Any]) -> None:
    """Write a section under a checked name, instead of one of that name where there is one.

    Raises TaskError for a file that cannot be read, changed or written; it then is as it was.
    """
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        before = tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise TaskError(f"{path} cannot be read: {error}. Mend it, then save again.") from None
    table = ("tool", "maker", "models", name) if path.name == PROJECT else ("models", name)
    lines = [f"[{'.'.join(table)}]", *(f"{key} = {_value(value)}" for key, value in section.items())]
    whole = _replaced(text, table, "\n".join(lines) + "\n")
    if _read(whole) != _with(before, table, dict(section)):
        raise TaskError(f"{path} is written in a way that is not safe to change. Put this into it by hand:\n"
                        + "\n".join(lines))  # fmt: skip
    partial = path.with_name(f".{path.name}.new")
    try:
        partial.write_text(whole, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise TaskError(f"{path} cannot be written: {error}") from None


def _with(told: Any, table: Sequence[str], section: dict[str, Any]) -> dict[str, Any]:
    """Return what a file says, with one table in it replaced."""
    first, *rest = table
    old = told if isinstance(told, dict) else {}
    return {**old, first: _with(old.get(first), rest, section) if rest else section}


def _replaced(text: str, table: Sequence[str], section: str) -> str:
    """Return a file with a section in the place of the table of its name and its parts, else at the end."""
    *above, name = table
    header = re.compile(rf"^\[{re.escape('.'.join(above))}\.({name}|\"{name}\")(\..*)?\]\s*(#.*)?$")
    kept: list[str] = []
    inside, placed = False, False
    for line in text.splitlines(keepends=True):
        if line.startswith("["):
            inside = header.match(line.rstrip()) is not None
            if inside and not placed:
                kept.append(section)
                placed = True
            elif not inside and placed and kept[-1] == section:
                kept.append("\n")
        if not inside:
            kept.append(line)
    if placed:
        return "".join(kept)
    whole = "".join(kept)
    gap = "" if not whole else "\n" if whole.endswith("\n") else "\n\n"
    return whole + gap + section


def _read(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except ValueError:
        return None


def _value(value: Any) -> str:
    """Return text or a number as TOML has it: as JSON does, but for a control character that JSON leaves."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
