"""Names -> tasks: the built-in ones, and your own as `path/to/file.py:Class`.

Not covered: installing anything. Loading a user's task runs the user's file; only built-in names
may come from a journal.
"""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import sys
import typing
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from maker.errors import TaskError
from maker.task.task import Task

_PREFIX = "maker_task_"  # of the modules that task files are imported as


def builtin_folder() -> Path:
    """Return the folder of the built-in tasks: inside the installed package, or `tasks/` of a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "tasks"
    return inside if inside.is_dir() else package.parents[1] / "tasks"


def builtin_tasks() -> list[str]:
    """Return the names of the built-in tasks; a dash in a name is an underscore in its file's."""
    return sorted(
        path.stem.replace("_", "-") for path in builtin_folder().glob("*.py") if not path.stem.startswith("_")
    )


def load_task(name: str, **parameters: Any) -> Task:
    """Return a task by its built-in name or as `path/to/file.py:Class`, constructed with `parameters`.

    In a built-in name, - and _ are the same. Parameters given as text are converted by the constructor's annotations.
    Raises TaskError for an unknown name or design, a file that cannot be loaded, or parameters that do not fit.
    """
    path, _, attribute = name.rpartition(":") if ".py" in name else ("", "", "")
    if not path and name.replace("_", "-") not in builtin_tasks():
        known = builtin_tasks()
        near = "".join(f" Did you mean {task!r}?" for task in difflib.get_close_matches(name, known, 1))
        told = f"Built in: {', '.join(known)}; your own: path/to/file.py:Class"
        raise TaskError(f"there is no task {name!r}.{near} {told}")
    if path:
        module = _import(Path(path))
        maker = getattr(module, attribute, None)
        if not callable(maker):
            classes = [key for key, value in vars(module).items() if inspect.isclass(value) and hasattr(value, "parse")]
            raise TaskError(f"{path} has no class {attribute!r}. It has: {', '.join(classes) or 'no task at all'}.")
    else:
        maker = _builtin(name)
    designs = getattr(maker, "designs", None)
    if designs and parameters.get("design", next(iter(designs))) not in [*designs]:
        has = "; ".join(f"{design}: {words}" for design, words in designs.items())
        raise TaskError(f"{name} has no design {parameters['design']!r}. It has: {has}.")
    task = construct(maker, name, parameters)
    missing = [
        method for method in ("initial_state", "prompt", "parse", "legal", "apply", "done", "answer")
        if not callable(getattr(task, method, None))
    ]  # fmt: skip
    if missing or not hasattr(task, "steps"):
        lacking = ", ".join(missing) or "steps"
        raise TaskError(f"task {name}: lacks {lacking}. See maker.Task for what a task must have.")
    return typing.cast("Task", task)


def journaled_task(header: typing.Mapping[str, Any], whose: str) -> Task:
    """Return the built-in task of a journal's header: no code that a journal names is ever loaded.

    whose: begins the message of the TaskError for any other task, with {!r} for its name.
    """
    name = header.get("task")
    if name not in builtin_tasks():
        raise TaskError(f"{whose.format(name)} is not built in: give it with --task path/to/file.py:Class")
    return load_task(name, **header.get("parameters", {}))


def origin(task: Task) -> str | None:
    """Return the `path/to/file.py:Class` from which `load_task` makes such a task; None for one made elsewhere."""
    made = type(task)
    module = sys.modules.get(made.__module__)
    if module is None or module.__file__ is None or not made.__module__.startswith(_PREFIX):
        return None
    return f"{module.__file__}:{made.__qualname__}"


def import_again(found: str) -> None:
    """Import the file of a task that another process loaded, as `origin` says it, so that a copy can be read here."""
    _import(Path(found.rpartition(":")[0]))


def task_parameters(name: str) -> dict[str, inspect.Parameter]:
    """Return the constructor's parameters of a built-in task, for its help."""
    return dict(inspect.signature(_builtin(name)).parameters)


def _builtin(name: str) -> type:
    """Return the class of a built-in task: the first public one that its file defines."""
    module = _import(builtin_folder() / f"{name.replace('-', '_')}.py")
    return next(
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and value.__module__ == module.__name__
        and hasattr(value, "initial_state")
        and not value.__name__.startswith("_")
    )


def _import(path: Path) -> ModuleType:
    """Import a task file under a name of its own. Raises TaskError when it cannot be."""
    if not path.is_file():
        raise TaskError(f"{path}: no such file. Give path/to/file.py:Class.")
    name = _PREFIX + path.stem
    known = sys.modules.get(name)
    if known is not None and known.__file__ == str(path.resolve()):
        return known
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    assert spec is not None and spec.loader is not None, "a .py file has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise TaskError(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
    return module


def construct(maker: Any, name: str, values: dict[str, Any]) -> object:
    """Call a constructor, converting text by its annotations."""
    accepted = inspect.signature(maker).parameters
    unknown = [key for key in values if key not in accepted]
    if unknown:
        raise TaskError(f"{name} has no parameter {unknown[0]!r}. It takes: {_described(accepted)}.")
    try:
        hints = typing.get_type_hints(maker.__init__ if inspect.isclass(maker) else maker)
    except NameError:  # they name what cannot be resolved
        hints = {}
    converted = {key: _convert(name, key, value, hints.get(key, Any)) for key, value in values.items()}
    try:
        return maker(**converted)
    except TaskError:
        raise
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
        raise TaskError(f"{name} cannot be made: {problem}. It takes: {_described(accepted)}.") from error


def _convert(name: str, key: str, value: Any, hint: Any) -> Any:
    """Return a parameter as its annotation wants it; text is read, other values must fit already."""
    if hint is Any:
        return value
    try:
        adapter = TypeAdapter(hint)
    except PydanticUserError:  # a class of the user's own: the constructor checks it
        return value
    try:
        if not isinstance(value, str):
            return adapter.validate_python(value, strict=True)
        try:
            return adapter.validate_python(value)
        except ValidationError:
            return adapter.validate_python([part.strip() for part in value.split(",")])  # 3,1,2 is a list
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        raise TaskError(f"{name}: {key} = {value!r}: {problem}.") from None


def _described(parameters: typing.Mapping[str, inspect.Parameter]) -> str:
    """Return the parameters with their defaults, on one line."""
    return ", ".join(
        key if parameter.default is parameter.empty else f"{key} (default {parameter.default})"
        for key, parameter in parameters.items()
    ) or "none"  # fmt: skip
