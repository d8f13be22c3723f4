"""`maker show --follow`: a run as it goes on, in a terminal; quiet in a pipe.

Not covered: what is counted (`serving/watching/reading.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from maker.cli.screen import safe
from maker.decision.telling.rows import Rows
from maker.engine.result import pace
from maker.journal.lock import held
from maker.serving.watching.reading import POLL_SECONDS, Reading

SHOWN = 6  # of a list


def follow(journal: Path, wait: Callable[[float], None] = time.sleep) -> None:
    """Show a run until it has ended, or nobody goes on with it, or an interrupt comes. wait: sleeps so many seconds.

    A journal that cannot be read ends it, too.
    """
    reading, console = Reading(journal), Console(highlight=False)
    try:
        with suppress(KeyboardInterrupt), Live(console=console, auto_refresh=False, transient=True) as live:
            for said in glimpses(reading, wait):
                if console.is_terminal:
                    live.update(_table(said, str(journal)), refresh=True)
    finally:
        reading.close()


def glimpses(reading: Reading, wait: Callable[[float], None]) -> Iterator[dict[str, Any]]:
    """Yield how a run stands, again and again; the last one says how it ended."""
    while True:
        alone = not held(reading.path)  # asked first: all that was written before is read then
        through = reading.caught_up()
        said = reading.shown()
        yield said | {"state": _state(said, alone=alone)}
        if said["problem"] or (alone and through):
            return
        wait(POLL_SECONDS)


def _state(said: dict[str, Any], *, alone: bool) -> str:
    """Return how the run stands in a word or two."""
    if said["problem"]:
        return str(said["problem"])
    if said["reading"]:
        return "reading the journal"
    if not alone:
        return {"pause": "paused", "stop": "stopping"}.get(said["steered"], "running")
    if not said["over"]:
        return "no run listens: killed, or just beginning"
    return "solved" if said["solved"] else f"stopped: {said['stopped']}" if said["stopped"] else "NOT solved"


def rows_of(said: dict[str, Any]) -> Rows:
    """Return what is shown of a run, a row each."""
    total = f" of {said['total']:,}" if said["total"] else ""
    share = f" ({said['steps'] / said['total']:.0%})" if said["total"] else ""
    left = "" if said["eta"] is None or said["over"] else f", {said['eta']:,.0f} s left"
    rows = [
        ("state", safe(said["state"])), ("model", safe(said["model"])),
        ("steps", f"{said['steps']:,}{total}{share}"), ("pace", f"{pace(said['rate'])} steps/s{left}"),
        ("samples", f"{said['samples']:,}, {said['flagged']:,} flagged"),
        ("flags", _counted(said["flags"])), ("votes a step", _counted(said["votes"])),
        ("undecided after", _counted([[f"round {number}", left] for number, left in said["undecided"]])),
        ("contested", f"{said['contested']:,} steps, mean entropy {said['entropy']:.3f}"),
        ("tokens, cost", f"{sum(said['tokens']):,}, ${said['cost']:,.4f}"),
    ]  # fmt: skip
    for one in said["servers"][:SHOWN]:
        slow = f", {one['slow']:,} of these 429" if one["slow"] else ""
        late = "" if one["median"] is None else f", median {one['median']:.2f} s"
        rows.append((safe(one["name"]), f"{one['replies']:,} replies, {one['failed']:,} failed{slow}{late}"))
    rows += [
        (f"step {one['step']:,}", f"{one['samples']} samples, margin {one['margin']}, {one['rounds']} rounds")
        for one in said["last"][:SHOWN]
    ]
    return rows


def _counted(pairs: list[Any]) -> str:
    return safe(", ".join(f"{name}: {count:,}" for name, count in pairs[:SHOWN])) or "none"


def _table(said: dict[str, Any], title: str) -> Table:
    table = Table(title=safe(title), show_header=False, box=None, title_justify="left", pad_edge=False)
    table.add_column(style="bold", no_wrap=True, min_width=15, max_width=32)
    table.add_column(overflow="ellipsis", no_wrap=True)
    for name, value in rows_of(said):
        table.add_row(name, value)
    return table
