"""The reference of the command line, made of the commands themselves.

Not covered: options that go to a task; `maker tasks` lists those.
"""

from __future__ import annotations

import inspect
from typing import Any

import typer

from maker.cli.app import app


def page() -> str:
    """Return the page of all commands, each with its arguments and options."""
    group: Any = typer.main.get_command(app)
    text = "# Commands\n\n`maker COMMAND --help` prints the same. What a command leaves with is told at "
    text += "[exit codes](../environment.md#exit-codes).\n"
    for name, command in group.commands.items():
        text += f"\n## `maker {name}`\n\n{inspect.cleandoc(command.help or '')}\n\n"
        text += "| argument or option | | default |\n|---|---|---|\n" + "".join(row(of) for of in command.params)
    return text


def row(parameter: Any) -> str:
    """Return the row of an argument or an option."""
    names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    if parameter.param_type_name == "argument":
        names = parameter.name.upper()
    default = parameter.default
    silent = default is None or default is False or default == () or callable(default)
    told = "required" if parameter.required else "" if silent else f"`{default}`"
    said = " ".join((getattr(parameter, "help", None) or "").split())
    return f"| `{names}` | {cell(said)} | {cell(told)} |\n"


def cell(text: str) -> str:
    """Return a text that does not end its cell."""
    return text.replace("|", "\\|").replace("<", "&lt;")
