"""`maker verify`: re-check a journal from the file alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from maker.audit import verify as audit_of
from maker.commands.shared import JournalFile, Json, print_json, task_options
from maker.errors import TaskError
from maker.load import load_task
from maker.result import RunResult
from maker.screen import print_rows, progress_bar, run_rows, safe


def verify(
    ctx: typer.Context,
    journal: JournalFile,
    task: Annotated[str | None, typer.Option(help="path/to/file.py:Class, for a task that is not built in.")] = None,
    expect: Annotated[str | None, typer.Option(help="A `head` you noted: finds an older copy and a new chain.")] = None,
    as_json: Json = False,
) -> None:
    """Re-check a journal from the file alone: record chain, votes, transitions, joins, goal."""
    loaded = load_task(task, **task_options(ctx.args)) if task else None
    if ctx.args and not task:
        raise TaskError(f"unknown option {ctx.args[0]!r}; task parameters need --task")
    if expect is not None and re.fullmatch("[0-9a-f]{32}", expect) is None:
        raise TaskError(f"--expect {expect!r}: give the 32 hex digits that `maker verify` printed as head")
    verify_and_leave(journal, loaded, as_json=as_json, expect=expect)


def verify_and_leave(
    journal: Path, task: Any, *, as_json: bool, before: RunResult | None = None, expect: str | None = None
) -> None:
    """Verify a journal, print what was found, and leave with its exit code."""
    with progress_bar("verify", quiet=as_json) as bar:
        audit = audit_of(journal, task, progress=bar.steps, expect=expect)
    if as_json:
        print_json({**(before.as_json() if before else {}), **audit.as_json()})
    else:
        rows = run_rows(before) if before else [
            ("run", safe(str(audit.summary.header.get("run")))), ("steps", f"{audit.summary.steps:,}"),
            ("chain", audit.summary.fold.chain), ("state", audit.summary.fold.state_digest.hex()),
        ]  # fmt: skip
        verdict = "every check holds" if audit.problem is None else f"FAILED: {safe(audit.problem)}"
        goal = "solved" if audit.solved else "goal not reached" if audit.complete else "not finished"
        rows += [("head", f"{audit.summary.head} (note it: `maker verify --expect` finds an older copy)")]
        rows += [("verified", f"{verdict}; {goal}"), ("checks", ", ".join(audit.checked))]
        print_rows(rows, "maker verify" if before is None else "maker demo")
    raise typer.Exit(audit.exit_code)
