"""`maker report`: a run as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maker.commands.shared import JournalFile, Json, print_json
from maker.report import write_report
from maker.screen import print_rows, progress_bar, safe


def report(
    journal: JournalFile,
    output: Annotated[Path, typer.Option("--output", "-o", help="FILE.html.")] = Path("report.html"),
    as_json: Json = False,
) -> None:
    """Write one HTML file on a run, finished or not, without running any task code."""
    with progress_bar("report", quiet=as_json) as bar:
        path = write_report(journal, output, progress=bar.steps)
    size = path.stat().st_size
    if as_json:
        print_json({"output": str(path), "bytes": size})
    else:
        print_rows(
            [("written", safe(str(path))), ("size", f"{size / 1000:,.0f} kB, needs nothing else")], "maker report"
        )
