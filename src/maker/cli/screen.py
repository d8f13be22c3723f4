"""What a person sees: a progress bar on stderr, a summary of one screen on stdout.

Without a terminal there is no bar and no colour. What a model wrote is shown with its control
characters escaped, so that it cannot drive the terminal.
"""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from maker.decision.telling.rows import Rows
from maker.engine.result import Progress as Glimpse
from maker.engine.result import RunResult, pace
from maker.task.canonical import jsonable
from maker.theory.votes import tables as margins

hushed: ContextVar[bool] = ContextVar("hushed", default=False)  # whether the command was given --quiet
SHOWN_WAVES = 10
LONGEST_ANSWER = 120  # characters


class Bar:
    """A progress bar of a run; does nothing where stderr is no terminal."""

    def __init__(self, bar: Progress | None, label: str) -> None:
        self._bar = bar
        self._task = bar.add_task(label, total=None, stats="") if bar else TaskID(0)
        self.glimpse = Glimpse()  # the last that was shown

    def show(self, glimpse: Glimpse) -> None:
        """Draw what is acknowledged: steps, steps a second, samples a step, flag rate."""
        self.glimpse = glimpse
        if self._bar is None:
            return
        done = glimpse.steps - glimpse.replayed
        rate = done / glimpse.seconds if glimpse.seconds else 0.0
        samples = glimpse.samples / glimpse.steps if glimpse.steps else 0.0
        flagged = glimpse.flagged / glimpse.samples if glimpse.samples else 0.0
        stats = f"{pace(rate)} steps/s, {samples:.2f} samples a step, {flagged:.1%} flagged{_paid(glimpse)}"
        self.steps(glimpse.steps, glimpse.total, stats)
        self.glimpse = glimpse

    def stop(self) -> None:
        """Give the terminal back."""
        if self._bar is not None:
            self._bar.stop()

    def steps(self, count: int, total: int | None, stats: str = "") -> None:
        """Draw a plain count."""
        self.glimpse = Glimpse(count, total)
        if self._bar is not None:
            self._bar.update(self._task, completed=count, total=total, stats=stats, refresh=True)


def _paid(glimpse: Glimpse) -> str:
    """Return what matters of a model that is called over a network: calls out, dollars, what it waits for."""
    parts = [f"{glimpse.in_flight} out"] if glimpse.in_flight else []
    if glimpse.cost is not None:
        whole = glimpse.cost / glimpse.steps * glimpse.total if glimpse.steps and glimpse.total else None
        parts.append(f"${glimpse.cost:.2f}" + (f" of ~${whole:.2f}" if whole else ""))
    if glimpse.pace:
        parts.append(safe(glimpse.pace))
    if glimpse.retrying:
        parts.append(f"waiting: {safe(glimpse.retrying)[:80]}")
    return "".join(f", {part}" for part in parts)


@contextmanager
def progress_bar(label: str, *, quiet: bool) -> Iterator[Bar]:
    """Show a bar while the block runs, if stderr is a terminal and --quiet was not given."""
    console = Console(stderr=True)
    if quiet or hushed.get() or not console.is_terminal:
        yield Bar(None, label)
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.completed:,.0f} steps"),
        TextColumn("{task.percentage:>3.0f}%"), TextColumn("{task.fields[stats]}"), TimeRemainingColumn(),
    )  # fmt: skip
    # Drawn only when the run reports: a refreshing thread would compete with it for the interpreter.
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as bar:
        yield Bar(bar, label)


def note(text: str) -> None:
    """Tell whoever waits something, on stderr, unless --quiet was given."""
    if not hushed.get():
        sys.stderr.write(f"{text}\n")


def run_rows(result: RunResult) -> Rows:
    """Return the summary of a run, a row each; the last ones are its account."""
    simulated = "  (simulated)" if result.simulated else ""
    rows: Rows = [
        ("result", result.outcome),
        *([("answer", _short(safe(str(jsonable(result.answer)))))] if result.solved else []),
        ("model", safe(result.model) + simulated),
        ("wrong steps", "not known" if result.wrong is None else f"{result.wrong:,}"),
        ("k", f"{result.k}" + (_calibrated(result.calibration) if result.calibration else "")),
        ("segments", f"{result.segments:,}" + (", side by side by plan" if result.segments > 1 else ", sequential")),
        ("observed", _observed(result)),
        ("red flags", counts(result.flags) or "none"),
        ("undecided", _rounds(result.waves)),
        ("state", result.state_digest or "the initial one"), ("chain", result.chain),
    ]  # fmt: skip
    if result.escalations:
        rows.append(("tried again", f"{counts(result.escalations)} (steps that did not decide, by rung)"))
    if result.independence:
        rows.append(("independence", result.independence))
    if result.journal:
        rows.append(("journal", str(result.journal)))
    rows += result.account()
    if result.detail:
        rows.append(("what to do" if result.stopped else "why", safe(result.detail)))
    return rows


def interrupted_rows(done: str, tokens: int | None, cost: float | None, journal: object) -> Rows:
    """Return what an interrupted command says: what is done, what it cost, how to resume. journal: None for none."""
    dollars = "not known" if cost is None else f"${cost:,.4f}"
    again = f"run the same command: all that is done is in {safe(str(journal))}"
    return [
        ("done", done), ("cost", dollars + ("" if tokens is None else f", {tokens:,} tokens at most")),
        ("resume", again if journal else "nothing is kept without a journal: the same command begins again"),
    ]  # fmt: skip


def _short(text: str) -> str:
    """Return a text on one line, its middle left out when it is long."""
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_ANSWER else f"{text[: LONGEST_ANSWER // 2]} ... {text[-LONGEST_ANSWER // 4 :]}"


def _observed(result: RunResult) -> str:
    seen = result.observed
    parts = []
    if seen["p"] is not None:
        parts.append(f"p = {seen['p']:.6f} (95%: {seen['p_low']:.6f} to {seen['p_high']:.6f}, first valid samples)")
    if seen["v"] is not None:
        parts.append(f"v = {seen['v']:.5f}")
    if seen["rho"] is not None:
        parts.append(f"rho = {seen['rho']:.4f} ({result.collisions} collisions)")
    return ", ".join(parts) or "nothing"


def _calibrated(found: dict[str, Any]) -> str:
    seen = f"{found['erred']} of {found['steps']} steps wrong by {found['against']}"
    rho = f"rho {found['rho']:.3f}, up to {found['rho_high']:.2f}"
    table = margins.Table.of(found["table"], found["k"]) if found.get("table") else None
    planned = f"table: {table}" if table else "auto"
    return f"  ({planned}: {seen}, so p >= {found['p_plan']:.4f} at 95%; {rho})"


def counts(found: Mapping[str, int]) -> str:
    """Return what was counted by kind, the most frequent first."""
    return ", ".join(f"{safe(kind)} {n:,}" for kind, n in sorted(found.items(), key=lambda item: -item[1]))


def _rounds(waves: Counter[int]) -> str:
    """Return how many steps were still undecided after each wave."""
    decided = itertools.accumulate(waves[wave] for wave in range(1, max(waves, default=0) + 1))
    parts = [f"{waves.total() - count:,}" for count in decided]
    if len(parts) > SHOWN_WAVES:
        parts[SHOWN_WAVES - 1 :] = [f"... > 0 after {len(parts)}"]
    return "steps left after each wave: " + " > ".join(parts) if parts else "no step was decided"


def lines_of(rows: Rows) -> str:
    """Return rows as plain `name: value` lines."""
    return "".join(f"{name}: {value}".replace("\\[", "[") + "\n" for name, value in rows)


def print_rows(rows: Rows, title: str) -> None:
    """Print a two-column table that fits a screen; plain lines where there is no terminal, or no title."""
    console = Console(highlight=False)
    if not console.is_terminal or not title:
        sys.stdout.write(lines_of(rows))
        return
    table = Table(title=title, show_header=False, box=None, title_justify="left", pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, value)
    console.print(table)


def safe(text: str) -> str:
    """Return text without anything that could drive a terminal or be read as markup."""
    shown = "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode("ascii") for c in text)
    return shown.replace("[", "\\[")
