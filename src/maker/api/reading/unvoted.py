"""`maker.unvoted`: a field that comes with an answer and does not count for the vote.

    class Ticket(BaseModel):
        category: Literal["bug", "wish"]
        summary: Annotated[str, maker.unvoted]

Answers that agree in all other fields are one candidate, and the first of them stands for all. Works in
pydantic models, dataclasses and TypedDicts, however deep.

Not covered: whether such a field is right. Nobody voted on it.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel


class _Unvoted:
    """The mark itself; there is one, `unvoted`."""

    def __repr__(self) -> str:
        return "maker.unvoted"


unvoted = _Unvoted()


def unvoted_fields(kind: Any, above: tuple[Any, ...] = ()) -> Iterator[str]:
    """Yield the names of the fields of a type that do not count, nested ones with dots."""
    if kind in above:  # a type that holds itself
        return
    for name, hint in _hints(kind).items():
        if _marked(hint):
            yield name
        else:
            yield from (f"{name}.{inner}" for inner in unvoted_fields(hint, (*above, kind)))
    for part in typing.get_args(kind):
        yield from unvoted_fields(part, (*above, kind))


def voted(value: Any, kind: Any) -> Any:
    """Return what of an answer counts: the answer with its unvoted fields left out, as plain values."""
    if isinstance(value, BaseModel) or (dataclasses.is_dataclass(value) and not isinstance(value, type)):
        own = type(value)
        return [own.__qualname__, {name: voted(getattr(value, name), h) for name, h in _counted(own).items()}]
    if isinstance(value, Mapping):
        record = next((k for k in _parts(kind) if _is_typeddict(k) and set(value) <= set(_hints(k))), None)
        if record is not None:
            return {name: voted(value[name], h) for name, h in _counted(record).items() if name in value}
        inner = [part for k in _parts(kind) for part in typing.get_args(k)[1:]]
        return {key: voted(item, _union(inner)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        inner = [part for k in _parts(kind) for part in typing.get_args(k)]
        return [voted(item, _union(inner)) for item in value]
    return value


def _hints(kind: Any) -> dict[str, Any]:
    """Return the annotations of a record type by field; of any other type, none."""
    if isinstance(kind, type) and (
        issubclass(kind, BaseModel) or dataclasses.is_dataclass(kind) or _is_typeddict(kind)
    ):
        hints = typing.get_type_hints(kind, include_extras=True)
        return {name: hint for name, hint in hints.items() if typing.get_origin(hint) is not typing.ClassVar}
    return {}


def _is_typeddict(kind: Any) -> bool:
    """Say whether a type is a TypedDict; `typing` itself does not know those of typing_extensions."""
    return isinstance(kind, type) and issubclass(kind, dict) and hasattr(kind, "__total__")


def _counted(kind: Any) -> dict[str, Any]:
    return {name: hint for name, hint in _hints(kind).items() if not _marked(hint)}


def _marked(hint: Any) -> bool:
    """Say whether an annotation bears the mark, within Required and NotRequired too."""
    if unvoted in getattr(hint, "__metadata__", ()):
        return True
    return typing.get_origin(hint) in {typing.Required, typing.NotRequired} and _marked(typing.get_args(hint)[0])


def _parts(kind: Any) -> list[Any]:
    """Return the types that a value of this one may have: itself, or what it is a union of or marked as."""
    origin = typing.get_origin(kind)
    if origin is None or isinstance(origin, type):
        is_union = getattr(origin, "__name__", "") in {"UnionType", "Union"}
        return [p for part in typing.get_args(kind) for p in _parts(part)] if is_union else [kind]
    return [p for part in typing.get_args(kind)[: 1 if hasattr(kind, "__metadata__") else None] for p in _parts(part)]


def _union(kinds: list[Any]) -> Any:
    return typing.Union[tuple(kinds)] if kinds else Any  # noqa: UP007 -- made of types known only here
