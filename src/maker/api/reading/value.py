"""One value in a reply: read, never repaired.

A reply of JSON is that value. Else exactly one value may stand in code fences, whatever is written around
them, and a plain value (a number, a truth value, a date, an option) may wear emphasis, quotes and a full stop.
Fences that hold different values, and replies that name several options, are Ambiguous; a sentence about a
value ("about 42") has none.

Not covered: missing braces, calculations, units, decimal commas: guessing them would be repairing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter

from maker.task.canonical import canonical
from maker.task.lines import Ambiguous, strict_json

_FENCE = re.compile(r"^[ \t]*```[^\n`]*\n(.*?)^[ \t]*```[ \t]*$", re.DOTALL | re.MULTILINE)
_MOST_FENCES = 200
_BOLD = re.compile(r"\*\*([^*\n]+)\*\*")
_PAIRS = {"*": "*", "_": "_", "`": "`", '"': '"', "'": "'", "\u201c": "\u201d", "\u2018": "\u2019"}
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_WHOLE = re.compile(r"([+-]?[0-9]+)(?:\.0+)?")
_TRUTH = {"true": True, "yes": True, "false": False, "no": False}
_WRITTEN = frozenset({"date", "datetime", "time", "timedelta", "uuid"})  # kinds that JSON writes as text
_INNER = ("schema", "json_schema")  # where a pydantic schema that wraps another keeps it


def plain(text: str) -> str:
    """Return a text without the blanks, emphasis, quotes and the one full stop around it.

    A mark that opens and does not close stays, so that what was cut off in its midst is no value.
    """
    before = None
    while text != before:
        before = text
        text = text.strip()
        if text.endswith(".") and not text.endswith(".."):
            text = text[:-1]
        if len(text) > 1 and _PAIRS.get(text[0]) == text[-1]:
            text = text[1:-1]
    return text


def fenced(text: str, read: Callable[[str], Any]) -> Any:
    """Return the one value of a reply's code fences.

    Raises Ambiguous when fences hold different values, ValueError when there is none or one cannot be read, or when
    there are so many different ones that reading them would keep others waiting.
    """
    blocks = dict.fromkeys(_FENCE.findall(text))
    if not blocks or len(blocks) > _MOST_FENCES:
        raise ValueError(f"{len(blocks)} code fences" if blocks else "no value in a code fence")
    return _only([read(block) for block in blocks], "code fences")


def json_value(text: str, adapter: TypeAdapter[Any]) -> Any:
    """Return the value of a type that a reply holds. Raises Ambiguous for several, ValueError for none."""
    try:
        return _bare(text, adapter)
    except ValueError:
        if not _FENCE.search(text):
            raise
    return fenced(text, lambda block: _bare(block, adapter))


def option(text: str, options: Mapping[str, Any]) -> Any:
    """Return the one option that a reply is: bare, in the only fence, or the only thing in bold.

    options: by what each is written as. Raises Ambiguous for several, ValueError for none.
    """
    text = text.strip()
    if text in options:
        return options[text]
    for written in (plain(text), *_alone(_FENCE, text), *_alone(_BOLD, text)):
        named = _named(written, options)
        if len(named) == 1:
            return options[named[0]]
    found = [o for o in options if re.search(rf"(?<!\w){re.escape(o)}(?!\w)", text, re.IGNORECASE)]
    if len(found) > 1:
        raise Ambiguous(f"{text[:80]!r} names several options: {', '.join(found)[:80]}")
    raise ValueError(f"{text[:80]!r} is none of {', '.join(options)}")


def _alone(form: re.Pattern[str], text: str) -> list[str]:
    """Return what a form marks in a text, if it marks but one thing."""
    marked: list[str] = form.findall(text)
    return [plain(marked[0])] if len(marked) == 1 else []


def _named(written: str, options: Mapping[str, Any]) -> list[str]:
    """Return the options that a text may be; one that is written exactly so is the only one."""
    if written in options:
        return [written]
    return [name for name in options if name.casefold() == written.casefold()]


def _bare(text: str, adapter: TypeAdapter[Any]) -> Any:
    """Read a text that is one value: strict JSON first, then a plain value of the type."""
    try:
        strict_json(text)
        if adapter.core_schema["type"] == "decimal" and _NUMBER.fullmatch(plain(text)):
            raise ValueError("a JSON number is rounded to a float on its way to a decimal")
        return adapter.validate_json(text, strict=True)
    except ValueError as error:
        # A JSON text is not converted to a number or a truth value, as a JSON record's fields are not.
        values = [] if text.strip().startswith('"') else list(_plain_values(plain(text), adapter))
        if not values:
            raise error from None
    return _only(values, "ways to read it")


def _plain_values(text: str, adapter: TypeAdapter[Any]) -> Iterator[Any]:
    """Yield what a plain text is as each scalar kind of a type, if that type takes it."""
    for kind, schema in _scalars(adapter.core_schema):
        for written in _written(text, kind, schema):
            try:
                yield adapter.validate_json(written, strict=True)
            except ValueError:
                continue


def _written(text: str, kind: str, schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield the JSON that a plain text stands for, as a kind of value."""
    number = text.replace(",", "").removeprefix("+") if _NUMBER.fullmatch(text) else None
    if kind == "int" and number is not None and (whole := _WHOLE.fullmatch(number)):
        yield re.sub(r"^(-?)0+(?=[0-9])", r"\1", whole[1])
    elif kind in {"float", "decimal"} and number is not None:
        yield json.dumps(number) if kind == "decimal" else re.sub(r"^(-?)0+(?=[0-9])", r"\1", number)
    elif kind == "bool" and text.casefold() in _TRUTH:
        yield json.dumps(_TRUTH[text.casefold()])
    elif kind == "nullable" and text.casefold() in {"null", "none"}:
        yield "null"
    elif kind == "enum":
        named = _named(text, {str(member.value): member for member in schema["members"]})
        yield from (json.dumps(member.value) for member in schema["members"] if [str(member.value)] == named)
    elif kind in _WRITTEN or kind == "path":
        yield json.dumps(text)


def _scalars(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the kinds of plain value that the top of a pydantic schema takes."""
    kind = schema["type"]
    yield ("path" if kind == "lax-or-strict" and "path" in str(schema.get("strict_schema")) else kind), schema
    if kind == "union":
        for choice in schema["choices"]:
            yield from _scalars(choice[0] if isinstance(choice, tuple) else choice)
    elif kind in {"nullable", "default", "definitions", "function-after", "function-before", "function-wrap"}:
        for name in _INNER:
            if isinstance(schema.get(name), Mapping):
                yield from _scalars(schema[name])


def _only(values: list[Any], where: str) -> Any:
    """Return the one value of several that are equal. Raises Ambiguous when they are not."""
    if any(canonical(value) != canonical(values[0]) for value in values[1:]):
        raise Ambiguous(f"{len(values)} {where}, and not all the same value")
    return values[0]
