"""`maker revote`: the stored samples of a run under another k, rule, flag set or parser."""

from __future__ import annotations

from typing import Annotated

import typer

from maker.cli.options import JournalFile, Json, Quiet, TaskFile, own_function, own_task, say
from maker.cli.screen import counts, progress_bar, safe
from maker.decision.telling.rows import Rows
from maker.errors import TaskError
from maker.review.revote import RULES, Revote, Steps
from maker.review.revote import revote as recount

SHOWN_RANGES = 12
SHOWN_CHANGES = 5
SHOWN_TEXT = 60  # characters of an answer


def revote(
    ctx: typer.Context,
    journal: JournalFile,
    k: Annotated[int | None, typer.Option(help="The margin; the run's own by default.")] = None,
    flags: Annotated[str | None, typer.Option(help="default, paper or none; the run's own by default.")] = None,
    rule: Annotated[str, typer.Option(help=f"When to stop: {', '.join(RULES)} (the run's is ahead).")] = "ahead",
    parse: Annotated[
        str | None, typer.Option(metavar="FILE.py:NAME", help="Another parser: a function of the reply's text.")
    ] = None,
    task: TaskFile = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Count the stored samples again under other settings; nothing is sent. Other options go to the task."""
    loaded = own_task(task, ctx.args)
    if flags not in (None, "default", "paper", "none"):
        raise TaskError(f"--flags {flags}: give default, paper or none")
    with progress_bar("revote", quiet=as_json) as bar:
        found = recount(
            journal, k=k, flags=flags, rule=rule, parse=own_function("--parse", parse) if parse else None,
            task=loaded, progress=bar.steps,
        )  # fmt: skip
    say(found.as_json(), rows(found), "maker revote", as_json=as_json)


def rows(found: Revote) -> Rows:
    """Return a recount as a table, a row each."""
    n = found.same + len(found.changed)
    shown: Rows = [
        ("run", safe(found.run) + ("  (simulated model)" if found.simulated else "")),
        ("recount", f"{_rule(found.rule, found.k)}, flags {safe(' '.join(found.flags)) or 'none'}"),
        ("recorded", f"{_rule('ahead', found.k_recorded)}"
         + (f", flags {safe(' '.join(found.flags_recorded))}" if found.flags != found.flags_recorded else "")),
        ("steps", f"{found.steps:,} decided" + (f", {_open(found)}" if found.open or found.settled else "")),
        ("same winner", f"{found.same:,}"),
        ("other winner", _listed(found.changed)),
        ("undecidable", f"{found.undecidable:,} from the store"),
    ]  # fmt: skip
    if found.missing:
        shown.append(("  draws run out", f"{_listed(found.missing)}; at least {found.missing_votes:,} more votes"))
    if found.unreadable:
        shown.append(("  text not stored", f"{_listed(found.unreadable)}; run with --keep-samples all to know"))
    if found.tied:
        shown.append(("tied", _listed(found.tied)))
    if found.dropped or found.admitted:
        kinds = f" ({counts(found.dropped)})" if found.dropped else ""
        dropped = f"{found.dropped.total():,} votes are flagged now{kinds}"
        shown.append(("red flags", f"{dropped}, {found.admitted:,} flagged ones vote"))
    if n:
        saved = found.samples_recorded - found.samples
        share = f"{abs(saved):,} {'saved' if saved >= 0 else 'added'} ({abs(saved) / found.samples_recorded:.1%})"
        instead = f"{found.samples:,} instead of {found.samples_recorded:,}"
        shown.append(("samples", f"{instead} for {n:,} decidable steps: {share}"))
    if found.changed:
        shown.append(("what it means", _meaning(found)))
    shown += [(f"  step {change.step}", f"{_short(change.recorded)}  ->  {_short(change.now)}")
              for change in found.changes[:SHOWN_CHANGES]]  # fmt: skip
    return shown + [("note", safe(note)) for note in found.notes]


def _rule(rule: str, k: int) -> str:
    if rule == "ahead":
        return f"first to be ahead by {k}"
    return f"first to {k} votes" if rule == "first" else f"majority of {2 * k - 1} votes"


def _open(found: Revote) -> str:
    settled = f"{_listed(found.settled)} of them decided now" if found.settled else "none of them decided now"
    return f"{found.open + len(found.settled):,} open, {settled}"


def _listed(steps: Steps) -> str:
    """Return a count and where, as far as a line goes."""
    if not steps:
        return "0"
    ranges = steps.ranges()
    parts = [f"{first}" if first == last else f"{first}-{last}" for first, last in ranges[:SHOWN_RANGES]]
    more = f", ... ({len(ranges) - SHOWN_RANGES:,} more places)" if len(ranges) > SHOWN_RANGES else ""
    return f"{len(steps):,} (step {', '.join(parts)}{more})"


def _meaning(found: Revote) -> str:
    first = next(iter(found.changed))
    ours = "the run's winners were all right, so these steps would have been lost: the vote saved them. "
    return (ours if found.wrong == 0 else "") + (
        f"From step {first} on such a run would have been in another state; later steps are judged in the recorded one."
    )


def _short(text: str) -> str:
    """Return an answer's text on one line, as far as it fits."""
    line = " ".join(text.split())
    return safe(line if len(line) <= SHOWN_TEXT else line[:SHOWN_TEXT] + "...")
