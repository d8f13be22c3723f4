"""`maker solve`: answer a problem in plain words, or go on with it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from maker.api.solve import solve_sync
from maker.cli.options import (
    Concurrency,
    FlagNames,
    JournalToWrite,
    Json,
    MaxCalls,
    MaxCost,
    MaxSeconds,
    MaxTokens,
    PriceTable,
    Seed,
    Temperature,
    Timeout,
    interrupts,
    named_model,
    print_json,
)
from maker.cli.screen import Rows, print_rows, progress_bar, run_rows, safe
from maker.engine.result import RunResult

_OWN = ("answer", "wrong steps", "segments", "state")  # a solve says its answer whole, and has none of the others


def solve(
    problem: Annotated[str, typer.Argument(help="All that the model is told.")],
    model: Annotated[str, typer.Option(help="One that reads text: openai:NAME or http://HOST:PORT/v1#NAME.")],
    k: Annotated[int, typer.Option(help="Votes the winner must be ahead by.")] = 3,
    depth: Annotated[int, typer.Option(help="How often a problem may be split over and over; 0 to 32.")] = 5,
    seed: Seed = 0,
    journal: JournalToWrite = None,
    temperature: Temperature = 0.1,
    flags: FlagNames = None,
    concurrency: Concurrency = None,
    max_steps: Annotated[int | None, typer.Option(help="Decisions of the solve.")] = None,
    max_votes: Annotated[int | None, typer.Option(help="Votes of a judge, and proposals, for one decision.")] = None,
    max_flags: Annotated[int | None, typer.Option(help="Flagged samples of one decision.")] = None,
    max_calls: MaxCalls = None,
    max_tokens: MaxTokens = None,
    max_cost: MaxCost = None,
    prices: PriceTable = None,
    timeout: Timeout = None,
    accept_change: Annotated[
        list[str] | None, typer.Option(help="What a server may change in mid-solve: model, fingerprint.")
    ] = None,
    max_seconds: MaxSeconds = None,
    as_json: Json = False,
) -> None:
    """Answer a problem: the model splits it, answers the parts and composes them, each decision by vote.

    The same command on an existing journal resumes it.
    """
    limits = {
        "max_steps": max_steps, "max_votes": max_votes, "max_flags": max_flags, "max_calls": max_calls,
        "max_tokens": max_tokens, "max_cost": max_cost, "max_seconds": max_seconds, "concurrency": concurrency,
    }  # fmt: skip
    settings: dict[str, Any] = {
        "model": named_model(model, prices, timeout, concurrency), "k": k, "depth": depth, "seed": seed,
        "journal": journal, "temperature": temperature, "flags": flags, "accept_change": accept_change or (),
        "limits": {key: value for key, value in limits.items() if value is not None},
    }  # fmt: skip
    with interrupts() as interrupted, progress_bar("solve", quiet=as_json) as bar:
        result = solve_sync(problem, **settings, progress=bar.show, interrupted=interrupted)
    if as_json:
        print_json({**result.as_json(), "tree": result.state})
    else:
        print_rows(_rows(result), "maker solve")
    raise typer.Exit(result.exit_code)


def _rows(result: RunResult) -> Rows:
    """Return the summary of a solve: that of a run, with its answer and what to look at next."""
    rows = [(name, value) for name, value in run_rows(result) if name not in _OWN]
    rows.insert(1, ("answer", safe(str(result.answer)) if result.solved else "none"))
    if result.journal:
        rows.append(("the tree", f"maker show {result.journal} --tree"))
    return [("decisions" if name == "steps" else name, value) for name, value in rows]
