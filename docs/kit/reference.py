"""The reference of the public names, made of the names themselves: their signatures, docstrings and members.

Each public name stands on one page, found by the module that defines it, so that a new name needs no line here unless
its module is of a new kind (then the build and a test say so).

Not covered: types that signatures name and nobody imports; they are told where they are taken.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any, get_type_hints

import maker
import maker.errors
import maker.models
import maker.testing
from maker.api.opened import Asking

# Where a module's names stand; the first that fits counts.
PAGES = {
    "asking": ("Questions", "One question, or many: each answer is voted on.",
               ("maker.api.vote", "maker.api.map", "maker.api.reliable", "maker.api.verdicts", "maker.api.reading",
                "maker.api.opened", "maker.decision.race")),
    "estimates": ("Estimates and theory", "What voting can do and costs, before a run.",
                  ("maker.api.estimate", "maker.theory")),
    "runs": ("Tasks and runs", "A task of many steps, and how it is carried out.",
             ("maker.api", "maker.engine", "maker.task", "maker.decision.step")),
    "settings": ("Settings, limits and flags", "How to vote, when to stop, and what is thrown away.",
                 ("maker.decision.config", "maker.decision.flags", "maker.sending")),
    "models": ("Models", "Who is asked, and what goes over.", ("maker.models", "maker.decision")),
    "journals": ("Journals", "A second look at a run, from its file alone.", ("maker.review", "maker.journal")),
    "errors": ("Errors", "What is raised, and the exit code of each.", ("maker.errors",)),
    "testing": ("Testing", "Help for your own tests.", ("maker.testing",)),
}  # fmt: skip
MODULES = {"maker.errors": maker.errors, "maker.models": maker.models, "maker.testing": maker.testing}
_WITHOUT_MODULE = {"maker.DEFAULT_SEGMENTS": "maker.task.plan"}
_PLAIN = re.compile(r"(`[^`]*`)")


def public() -> dict[str, Any]:
    """Return every public name, dotted, and what it is; what has two names stands under the first."""
    found: dict[str, Any] = {"maker.api.Asking": Asking}
    found |= {f"maker.{name}": getattr(maker, name) for name in maker.__all__}
    modules = {name: thing for name, thing in found.items() if isinstance(thing, ModuleType)} | MODULES
    for prefix, module in modules.items():
        found.pop(prefix, None)
        known = {id(thing) for thing in found.values()}
        found |= {f"{prefix}.{name}": thing for name, thing in members(module) if id(thing) not in known}
    return found


def members(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield the public names of a module: those it lists, else those it defines."""
    listed = getattr(module, "__all__", None)
    for name in listed or vars(module):
        thing = getattr(module, name)
        if listed or (not name.startswith("_") and getattr(thing, "__module__", "") == module.__name__):
            yield name, thing


def page_of(name: str, thing: Any) -> str:
    """Return the page of a name. Raises LookupError for one that no page takes."""
    module = str(_WITHOUT_MODULE.get(name) or getattr(thing, "__module__", None) or type(thing).__module__)
    for where in (module, name):  # an alias of a type has no module of ours
        for page, (_, _, prefixes) in PAGES.items():
            if any(where == prefix or where.startswith(f"{prefix}.") for prefix in prefixes):
                return page
    raise LookupError(f"{name} of {module}: say in PAGES of docs/kit/reference.py which page it stands on")


def pages() -> dict[str, str]:
    """Return the pages of the reference, each with all its names in the order of the alphabet."""
    of: dict[str, list[str]] = {page: [] for page in PAGES}
    for name, thing in sorted(public().items(), key=lambda item: item[0].lower()):
        of[page_of(name, thing)].append(entry(name, thing))
    return {
        f"reference/{page}.md": f"# {title}\n\n{said}\n\n" + "\n".join(of[page])
        for page, (title, said, _) in PAGES.items()
    }


def entry(name: str, thing: Any) -> str:
    """Return what the reference says of one name."""
    lines = [f"## `{name}`", ""]
    if shape := signature(name.rpartition(".")[2], thing):
        lines += ["```python", shape, "```", ""]
    elif not callable(thing):
        lines += [f"`{thing!r}`", ""] if isinstance(thing, int | str | tuple) else []
    if callable(thing) or not isinstance(thing, int | str | tuple):
        lines += [prose(inspect.getdoc(thing) or ""), ""]
    if inspect.isclass(thing):
        if issubclass(thing, maker.MakerError):
            lines += [f"Exit code {thing.exit_code}.", ""]
        for member, what in own(thing):
            lines += [f"### `{name.rpartition('.')[2]}.{member}`", ""]
            if shape := signature(member, what):
                lines += ["```python", shape, "```", ""]
            lines += [prose(inspect.getdoc(what) or ""), ""]
    return "\n".join(lines)


def own(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield the documented public methods and properties that a class has from this package."""
    for name in dir(kind):
        owner = next((base for base in kind.__mro__ if name in vars(base)), object)
        what = inspect.getattr_static(kind, name)
        what = getattr(what, "__func__", what)
        told = isinstance(what, property) or inspect.isfunction(what)
        if told and not name.startswith("_") and owner.__module__.startswith("maker") and inspect.getdoc(what):
            yield name, what


def signature(name: str, thing: Any) -> str:
    """Return how a function or a class is called, a line for each argument where one line is too short."""
    if inspect.isclass(thing) and (getattr(thing, "_is_protocol", False) or issubclass(thing, dict | BaseException)):
        return ""
    try:
        told = inspect.signature(thing)
    except (TypeError, ValueError):
        return ""
    bare = get_type_hints(thing) if hasattr(thing, "model_fields") else {}  # without their checks
    parts, named = [], False
    for parameter in told.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not named:
            parts, named = [*parts, "*"], True
        named |= parameter.kind is parameter.VAR_POSITIONAL
        parts.append(argument(parameter.replace(annotation=bare.get(parameter.name, parameter.annotation))))
    silent = inspect.isclass(thing) or told.return_annotation is told.empty
    result = "" if silent else f" -> {kind(told.return_annotation)}"
    line = f"{name}({', '.join(parts)}){result}"
    return line if len(line) <= 100 else f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){result}"


def argument(parameter: inspect.Parameter) -> str:
    """Return one argument as it is written."""
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    text = stars + parameter.name
    if parameter.annotation is not parameter.empty:
        text += f": {kind(parameter.annotation)}"
    if parameter.default is not parameter.empty:
        default = getattr(parameter.default, "__name__", None) or repr(parameter.default)
        text += f" = {'...' if default.startswith('<') else default}"
    return text


def kind(annotation: Any) -> str:
    """Return a type as people write it."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Z])", "", text)


def prose(text: str) -> str:
    """Return a docstring as Markdown that says the same: marks count between backticks alone."""
    lines = []
    for line in text.splitlines():
        if line.startswith("    "):  # an example
            lines.append(line)
        else:
            parts = _PLAIN.split(line)
            parts[::2] = [re.sub(r"([*<\[\]])", r"\\\1", part) for part in parts[::2]]
            lines.append("".join(parts))
    return "\n".join(lines)
