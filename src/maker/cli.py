"""The command line: `maker demo | run | show | verify | tasks | models`.

Exit codes: 0 solved; 1 finished or joined wrongly; 2 usage, bad input, a task that raises or is
infeasible; 3 a limit, an interrupt, a lost model or a full disk, resumable; 4 undecided or a poison
step, resumable; 5 the model is unusable; 6 the journal is damaged, locked or another run's.
Messages go to stderr on one screen; results to stdout, one JSON object with --json.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from maker.audit import summarise, verify
from maker.errors import MakerError, TaskError
from maker.load import MODELS, builtin_tasks, load_task, task_parameters
from maker.result import RunResult
from maker.run import run_sync
from maker.screen import print_rows, progress_bar, run_rows, safe

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="Very long tasks for language models, without a single error.",
)  # fmt: skip

DEMO_TEMPERATURE = 1.6  # at 1.0 the bundled model is too seldom wrong to show anything
TASK_OPTIONS = {"allow_extra_args": True, "ignore_unknown_options": True}
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
JournalFile = Annotated[Path, typer.Argument(metavar="JOURNAL", help="The file that `maker run --journal` wrote.")]


@app.command()
def demo(
    disks: Annotated[int, typer.Option(help="20 disks are 1,048,575 steps; 10 are 1,023.")] = 20,
    journal: Annotated[Path, typer.Option(help="Interrupt with Ctrl-C and run again to resume.")] = Path(
        "maker-demo.db"
    ),
    seed: Annotated[int, typer.Option(help="Seed of all draws.")] = 0,
    segments: Annotated[int | None, typer.Option(help="Pieces side by side (1,024); 1 is strictly sequential.")] = None,
    as_json: Json = False,
) -> None:
    """Carry out a million steps of Towers of Hanoi without an error, then check them independently.

    By the bundled model, a small transformer that runs offline on this machine, at a temperature at
    which it gets about one answer in three hundred wrong.
    """
    task = load_task("hanoi", disks=disks, style="compact")
    settings: dict[str, Any] = {
        "model": "neural", "temperature": DEMO_TEMPERATURE, "k": "auto", "seed": seed, "segments": segments,
        "journal": journal,
    }  # fmt: skip
    result = _run(task, settings, f"hanoi, {disks} disks", quiet=as_json)
    if result.solved:
        _verify_and_leave(journal, None, as_json=as_json, before=result)
    _show_result(result, as_json=as_json)
    raise typer.Exit(result.exit_code)


@app.command(context_settings=TASK_OPTIONS)
def run(
    ctx: typer.Context,
    task: Annotated[str, typer.Argument(help="A built-in name (see `maker tasks`) or path/to/file.py:Class.")],
    model: Annotated[str, typer.Option(help="For example oracle:p=0.99 (simulated); see `maker models`.")],
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
    max_seconds: Annotated[float | None, typer.Option(help="Wall seconds of this call.")] = None,
    as_json: Json = False,
) -> None:
    """Carry out a task; the same command on an existing journal resumes it. Other options go to the task."""
    limits = {
        "max_steps": max_steps, "max_votes": max_votes, "max_flags": max_flags, "max_calls": max_calls,
        "max_tokens": max_tokens, "max_seconds": max_seconds, "concurrency": concurrency,
    }  # fmt: skip
    settings: dict[str, Any] = {
        "model": model, "k": _k(k), "target": target, "seed": seed, "journal": journal, "segments": segments,
        "flags": flags, "temperature": temperature, "first_temperature": first_temperature,
        "keep_samples": keep_samples, "paraphrase": paraphrase,
        "limits": {key: value for key, value in limits.items() if value is not None},
    }  # fmt: skip
    loaded = load_task(task, **_parameters(ctx.args))
    result = _run(loaded, settings, task, quiet=as_json)
    _show_result(result, as_json=as_json)
    raise typer.Exit(result.exit_code)


@app.command()
def show(journal: JournalFile, as_json: Json = False) -> None:
    """Say what a journal holds, without running any task code."""
    said = summarise(journal).as_json()
    if as_json:
        print(json.dumps(said))  # noqa: T201 -- the command's output
        return
    shown = {key: value for key, value in said.items() if value is not None and key not in ("answer", "parameters")}
    shown["task"] = f"{said['task']} {said['parameters'] or ''}"
    print_rows([(key, safe(str(value))) for key, value in shown.items()], str(journal))


@app.command(context_settings=TASK_OPTIONS, name="verify")
def verify_command(
    ctx: typer.Context,
    journal: JournalFile,
    task: Annotated[str | None, typer.Option(help="path/to/file.py:Class, for a task that is not built in.")] = None,
    as_json: Json = False,
) -> None:
    """Re-check a journal from the file alone: record chain, votes, transitions, joins, goal."""
    loaded = load_task(task, **_parameters(ctx.args)) if task else None
    if ctx.args and not task:
        raise TaskError(f"unknown option {ctx.args[0]!r}; task parameters need --task")
    _verify_and_leave(journal, loaded, as_json=as_json)


@app.command()
def tasks() -> None:
    """List the built-in tasks and their parameters."""
    rows = [
        (name, ", ".join(f"--{key} {p.default}" for key, p in task_parameters(name).items()))
        for name in builtin_tasks()
    ]
    print_rows([*rows, ("your own", "path/to/file.py:Class")], "tasks (parameters with their defaults)")


@app.command()
def models() -> None:
    """List the models by name."""
    about = {
        "neural": "bundled, offline; reads `--style compact` prompts only: neural, neural:workers=1, neural:noise=0.2",
        "openai": "openai:gpt-4.1-mini; the key from OPENAI_API_KEY",
        "http": "any OpenAI-compatible server: http://127.0.0.1:8080/v1#name; a key from MAKER_API_KEY",
        "oracle": "simulated: oracle:p=0.99,v=0.98,rho=0.05,rivals=1,confusion=0.1,copies=0,latency=0,seed=0",
    }
    print_rows([(name, about.get(name, "")) for name in MODELS], "models")


def main() -> None:
    """Run the command line; every MakerError becomes one message and its exit code."""
    # A run makes and drops many small objects and no cycles: collecting seldom is a tenth of its time.
    gc.set_threshold(50_000, 20, 20)
    try:
        _leave(app(standalone_mode=False) or 0)
    except MakerError as error:
        _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted at once; what was acknowledged is in the journal. Run the same command to resume.", 3)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on: say no more
        _leave(3)
    except Exception as error:
        if hasattr(error, "format_message"):  # a usage error of the option parser
            _fail(f"{error.format_message()} See `maker --help`.", 2)
        raise


def _leave(code: int) -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _fail(message: str, code: int) -> None:
    if "--json" in sys.argv:
        print(json.dumps({"solved": False, "error": message, "exit_code": code}))  # noqa: T201 -- the command's output
    print(f"maker: {safe(message).replace(chr(92) + '[', '[')}", file=sys.stderr)  # noqa: T201
    _leave(code)


def _run(task: Any, settings: dict[str, Any], label: str, *, quiet: bool) -> RunResult:
    with _interrupts() as interrupted, progress_bar(label, quiet=quiet) as bar:
        return run_sync(task, **settings, progress=bar.show, interrupted=interrupted)


@contextmanager
def _interrupts() -> Iterator[Any]:
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


def _show_result(result: RunResult, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(result.as_json()))  # noqa: T201 -- the command's output
        return
    print_rows(run_rows(result), "maker run")


def _verify_and_leave(journal: Path, task: Any, *, as_json: bool, before: RunResult | None = None) -> None:
    with progress_bar("verify", quiet=as_json) as bar:
        audit = verify(journal, task, progress=bar.steps)
    if as_json:
        print(json.dumps({**(before.as_json() if before else {}), **audit.as_json()}))  # noqa: T201 -- the command's output
    else:
        rows = run_rows(before) if before else [
            ("run", safe(str(audit.summary.header.get("run")))), ("steps", f"{audit.summary.steps:,}"),
            ("chain", audit.summary.fold.chain), ("state", audit.summary.fold.state_digest.hex()),
        ]  # fmt: skip
        verdict = "every check holds" if audit.problem is None else f"FAILED: {safe(audit.problem)}"
        goal = "solved" if audit.solved else "goal not reached" if audit.complete else "not finished"
        rows += [("verified", f"{verdict}; {goal}"), ("checks", ", ".join(audit.checked))]
        print_rows(rows, "maker verify" if before is None else "maker demo")
    raise typer.Exit(audit.exit_code)


def _k(text: str) -> int | str:
    if text == "auto":
        return text
    try:
        return int(text)
    except ValueError:
        raise TaskError(f"--k {text}: give a whole number or auto") from None


def _parameters(args: list[str]) -> dict[str, str]:
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


if __name__ == "__main__":
    main()
