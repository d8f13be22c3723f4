"""`maker export`: a journal as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maker.audit import summarise
from maker.commands.shared import JournalFile, Json, print_json
from maker.export import COLUMNS
from maker.export import export as write
from maker.screen import print_rows, progress_bar, safe


def export(
    journal: JournalFile,
    output: Annotated[Path, typer.Option("--output", "-o", help="FILE.parquet, FILE.csv or FILE.jsonl.")],
    what: Annotated[str, typer.Option(help=f"One row for each: {' or '.join(COLUMNS)}.")] = "steps",
    as_json: Json = False,
) -> None:
    """Write a journal as a table, without running any task code."""
    with progress_bar("export", quiet=as_json) as bar:
        count = write(journal, output, what=what, progress=bar.steps)
    header = summarise(journal).header
    if as_json:
        print_json({"output": str(output), "what": what, "rows": count, "run": header["run"],
                    "simulated": bool(header.get("simulated"))})  # fmt: skip
        return
    simulated = "  (simulated model)" if header.get("simulated") else ""
    print_rows([("run", safe(str(header["run"])) + simulated), ("rows", f"{count:,}, one a {what.rstrip('s')}"),
                ("columns", ", ".join(COLUMNS[what])), ("written", safe(str(output)))], "maker export")  # fmt: skip
