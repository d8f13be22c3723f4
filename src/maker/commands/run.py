"""`maker run`: carry out a task, or go on with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from maker.commands.shared import Json, ModelName, TaskName, named_model, run_shown, show_result, task_options
from maker.errors import TaskError
from maker.load import load_task


def run(
    ctx: typer.Context,
    task: TaskName,
    model: ModelName,
    k: Annotated[str, typer.Option(help="Votes the winner must be ahead by, or auto.")] = "auto",
    target: Annotated[float, typer.Option(help="Wanted probability that the whole run is right (k auto).")] = 0.95,
    seed: Annotated[int, typer.Option(help="Seed of all draws.")] = 0,
    journal: Annotated[Path | None, typer.Option(help="File to write; an existing one is resumed.")] = None,
    segments: Annotated[int | None, typer.Option(help="Pieces with known entry states run side by side.")] = None,
    flags: Annotated[str | None, typer.Option(help='Red flags: the default chain, or "paper".')] = None,
    temperature: Annotated[float, typer.Option(help="Of every draw.")] = 0.1,
    first_temperature: Annotated[
        float | None, typer.Option(help="Of each step's first draw; 0 as in the paper.")
    ] = None,
    paraphrase: Annotated[bool, typer.Option(help="Ask each step in the task's equivalent views, in turn.")] = False,
    keep_samples: Annotated[str | None, typer.Option(help="Texts stored in full: all, flagged or none.")] = None,
    concurrency: Annotated[int | None, typer.Option(help="Draws in flight at once.")] = None,
    max_steps: Annotated[int | None, typer.Option(help="Decided steps of the run.")] = None,
    max_votes: Annotated[int | None, typer.Option(help="Valid votes of one step.")] = None,
    max_flags: Annotated[int | None, typer.Option(help="Flagged samples of one step.")] = None,
    max_calls: Annotated[int | None, typer.Option(help="Draws sent, resumes included.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Tokens read and written.")] = None,
    max_cost: Annotated[float | None, typer.Option(help="US dollars; needs --prices.")] = None,
    prices: Annotated[
        str | None, typer.Option(help="IN,OUT in dollars a million tokens, or a JSON file {model: {input, output}}.")
    ] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds of one attempt, over HTTP (120).")] = None,
    accept_change: Annotated[
        list[str] | None, typer.Option(help="A setting that may differ from the journal's: k, temperature, model, ...")
    ] = None,
    max_seconds: Annotated[float | None, typer.Option(help="Wall seconds of this call.")] = None,
    as_json: Json = False,
) -> None:
    """Carry out a task; the same command on an existing journal resumes it. Other options go to the task."""
    limits = {
        "max_steps": max_steps, "max_votes": max_votes, "max_flags": max_flags, "max_calls": max_calls,
        "max_tokens": max_tokens, "max_cost": max_cost, "max_seconds": max_seconds, "concurrency": concurrency,
    }  # fmt: skip
    settings: dict[str, Any] = {
        "model": named_model(model, prices, timeout, concurrency), "k": _k(k), "target": target, "seed": seed,
        "journal": journal, "segments": segments,
        "flags": flags, "temperature": temperature, "first_temperature": first_temperature,
        "keep_samples": keep_samples, "paraphrase": paraphrase, "accept_change": accept_change or (),
        "limits": {key: value for key, value in limits.items() if value is not None},
    }  # fmt: skip
    loaded = load_task(task, **task_options(ctx.args))
    result = run_shown(loaded, settings, task, quiet=as_json)
    show_result(result, as_json=as_json)
    raise typer.Exit(result.exit_code)


def _k(text: str) -> int | str:
    if text == "auto":
        return text
    try:
        return int(text)
    except ValueError:
        raise TaskError(f"--k {text}: give a whole number or auto") from None
