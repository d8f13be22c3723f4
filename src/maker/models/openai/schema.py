"""A JSON schema as servers that enforce one want it: strict, with an object at the root. Pure.

OpenAI's strict mode takes objects whose fields are all named and all required, and an object at the root. What has
another root is asked for as the one field `value` of an object, and taken out of it again (`unwrapped`).

Not covered: which words of JSON schema a server knows; one that it refuses is lowered (`request.py`).
"""

from __future__ import annotations

import json
import re
from typing import Any

_VALUE = re.compile(r'\s*\{\s*"value"\s*:(.*)\}\s*', re.S)


def wrapped(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with an object at its root: itself, or an object whose one field `value` it describes."""
    if schema.get("type") == "object":
        return schema
    inner = {name: part for name, part in schema.items() if name != "$defs"}
    root = {"type": "object", "properties": {"value": inner}, "required": ["value"], "additionalProperties": False}
    return root | ({"$defs": schema["$defs"]} if "$defs" in schema else {})


def strict_schema(schema: dict[str, Any]) -> dict[str, Any] | None:
    """Return the strict form of a schema, or None for one that allows fields nobody has named."""
    try:
        return dict(_strict(wrapped(schema)))
    except _Open:
        return None


class _Open(Exception):
    """An object takes any field."""


def _strict(part: Any) -> Any:
    """Return a part of a schema made strict. Raises _Open for an object of fields that are not named."""
    if isinstance(part, list):
        return [_strict(one) for one in part]
    if not isinstance(part, dict):
        return part
    if part.get("type") == "object" and (part.get("additionalProperties") or "properties" not in part):
        raise _Open
    told = {
        name: {key: _strict(one) for key, one in value.items()} if name in ("properties", "$defs") else _strict(value)
        for name, value in part.items()
        if name != "default"  # strict mode knows none: all fields are required
    }
    if part.get("type") == "object":
        told |= {"additionalProperties": False, "required": list(part["properties"])}
    return told


def unwrapped(text: str | None) -> str | None:
    """Return the value of a text that is `{"value": ...}`, as it was written; any other text as it is."""
    found = _VALUE.fullmatch(text) if text else None
    if found is None:
        return text
    try:
        json.loads(found[1])
    except (ValueError, RecursionError):
        return text
    return found[1].strip()
