"""What the command line says: help, and what it tells of the golden journals. Pins that a change must not move.

    python tests/golden/cli.py --write

writes `cli.json`; `test_cli_snapshot.py` asks the same again and compares.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import io
import json
import os
import re
import runpy
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

HERE = Path(__file__).parent
PINS = HERE / "cli.json"
COMMANDS = (
    "", "demo", "run", "estimate", "solve", "check", "show", "verify", "experiment", "revote", "report", "export",
    "repair", "tasks", "models", "audit", "compare", "serve", "init", "ctl", "view", "mcp",
)  # fmt: skip
COUNT, CHAIN = f"{HERE / 'count.py'}:Count", f"{HERE / 'bytes_tasks.py'}:Chain"
BRANCHES = f"{HERE / 'bytes_tasks.py'}:Branches"
# Texts for people are laid out by these; what a program reads is not.
LAID_OUT_BY = ("typer", "rich")


def versions() -> dict[str, str]:
    """Return the versions that the layout of texts depends on."""
    return {name: importlib.metadata.version(name) for name in LAID_OUT_BY}


def call(*args: str) -> dict[str, Any]:
    """Do what `python -m maker ARGS` does, in this process."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    env = {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}
    with (
        mock.patch.dict(os.environ, env), mock.patch.object(sys, "argv", ["maker", *args]),
        contextlib.redirect_stdout(out), contextlib.redirect_stderr(err),
    ):  # fmt: skip
        try:
            runpy.run_module("maker", run_name="__main__", alter_sys=True)
        except SystemExit as end:
            code = int(end.code or 0)
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


def plain(text: str, folder: Path) -> str:
    """Return a text without what differs from place to place and from time to time."""
    for path, name in ((folder, "FOLDER"), (HERE, "GOLDEN")):
        text = text.replace(str(path), name)
    text = re.sub(r'("(?:seconds|bytes)": )[0-9.e-]+', r"\1 0", text)
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)


def say(folder: Path, *args: str) -> dict[str, Any]:
    """Return what a command says, such that it is the same everywhere."""
    said = call(*args)
    return {"code": said["code"], "out": plain(said["out"], folder), "err": plain(said["err"], folder)}


def helps(command: str, folder: Path) -> dict[str, Any]:
    """Return the help of one command, or of all."""
    return say(folder, *([command] if command else []), "--help")


def of_journal(name: str, folder: Path) -> dict[str, Any]:
    """Return what a program is told of one golden journal."""
    path = folder / name
    shutil.copy(HERE / name, path)
    journal = str(path)
    task = BRANCHES if "-dag" in name else COUNT
    known = [] if "-solve" in name or "-map" in name else ["--task", task]
    told = {
        "show": say(folder, "show", journal, "--json"),
        "verify": say(folder, "verify", journal, *known, "--json"),
        "revote": say(folder, "revote", journal, "--json"),
        "revote at 2": say(folder, "revote", journal, "--k", "2", "--rule", "first", "--json"),
        "revote by flags": say(folder, "revote", journal, "--flags", "paper", *known, "--json"),
        "repair": say(folder, "repair", journal, "--json"),
    }
    for what in ("steps", "samples"):
        table = folder / f"{what}.jsonl"
        told[f"export {what}"] = say(folder, "export", journal, "-o", str(table), "--what", what, "--json")
        told[f"export {what}"]["table"] = hashlib.sha256(table.read_bytes()).hexdigest() if table.exists() else None
    return told


def texts(name: str, folder: Path) -> dict[str, Any]:
    """Return what a person is told of one golden journal."""
    path = folder / name
    shutil.copy(HERE / name, path)
    return {command: say(folder, command, str(path)) for command in ("show", "revote", "verify")}


def others(folder: Path) -> dict[str, Any]:
    """Return what else a program is told: of runs, reports, lists and mistakes."""
    journal, page = str(folder / "run.db"), str(folder / "page.html")
    settings = ["--model", "oracle:p=0.95,v=0.97", "--k", "3", "--journal", journal, "--json"]
    solve = str(HERE / "format-2-solve.journal")
    return {
        "run stopped": say(folder, "run", CHAIN, "--steps", "40", *settings, "--max-steps", "9"),
        "run resumed": say(folder, "run", CHAIN, "--steps", "40", *settings),
        "run refused": say(folder, "run", CHAIN, "--steps", "40", *settings, "--seed", "1"),
        "run of another": say(folder, "run", CHAIN, "--steps", "41", *settings),
        "report": say(folder, "report", journal, "-o", page, "--json"),
        "tree": say(folder, "show", solve, "--tree", "--json"),
        "no tree": say(folder, "show", journal, "--tree", "--json"),
        "no journal": say(folder, "show", str(folder / "nothing.db"), "--json"),
        "no option": say(folder, "show", journal, "--odd"),
        "no command": say(folder, "odd"),
        "tasks": say(folder, "tasks"),
        "models": say(folder, "models"),
    }


def journals() -> list[str]:
    """Return the names of the golden journals."""
    return sorted(path.name for path in HERE.glob("*.journal"))


def main() -> None:
    """Write down what is said now."""
    if sys.argv[1:] != ["--write"]:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        pins = {
            "versions": versions(),
            "help": {command: helps(command, folder) for command in COMMANDS},
            "texts": {name: texts(name, folder) for name in journals()},
            "journals": {name: of_journal(name, folder) for name in journals()},
            "others": others(folder),
        }
    PINS.write_text(json.dumps(pins, indent=1) + "\n")


if __name__ == "__main__":
    main()
