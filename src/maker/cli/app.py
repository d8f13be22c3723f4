"""The command line: `maker demo | run | show | verify | ...`; each command is a function of a file in `commands`.

Exit codes: 0 solved; 1 finished or joined wrongly; 2 usage, bad input, a task that raises or is
infeasible; 3 a limit, an interrupt, a lost model or a full disk, resumable; 4 undecided or a poison
step, resumable; 5 the model is unusable; 6 the journal is damaged, locked or another run's.
Messages go to stderr on one screen; results to stdout, one JSON object with --json.
"""

from __future__ import annotations

import io
import os
import sys

import typer

from maker.api.telemetry.telemetry import telemetry
from maker.cli.commands import (
    audit,
    check,
    compare,
    demo,
    estimate,
    experiment,
    journals,
    lists,
    revote,
    run,
    serve,
    solve,
)
from maker.cli.commands.agents import mcp
from maker.cli.commands.first import init
from maker.cli.commands.live import ctl, view
from maker.cli.options import TASK_OPTIONS, print_json
from maker.cli.screen import safe
from maker.errors import MakerError
from maker.models.process import collect_seldom

INTERRUPTED = 130  # what typer makes of a KeyboardInterrupt

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="Very long tasks for language models, without a single error.",
)  # fmt: skip
app.command()(demo.demo)
app.command()(init.init)
app.command(context_settings=TASK_OPTIONS)(run.run)
app.command(context_settings=TASK_OPTIONS)(estimate.estimate)
app.command(context_settings=TASK_OPTIONS)(compare.compare)
app.command()(solve.solve)
app.command()(check.check)
app.command()(serve.serve)
app.command()(ctl.ctl)
app.command()(view.view)
app.command()(mcp.mcp)
app.command()(journals.show)
app.command(context_settings=TASK_OPTIONS)(journals.verify)
app.command()(audit.audit)
app.command()(experiment.experiment)
app.command(context_settings=TASK_OPTIONS)(revote.revote)
app.command()(journals.report)
app.command()(journals.export)
app.command()(journals.repair)
app.command()(lists.tasks)
app.command()(lists.models)


def main() -> None:
    """Run the command line; every MakerError becomes one message and its exit code."""
    collect_seldom()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal's encoding lacks is written as an escape
            stream.reconfigure(errors="backslashreplace")
    try:
        if os.environ.get("MAKER_OTEL"):
            telemetry()
        code = app(standalone_mode=False) or 0
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        _leave(code)
    except MakerError as error:
        _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted. Run the same command again.", 3)
    except BrokenPipeError:
        _leave(3)
    except Exception as error:
        if hasattr(error, "format_message"):  # a usage error of the option parser
            _fail(f"{error.format_message()} See `maker --help`.", 2)
        raise


def _leave(code: int) -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # nobody reads on: say no more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _fail(message: str, code: int) -> None:
    if "--json" in sys.argv:
        print_json({"solved": False, "error": message, "exit_code": code})
    print(f"maker: {safe(message).replace(chr(92) + '[', '[')}", file=sys.stderr)  # noqa: T201
    _leave(code)
