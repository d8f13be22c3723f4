"""How the figures of estimates are written for a person: amounts with intervals, durations, and what a reply takes."""

from __future__ import annotations

from typing import Any

from maker.api.estimate import Estimate
from maker.cli.screen import Bar, note
from maker.decision.telling.rows import Rows
from maker.engine.probe import Pace
from maker.theory.planner import Amount

LONG = 10.0  # seconds from which on it is said how long it takes, even without a terminal
UNITS = (("h", 3600.0, 7200.0), ("min", 60.0, 120.0), ("s", 1.0, 0.0))  # name, seconds, from so many seconds on


def told(bar: Bar, label: str) -> dict[str, Any]:
    """Return what shows how far a drawing is, and what a reply takes: `progress` and `pace` of an estimate.

    On the bar; and on stderr, after the first replies and whenever more are wanted, where that takes a while.
    """
    seen, wanted, ends = 0, 0, set[int]()

    def progress(count: int, total: int) -> None:
        nonlocal seen, wanted
        seen, wanted = count, total
        bar.steps(count, total)

    def pace(now: Pace) -> None:
        money = "" if now.cost is None else f" and ${now.cost:.2g}"
        left = now.left * now.seconds
        words = f"{now.seconds:.2f} s{money} a reply, {duration(left)} left for {wanted:,} steps, more if they err"
        bar.steps(seen, wanted, words)
        if wanted not in ends and left >= LONG:
            note(f"{label}: {words}")
        ends.add(wanted)

    return {"progress": progress, "pace": pace}


def needs(found: Estimate) -> Rows:
    """Return what the samples of a run take."""
    rows: Rows = []
    if found.tokens and found.tokens_in and found.tokens_out:
        each = f"{found.tokens_in.value:.0f} in, {found.tokens_out.value:.0f} out a sample"
        rows.append(("tokens", f"{amount(found.tokens)}: {each}"))
    digits = 2 if found.cost and found.cost.value >= 1 else 4
    rows.append(("cost", f"${amount(found.cost, digits)}" if found.cost else "not known: no prices"))
    if found.seconds:
        name, size = unit(found.seconds.value)
        rows.append(("time", f"{amount(found.seconds.times(1 / size), 1)} {name} at the pace of this estimate"))
    return rows


def amount(of: Amount, digits: int = 0) -> str:
    """Return a value with its interval."""
    return f"{of.value:,.{digits}f} ({of.low:,.{digits}f} to {of.high:,.{digits}f})"


def unit(seconds: float) -> tuple[str, float]:
    """Return the name of the unit that suits so many seconds, and how many seconds it has."""
    return next((name, size) for name, size, least in UNITS if seconds >= least)


def duration(seconds: float) -> str:
    """Return a duration as it is said."""
    name, size = unit(seconds)
    return f"about {seconds / size:.0f} {name}"
