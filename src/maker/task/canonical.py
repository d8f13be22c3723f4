"""One value, one byte string: what answers are compared by.

`canonical(value)` gives equal bytes exactly for values that are the same answer: True, 1, 1.0 and
"1" all differ, lists and tuples of the same items are the same sequence, the order of a mapping's
keys does not matter, a member of an int or str enum is its value. Votes are counted by these bytes
and states are digested from them, never by Python's own equality, for which True == 1 == 1.0.

Not covered: values that have no canonical form (NaN, infinities, objects of unknown classes);
they are refused. Text is compared as it is, without Unicode normalisation.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import hashlib
import json
import marshal
import math
import uuid
from collections.abc import Callable, Mapping, Set
from pathlib import PurePath
from typing import Any

import orjson
from pydantic import BaseModel

_OF_WHOLE_NUMBERS = b"[],-0123456789"
_ALL = slice(None)
_WITHOUT_REFERENCES = 2  # the last version of marshal's format that has none, and so need not look for them

DIGEST_SIZE = 16  # bytes; 128 bits make an accidental collision in 1e9 steps a 1e-21 event
hasher = hashlib.blake2b(digest_size=DIGEST_SIZE).copy  # takes two thirds of the time that a new one takes


def compact_json(*, allow_nan: bool) -> Callable[[Any], str]:
    """Return what writes compact JSON in ASCII; it raises TypeError for what JSON does not know, ValueError for NaN."""
    encoder = json.JSONEncoder(allow_nan=allow_nan, check_circular=False, separators=(",", ":"))
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return encoder.encode
    # The C encoder that JSONEncoder builds anew for every call, built once: half the time of each vote key.
    ascii_text = json.encoder.encode_basestring_ascii
    chunks = make(None, encoder.default, ascii_text, None, ":", ",", False, False, allow_nan)
    return lambda value: "".join(chunks(value, 0))


_encode = compact_json(allow_nan=False)


def canonical(value: Any) -> bytes:
    """Return the canonical bytes of an answer or a state.

    value: None, bool, int, float, str, bytes, enums, decimals, dates and times, UUIDs, paths,
        sequences, sets and mappings of these, dataclasses and pydantic models.
    Raises ValueError for NaN, infinities and integers too long for Python to print, TypeError for a
    value of any other type.
    """
    if isinstance(value, (tuple, list)) and (numbers := _whole_numbers(value)) is not None:
        return numbers
    try:
        text = _encode(value)
    except TypeError:
        text = "{"
    # JSON already tells 1, 1.0, true and "1" apart, at C speed. Its one weakness is mapping keys
    # (1 and "1" become the same), so whatever holds a brace, or what JSON does not know, is walked.
    # Escaped surrogates go with it: a pair of lone ones is written as the character that they would make.
    if "{" in text or "\\ud" in text:
        text = _tagged(value)
    return text.encode("ascii")


def _whole_numbers(value: tuple[Any, ...] | list[Any]) -> bytes | None:
    """Return the canonical bytes of whole numbers in nested sequences, None where anything else is among them.

    States and moves of puzzles are such, and this takes a fifth of the time. What is written with nothing but digits
    and brackets is written by orjson as by `json`, if no other type is taken for a number: marshal refuses all but the
    built-in ones.
    """
    plain = value if isinstance(value, list) else tuple.__getitem__(value, _ALL)  # a named tuple as a tuple
    try:
        marshal.dumps(plain, _WITHOUT_REFERENCES)
        text = orjson.dumps(plain)
    except (TypeError, ValueError):
        return None
    return None if text.translate(None, _OF_WHOLE_NUMBERS) else text


def digest(data: bytes) -> bytes:
    """Return the 16-byte BLAKE2b digest of `data`."""
    made = hasher()
    made.update(data)
    return made.digest()


def _tagged(value: Any) -> str:  # noqa: PLR0911 -- one return for each kind of value reads best
    """Write a value of any supported type with type tags; equals JSON where JSON is unambiguous."""
    if value is None or isinstance(value, (bool, int, float, str)):
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{value} has no canonical form: an answer must be a finite number")
        if isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
            return _wrap("surrogates", value.encode("utf-16-be", "surrogatepass").hex() + f"/{len(value)}")
        return _encode(value)
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(_tagged, value)) + "]"
    if isinstance(value, enum.Enum):
        return _wrap("enum", f"{_name(value)}.{value.name}")
    if isinstance(value, (bytes, bytearray)):
        return _wrap("bytes", bytes(value).hex())
    if isinstance(value, BaseModel):
        fields = {key: getattr(value, key) for key in type(value).model_fields}
        return _wrap(_name(value), {**fields, **(value.model_extra or {})})
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return _wrap(_name(value), fields)
    if isinstance(value, Mapping):
        pairs = sorted((_tagged(key), _tagged(item)) for key, item in value.items())
        return "{" + ",".join(f"{key}:{item}" for key, item in pairs) + "}"
    if isinstance(value, Set):
        return '{!"set":[' + ",".join(sorted(map(_tagged, value))) + "]}"
    return _wrap(*_written(value))


def _written(value: Any) -> tuple[str, str]:
    """Return the tag and the text of a value that is written as one: equal texts for equal values."""
    if isinstance(value, decimal.Decimal):
        if not value.is_finite():
            raise ValueError(f"{value} has no canonical form: an answer must be a finite number")
        sign, digits, exponent = value.as_tuple()  # exact, where normalize() rounds to the context
        shown = "".join(map(str, digits)).lstrip("0")
        kept = shown.rstrip("0")
        return "decimal", f"{'-' * sign}{kept}e{int(exponent) + len(shown) - len(kept)}" if kept else "0"
    if isinstance(value, datetime.datetime):
        return "datetime", (value if value.tzinfo is None else value.astimezone(datetime.UTC)).isoformat()
    if isinstance(value, (datetime.date, datetime.time)):
        return type(value).__name__, value.isoformat()
    if isinstance(value, datetime.timedelta):
        return "timedelta", str(value // datetime.timedelta(microseconds=1))
    if isinstance(value, (uuid.UUID, PurePath)):
        return ("uuid", str(value)) if isinstance(value, uuid.UUID) else ("path", value.as_posix())
    raise TypeError(
        f"a value of type {_name(value)} has no canonical form: use None, bool, int, float, str, bytes, "
        "lists, tuples, sets, mappings, enums, dataclasses or pydantic models"
    )


def _wrap(tag: str, content: Any) -> str:
    """Tag a value with its type; the leading `{!` cannot begin a mapping, whose keys are values."""
    return "{!" + _encode(tag) + ":" + _tagged(content) + "}"


def kept_name(kind: type, name: str) -> str | None:
    """Return what a class of maker's own says of itself under a name that is kept, whatever file the class is in.

    Other classes are not asked, and a subclass has to say it itself: who could choose a tag could choose that of
    another class, and different answers would be one candidate.
    """
    kept: str | None = vars(kind).get(name)
    return kept if kept is not None and kind.__module__.partition(".")[0] == "maker" else None


def _name(value: Any) -> str:
    kind = type(value)
    return kept_name(kind, "__canonical_name__") or f"{kind.__module__}.{kind.__qualname__}"


def jsonable(answer: Any) -> Any:
    """Return an answer as JSON can say it: an exact integer as a string, what JSON has no word for as text."""
    if isinstance(answer, int) and not isinstance(answer, bool):
        return str(answer)
    try:
        return json.loads(json.dumps(answer, allow_nan=False))
    except (TypeError, ValueError):
        return str(answer)


def visible(text: str) -> str:
    """Return text with everything escaped that does not print: controls, ANSI, bidirectional marks, surrogates."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode("ascii") for c in text)
