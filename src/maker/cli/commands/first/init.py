"""`maker init`: a task of one's own to begin with, and its test.

Promises: nothing is written over; what is written runs, and its test passes, as it stands.

Not covered: what the task is to do. It is the one of `tasks/template.py` under a name of one's own.
"""

from __future__ import annotations

import keyword
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from maker.cli.options import say
from maker.errors import TaskError
from maker.task.load import builtin_folder

TEST = '''"""The task keeps the rules of tasks, and a simulated model that errs once in twenty carries it out."""

import maker
from maker.testing import check_task
from {name} import {kind}


def test_the_task_fits():
    """Prompts, replies, states and rules fit together."""
    check_task({kind}())


def test_it_is_carried_out_without_an_error():
    """Votes put right what a model that errs once in twenty gets wrong."""
    result = maker.run_sync({kind}(), model="oracle:p=0.95", k=4)
    assert result.solved and result.wrong == 0
    assert result.answer == "khoor zruog"
'''


def init(name: Annotated[str, typer.Argument(metavar="NAME", help="Of the task, and of its file NAME.py.")]) -> None:
    """Write a task to change, NAME.py, and a test that passes, test_NAME.py, into this folder."""
    module = name.replace("-", "_")
    if not re.fullmatch("[a-z][a-z0-9_]*", module) or keyword.iskeyword(module):
        raise TaskError(f"init: {name!r}: give a name of small letters, digits and dashes, such as my-task")
    if module in sys.stdlib_module_names or module in ("maker", "conftest"):
        raise TaskError(f"init: {name!r}: a module of that name is there already, and would be hidden. Give another.")
    kind = "".join(part.capitalize() for part in module.split("_"))
    told = (builtin_folder() / "template.py").read_text(encoding="utf-8")
    for old, new in (("my_task.py", f"{module}.py"), ("Copy this file, change", "Change"), ("A task to copy", name)):
        told = told.replace(old, new)
    told = re.sub(r"\bShift\b", kind, re.sub(r"\btemplate\b", module, told))
    _written({Path(f"{module}.py"): told, Path(f"test_{module}.py"): TEST.format(name=module, kind=kind)})
    rows = [
        ("task", f"{module}.py: change what a step is"),
        ("test", f"python -m pytest test_{module}.py"),
        ("run", f"maker run {module}.py:{kind} --model oracle:p=0.95"),
        ("next", f"maker run {module}.py:{kind} --model http://HOST:PORT/v1#NAME --dry-run"),
    ]
    say({}, rows, "maker init", as_json=False)


def _written(files: dict[Path, str]) -> None:
    """Write new files. Raises TaskError, and writes none, where one is there already."""
    for path in files:
        if path.exists():
            raise TaskError(f"init: {path} is there already, and is left as it is. Give another name.")
    for path, text in files.items():
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise TaskError(f"init: {path} cannot be written: {error}") from None
