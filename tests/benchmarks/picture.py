"""Draw what the demo prints at its end as docs/demo.svg, from that output kept in a file.

Run: maker demo > demo.txt; python tests/benchmarks/picture.py demo.txt
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
SHOWN = ("result", "model", "steps", "wrong steps", "k", "segments", "samples", "observed", "red flags", "undecided",
         "time", "verified", "checks")  # fmt: skip


def rows_of(output: str) -> list[tuple[str, str]]:
    """Read the plain `name: value` lines of a demo that printed into a pipe."""
    pairs = [line.partition(": ")[::2] for line in output.splitlines()]
    return [(name, value) for name, value in pairs if name in SHOWN]


def main() -> None:
    """Draw the picture from a file of demo output (`maker demo > demo.txt`)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="what `maker demo` printed into a file")
    options = parser.parse_args()
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows_of(options.output.read_text()):
        table.add_row(*row)
    console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True)
    console.print("[bold]$ maker demo[/bold]\n")
    console.print(table)
    (ROOT / "docs" / "demo.svg").write_text(console.export_svg(title="maker demo"))


if __name__ == "__main__":
    main()
