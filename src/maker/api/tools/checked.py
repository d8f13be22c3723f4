"""A value checked by a JSON schema, and written in the one form that equal values share.

Where the schema says number, 1 is 1.0; where it says integer, 1.0 is 1. Nothing else is changed: no text becomes a
number, no field is added or left out.

Not covered: keywords that no description of a tool's arguments needs (`unevaluatedProperties`, `if`, references to
other documents). A schema with one is refused, since what it forbids could not be seen. `format` is not checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from maker.task.canonical import canonical

_SAID = frozenset({
    "$comment", "$defs", "$id", "$schema", "contentEncoding", "contentMediaType", "default", "definitions",
    "deprecated", "description", "discriminator", "example", "examples", "format", "readOnly", "strict", "title",
    "writeOnly",
})  # fmt: skip  # tell, and forbid nothing


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: _number(value) and (isinstance(value, int) or value.is_integer()),
    "number": _number,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
_LIMITS: dict[str, tuple[Callable[[Any], bool], Callable[[Any, Any], bool]]] = {  # of what kind of value, and fits
    "minimum": (_number, lambda v, told: v >= told),
    "maximum": (_number, lambda v, told: v <= told),
    "exclusiveMinimum": (_number, lambda v, told: v > told),
    "exclusiveMaximum": (_number, lambda v, told: v < told),
    "multipleOf": (_number, lambda v, told: Decimal(str(v)) % Decimal(str(told)) == 0),
    "minLength": (_TYPES["string"], lambda v, told: len(v) >= told),
    "maxLength": (_TYPES["string"], lambda v, told: len(v) <= told),
    "pattern": (_TYPES["string"], lambda v, told: re.search(told, v) is not None),
    "minItems": (_TYPES["array"], lambda v, told: len(v) >= told),
    "maxItems": (_TYPES["array"], lambda v, told: len(v) <= told),
    "uniqueItems": (_TYPES["array"], lambda v, told: not told or len({canonical(one) for one in v}) == len(v)),
    "required": (_TYPES["object"], lambda v, told: set(told) <= set(v)),
    "minProperties": (_TYPES["object"], lambda v, told: len(v) >= told),
    "maxProperties": (_TYPES["object"], lambda v, told: len(v) <= told),
}
_READ = frozenset({
    "$ref", "additionalProperties", "allOf", "anyOf", "const", "enum", "items", "not", "oneOf", "patternProperties",
    "prefixItems", "properties", "propertyNames", "type",
})  # fmt: skip

_BY_NAME = frozenset({"$defs", "definitions", "patternProperties", "properties"})  # hold schemas by name, ...
_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})  # in a list, ...
_SINGLE = frozenset({"additionalProperties", "items", "not", "propertyNames"})  # or one


def check_schema(schema: Any, root: Any = None) -> None:
    """Raise ValueError, TypeError or re.error for a schema, or a part of one, that `checked` cannot follow."""
    root = schema if root is None else root
    if isinstance(schema, bool):
        return
    if not isinstance(schema, Mapping):
        raise TypeError(f"{schema!r:.60} is no schema")
    for keyword, told in schema.items():
        if keyword in _SAID and keyword not in ("$defs", "definitions"):
            continue
        if keyword not in _SAID | _READ | _LIMITS.keys() and not str(keyword).startswith("x-"):
            raise ValueError(f"the keyword {keyword!r} of JSON schema is not known here")
        if keyword == "type" and not set([told] if isinstance(told, str) else told) <= _TYPES.keys():
            raise ValueError(f"type = {told!r:.60}")
        for pattern in [told] if keyword == "pattern" else told if keyword == "patternProperties" else ():
            re.compile(pattern)
        if keyword == "$ref":
            _referred(told, root)
        inner = told.values() if keyword in _BY_NAME else (
            told if keyword in _LISTS else [told] if keyword in _SINGLE else ()
        )  # fmt: skip
        for part in inner:
            check_schema(part, root)


def checked(value: Any, schema: Any, root: Any = None) -> Any:
    """Return a value of JSON that a schema allows, in its one form. Raises ValueError for one that it forbids."""
    root = schema if root is None else root
    if isinstance(schema, bool):
        if not schema:
            raise ValueError(f"{value!r:.60} is not allowed")
        return value
    value = _of_type(value, schema.get("type"))
    for keyword, (concerns, fits) in _LIMITS.items():
        if keyword in schema and concerns(value) and not fits(value, schema[keyword]):
            raise ValueError(f"{value!r:.60} does not fit {keyword} {schema[keyword]!r:.60}")
    options = schema.get("enum", [schema["const"]] if "const" in schema else [value])
    if not any(_same(value, option) for option in options):
        raise ValueError(f"{value!r:.60} is none of {options!r:.120}")
    if "$ref" in schema:
        value = checked(value, _referred(schema["$ref"], root), root)
    for part in schema.get("allOf", ()):
        value = checked(value, part, root)
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            value = _one_of(value, schema[keyword], root, only=keyword == "oneOf")
    if "not" in schema and _fits(value, schema["not"], root):
        raise ValueError(f"{value!r:.60} is what it must not be")
    if isinstance(value, list):
        first, rest = schema.get("prefixItems", []), schema.get("items", True)
        return [checked(item, first[at] if at < len(first) else rest, root) for at, item in enumerate(value)]
    return _object(value, schema, root) if isinstance(value, dict) else value


def _object(value: dict[str, Any], schema: Any, root: Any) -> dict[str, Any]:
    """Return an object whose fields are checked, each by the schemas that concern its name."""
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    found = {}
    for name, one in value.items():
        checked(name, schema.get("propertyNames", True), root)
        concern = [part for pattern, part in patterns.items() if re.search(pattern, name)]
        if name in named or not concern:
            concern.insert(0, named.get(name, schema.get("additionalProperties", True)))
        found[name] = one
        for part in concern:
            found[name] = _within(name, found[name], part, root)
    return found


def _fits(value: Any, schema: Any, root: Any) -> bool:
    try:
        checked(value, schema, root)
    except ValueError:
        return False
    return True


def _within(name: str, value: Any, schema: Any, root: Any) -> Any:
    """Return a field, checked; what is wrong with it names it."""
    try:
        return checked(value, schema, root)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _of_type(value: Any, told: Any) -> Any:
    """Return a value of one of the types told, a number as the schema's kind of number."""
    types = [told] if isinstance(told, str) else told
    if types is None:
        return value
    if not any(_TYPES[name](value) for name in types):
        raise ValueError(f"{value!r:.60} is not of type {' or '.join(types)}")
    if not _number(value):
        return value
    if "number" in types:
        return float(value) if abs(value) <= 2**53 else value
    return int(value)


def _one_of(value: Any, schemas: Any, root: Any, *, only: bool) -> Any:
    found = []
    complaints = []
    for schema in schemas:
        try:
            found.append(checked(value, schema, root))
        except ValueError as error:
            complaints.append(str(error))
    if not found or (only and len(found) > 1):
        raise ValueError("; ".join(complaints) if not found else f"{value!r:.60} fits more than one schema of oneOf")
    return found[0]


def _referred(reference: Any, root: Any) -> Any:
    """Return the part of a schema that a reference within it names. Raises ValueError for any other."""
    part = root
    steps = str(reference).removeprefix("#").strip("/").split("/")
    for name in steps if str(reference).startswith("#") and reference != "#" else ():
        part = part.get(name) if isinstance(part, Mapping) else None
    if not str(reference).startswith("#") or part is None:
        raise ValueError(f"$ref = {reference!r:.60} names nothing in the schema")
    return part


def _same(value: Any, option: Any) -> bool:
    """Say whether two values of JSON are equal; 1 and 1.0 are, True and 1 are not."""
    if _number(value) and _number(option):
        return bool(value == option)
    return canonical(value) == canonical(option)
