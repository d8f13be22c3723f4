"""What a client names, held within one folder: tasks, and runs.

Promises: a task is a built-in one or a file below the root, reached without `..` and without symbolic links; the name
of a run is of one form, in which no path can be written. Nothing is opened or run here.

Not covered: files that are exchanged after they were looked at: who may write below the root is trusted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from maker.errors import TaskError
from maker.task.load import builtin_tasks

Value = str | int | float | bool  # of a task's parameter

_RUN = re.compile("[0-9a-f]{12}")
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]{0,60}")
_LONGEST = 10_000  # characters of a parameter: it goes on a command line


def task_within(root: Path, name: str) -> str:
    """Return a task as `maker run` takes it. Raises TaskError for what is neither built in nor a file below `root`."""
    if ".py" not in name:
        if name.replace("_", "-") in builtin_tasks():
            return name
        raise TaskError(f"there is no task {name!r:.80}. Built in: {', '.join(builtin_tasks())}; files below the "
                        "folder of this server: path/to/file.py:Class")  # fmt: skip
    path, _, attribute = name.rpartition(":")
    if not attribute.isidentifier() or not path.endswith(".py"):
        raise TaskError(f"{name!r:.80}: name a task file with its class, as in path/to/file.py:Class")
    return f"{_file_within(root, path)}:{attribute}"


def _file_within(root: Path, path: str) -> Path:
    """Return a file below the root. Raises TaskError for any other."""
    parts = PurePosixPath(path).parts
    if PurePosixPath(path).is_absolute() or ".." in parts or not path.isprintable():
        raise TaskError(f"{path!r:.80}: only files below the folder of this server are run: give the path from there, "
                        "without `..`")  # fmt: skip
    found = root
    for part in parts:
        found /= part
        if found.is_symlink():
            raise TaskError(f"{path!r:.80}: {part!r:.80} is a symbolic link, which is not followed: put the file "
                            "itself below the folder of this server")  # fmt: skip
    if not found.is_file():
        raise TaskError(f"{path!r:.80}: there is no such file below the folder of this server")
    return found


def run_named(name: str) -> str:
    """Return the name of a run. Raises TaskError for what can be none."""
    if _RUN.fullmatch(name) is None:
        raise TaskError(f"{name!r:.40} is no run: give an id that start_run returned, 12 hex digits; list_runs has all")
    return name


def parameters_written(parameters: Mapping[str, Value]) -> list[str]:
    """Return a task's parameters as words of a command line. Raises TaskError for what cannot be written there."""
    written = []
    for name, value in parameters.items():
        text = str(value)
        if _NAME.fullmatch(name) is None or len(text) > _LONGEST or "\0" in text:
            raise TaskError(f"parameter {name!r:.40}: give a name of letters, digits and _, and at most {_LONGEST:,} "
                            "characters; what is longer goes into a task file")  # fmt: skip
        written.append(f"--{name.replace('_', '-')}={text}")
    return written
