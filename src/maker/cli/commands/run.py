"""`maker run`: carry out a task, or go on with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from maker.api.opened import task_for
from maker.api.preview.asked import Preview, preview_sync
from maker.api.preview.costs import ASSUMED, Need
from maker.api.run import run_sync
from maker.cli.options import (
    ASKING,
    REACHING,
    Json,
    Quiet,
    TaskName,
    named_model,
    say,
    say_result,
    shown,
    task_options,
    with_settings,
)
from maker.cli.screen import note, run_rows, safe
from maker.cli.workers import Address, CpusPerWorker, NumWorkers, Workers, model_for, workers_of
from maker.decision.sample import AnyModel, Model, Request
from maker.decision.telling.rows import Rows
from maker.engine.calibrate import announced
from maker.engine.ladder.rungs import Rung, another_model, finer, go_back, look_ahead, more_votes, refine, reword
from maker.errors import TaskError
from maker.models import in_batches, over_http
from maker.task.plan import plan_of
from maker.task.task import Task

_PLAIN: dict[str, Rung] = {"more-votes": more_votes, "refine": refine, "reword": reword, "finer": finer}
_NOT_ASKED = ("journal", "ladder", "accept_change", "keep_samples", "workers")  # what changes no first request


@with_settings(
    f"ctx task model k target worst_case journal segments {ASKING} paraphrase keep_samples "
    f"concurrency hedge max_steps max_votes max_flags max_calls max_tokens max_cost on_limit {REACHING} accept_change "
    "ladder max_seconds patience workers address num_workers cpus_per_worker dry_run batch quiet as_json",
    target="Wanted probability that the whole run is right (k auto or table).",
    accept_change="A setting that may differ from the journal's: k, temperature, model, ...",
)
def run(
    ctx: typer.Context,
    task: TaskName,
    settings: dict[str, Any],
    k: Annotated[
        str, typer.Option(help="Votes the winner must be ahead by, or auto, or table: a margin that widens.")
    ] = "auto",
    ladder: Annotated[
        str | None,
        typer.Option(
            help="What is tried at a step that does not decide, in order: more-votes, refine, reword, finer, "
            "another-model=MODEL, go-back=STEPS, look-ahead=STEPS (look-ahead=STEPS:wins: also before a win that "
            "other answers have votes against); or none."
        ),
    ] = None,
    workers: Workers = None,
    address: Address = None,
    num_workers: NumWorkers = None,
    cpus_per_worker: CpusPerWorker = 1.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be asked and what it would take; nothing is sent.")
    ] = False,
    batch: Annotated[
        bool, typer.Option("--batch", help="Ask about all segments at once, in batches: half the price, within a day.")
    ] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Carry out a task; the same command on an existing journal resumes it. Other options go to the task."""
    prices, concurrency = ctx.params["prices"], ctx.params["concurrency"]
    settings["k"] = _k(k)
    settings["ladder"] = read_ladder(ladder, lambda name: named_model(name, concurrency, **_table(prices, name)))
    if (cluster := workers_of(workers, address, num_workers, cpus_per_worker)) is not None:
        settings["workers"], settings["model"] = cluster, model_for(ctx.params)
    made = task_for(task, settings["model"], **task_options(ctx.args))
    if dry_run:
        seen = preview_sync(made, **{name: value for name, value in settings.items() if name not in _NOT_ASKED})
        say(seen.as_json(), _preview_rows(seen), "maker run --dry-run", as_json=as_json)
    journal = settings.get("journal")
    models = settings["model"] if isinstance(settings["model"], list) else [settings["model"]]
    paid = any(not isinstance(model, str) or over_http(model) for model in models)
    if settings["k"] in ("auto", "table") and paid and not as_json and not (journal and journal.exists()):
        note(f"maker: {announced(made, k, worst_case=settings['worst_case'])}")
    if cluster is not None and len(plan_of(made, settings.get("segments")).segments) < 2:
        note("maker: the steps follow one another, so workers could decide nothing side by side: none is started")
    if batch:
        settings["model"] = _in_batches(settings["model"], made, settings.get("segments"))
    result = shown(run_sync, made, settings, task, quiet=as_json)
    say_result(result, result.as_json(), run_rows(result), "maker run", as_json=as_json)


def _in_batches(model: AnyModel, task: Task, segments: int | None) -> Model:
    """Return a model asked in batches. Raises TaskError for a task that would have one step in each."""
    if len(plan_of(task, segments).segments) == 1 and task.steps != 1:
        raise TaskError("--batch: the steps of this task follow each other, so each would be a batch, and take up to a "
                        "day. It is for tasks with many --segments, or whose steps are independent")  # fmt: skip
    return in_batches(model)


def _preview_rows(seen: Preview) -> Rows:
    """Return what a run would ask and take, a row each."""
    rows: Rows = [("model", safe(seen.model))]
    rows.append(("steps", f"{seen.steps:,}" + ("" if seen.known else ", for the task does not say how many")))
    for request in seen.asked:
        rows += _request_rows(request)
    if len(seen.asked) < 2:
        rows.append(("a middle step", "not known before the answers that lead to it"))
    rows += [(name, _needed(need)) for name, need in seen.needs.items()]
    return [*rows, ("likely means", f"{ASSUMED}; `maker estimate` measures it"), ("sent", "nothing")]


def _request_rows(request: Request) -> Rows:
    """Return one request as it would be sent."""
    step = f"step {request.address.step:,}"
    said = [(safe(str(message.get("role"))), safe(str(message.get("content")))) for message in request.messages]
    rows = [(f"{step}, {role}", text) for role, text in said]
    warmth = "the server's" if request.temperature is None else f"{request.temperature:g}"
    schema = ", a JSON schema" if request.schema is not None else ""
    return [*rows, (f"{step}, with", f"temperature {warmth}, at most {request.max_tokens:,} tokens{schema}")]


def _needed(need: Need) -> str:
    """Return calls, tokens and money on one line."""
    cost = "cost not known: no prices" if need.cost is None else f"${need.cost:,.4f}"
    return f"{need.calls:,} calls at k = {need.k}, {need.tokens:,} tokens, {cost}"


def read_ladder(text: str | None, make: Callable[[str], Model | str] = str) -> list[Rung] | None:
    """Return the rungs that `--ladder` names. make: returns the model of a name. Raises TaskError for unknown ones."""
    if text is None or text == "none":
        return None if text is None else []
    rungs: list[Rung] = []
    for part in _parts(text):
        name, equals, value = part.partition("=")
        if name in _PLAIN and not equals:
            rungs.append(_PLAIN[name])
        elif name == "another-model" and value:
            rungs.append(another_model(make(value)))
        elif name == "go-back" and value.isascii() and value.isdigit():
            rungs.append(go_back(int(value)))
        elif name == "look-ahead" and (steps := value.removesuffix(":wins")).isascii() and steps.isdigit():
            rungs.append(look_ahead(int(steps), wins=value != steps))
        else:
            rungs_are = f"{', '.join(_PLAIN)}, another-model=MODEL, go-back=10, look-ahead=5 or look-ahead=5:wins"
            raise TaskError(f"--ladder: {part!r} is no rung. Give {rungs_are}")
    return rungs


def _parts(text: str) -> list[str]:
    """Cut at commas, except those within a model's own settings (another-model=oracle:p=0.9,v=1)."""
    parts: list[str] = []
    for part in text.split(","):
        known = part.partition("=")[0].strip() in (*_PLAIN, "another-model", "go-back", "look-ahead")
        if not known and parts and parts[-1].startswith("another-model="):
            parts[-1] += f",{part}"
        else:
            parts.append(part.strip())
    return parts


def _table(prices: str | None, name: str) -> dict[str, str]:
    """Return a file of prices, which knows other models over HTTP too; nothing for the two numbers of the run's own."""
    return {"prices": prices} if prices and "," not in prices and over_http(name) else {}


def _k(text: str) -> int | str:
    if text in ("auto", "table"):
        return text
    try:
        return int(text)
    except ValueError:
        raise TaskError(f"--k {text}: give a whole number, auto or table") from None
