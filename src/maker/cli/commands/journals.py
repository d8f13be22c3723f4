"""`maker show | verify | export | report | repair`: the commands that take a journal and ask no model."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from maker.cli.commands.live.follow import follow
from maker.cli.options import JournalFile, Json, Quiet, TaskFile, own_task, say
from maker.cli.screen import progress_bar, run_rows, safe
from maker.decision.telling.rows import Rows
from maker.engine.result import RunResult
from maker.errors import JournalError, TaskError
from maker.journal.repair import repair as repaired
from maker.journal.story import Story
from maker.journal.views.items import THROUGH, ByItem, is_map
from maker.models.takes import of_servers
from maker.review.checking.solve import Recheck, is_solve, recheck
from maker.review.checking.verify import verify as audit_of
from maker.review.diagnosis import Signs, diagnose
from maker.review.export import COLUMNS, columns_of
from maker.review.export import export as write
from maker.review.kinds import Kinds, OfKind
from maker.review.report.page import write_report
from maker.task.load import journaled_task, load_task
from maker.task.task import Task

WithKinds = Annotated[bool, typer.Option("--kinds", help="Tell kinds of steps apart: runs the task's code.")]
SHOWN = 60  # characters of a text in the tree
SHOWN_ITEMS = 20  # that failed, on one screen


def show(
    journal: JournalFile,
    tree: Annotated[
        bool, typer.Option("--tree", help="The problems of a solve, each under the one it is for.")
    ] = False,
    following: Annotated[bool, typer.Option("--follow", help="Show the run as it goes on, until it ends.")] = False,
    kinds: WithKinds = False,
    task: TaskFile = None,
    as_json: Json = False,
) -> None:
    """Say what a journal holds, without running any task code (but for --kinds)."""
    if following:
        follow(journal)
    story = Story(journal)
    of_kinds = _counted_kinds(story, _task_with_kinds(story, task, asked=kinds))
    solve = _checked(story) if tree or is_solve(story) else None
    signs = Signs()
    summary = solve.audit.summary if solve else story.summary(signs.take, signs.take_plain)
    said = summary.as_json()
    apart = ("answer", "parameters", "pooled")
    shown = {key: value for key, value in said.items() if value is not None and key not in apart}
    shown["task"] = f"{said['task']} {said['parameters'] or ''}"
    if summary.weights:
        shown["weights"] = f"{', '.join(map(str, summary.weights))} votes a draw, by turn"
    if summary.table:
        shown["table"] = f"a margin of {summary.table}"
    if summary.effective:
        shown["effective votes"], said["effective_votes"] = summary.worth, summary.effective[1]
    if solve:
        del shown["segments"]
        shown["answer"] = said["answer"] or "open"
        shown |= {role: _counted(counts) for role, counts in solve.roles.items()}
        said |= {"roles": {role: dict(counts) for role, counts in solve.roles.items()}, "tree": solve.tree.as_json()}
    else:
        found = diagnose(signs, summary.k, summary.close)
        shown["diagnosis"], said["diagnosis"] = found.line, found._asdict()
    if tree and solve and not as_json:
        sys.stdout.writelines(line + "\n" for line in _tree_lines(solve))
        return
    rows = [(key, safe(str(value))) for key, value in shown.items()]
    if is_map(story.latest):
        items = ByItem(story)
        failed = list(items.failures(said["k"])) if said["stopped"] in THROUGH else []
        rows = _map_rows(said, items, failed, summary.close.get("detail", ""))
        said |= {
            "failed": [{"item": item, "reason": why} for item, why in failed], "examples": items.examples,
            "tokens_in": items.tokens[0], "tokens_out": items.tokens[1], "tokens_assumed": items.tokens[2],
            "cost": items.cost,
        }  # fmt: skip
    rows += [(safe(name), told) for name, told in summary.pooled_rows]
    servers = of_servers(str(said["model"]), summary.takes, summary.served, summary.sources)
    rows += [(name, safe(told)) for name, told in servers.items()]
    said |= {name.replace(" ", "_"): told for name, told in servers.items()}
    for name, kind in of_kinds.items():
        votes = f"{kind.flagged:,} flagged, {kind.lost:,} votes lost"
        rows.append((f"kind {safe(name)}", f"{kind.steps:,} steps decided, {kind.samples:,} samples, {votes}"))
    said |= {"kinds": {name: asdict(kind) for name, kind in of_kinds.items()}} if of_kinds else {}
    say(said, rows, str(journal), as_json=as_json)


def _task_with_kinds(story: Story, task: str | None, *, asked: bool) -> Task | None:
    """Return the task that tells kinds of steps, with the journal's parameters; None where nobody asks."""
    if task is not None:
        return load_task(task, **story.latest.get("parameters", {}))
    return journaled_task(story.latest, "--kinds: the task of the journal, {!r},") if asked else None


def _counted_kinds(story: Story, task: Task | None) -> dict[str, OfKind]:
    """Return what each kind of step took; {} without a task."""
    if task is None:
        return {}
    kinds = Kinds(story, task)
    for stored in story.steps():
        kinds.take(stored)
    return kinds.found


def _map_rows(said: dict[str, Any], items: ByItem, failed: list[tuple[int, str]], detail: str) -> Rows:
    """Return what a map's journal says, in items: those that failed, each with the reason, and what was flagged."""
    total, stopped = said["total"] or 0, said["stopped"]
    left = total - items.decided
    through = left == 0 or stopped in THROUGH
    state = "all decided" if not left else f"{left:,} failed" if through else f"{left:,} open"
    tokens_in, tokens_out, assumed = items.tokens
    rows: Rows = [
        ("map", safe(str(said["run"])) + ("  (simulated)" if said["simulated"] else "")),
        ("model", safe(str(said["model"]))), ("items", f"{items.decided:,} of {total:,} decided, {state}"),
        ("k", str(said["k"])), ("samples", f"{said['samples']:,}, {said['flagged']:,} flagged"),
    ]  # fmt: skip
    for kind, count in Counter(said["flags"]).most_common():
        example = f", such as '{safe(items.examples[kind])}'" if kind in items.examples else ""
        rows.append(("flagged", f"{safe(kind)} {count:,}{example}"))
    rows += [("failed", f"item {item}: {safe(why)}") for item, why in failed[:SHOWN_ITEMS]]
    if len(failed) > SHOWN_ITEMS:
        rows.append(("failed", f"{len(failed) - SHOWN_ITEMS:,} more: maker show --json names all"))
    rows.append(
        ("tokens", f"{tokens_in:,} in, {tokens_out:,} out" + (f", {assumed:,} more at most" if assumed else ""))
    )
    rows.append(("cost", "not known" if items.cost is None else f"${items.cost:,.4f}"))
    rows.append(("diagnosis", said["diagnosis"]["line"]))
    if stopped and not through:
        rows.append(("stopped", safe(f"{stopped}. {detail}" if detail else str(stopped))))
    return rows


def _checked(story: Story) -> Recheck:
    """Read a solve back. Raises JournalError for one that does not hold together, TaskError for no solve."""
    solve = recheck(story)
    if solve.audit.problem is not None:
        raise JournalError(f"{story.path}: {solve.audit.problem}. Restore a copy, or start a new journal.")
    return solve


def _counted(counts: Counter[str]) -> str:
    said = f"{counts['decisions']:,} decisions, {counts['valid']:,} votes, {counts['flagged']:,} flagged"
    return said if counts else "not asked"


def _tree_lines(solve: Recheck, number: int = 1, first: str = "", rest: str = "") -> Iterator[str]:
    """Yield a problem and its parts, a line each: number, problem, answer, how it came about."""
    node = solve.tree.node(number)
    parts = sorted(solve.tree.graph.predecessors(number))
    how = (
        f"compose: {_short(node.split['compose'])}" if node.split else "atomic" if node.decomposed else "not decomposed"
    )
    answer = "..." if node.answer is None else _short(node.answer)
    yield f"{first}{number}  {_short(node.problem)} = {answer}  ({how}; {solve.samples[number]} samples)"
    for part in parts:
        last = part == parts[-1]
        yield from _tree_lines(solve, part, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "))


def _short(text: str) -> str:
    """Return a text on one line of bounded length, harmless to a terminal."""
    line = " ".join(text.split())
    return safe(line if len(line) <= SHOWN else line[: SHOWN - 3] + "...").replace("\\[", "[")


def verify(
    ctx: typer.Context,
    journal: JournalFile,
    task: TaskFile = None,
    expect: Annotated[str | None, typer.Option(help="A `head` you noted: finds an older copy and a new chain.")] = None,
    items: Annotated[Path | None, typer.Option(help="A map's items: one a line, or a JSON list.")] = None,
    prompt: Annotated[str, typer.Option(help="With --items: the map's template.")] = "{item}",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Re-check a journal from the file alone: record chain, votes, transitions, joins, goal."""
    loaded = own_task(task, ctx.args)
    if expect is not None and re.fullmatch("[0-9a-f]{32}", expect) is None:
        raise TaskError(f"--expect {expect!r}: give the 32 hex digits that `maker verify` printed as head")
    given = None if items is None else items_in(items)
    verify_and_leave(journal, loaded, as_json=as_json, expect=expect, items=given, prompt=prompt)


def verify_and_leave(
    journal: Path, task: Any, *, as_json: bool, before: RunResult | None = None, **given: Any
) -> NoReturn:
    """Verify a journal, print what was found, and leave with its exit code. given: the rest that `verify` takes."""
    with progress_bar("verify", quiet=as_json) as bar:
        audit = audit_of(journal, task, progress=bar.steps, **given)
    rows = run_rows(before) if before else [
        ("run", safe(str(audit.summary.header.get("run")))), ("steps", f"{audit.summary.steps:,}"),
        ("chain", audit.summary.fold.chain), ("state", audit.summary.fold.state_digest.hex()),
    ]  # fmt: skip
    verdict = "every check holds" if audit.problem is None else f"FAILED: {safe(audit.problem)}"
    goal = "solved" if audit.solved else "goal not reached" if audit.complete else "not finished"
    rows += [
        ("head", f"{audit.summary.head} (note it: `maker verify --expect` finds an older copy)"),
        ("verified", f"{verdict}; {goal}"), ("checks", ", ".join(audit.checked)),
    ]  # fmt: skip
    said = {**(before.as_json() if before else {}), **audit.as_json()}
    say(said, rows, "maker verify" if before is None else "maker demo", as_json=as_json, code=audit.exit_code)


def items_in(path: Path) -> list[Any]:
    """Return the items of a file: one a line, or a JSON list. Raises TaskError for what is neither."""
    try:
        text = path.read_text(encoding="utf-8")
        return list(json.loads(text)) if text.lstrip().startswith("[") else text.splitlines()
    except (OSError, ValueError, RecursionError) as error:
        raise TaskError(f"--items {path}: cannot be read: {error}. Give one item a line, or a JSON list.") from None


def export(
    journal: JournalFile,
    output: Annotated[Path, typer.Option("--output", "-o", help="FILE.parquet, FILE.csv or FILE.jsonl.")],
    what: Annotated[str, typer.Option(help=f"One row for each: {' or '.join(COLUMNS)}.")] = "steps",
    raw: Annotated[
        bool, typer.Option("--raw", help="Keep in CSV what a spreadsheet would run (= + - @) and control characters.")
    ] = False,
    kinds: WithKinds = False,
    task: TaskFile = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write a journal as a table, without running any task code (but for --kinds)."""
    story = Story(journal)
    header, told = story.latest, _task_with_kinds(story, task, asked=kinds)
    with progress_bar("export", quiet=as_json) as bar:
        count = write(journal, output, what=what, raw=raw, progress=bar.steps, task=told)
    run, simulated = header["run"], bool(header.get("simulated"))
    said = {"output": str(output), "what": what, "rows": count, "run": run, "simulated": simulated}
    rows = [
        ("run", safe(str(run)) + ("  (simulated model)" if simulated else "")),
        ("rows", f"{count:,}, one a {what.rstrip('s')}"),
        ("columns", ", ".join(columns_of(what, kinds=told is not None))), ("written", safe(str(output))),
    ]  # fmt: skip
    say(said, rows, "maker export", as_json=as_json)


def report(
    journal: JournalFile,
    output: Annotated[Path, typer.Option("--output", "-o", help="FILE.html.")] = Path("report.html"),
    kinds: WithKinds = False,
    task: TaskFile = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write one HTML file on a run, finished or not, without running any task code (but for --kinds)."""
    told = _task_with_kinds(Story(journal), task, asked=kinds)
    with progress_bar("report", quiet=as_json) as bar:
        path = write_report(journal, output, progress=bar.steps, task=told)
    size = path.stat().st_size
    rows = [("written", safe(str(path))), ("size", f"{size / 1000:,.0f} kB, needs nothing else")]
    say({"output": str(path), "bytes": size}, rows, "maker report", as_json=as_json)


def repair(journal: JournalFile, as_json: Json = False) -> None:
    """Cut the torn tail of a damaged journal, after making a copy; a sound one is left as it is."""
    done = repaired(journal)
    copy = str(done.copy) if done.copy else None
    said = {"repaired": done.problem is not None, "kept": done.kept, "problem": done.problem, "copy": copy}
    rows = [("result", f"nothing to repair: all {done.kept:,} records are sound")] if done.problem is None else [
        ("result", f"kept the first {done.kept:,} records, cut what followed"), ("why", safe(done.problem)),
        ("copy", f"{safe(str(done.copy))}: the journal as it was"),
        ("next", "resume the run: the steps that were cut are decided anew"),
    ]  # fmt: skip
    say(said, rows, "maker repair", as_json=as_json)
