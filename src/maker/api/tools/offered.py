"""Tools that the user gives -> what a model is offered, and how the arguments of a call are read.

A tool is a function, whose signature and docstring say it all (its body is never run), or a schema as chat servers
take it: `{"type": "function", "function": {"name", "description", "parameters"}}`, or what stands under "function"
alone. Arguments of a function are read by pydantic, strictly, into the types of its signature; those of a schema are
checked by it. An argument annotated `Annotated[str, maker.unvoted]` comes with the call and does not count.

Not covered: calling anything.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import inspect
import json
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, PydanticUserError, TypeAdapter

from maker.api.answers import uncountable
from maker.api.reading.unvoted import unvoted_fields, voted
from maker.api.tools.checked import check_schema, checked
from maker.errors import TaskError
from maker.task.canonical import canonical
from maker.task.lines import strict_json
from maker.task.tools import BadCall, ToolCall

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")  # that chat servers take


@dataclass(slots=True, frozen=True)
class Tool:
    """One tool. schema: as chat servers take it. unvoted: names of arguments that do not count.

    read: arguments as JSON text -> (arguments, what of them counts); raises ValueError for those that do not fit.
    """

    name: str
    schema: dict[str, Any]
    unvoted: tuple[str, ...]
    read: Callable[[str], tuple[dict[str, Any], Any]]

    def call(self, arguments: Any) -> ToolCall:
        """Return a call of this tool. arguments: as they came, JSON text or an object, nothing for none.

        Raises BadCall for arguments that do not fit.
        """
        try:
            written = (arguments or "{}") if isinstance(arguments, str | None) else _dumped(arguments)
            values, counted = self.read(written)
            canonical(counted)
        except (ValueError, RecursionError) as error:
            raise BadCall(f"{self.name}: {_first(error)}") from None
        return ToolCall(self.name, values, written, counted=counted)


def tools_of(caller: str, given: object) -> dict[str, Tool]:
    """Return tools by name. Raises TaskError, beginning with `caller`, for what is none, and for a name given twice."""
    if not isinstance(given, Sequence) or isinstance(given, (str, bytes)) or not given:
        raise TaskError(f"{caller}: tools = {given!r:.80}: give a list of functions or schemas, at least one")
    found: dict[str, Tool] = {}
    for one in given:
        tool = _of_schema(caller, one) if isinstance(one, Mapping) else _of_function(caller, one)
        if not _NAME.fullmatch(tool.name):
            raise TaskError(f"{caller}: servers take no tool named {tool.name!r:.80}: letters, digits, _ and - only")
        if tool.name in found:
            raise TaskError(f"{caller}: there are two tools named {tool.name}")
        found[tool.name] = tool
    return found


def _of_function(caller: str, function: Any) -> Tool:
    """Return the tool of a function, by its signature."""
    if not inspect.isroutine(function):
        raise TaskError(f"{caller}: the tool {function!r:.80} is neither a function made with def nor a schema")
    name = function.__name__
    where = f"{caller}: tool {name}"
    description = inspect.cleandoc(function.__doc__ or "")
    if not description:
        raise TaskError(f"{where} has no docstring: it tells the model what the tool does")
    arguments = _arguments(where, function)
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(arguments)
        parameters = adapter.json_schema()
    except (PydanticUserError, NameError) as error:
        raise TaskError(f"{where}: an argument is of no type that JSON can be read as: {error}") from None
    if (kind := uncountable(adapter)) is not None:
        raise TaskError(f"{where}: an argument is of a type ({kind}) whose values cannot be compared: take text for it")
    parameters = {key: part for key, part in parameters.items() if key != "title"}
    schema = {"name": name, "description": description, "parameters": parameters}

    def read(written: str) -> tuple[dict[str, Any], Any]:
        strict_json(written)  # a key given twice is seen by nobody else
        values = adapter.validate_json(written, strict=True)
        fields = {field.name: getattr(values, field.name) for field in dataclasses.fields(arguments)}
        return fields, voted(values, arguments)[1]

    aside = tuple(sorted(set(unvoted_fields(arguments))))
    return Tool(name, {"type": "function", "function": schema}, aside, read)


def _arguments(where: str, function: Callable[..., Any]) -> Any:
    """Return a dataclass of a function's arguments, which takes no others."""
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception as error:
        raise TaskError(f"{where}: its annotations cannot be resolved: {error}") from error
    fields: list[Any] = []
    for name, told in inspect.signature(function).parameters.items():
        if told.kind not in (told.POSITIONAL_OR_KEYWORD, told.KEYWORD_ONLY):
            raise TaskError(f"{where}: the argument {name} cannot be given by name, as models give arguments")
        if name not in hints:
            raise TaskError(f"{where}: the argument {name} has no annotation: the model would not know what to give")
        fields.append((name, hints[name], _field(told)))
    made = dataclasses.make_dataclass(function.__name__, fields, kw_only=True)
    made.__pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[attr-defined]
    made.__doc__ = None  # pydantic would tell the model the signature that dataclasses make of it
    return made


def _of_schema(caller: str, given: Mapping[str, Any]) -> Tool:
    """Return the tool of a schema, in either of its forms."""
    told = given.get("function", given)
    name = told.get("name") if isinstance(told, Mapping) else None
    if not isinstance(name, str):
        raise TaskError(f'{caller}: the tool {given!r:.80} has no name: give {{"name", "description", "parameters"}}')
    parameters = told.get("parameters", {"type": "object", "properties": {}})
    try:
        check_schema(parameters)
    except (ValueError, TypeError, AttributeError, RecursionError, re.error) as error:
        raise TaskError(f"{caller}: tool {name}: its parameters cannot be checked: {error}. Give a function.") from None

    def read(written: str) -> tuple[dict[str, Any], Any]:
        values = strict_json(written)
        values = checked(values, {"type": "object"} | parameters)
        return values, values

    return Tool(name, {"type": "function", "function": dict(told)}, (), read)


def _field(told: inspect.Parameter) -> Any:
    """Return the field of an argument, with its default; dataclasses take lists and the like by a factory only."""
    if told.default is told.empty:
        return dataclasses.field()
    if type(told.default).__hash__ is None:
        return dataclasses.field(default_factory=functools.partial(copy.copy, told.default))
    return dataclasses.field(default=told.default)


def _dumped(arguments: Any) -> str:
    """Return an object of arguments as JSON text."""
    return json.dumps(arguments, ensure_ascii=False)


def _first(error: Exception) -> str:
    """Return the first complaint about arguments on one line."""
    errors = getattr(error, "errors", None)
    if callable(errors):
        first = errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)
