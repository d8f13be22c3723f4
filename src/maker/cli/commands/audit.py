"""`maker audit`: a sample of a finished run's decisions put to a judge, and what follows for all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from maker.api.audit.audit import SAMPLE, audit_sync, kept_at
from maker.api.audit.result import CONFIDENCE, Acceptance, Disputed
from maker.cli.commands.journals import items_in
from maker.cli.options import (
    ASKING,
    REACHING,
    JournalFile,
    Json,
    Quiet,
    TaskFile,
    named_model,
    own_function,
    say,
    shown,
    with_settings,
)
from maker.cli.screen import safe
from maker.decision.telling.rows import Rows
from maker.errors import TaskError
from maker.journal.story import Story
from maker.task.load import load_task

SHOWN = 10  # disputed decisions on one screen
SHOWN_TEXT = 60  # characters of an answer
MEANS = "a model errs, too: what both get wrong alike is not seen, and a decision that it disagrees with may be right"


@with_settings(
    f"journal by sample bound k to known task items prompt {ASKING} concurrency max_votes max_flags max_calls "
    f"max_tokens max_cost max_seconds patience {REACHING} quiet as_json",
    seed="Of the sample, and of a model's draws.",
    max_calls="Draws sent to a model, earlier calls included.",
)
def audit(
    journal: JournalFile,
    settings: dict[str, Any],
    by: Annotated[str, typer.Option(help="The judge: truth, FILE.py:FUNCTION (state, step, answer) -> bool, csv, or a "
                                         "model as for --model.")],
    sample: Annotated[int | None, typer.Option(help=f"Decisions to judge ({SAMPLE}; with --bound: enough for it).")]
    = None,
    bound: Annotated[float | None, typer.Option(help="Go on until at most this share is shown to be wrong, or more.")]
    = None,
    k: Annotated[int, typer.Option(help="The margin of a model's answers.")] = 3,
    to: Annotated[Path | None, typer.Option(help="File of a model's or a person's answers (JOURNAL.audit).")] = None,
    known: Annotated[Path | None, typer.Option(help="Of a model: the filled file of an audit by csv, a smaller sample: "
                                                    "how often the model errs.")] = None,
    task: TaskFile = None,
    items: Annotated[Path | None, typer.Option(help="Of a map: one a line, or a JSON list.")] = None,
    prompt: Annotated[str, typer.Option(help="With --items: the map's template.")] = "{item}",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Say how many decisions of a run are wrong at most, by a random sample of them that is judged.

    Leaves with 0 when the bound is shown, or without one when nothing wrong was seen; with 1 when more is wrong; with 3
    when it stays open. The same command goes on with what was stopped.
    """
    reaching = settings.pop("reaching")
    if ".py:" in by:
        judge: Any = own_function("--by", by)
    else:
        judge = by if by in ("truth", "csv") else named_model(by, settings["limits"].get("concurrency"), **reaching)
    if reaching and (".py:" in by or by in ("truth", "csv")):
        raise TaskError(f"{', '.join(f'--{name}' for name in reaching)}: for models over HTTP only")
    settings |= {"by": judge, "sample": sample, "bound": bound, "k": k, "to": kept_at(judge, journal, to)}
    settings |= {"items": None if items is None else items_in(items), "prompt": prompt, "known": known}
    settings["task"] = load_task(task, **Story(journal).latest.get("parameters", {})) if task else None
    found = shown(audit_sync, journal, settings, "audit", quiet=as_json)
    say(found.as_json(), _rows(found), "maker audit", as_json=as_json, code=found.exit_code)


def _rows(found: Acceptance) -> Rows:
    """Return what was found on one screen: the numbers first."""
    seen = _seen(found)
    rows: Rows = [
        ("run", safe(found.run) + ("  (simulated model)" if found.simulated else "")), ("judge", safe(found.judge)),
        ("result", _verdict(found)), (seen, _bounds(found)),
        ("sample", f"{found.judged:,} of {found.decided:,} decided steps were judged, {found.wrong:,} {seen}"),
    ]  # fmt: skip
    rows += _corrected(found)
    for part in found.parts:
        kind = f", kind {safe(part.kind)}" if part.kind else ""
        open_ones = f", {part.undecided:,} undecided by the judge" if part.undecided else ""
        rows.append((f"  {part.stratum}{kind}", f"{part.judged:,} of {part.size:,}, {part.wrong:,} {seen}{open_ones}"))
    rows += [(f"  step {one.step}", _disputed(one)) for one in found.disputed[:SHOWN]]
    if len(found.disputed) > SHOWN:
        rows.append(("  more", f"{len(found.disputed) - SHOWN:,}: maker audit --json names all"))
    if found.words != "wrong" and found.corrected is None:
        rows.append(("what it means", MEANS))
    if found.asked:
        cost = "not known" if found.asked.cost is None else f"${found.asked.cost:,.4f}"
        rows.append(
            ("took", f"{found.asked.usage.dispatched:,} calls, {found.asked.usage.tokens:,} tokens, cost {cost}")
        )
    if found.kept:
        rows.append(("kept in", safe(str(found.kept))))
    if found.stopped:
        rows.append(("stopped", safe(f"{found.stopped}. {found.detail}")))
    return rows


def _corrected(found: Acceptance) -> Rows:
    """Return what is wrong, by a judge whose mistakes were counted."""
    of = found.corrected
    if of is None:
        return []
    share = f"at most {of.high / found.decided:.4%}: {of.low:,} to {of.high:,}"
    return [
        ("the judge", f"was mistaken about {of.mistaken:,} of {of.known:,} that a person judged, too"),
        ("wrong", f"{share}, if it misses no more than {of.missed:.2%} of the wrong ones"),
        ("or else", f"at most {of.high_alone / found.decided:.4%}, whatever the judge misses: by the person alone"),
    ]


def _seen(found: Acceptance) -> str:
    return "wrong" if found.words == "wrong" else "disagreed with"


def _verdict(found: Acceptance) -> str:
    """Return what is shown, in a line."""
    if found.bound is None:
        if found.high is None:
            return "open"
        return f"decisions seen that are {_seen(found)}" if found.disputed else f"none seen that is {_seen(found)}"
    asked = f"at most {found.bound:.4%} {'wrong' if found.corrected else _seen(found)}"
    if found.shown or found.refuted:
        return f"{asked}: {'shown' if found.shown else 'REFUTED, there are more'}"
    return f"{asked}: open" + ("" if found.stopped else "; a larger --sample would tell")


def _bounds(found: Acceptance) -> str:
    """Return how many of the whole run it may be."""
    if found.high is None or found.expected is None or found.low is None:
        return "not known yet: the sample is not judged"
    share = f"at most {found.high / found.decided:.4%}"
    return (
        f"{share} of the run's {found.decided:,} steps: {found.low:,} to {found.high:,}, about {found.expected:,.0f} "
        f"(each bound at {CONFIDENCE:.0%})"
    )


def _disputed(one: Disputed) -> str:
    """Return a decision that the judge did not find right, on one line."""
    said = " | the judge came to no verdict" if one.said is None else f" | {_short(one.said)}" if one.said else ""
    return f"{one.votes} votes to {one.against}: {_short(one.answer)}{said}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return safe(line if len(line) <= SHOWN_TEXT else line[:SHOWN_TEXT] + "...")
