"""`maker experiment`: one question, answered by drawing, voting and counting."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Annotated

import typer

from maker.cli.options import Json, print_json
from maker.errors import TaskError
from maker.experiments.kit.files import can_draw, write
from maker.experiments.kit.study import Options, Study, aligned
from maker.experiments.registry import NAMES, load

NO_FIGURE = "no figure will be drawn: matplotlib is missing, install it with `pip install 'maker[plots]'`"

POOLED = "decorrelation"  # the experiment that asks two models in turn
CODED = "execution-gap"  # the one that may run code of a model's making
_TOLD = ("name", "question", "seed", "n", "simulated", "shows", "shows_not", "files", "rows")  # what a program reads


def experiment(
    name: Annotated[str | None, typer.Argument(help="One of: " + ", ".join(NAMES) + ".")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer draws, wider intervals: under 30 seconds.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of all draws.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for rows (CSV, Parquet) and figure (PNG).")] = Path(
        "maker-experiments"
    ),
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Ask this model instead, up to thousands of times: begin with --quick. Of experiments with "
            "language models replies are kept in --out, and the same command goes on. Twice: a pool of two."
        ),
    ] = None,
    temperature: Annotated[float, typer.Option(help="Of every draw of --model.")] = 0.1,
    allow_code: Annotated[
        bool,
        typer.Option(
            "--allow-code",
            help="execution-gap: run Python that the model writes, in a process without "
            "network and files; refused where it cannot be held in.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Run an experiment: print its table and what it shows, write its rows and its figure."""
    if name is None:
        listed = "\n".join(f"  {key}: {question}" for key, question in NAMES.items())
        raise TaskError(f"which experiment?\n{listed}")
    if seed < 0:
        raise TaskError(f"--seed {seed}: give a whole number of 0 or more")
    run = load(name)
    if allow_code and name != CODED:
        raise TaskError(f"experiment {name}: --allow-code is for {CODED} alone, no other runs a model's code.")
    asked, partner = _models(name, model or [])
    tell = functools.partial(typer.echo, err=True)
    if not can_draw():
        tell(NO_FIGURE)
    say = (lambda _line: None) if as_json else tell
    study = run(Options(quick, seed, asked, temperature, say, out, partner, allow_code))
    write(study, out)
    if as_json:
        print_json({key: getattr(study, key) for key in _TOLD})
    else:
        _show(study)


def _models(name: str, given: list[str]) -> tuple[str | None, str | None]:
    """Return the model to ask and its partner in a pool; one experiment alone takes a partner."""
    if len(given) > 2 or (len(given) == 2 and name != POOLED):
        raise TaskError(f"experiment {name}: --model is given {len(given)} times. Once, or twice for {POOLED}.")
    return given[0] if given else None, given[1] if len(given) == 2 else None


def _show(study: Study) -> None:
    """Print what a person reads."""
    sys.stdout.write(
        f"{study.question}\n\n{aligned(study.table)}\n\n{study.shows}\n\nNot shown: {study.shows_not}\n\n"
        f"drawn: {study.n}; seed {study.seed}\nsimulated: {study.simulated}\n"
        + "".join(f"{kind}: {path}\n" for kind, path in study.files.items())
    )
