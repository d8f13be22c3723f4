"""What the commands share: option types, task parameters, running with a bar, printing."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from maker.api.run import run_sync
from maker.cli.screen import print_rows, progress_bar, run_rows
from maker.decision.sample import Model
from maker.engine.result import RunResult
from maker.errors import TaskError
from maker.models import load_model

TASK_OPTIONS = {"allow_extra_args": True, "ignore_unknown_options": True}  # a command that passes options to a task
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
JournalFile = Annotated[Path, typer.Argument(metavar="JOURNAL", help="The file that `maker run --journal` wrote.")]
TaskName = Annotated[str, typer.Argument(help="A built-in name (see `maker tasks`) or path/to/file.py:Class.")]
ModelName = Annotated[str, typer.Option(help="For example oracle:p=0.99 (simulated); see `maker models`.")]
Seed = Annotated[int, typer.Option(help="Seed of all draws.")]
JournalToWrite = Annotated[Path | None, typer.Option(help="File to write; an existing one is resumed.")]
Temperature = Annotated[float, typer.Option(help="Of every draw.")]
FlagNames = Annotated[str | None, typer.Option(help='Red flags: the default chain, or "paper".')]
Concurrency = Annotated[int | None, typer.Option(help="Draws in flight at once.")]
MaxCalls = Annotated[int | None, typer.Option(help="Draws sent, resumes included.")]
MaxTokens = Annotated[int | None, typer.Option(help="Tokens read and written.")]
MaxCost = Annotated[float | None, typer.Option(help="US dollars; needs --prices.")]
MaxSeconds = Annotated[float | None, typer.Option(help="Wall seconds of this call.")]
PriceTable = Annotated[
    str | None, typer.Option(help="IN,OUT in dollars a million tokens, or a JSON file {model: {input, output}}.")
]
Timeout = Annotated[float | None, typer.Option(help="Seconds of one attempt, over HTTP (120).")]
Paraphrase = Annotated[bool, typer.Option(help="Ask each step in the task's equivalent views, in turn.")]


def print_json(said: Mapping[str, Any]) -> None:
    """Print one object on one line: what a program reads."""
    print(json.dumps(said))  # noqa: T201 -- the command's output


def task_options(args: list[str]) -> dict[str, str]:
    """Read the options that the command itself does not know: --name value, or --name=value."""
    values: dict[str, str] = {}
    rest = list(args)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if not name.startswith("--"):
            raise TaskError(f"{name!r} is not an option; task parameters are written --name value")
        if not equals:
            if not rest or rest[0].startswith("--"):
                raise TaskError(f"{name} needs a value")
            value = rest.pop(0)
        values[name[2:].replace("-", "_")] = value
    return values


def named_model(
    spec: str, prices: str | None = None, timeout: float | None = None, concurrency: int | None = None
) -> Model | str:
    """Return the model that options describe; just its name where they say nothing that only HTTP models take."""
    if not spec.startswith(("openai:", "http:", "https:")):
        if prices or timeout:
            raise TaskError("--prices and --timeout are for models over HTTP (openai:..., http://...)")
        return spec
    return load_model(spec, prices=_prices(prices, spec), timeout=timeout, concurrency=concurrency)


def _prices(text: str | None, spec: str) -> Any:
    """Read --prices: two numbers, or a file with a table of models."""
    if text is None:
        return None
    try:
        told, _, given = text.partition(",")
        return {"input": float(told), "output": float(given)}
    except ValueError:
        pass
    model = spec.partition("#")[2] or spec.partition(":")[2]
    try:
        table = json.loads(Path(text).read_bytes())
        return table[model]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TaskError(
            f"--prices {text}: {type(error).__name__}: {error}. Give IN,OUT in dollars a million tokens, or a JSON "
            f'file with {{"{model}": {{"input": 0.4, "output": 1.6}}}}.'
        ) from None


def run_shown(task: Any, settings: dict[str, Any], label: str, *, quiet: bool) -> RunResult:
    """Run a task with a progress bar; the first interrupt stops it cleanly."""
    with interrupts() as interrupted, progress_bar(label, quiet=quiet) as bar:
        return run_sync(task, **settings, progress=bar.show, interrupted=interrupted)


@contextmanager
def interrupts() -> Iterator[Any]:
    """Turn the first SIGINT or SIGTERM into a clean stop; the second ends the process at once."""
    seen: list[int] = []

    def handle(number: int, _frame: Any) -> None:
        seen.append(number)
        if len(seen) > 1:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(seen)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def show_result(result: RunResult, *, as_json: bool) -> None:
    """Print how a run went."""
    if as_json:
        print_json(result.as_json())
        return
    print_rows(run_rows(result), "maker run")
