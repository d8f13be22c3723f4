"""`[models.NAME]` in a maker.toml, written: one section added or replaced, the rest of the file left as it stands.

No key is ever written, only the name of the variable that holds it. The file is replaced as a whole, once the new text
is known to say what it should and nothing else.

Not covered: reading models from it.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maker.errors import TaskError
from maker.models import MODELS, over_http
from maker.models.providers import PROVIDERS

FILE = "maker.toml"
_NAME = re.compile(r"[A-Za-z0-9_-]+")


def checked_name(name: str) -> str:
    """Return a name under which a model can be kept. Raises TaskError for any other."""
    if not _NAME.fullmatch(name) or name in MODELS or name in PROVIDERS:
        raise TaskError(f"--save {name}: give a name of letters, digits, - and _, which no model or provider has")
    return name


def section_of(spec: str) -> dict[str, Any]:
    """Return what a section says of a model over HTTP. Raises TaskError for any other, and for one at Azure."""
    prefix, _, name = spec.partition(":")
    if not over_http(spec) or prefix == "azure":
        raise TaskError(f"--save: {spec} is all that there is to say: only models at an address, whose key is a bearer "
                        "token, are saved under a name")  # fmt: skip
    if prefix in PROVIDERS:
        url, variable, needed = PROVIDERS[prefix]
    else:
        url, _, name = spec.partition("#")
        variable, needed = "MAKER_API_KEY", False
    key = {"api_key_env": variable} if needed or os.environ.get(variable) else {}
    return {"url": url, "name": name, **key}


def nearest() -> Path:
    """Return the file that holds models: the one that $MAKER_CONFIG names, or the nearest from here upward."""
    told = os.environ.get("MAKER_CONFIG")
    if told:
        return Path(told)
    here = Path.cwd()
    return next((file for folder in (here, *here.parents) if (file := folder / FILE).is_file()), here / FILE)


def save(path: Path, name: str, section: Mapping[str, Any]) -> None:
    """Write a section under a checked name, instead of one of that name where there is one.

    Raises TaskError for a file that cannot be read, changed or written; it then is as it was.
    """
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        before = tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise TaskError(f"{path} cannot be read: {error}. Mend it, then save again.") from None
    lines = [f"[models.{name}]", *(f"{key} = {_value(value)}" for key, value in section.items())]
    whole = _replaced(text, name, "\n".join(lines) + "\n")
    models = before.get("models")
    wanted = {**before, "models": {**(models if isinstance(models, dict) else {}), name: dict(section)}}
    if _read(whole) != wanted:
        raise TaskError(f"{path} is written in a way that is not safe to change. Put this into it by hand:\n"
                        + "\n".join(lines))  # fmt: skip
    partial = path.with_name(f".{path.name}.new")
    try:
        partial.write_text(whole, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise TaskError(f"{path} cannot be written: {error}") from None


def _replaced(text: str, name: str, section: str) -> str:
    """Return a file with a section in the place of the one of its name and its parts, else at the end."""
    header = re.compile(rf"^\[models\.({name}|\"{name}\")(\..*)?\]\s*(#.*)?$")
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
