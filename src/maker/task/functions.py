"""Which function a run was given, in a line of text that outlives edits around it.

`told(function)` is what a header says: NAME [SOURCE] [=PYTHON:CODE]. A function with a name of its own is known by it;
its source stands there for a reader. A lambda, a function made in another one, and a `functools.partial` share their
names with others: they are known by their compiled code, without the lines and the file it is written in, with the
values that they hold. Compiled code differs from one Python to the next: there, and in journals of before, the source
decides.

Not covered: what a named function does. A resumed run counts anew what is decided, and stops where that differs; votes
of a step that is still open are not counted anew. Nor the state of an object that is called.
"""

from __future__ import annotations

import functools
import inspect
import re
import sys
from collections.abc import Callable, Hashable, Iterator
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

from maker.task.canonical import canonical, digest

_TOLD = re.compile(r"(?P<name>\S+)(?: (?P<source>[0-9a-f]{16}))?(?: =(?P<python>\d+):(?P<code>[0-9a-f]{16}))?")
_PYTHON = f"{sys.version_info.major}{sys.version_info.minor}"
_DEEP = 8  # functions that hold functions: deeper ones do not count


def told(function: Callable[..., Any]) -> str:
    """Return what tells a callable from another."""
    plain = getattr(function, "__func__", function)  # of a method, which is another object at each look
    name = str(getattr(plain, "__qualname__", type(plain).__qualname__))
    source = _source(plain) if isinstance(plain, Hashable) else _source.__wrapped__(plain)
    code = f"={_PYTHON}:{_digest(repr(list(_parts(plain))))}" if _nameless(name) else ""
    return " ".join(filter(None, (name, source, code)))


def same_function(one: object, other: object) -> bool:
    """Say whether two texts of `told`, or None for no function, are of the same function."""
    if one == other or not isinstance(one, str) or not isinstance(other, str):
        return one == other
    first, second = _TOLD.fullmatch(one), _TOLD.fullmatch(other)
    if first is None or second is None:
        return False
    if first["python"] is not None and first["python"] == second["python"]:
        return first["code"] == second["code"]
    return first["name"] == second["name"] and (not _nameless(first["name"]) or first["source"] == second["source"])


def _nameless(name: str) -> bool:
    """Say whether other functions may have the same name: <lambda>, f.<locals>.g."""
    return "<" in name or name == functools.partial.__qualname__


@lru_cache(256)  # reading a source takes longer than a vote
def _source(function: Callable[..., Any]) -> str:
    try:
        return _digest(inspect.getsource(function))
    except (OSError, TypeError):
        return ""


def _parts(value: Any, depth: int = 0) -> Iterator[str]:
    """Yield what a function is made of: its code, its defaults, and what it holds."""
    if depth > _DEEP:  # a function may hold itself
        return
    if isinstance(value, functools.partial):
        held = [value.func, *value.args, *sorted(value.keywords.items())]
        yield "partial"
    elif isinstance(value, FunctionType) and _nameless(value.__qualname__):
        yield from _written(value.__code__)
        held = [value.__defaults__, value.__kwdefaults__, *map(_content, value.__closure__ or ())]
    elif isinstance(value, tuple):
        held = list(value)
        yield f"{len(held)} items"
    else:
        yield _simple(value)
        return
    for part in held:
        yield from _parts(part, depth + 1)


def _written(code: CodeType) -> Iterator[str]:
    """Yield a compiled code, and the codes in it, without the names and places that they have in a file."""
    yield code.co_code.hex()
    yield repr((code.co_names, code.co_argcount, code.co_kwonlyargcount))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _written(constant)
        else:
            yield _simple(constant)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not set yet
        return None


def _simple(value: Any) -> str:
    """Return a plain value in full, and of anything else its name or that of its type."""
    try:
        return canonical(value).decode("ascii")
    except (TypeError, ValueError, RecursionError):
        return str(getattr(value, "__qualname__", type(value).__qualname__))


def _digest(text: str) -> str:
    return digest(text.encode("utf-8", "surrogatepass")).hex()[:16]
