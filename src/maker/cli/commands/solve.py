"""`maker solve`: answer a problem in plain words, or go on with it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from maker.api.solve import solve_sync
from maker.cli.options import ASKING, REACHING, Json, Quiet, say_result, shown, with_settings
from maker.cli.screen import run_rows, safe
from maker.decision.telling.rows import Rows
from maker.engine.result import RunResult

_OWN = ("answer", "wrong steps", "segments", "state")  # a solve says its answer whole, and has none of the others


@with_settings(
    f"problem model k depth journal {ASKING} concurrency hedge max_steps max_votes max_flags max_calls "
    f"max_tokens max_cost on_limit {REACHING} accept_change max_seconds patience quiet as_json",
    model="One that reads text: openai:NAME or http://HOST:PORT/v1#NAME.",
    max_steps="Decisions of the solve.",
    max_votes="Votes of a judge, and proposals, for one decision.",
    max_flags="Flagged samples of one decision.",
)
def solve(
    problem: Annotated[str, typer.Argument(help="All that the model is told.")],
    settings: dict[str, Any],
    k: Annotated[int, typer.Option(help="Votes the winner must be ahead by.")] = 3,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Answer a problem: the model splits it, answers the parts and composes them, each decision by vote.

    The same command on an existing journal resumes it.
    """
    result = shown(solve_sync, problem, {**settings, "k": k}, "solve", quiet=as_json)
    said = {**result.as_json(), "tree": result.state}
    say_result(result, said, _rows(result), "maker solve", as_json=as_json)


def _rows(result: RunResult) -> Rows:
    """Return the summary of a solve: that of a run, with its answer and what to look at next."""
    rows = [(name, value) for name, value in run_rows(result) if name not in _OWN]
    rows.insert(1, ("answer", safe(str(result.answer)) if result.solved else "none"))
    if result.journal:
        rows.append(("the tree", f"maker show {result.journal} --tree"))
    return [("decisions" if name == "steps" else name, value) for name, value in rows]
