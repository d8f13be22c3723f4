"""What an answer is: how a reply is read, and which answers are the same one.

`reader_of` turns what the user gives into a `Reader`; vote, map and reliable share it:

- nothing, or `answer=str`: bare text, without the blanks around it;
- `answer=Literal[...]`: one of the options, as `reading/value.py` tells;
- `answer=` any other type (int, dates, lists, dataclasses, pydantic models): one value, as JSON or as people
  write it; its JSON schema goes to servers that can enforce one. Fields marked `maker.unvoted` do not count;
- `parse=`: a callable reply -> answer; whatever it raises flags the reply;
- `key=`: a callable answer -> any value with a canonical form. Answers with equal keys are one
  candidate, and the first of them stands for all.

A type whose values cannot be counted (URLs, secrets) is refused, unless `key=` makes them
countable: most when the reader is made, the rest at the first reply. An answer that holds NaN or an
infinity is flagged however it was read, since it equals nothing.

Not covered: whether two different answers mean the same. Only the user knows that: `key=`.
"""

from __future__ import annotations

import contextlib
import enum
import inspect
import json
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from pydantic import PydanticUserError, TypeAdapter

from maker.api.reading.unvoted import unvoted_fields, voted
from maker.api.reading.value import json_value, option
from maker.decision.race import Tally, Verdict, Votes
from maker.errors import TaskError
from maker.task.canonical import canonical, digest
from maker.task.functions import told
from maker.task.tools import Tools

T = TypeVar("T")

# Kinds of pydantic schema whose values have no canonical form, and the parts of a schema that hold no kind.
_UNCOUNTABLE = frozenset({
    "callable", "complex", "deque", "fraction", "generator", "is-instance", "is-subclass", "multi-host-url", "url",
})  # fmt: skip
_NO_KINDS = frozenset({"cls", "default", "expected", "metadata", "python_schema", "ref", "serialization"})


@dataclass(slots=True, frozen=True)
class Reader(Generic[T]):
    """How replies become answers.

    parse: gives what the vote counts. schema: JSON schema of the answer, None where it is not JSON.
    described: tells this reader from another, as JSON; part of the fingerprint of a run. given: what the vote would
    count for an answer that the user gives as right; raises ValueError or TypeError for what no reply can be read as.
    tools: what the model may call.
    """

    parse: Callable[[str], Any]
    schema: dict[str, Any] | None
    described: dict[str, Any]
    given: Callable[[Any], Any]
    tools: Tools | None = None

    def verdict(self, found: Verdict[Any]) -> Verdict[T]:
        """Return a verdict with the answers themselves in the place of what was counted."""
        if not isinstance(found.answer, Keyed):
            return found
        return replace(found, answer=found.answer.answer, votes=KeyedVotes(found.votes.items(), found.answer.by))

    def tally(self, found: Tally) -> Tally:
        """Return a tally with the answers themselves in the place of what was counted."""
        answers = {key: a.answer if isinstance(a, Keyed) else a for key, a in found.answers.items()}
        return replace(found, answers=answers)


def reader_of(
    caller: str, parse: Callable[[str], Any] | None, answer: Any, key: Callable[[Any], Any] | None
) -> Reader[Any]:
    """Return how to read a reply. Raises TaskError, beginning with `caller`, for what does not fit.

    answer: a type, or a Reader that was made elsewhere, of a JSON schema that no type stands for.
    """
    for name, function in (("parse", parse), ("key", key)):
        if function is not None and not callable(function):
            raise TaskError(f"{caller}: {name} = {function!r} is not callable")
    if parse is not None and answer is not None:
        raise TaskError(f"{caller}: give parse= or answer=, not both")
    if isinstance(answer, Reader):
        reader: Reader[Any] = answer
    elif parse is not None:
        reader = Reader(parse, None, {"parse": told(parse)}, _defined)
    else:
        reader = _of_type(caller, answer, key is None)
    if key is None:
        return reader
    return counted_by(reader, key, {"key": told(key)})


def counted_by(reader: Reader[Any], by: Callable[[Any], Any], described: dict[str, str]) -> Reader[Any]:
    """Return a reader whose answers are counted by a key; described: tells the key from another."""
    read, given = reader.parse, reader.given
    return Reader(
        lambda text: Keyed(_defined(read(text)), by), reader.schema, {**reader.described, **described},
        lambda answer: Keyed(given(answer), by), reader.tools,
    )  # fmt: skip


@dataclass(init=False)
class Keyed:
    """An answer that is counted by a key: its canonical form is that of `key` alone.

    The key is made when it is first asked for, outside the user's parser, so that what `by` raises is
    seen as a bug in `by` and not as the fault of a reply.
    """

    # In the vote keys and step hashes of every journal of a run with `key=`: it stays, wherever this class goes.
    __canonical_name__ = "maker.answers.Keyed"

    key: Any

    def __init__(self, answer: Any, by: Callable[[Any], Any]) -> None:
        self.answer = answer
        self.by = by

    def __getattr__(self, name: str) -> Any:
        """Make the key. Raises TaskError when `by` raises, or its value has no canonical form."""
        if name != "key":
            raise AttributeError(name)
        try:
            self.key = self.by(self.answer)
        except Exception as error:
            raise TaskError(f"key= of {self.answer!r:.200} raised {type(error).__name__}: {error}") from error
        try:
            canonical(self.key)
        except (TypeError, ValueError) as error:
            raise TaskError(
                f"key= of {self.answer!r:.200} gave {self.key!r:.200}, which cannot be counted: {error}"
            ) from None
        return self.key


class KeyedVotes(Votes[T]):
    """Counts by answer, found by the key of an answer: any answer of a candidate finds its count."""

    __slots__ = ("_by",)

    def __init__(self, counted: Iterable[tuple[Keyed, int]], by: Callable[[T], Any]) -> None:
        self._by = by
        super().__init__({canonical(keyed): (keyed.answer, votes) for keyed, votes in counted})

    def __getitem__(self, answer: T) -> int:
        try:
            return self._by_key[canonical(Keyed(answer, self._by))][1]
        except TaskError:
            raise KeyError(answer) from None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return len(other) == len(self) and all(self.get(answer) == votes for answer, votes in other.items())

    __hash__ = None  # as in Votes


def _of_type(caller: str, answer: Any, counted: bool) -> Reader[Any]:
    """Return the reader of a type; `counted`: its values themselves are counted, not keys of them."""
    answer = getattr(answer, "__value__", answer)  # a type alias
    if answer is None or answer is str:
        return Reader(str.strip, None, {"answer": "text"}, str.strip)
    if typing.get_origin(answer) is typing.Literal:
        options = _options(caller, typing.get_args(answer))
        described = {"answer": f"one of {_digest(repr(sorted(options)))}"}
        return Reader(lambda text: option(text, options), None, described, lambda answer: _one_of(answer, options))
    if inspect.isroutine(answer):
        raise TaskError(f"{caller}: answer = {answer!r} is a function; give it as parse=")
    try:
        adapter = TypeAdapter(answer)
        schema = adapter.json_schema()
    except PydanticUserError as error:
        raise TaskError(f"{caller}: answer = {answer!r} is no type that JSON can be read as: {error}") from None
    kind = uncountable(adapter)
    if counted and kind is not None:
        raise TaskError(
            f"{caller}: answer = {answer!r} holds a value ({kind}) without a canonical form, so equal answers "
            "could not be counted as one. Give key=, a callable answer -> text or numbers, or another type."
        )
    described = {"answer": f"{getattr(answer, '__name__', 'JSON')} {_digest(json.dumps(schema, sort_keys=True))}"}
    reader: Reader[Any] = Reader(lambda text: json_value(text, adapter), schema, described, adapter.validate_python)
    aside = sorted(set(unvoted_fields(answer))) if counted else []
    return counted_by(reader, lambda value: voted(value, answer), {"unvoted": ", ".join(aside)}) if aside else reader


def uncountable(adapter: TypeAdapter[Any]) -> str | None:
    """Return the kind of a value without a canonical form that a type holds, None where it holds none."""
    return next((kind for kind in _kinds(adapter.core_schema) if kind in _UNCOUNTABLE), None)


def _options(caller: str, values: tuple[Any, ...]) -> dict[str, Any]:
    """Return the options of a Literal by the text that a reply must have."""
    options: dict[str, Any] = {}
    for value in values:
        text = str(value.value if isinstance(value, enum.Enum) else value).strip()
        if not text:
            raise TaskError(f"{caller}: Literal option {value!r} would be an empty reply, and that has no vote")
        if text in options:
            raise TaskError(f"{caller}: Literal options {options[text]!r} and {value!r} are both written {text!r}")
        options[text] = value
    return options


def _one_of(answer: Any, options: Mapping[str, Any]) -> Any:
    """Return the option that an answer is, or is the text of. Raises ValueError for any other."""
    text = str(answer.value if isinstance(answer, enum.Enum) else answer).strip()
    if text not in options:
        raise ValueError(f"it is none of {', '.join(options)}")
    return options[text]


def _defined(answer: Any) -> Any:
    """Return an answer that is to be counted. Raises ValueError for NaN in it: the reply's fault, not the key's."""
    with contextlib.suppress(TypeError):  # an answer of a type that only its key makes countable
        canonical(answer)
    return answer


def _kinds(schema: object) -> Iterator[str]:
    """Yield the kinds of a pydantic core schema, as far as they say what JSON is read as."""
    if isinstance(schema, Mapping):
        if isinstance(schema.get("type"), str):
            yield schema["type"]
        for part, inner in schema.items():
            if part not in _NO_KINDS:
                yield from _kinds(inner)
    elif isinstance(schema, (list, tuple)):
        for inner in schema:
            yield from _kinds(inner)


def _digest(text: str) -> str:
    return digest(text.encode("utf-8", "surrogatepass")).hex()[:16]
