"""`maker demo`: the million-step Towers of Hanoi by the bundled model; with `--model`, a sum by a model of yours.

Promises: without `--model` nothing is asked over a network. With it nothing is kept, an interrupt ends it at once, and
both answers stand one below the other, digit under digit.

Not covered: what is asked, and what came of it (`experiments/side_by_side.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from maker.api.run import run_sync
from maker.cli.commands.journals import verify_and_leave
from maker.cli.options import Json, Quiet, say, say_result, shown, shown_until_interrupted
from maker.cli.screen import note, run_rows, safe
from maker.decision.telling.rows import Rows
from maker.engine.result import RunResult
from maker.errors import TaskError
from maker.experiments.side_by_side import Call, K, SideBySide, Tried, side_by_side_sync
from maker.models import load_model, over_http
from maker.task.load import load_task

DEMO_TEMPERATURE = 1.6  # at 1.0 the bundled model is too seldom wrong to show anything
SHOWN = 60  # characters of a reply
_OF_HANOI = ("disks", "journal", "segments")


def demo(
    ctx: typer.Context,
    disks: Annotated[int, typer.Option(help="20 disks are 1,048,575 steps; 10 are 1,023.")] = 20,
    journal: Annotated[Path, typer.Option(help="Interrupt with Ctrl-C and run again to resume.")] = Path(
        "maker-demo.db"
    ),
    seed: Annotated[int, typer.Option(help="Seed of all draws.")] = 0,
    segments: Annotated[int | None, typer.Option(help="Pieces side by side (1,024); 1 is strictly sequential.")] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Instead, a sum of two long numbers by this model, http://HOST:PORT/v1#NAME: one call, "
                          "then voted steps, in two minutes."),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Carry out a million steps of Towers of Hanoi without an error, then check them independently.

    By the bundled model, a small transformer that runs offline on this machine, at a temperature at
    which it gets about one answer in three hundred wrong.
    """
    if model is not None:
        for name in _OF_HANOI:
            source = ctx.get_parameter_source(name)
            if source is not None and source.name != "DEFAULT":
                raise TaskError(f"demo --model: --{name} is for the Towers of Hanoi alone. Leave it out.")
        _live(model, seed, as_json=as_json)
    task = load_task("hanoi", disks=disks, style="compact")
    settings: dict[str, Any] = {
        "model": "neural", "temperature": DEMO_TEMPERATURE, "k": "auto", "seed": seed, "segments": segments,
        "journal": journal,
    }  # fmt: skip
    result = shown(run_sync, task, settings, f"hanoi, {disks} disks", quiet=as_json)
    if result.solved:
        verify_and_leave(journal, None, as_json=as_json, before=result)
    say_result(result, result.as_json(), run_rows(result), "maker run", as_json=as_json)


def _live(model: str, seed: int, *, as_json: bool) -> NoReturn:
    """Let a model that reads text add two long numbers in one call and by voted steps; leave as a run does."""
    if not over_http(model):
        load_model(model)  # an unknown name is told as everywhere
        raise TaskError(
            f"demo --model: {model} reads prompts of tasks alone, and no question can be put to it. Give a model over "
            "HTTP, http://HOST:PORT/v1#NAME; `maker demo` without --model shows the bundled one."
        )
    with shown_until_interrupted("sum", quiet=as_json) as bar:
        found = side_by_side_sync(
            model, seed=seed, progress=bar.show,
            tell=lambda line: None if as_json else note(f"demo: {line}"),  # above the bar
        )  # fmt: skip
    say(found.as_json(), _rows(found, model), "maker demo", as_json=as_json, code=found.exit_code)


def _rows(found: SideBySide, model: str) -> Rows:
    """Return both on one screen, the numbers below each other."""
    task, result = found.task, found.run
    width = len(str(found.right)) + 1
    rows: Rows = [
        ("first number", f"{task.x:>{width}}"), ("second number", f"{task.y:>{width}}"),
        ("their sum", f"{found.right:>{width}}"),
        ("one call", f"{_number(found.call.answer):>{width}}  {_judged(found.call.answer, found.call.right)}"),
    ]  # fmt: skip
    if result is not None:
        answer = None if result.stopped else found.task.answer(result.state)
        rows.append(("maker", f"{_number(answer):>{width}}  {_judged(answer, result.solved)}"))
    rows += [("verdict", found.verdict), ("one call took", _taken_by(found.call))]
    if result is not None:
        rows.append(("maker took", _taken(result)))
        if result.stopped and result.stopped != "max_seconds":
            rows.append(("why", safe(result.detail)))
    rows += [(f"{name} tried", _tried(kind)) for name, kind in found.tried.items()]
    rows.append(("next", safe(f"maker run addition --design questions --k {K} --model {model} --journal sum.db")))
    return rows


def _number(answer: object) -> str:
    return "-" if answer is None else str(answer)


def _judged(answer: object, right: object) -> str:
    return "no answer" if answer is None else "right" if right else "WRONG"


def _taken_by(call: Call) -> str:
    tokens = "tokens not known" if call.tokens is None else f"{call.tokens:,} tokens"
    return f"{tokens}, {call.seconds:,.1f} s" + (f": {call.ended}" if call.ended else "")


def _taken(result: RunResult) -> str:
    """Return what the steps took."""
    cost = "" if result.cost is None else f", ${result.cost:,.4f}"
    tokens = result.usage.tokens_in + result.usage.tokens_out
    steps = f"{result.steps:,} steps, {result.samples:,} replies, {result.flagged:,} flagged, k = {K}"
    return f"{tokens:,} tokens, {result.seconds:,.1f} s{cost}: {steps}"


def _tried(kind: Tried) -> str:
    """Return how a kind of question went, with the first reply that was wrong."""
    slip = ""
    if kind.wrong:
        asked, reply = (" ".join(text.split()) for text in kind.wrong)
        slip = f"; '{safe(asked)}' brought '{safe(reply[:SHOWN])}'"
    return f"{kind.right} of {kind.asked} right{slip}"
