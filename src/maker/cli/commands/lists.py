"""`maker tasks` and `maker models`: what can be named."""

from __future__ import annotations

import inspect
from typing import Any

from maker.cli.screen import print_rows
from maker.models import MODELS
from maker.models.named import FILE, named, names
from maker.models.providers import OVER_HTTP
from maker.task.load import builtin_tasks, task_parameters


def tasks() -> None:
    """List the built-in tasks and their parameters."""
    rows = [
        (name, ", ".join(_option(key, parameter.default) for key, parameter in task_parameters(name).items()))
        for name in builtin_tasks()
    ]
    print_rows([*rows, ("your own", "path/to/file.py:Class")], "tasks (parameters with their defaults)")


def _option(name: str, default: Any) -> str:
    """Return a parameter as it is written on the command line, with its default if it has one."""
    dashed = f"--{name.replace('_', '-')}"
    return dashed if default in (None, inspect.Parameter.empty) else f"{dashed} {default}"


def models() -> None:
    """List the models by name."""
    others = [prefix for prefix in OVER_HTTP if prefix not in (*MODELS, "https")]
    about = {
        "neural": "bundled, offline; asked in the style that it reads: neural, neural:workers=1, neural:noise=0.2",
        "openai": f"openai:gpt-4.1-mini; the key from OPENAI_API_KEY; likewise {', '.join(others)}",
        "http": "any OpenAI-compatible server: http://127.0.0.1:8080/v1#name; a key from MAKER_API_KEY",
        "oracle": "simulated: oracle:p=0.99,v=0.98,rho=0.05,rivals=1,confusion=0.1,copies=0,latency=0,seed=0,"
        "hard=0,p_hard=0.4",
    }
    own = [(name, f"of {FILE}: {told.spec}") for name in names() if (told := named(name)) is not None]
    print_rows([*((name, about.get(name, "")) for name in MODELS), *own], "models")
