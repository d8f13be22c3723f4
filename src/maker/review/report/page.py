"""A run as one HTML file: what ran, how it went, figures, the hardest steps, predicted against observed.

The file needs nothing from outside and runs nothing: no scripts, no links, no images, no inline styles, and a
content security policy that allows one style sheet by its hash and else nothing. What a model wrote, and every
word of the journal, is text: escaped by the template, with controls, ANSI sequences and bidirectional marks
made visible, and cut to a length that is said. Works on unfinished journals. No task code runs, unless a task is
given to tell the kinds of steps.

Needs jinja2 and matplotlib (extra `plots`). Not covered: an independent check of the journal (`maker verify`).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

from maker.errors import TaskError
from maker.models.takes import of_servers
from maker.review.diagnosis import diagnose
from maker.review.export import replacing
from maker.review.report.data import Contents, collect
from maker.review.report.figures import draw
from maker.review.report.steps import show_step
from maker.review.report.theory import Value, compare
from maker.task.canonical import jsonable, visible
from maker.task.task import Task

SHOWN_WORD = 300  # characters of a field of the header
POLICY = "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'"


def write_report(
    journal: str | Path,
    output: str | Path = "report.html",
    *,
    progress: Callable[[int, int], None] | None = None,
    task: Task | None = None,
) -> Path:
    """Write the report of a journal and return its path.

    output: FILE.html; one that exists is replaced, once the new one is complete. progress: called now and then
    with the steps read and those there are. task: the one of the journal: its code runs, and tells the kinds of steps.
    Raises JournalError for a journal that cannot be read, TaskError for a name, folder or task that does not fit and
    where jinja2 or matplotlib is missing.
    """
    output = Path(output)
    if output.suffix.lower() not in (".html", ".htm"):
        raise TaskError(f"{output}: give a name that ends in .html")
    with replacing(output, journal) as partial:
        partial.write_text(render_report(collect(journal, progress, task)), encoding="utf-8")
    return output


def render_report(found: Contents) -> str:
    """Return the report as HTML. Raises TaskError where jinja2 or matplotlib is missing."""
    try:
        import jinja2  # noqa: PLC0415 -- an extra: only reports need it

        figures = draw(found)
    except ImportError as error:
        raise TaskError(f"a report needs {error.name}: pip install 'maker[plots]'") from None
    folder = resources.files("maker.review.report")
    style = (folder / "report.css").read_text(encoding="utf-8")
    hashed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"count": "{:,}".format, "shown": _shown}
    template = environment.from_string((folder / "report.html").read_text(encoding="utf-8"))
    return template.render(
        policy=POLICY.format(hash=hashed), style=style,
        head=_head(found), tiles=_tiles(found), facts=_facts(found), figures=figures,
        comparisons=compare(found), calibrated=bool(found.summary.calibration),
        k=found.summary.k, open=[show_step(stored) for stored in found.open], open_count=found.open_count,
        kinds=[(_word(name), kind) for name, kind in found.kinds.items()],
        hardest=[show_step(stored) for stored in found.hardest], steps=found.summary.steps,
    )  # fmt: skip


def _head(found: Contents) -> dict[str, Any]:
    """Return what the top says: the run, its model, how it stands ("good", "bad" or "open") and why."""
    summary = found.summary
    close, header = summary.close, summary.header
    if close.get("solved"):
        standing, result = "good", "solved"
    elif close and close["stopped"] is not None:
        standing, result = "open", f"stopped: {_word(close['stopped'])}"
    elif close:
        standing, result = "bad", "finished, goal not reached"
    else:
        standing, result = "open", "unfinished: still running, or killed"
    said = {name: _word(header[name]) for name in ("run", "task", "model")}
    return {**said, "simulated": bool(header.get("simulated")), "standing": standing, "result": result,
            "detail": _word(close.get("detail") or "")}  # fmt: skip


def _tiles(found: Contents) -> list[tuple[str, str, str]]:
    """Return the figures of the first screen: name, value, remark."""
    summary, steps = found.summary, found.summary.steps
    total = summary.header.get("steps")
    wrong = summary.close.get("wrong")
    drawn = found.samples
    weighed = f", of votes that weigh {', '.join(map(str, summary.weights))} by turn" if summary.weights else ""
    return [
        ("steps decided", f"{steps:,}", f"of {total:,}" if isinstance(total, int) else "total not known"),
        ("wrong steps", "?" if wrong is None else f"{wrong:,}",
         "not known" if wrong is None else "by the task's truth"),
        ("margin k", "?" if summary.k is None else str(summary.k), f"and more, by a table: {summary.table}"
         if summary.table else ("calibrated" if summary.calibration else "given") + weighed),
        ("samples a step", f"{drawn / steps:.3f}" if steps else "-", f"{drawn:,} samples"),
        ("flagged", f"{found.flagged / drawn:.2%}" if drawn else "-", f"{found.flagged:,} samples"),
        ("tokens", _short(found.tokens_in, found.tokens_out), f"${found.cost:,.4f}" if found.cost else "in and out"),
    ]  # fmt: skip


def _short(tokens_in: int | None, tokens_out: int | None) -> str:
    if tokens_in is None and tokens_out is None:
        return "?"
    total = (tokens_in or 0) + (tokens_out or 0)
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if total >= size:
            return f"{total / size:.2f} {unit}"
    return str(total)


def _facts(found: Contents) -> list[tuple[str, str]]:
    """Return what ran: the header, field by field, then what the journal says of the whole."""
    summary = found.summary
    rows = [(_word(key), _word(value)) for key, value in summary.header.items() if key not in ("run", "version")]
    rows += [(_word(name), told) for name, told in summary.pooled_rows]
    servers = of_servers(str(summary.header.get("model")), summary.takes, summary.served, summary.sources)
    rows += [(name, _word(told)) for name, told in servers.items()]
    if summary.calibration:
        rows.append(("calibration", _word(summary.calibration)))
    if summary.worth:
        rows.append(("effective votes", summary.worth))
    rows.append(("diagnosis", diagnose(found.signs, summary.k, summary.close).line))
    rows += [("settings changed", _word(changed)) for changed in found.changes]
    if found.cost:
        rows.append(("cost", f"${found.cost:,.4f}, of the calls that were settled"))
    rows += [
        ("tokens in", "not reported" if found.tokens_in is None else f"{found.tokens_in:,}"),
        ("tokens out", "not reported" if found.tokens_out is None else f"{found.tokens_out:,}"),
        ("red flags", _word(", ".join(f"{kind} {n:,}" for kind, n in found.flags.most_common()) or "none")),
        ("unbroken from step 0", f"{summary.fold.steps:,} steps"),
        ("state digest", summary.fold.state_digest.hex() or "the initial state"), ("chain", summary.fold.chain),
    ]  # fmt: skip
    if summary.close:
        rows.append(("answer", _word(jsonable(summary.close.get("answer")))))
        rows.append(("seconds, last call", f"{_number(summary.close.get('seconds')):,.1f}"))
    return rows


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


def _shown(value: Value | None) -> str:
    """Return a number with its interval and n, with as many digits as tell its parts apart."""
    if value is None:
        return "-"
    low, high = value.ends
    digits = 3 if value.interval is None or high - low > 0.02 else 4 if high - low > 0.002 else 6
    text = f"{value.value:.{digits}f}"
    if value.interval is not None:
        text += f" ({low:.{digits}f} to {high:.{digits}f})"
    return text + (f", n = {value.n:,}" if value.n is not None else "")


def _word(value: object) -> str:
    """Return a value of the journal on one line, visible and not too long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = visible(text.replace("\n", "\\n"))
    return text if len(text) <= SHOWN_WORD else f"{text[:SHOWN_WORD]} ... ({len(text):,} characters)"
