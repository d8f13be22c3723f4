"""What the commands share: option types, task parameters, running with a bar, printing."""

from __future__ import annotations

import functools
import inspect
import json
import os
import runpy
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer

from maker.cli.screen import Bar, hushed, interrupted_rows, lines_of, print_rows, progress_bar
from maker.decision.pool import read_weights
from maker.decision.sample import AnyModel, Model
from maker.decision.telling.rows import Rows
from maker.engine.result import RunResult
from maker.errors import TaskError
from maker.models import load_model, over_http
from maker.sending.budget.limits import Limits
from maker.task.load import load_task

T = TypeVar("T")
TASK_OPTIONS = {"allow_extra_args": True, "ignore_unknown_options": True}  # a command that passes options to a task
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def _hush(given: bool) -> bool:
    """Take note of --quiet where the bar is: no command has to hand it on."""
    hushed.set(given)
    return given


Quiet = Annotated[bool, typer.Option("--quiet", callback=_hush, help="No bar and no notes while it runs.")]
JournalFile = Annotated[Path, typer.Argument(metavar="JOURNAL", help="The file that `maker run --journal` wrote.")]
TaskFile = Annotated[str | None, typer.Option(help="path/to/file.py:Class, for a task that is not built in.")]
TaskName = Annotated[str, typer.Argument(help="A built-in name (see `maker tasks`) or path/to/file.py:Class.")]

OPTIONS: dict[str, tuple[Any, Any, str]] = {  # type, default (... for none), help; the names are those of the settings
    "model": (list[str], ..., "openai:NAME (OPENAI_API_KEY), http://HOST/v1#NAME (MAKER_API_KEY). Repeated: in turn."),
    "steps": (int | None, None, "Random steps to draw on, 30 or more (as many as cost a tenth of the run)."),
    "repeats": (int, 2, "Draws on each of them."),
    "target": (float, 0.95, "Wanted probability that the whole run is right."),
    "worst_case": (bool, False, "Promise the target whatever the shape of difficulty, or plan no k."),
    "total_steps": (int | None, None, "Plan for a run of so many steps, not the task's own."),
    "depth": (int, 5, "How often a problem may be split over and over; 0 to 32."),
    "seed": (int, 0, "Seed of all draws."),
    "journal": (Path | None, None, "File to write; an existing one is resumed."),
    "segments": (int | None, None, "Pieces with known entry states run side by side."),
    "flags": (str | None, None, "Red flags: default, paper, or names: default,several-finals."),
    "temperature": (str, "0.1", "Of every draw; `server` leaves it to the server."),
    "first_temperature": (float | None, None, "Of each step's first draw; 0 as in the paper."),
    "weights": (str | None, None, "Of a pool: votes that a draw counts, by turn: 4,2,1, or calibrated."),
    "system": (str | None, None, "Said to the model before every question: a text, or @FILE."),
    "examples": (Path | None, None, "Shown before every question: a JSON file, [[question, answer], ...]."),
    "max_tokens_per_reply": (int, 1024, "The most tokens of one reply."),
    "long_answer": (int, 750, "A reply of more tokens is flagged."),
    "stop": (list[str] | None, None, "A text that ends a reply; may be repeated."),
    "paraphrase": (bool, False, "Ask each step in the task's equivalent views, in turn."),
    "keep_samples": (str | None, None, "Texts stored in full: all, flagged or none."),
    "prices": (str | None, None, "IN,OUT in dollars a million tokens, or a JSON file {model: {input, output}}."),
    "timeout": (float | None, None, "Seconds of one attempt, over HTTP (120)."),
    "header": (list[str] | None, None, "`Name: value` sent with every request, over HTTP; may be repeated."),
    "extra": (list[str] | None, None, "KEY=JSON, a field of every request's body; may be repeated."),
    "query": (list[str] | None, None, "KEY=VALUE in every request's address; may be repeated."),
    "accept_change": (list[str] | None, None, "What a server may change in mid-solve: model, fingerprint."),
    **{name: (field.annotation, None, field.description or "") for name, field in Limits.model_fields.items()},
    "on_limit": (str | None, None, Limits.model_fields["on_limit"].description or ""),
}

# The same everywhere.
ASKING = "weights seed flags system examples temperature first_temperature max_tokens_per_reply long_answer stop"
REACHING = "prices timeout header extra query"  # likewise: what only models over HTTP take
# The same for commands that name their own parameters.
Prices = Annotated[str | None, typer.Option(help=OPTIONS["prices"][2])]
Timeout = Annotated[float | None, typer.Option(help=OPTIONS["timeout"][2])]
Header = Annotated[list[str] | None, typer.Option(help=OPTIONS["header"][2])]
Extra = Annotated[list[str] | None, typer.Option(help=OPTIONS["extra"][2])]
Query = Annotated[list[str] | None, typer.Option(help=OPTIONS["query"][2])]


def with_settings(order: str, **helps: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command options by name; it gets what they say as one dict, `settings`, for run, solve or estimate.

    order: that of the help: names of OPTIONS and of the command's own parameters. helps: other texts for some.
    """

    def added(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True).parameters

        def option(name: str) -> inspect.Parameter:
            if name in own:
                return own[name].replace(kind=inspect.Parameter.KEYWORD_ONLY)
            kind, default, text = OPTIONS[name]
            told = Annotated[kind, typer.Option(help=helps.get(name, text))]  # type: ignore[valid-type]
            return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=told)

        @functools.wraps(command)
        def called(**given: Any) -> None:
            mine = {name: given.pop(name) for name in own if name in given}
            command(**mine, settings=_settings(**given))

        signature = inspect.Signature([option(name) for name in order.split()])
        called.__signature__ = signature  # type: ignore[attr-defined]  # typer reads it
        called.__annotations__ = {name: option.annotation for name, option in signature.parameters.items()}
        return called

    return added


def said(**options: Any) -> dict[str, Any]:
    """Return the options that were given, by name."""
    return {name: value for name, value in options.items() if value is not None}


def _settings(*, model: list[str] | None = None, **given: Any) -> dict[str, Any]:
    """Return what options say, under the names that the settings have; what was not given is left to its default.

    Where the command itself names the model, what is for reaching it is left to that, as `reaching`.
    """
    given = said(**given)
    reaching = {name: given.pop(name) for name in REACHING.split() if name in given}
    limits = {name: given.pop(name) for name in Limits.model_fields if name in given}
    given["temperature"] = _temperature(given["temperature"])
    given["max_tokens"] = given.pop("max_tokens_per_reply")
    if "weights" in given:
        given["weights"] = read_weights(given["weights"])
    if given.get("system", "").startswith("@"):
        given["system"] = _text_of(Path(given["system"][1:]))
    if "examples" in given:
        given["examples"] = _examples(given["examples"])
    if model is None:
        return {**given, "reaching": reaching, "limits": limits}
    return {**given, "model": named_models(model, limits.get("concurrency"), **reaching), "limits": limits}


def _examples(file: Path) -> Any:
    """Read --examples; what stands in it is checked as examples= is."""
    try:
        return json.loads(_text_of(file))
    except ValueError as error:
        raise TaskError(f"--examples {file}: no JSON: {error}. Give [[question, answer], ...].") from None


def _temperature(text: str) -> float | None:
    """Read --temperature: a number, or the server's own."""
    try:
        return None if text == "server" else float(text)
    except ValueError:
        raise TaskError(f"--temperature {text}: give a number, or `server` for the server's own") from None


def _text_of(path: Path) -> str:
    """Read what an option names as @FILE."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise TaskError(f"@{path}: {type(error).__name__}: {error}. Give a text, or @FILE of UTF-8 text.") from None


def print_json(said: Mapping[str, Any]) -> None:
    """Print one object on one line: what a program reads."""
    print(json.dumps(said))  # noqa: T201 -- the command's output


def say(said: Mapping[str, Any], rows: Rows, title: str, *, as_json: bool, code: int = 0) -> NoReturn:
    """Print what a command has to say, for a program or as a table for a person, and leave with an exit code."""
    if as_json:
        print_json(said)
    else:
        print_rows(rows, title)
    raise typer.Exit(code)


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


def own_task(name: str | None, args: list[str]) -> Any:
    """Return the task that --task names, with its parameters; None of none. Raises TaskError for parameters of none."""
    if args and not name:
        raise TaskError(f"unknown option {args[0]!r}; task parameters need --task")
    return load_task(name, **task_options(args)) if name else None


def own_function(option: str, name: str) -> Callable[[str], Any]:
    """Return the function of a Python file of the user's own that an option names as FILE.py:NAME."""
    path, _, attribute = name.rpartition(":")
    if not Path(path).is_file():
        raise TaskError(f"{option} {name}: no such file. Give FILE.py:NAME.")
    try:
        found = runpy.run_path(path).get(attribute)
    except (Exception, SystemExit) as error:
        raise TaskError(f"{option} {name}: cannot be loaded: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise TaskError(f"{option} {name}: there is no function {attribute!r} in that file")
    return found  # type: ignore[no-any-return]


def named_models(specs: list[str], concurrency: int | None = None, **reaching: Any) -> AnyModel:
    """Return the model that --model describes, or where it is repeated the list of those that take turns."""
    made = {spec: named_model(spec, concurrency, **reaching) for spec in specs}
    return [made[spec] for spec in specs] if len(specs) > 1 else made[specs[0]]


def named_model(spec: str, concurrency: int | None = None, **reaching: Any) -> Model | str:
    """Return the model that options describe; just its name where they say nothing that only HTTP models take.

    reaching: the options of REACHING that were given.
    """
    if not over_http(spec):
        if reaching:
            given = ", ".join(f"--{name}" for name in reaching)
            raise TaskError(f"{given}: for models over HTTP only (openai:..., http://..., a name in maker.toml)")
        return spec
    return load_model(
        spec, concurrency=concurrency, timeout=reaching.get("timeout"), prices=_prices(reaching.get("prices"), spec),
        headers=_pairs("header", ":", reaching), query=_pairs("query", "=", reaching),
        extra={key: _json(key, text) for key, text in _pairs("extra", "=", reaching).items()},
    )  # fmt: skip


def _pairs(option: str, sign: str, reaching: Mapping[str, Any]) -> dict[str, str]:
    """Return the names and values that a repeated option gives. A value is not repeated: it may be a secret."""
    pairs: dict[str, str] = {}
    for text in reaching.get(option, ()):
        name, found, value = text.partition(sign)
        if not found or not name.strip():
            raise TaskError(f"--{option}: give NAME{sign}VALUE" + (", in quotes" if sign == ":" else ""))
        pairs[name.strip()] = value.strip()
    return pairs


def _json(key: str, text: str) -> Any:
    """Read the value of --extra."""
    try:
        return json.loads(text)
    except ValueError:
        raise TaskError(f"--extra {key}: the value is no JSON; a text is written '{key}=\"...\"'") from None


def _prices(text: str | None, spec: str) -> Any:
    """Read --prices: two numbers, or a file with a table of models."""
    if text is None:
        return None
    told, _, given = text.partition(",")
    with suppress(ValueError):
        return {"input": float(told), "output": float(given)}
    model = spec.partition("#")[2] or spec.partition(":")[2] or spec
    try:
        table = json.loads(Path(text).read_bytes())
        return table[model]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TaskError(
            f"--prices {text}: {type(error).__name__}: {error}. Give IN,OUT in dollars a million tokens, or a JSON "
            f'file with {{"{model}": {{"input": 0.4, "output": 1.6}}}}.'
        ) from None


def shown(work: Callable[..., T], what: Any, settings: dict[str, Any], label: str, *, quiet: bool) -> T:
    """Run a task, solve a problem or audit a run, with a progress bar; the first interrupt stops it cleanly."""
    journal = settings.get("journal", settings.get("to"))
    with progress_bar(label, quiet=quiet) as bar, _interrupts(1, lambda: _at_once(bar, journal, quiet)) as interrupted:
        return work(what, **settings, progress=bar.show, interrupted=interrupted)


@contextmanager
def shown_until_interrupted(label: str, *, quiet: bool) -> Iterator[Bar]:
    """Show a bar while something runs of which nothing is kept: the first interrupt ends it."""
    with progress_bar(label, quiet=quiet) as bar, _interrupts(0, lambda: _at_once(bar, None, quiet)):
        yield bar


@contextmanager
def shown_until_stopped(label: str, *, quiet: bool) -> Iterator[tuple[Bar, Callable[[], bool]]]:
    """Show a bar while something runs that then says what it knows: the first interrupt stops it."""
    with progress_bar(label, quiet=quiet) as bar, _interrupts(1, lambda: _at_once(bar, None, quiet)) as interrupted:
        yield bar, interrupted


def say_result(result: RunResult, said: Mapping[str, Any], rows: Rows, title: str, *, as_json: bool) -> NoReturn:
    """Print how a run or a solve went, an interrupted one in three lines, and leave with its exit code."""
    if result.stopped == "interrupted":
        total = getattr(result.task, "steps", None)
        done = f"{result.steps:,}{f' of {total:,}' if total else ''} steps, {result.samples:,} samples"
        rows, title = interrupted_rows(done, result.usage.tokens, result.cost, result.journal), ""
    say(said, rows, title, as_json=as_json, code=result.exit_code)


@contextmanager
def _interrupts(asked: int, end: Callable[[], object]) -> Iterator[Callable[[], bool]]:
    """Turn so many signals of the kinds that end a process into a clean stop; call `end` at the next.

    A SIGHUP that is ignored, as under nohup, stays so.
    """
    seen: list[int] = []

    def handle(number: int, _frame: Any) -> None:
        seen.append(number)
        if len(seen) > asked:
            end()

    numbers = [signal.SIGINT, signal.SIGTERM]
    hangup = getattr(signal, "SIGHUP", None)  # not on every system
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        numbers.append(hangup)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield lambda: bool(seen)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _at_once(bar: Bar, journal: object, as_json: bool) -> NoReturn:
    """Say how far it came and end this process, as a kill does: a journal keeps what it has acknowledged.

    Nothing that runs is waited for, and nothing of it can print a traceback.
    """
    seen = bar.glimpse
    done = f"{seen.steps:,}{f' of {seen.total:,}' if seen.total else ''} steps"
    done += f", {seen.samples:,} samples" if seen.samples else ""
    told = "interrupted at once. " + (f"Run the same command to resume {journal}." if journal else "Nothing was kept.")
    error = {"solved": False, "error": told, "steps": seen.steps, "cost": seen.cost, "exit_code": 3}
    rows = interrupted_rows(done, seen.tokens or None, seen.cost, journal)
    with suppress(OSError):  # the terminal may be gone
        bar.stop()
        sys.stdout.flush()
        os.write(1, (json.dumps(error) + "\n" if as_json else lines_of(rows)).encode("utf-8", "backslashreplace"))
    os._exit(3)
