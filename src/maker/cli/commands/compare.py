"""`maker compare`: models, or designs of a task's steps, at the same states, the cheapest feasible one first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from maker.api.compare import Compared, Comparison, Paired, compare_sync
from maker.cli.amounts import amount, needs, told
from maker.cli.figure import save
from maker.cli.options import (
    ASKING,
    REACHING,
    Json,
    Quiet,
    TaskName,
    named_model,
    say,
    shown_until_stopped,
    task_options,
    with_settings,
)
from maker.cli.screen import safe
from maker.decision.telling.rows import Rows
from maker.errors import TaskError
from maker.experiments.kit.files import can_draw

Models = Annotated[str, typer.Option(help="Models to compare, as for --model, with commas between them.")]
Designs = Annotated[str | None, typer.Option(help="Designs of the task's steps, of each model: all, or NAME,NAME.")]
Figure = Annotated[Path | None, typer.Option(help="Draw them, as a PNG file.")]
_BETWEEN = re.compile(r",(?![A-Za-z_]+=)")  # a comma before `v=0.9` belongs to what is before it


@with_settings(
    f"ctx task models designs steps repeats target total_steps {ASKING} paraphrase concurrency max_calls "
    f"max_tokens max_cost max_seconds patience {REACHING} figure quiet as_json",
)
def compare(
    ctx: typer.Context, task: TaskName, models: Models, settings: dict[str, Any], designs: Designs = None,
    figure: Figure = None, quiet: Quiet = False, as_json: Json = False,
) -> None:  # fmt: skip
    """Say which models or designs can do a run, and what it costs with each. Other options go to the task.

    All are asked about the same states; what is clearly worse is dropped early. Limits are of all together. Leaves as
    `estimate` does, by the one that stands first.
    """
    if figure is not None and not can_draw():
        raise TaskError("--figure: matplotlib is missing. Install it with `pip install 'maker[plots]'`")
    reaching, at_once = settings.pop("reaching"), settings["limits"].get("concurrency")
    by_name = {spec: named_model(spec, at_once, **reaching) for spec in _BETWEEN.split(models)}
    found = asked("compare", task, by_name, task_options(ctx.args), designs, settings, quiet=as_json)
    try:
        say(found.as_json(), compared_rows(found), "maker compare", as_json=as_json, code=found.exit_code)
    finally:  # what was paid for is said first, whatever becomes of the figure
        if figure is not None:
            save(found, figure)


def asked(
    label: str, task: str, models: Mapping[str, Any], parameters: Mapping[str, Any], designs: str | None,
    settings: Mapping[str, Any], *, quiet: bool, windows: str | None = None,
) -> Comparison:  # fmt: skip
    """Compare with a bar; the first interrupt stops it, and what is known by then is returned."""
    chosen = designs if designs in (None, "all") else designs.split(",")
    with shown_until_stopped(label, quiet=quiet) as (bar, interrupted):
        return compare_sync(task, models=models, designs=chosen or (), windows=windows.split(",") if windows else (),
                            parameters=parameters, **settings, **told(bar, label),
                            interrupted=interrupted)  # fmt: skip


def compared_rows(found: Comparison) -> Rows:
    """Return a row for each arm, and one for each two that were paired."""
    rows = [(safe(arm.name), _arm(arm)) for arm in found.arms]
    rows += [("pairs", _pair(pair)) for pair in found.pairs]
    return rows + ([("stopped", f"by {found.stopped}: this is what is known so far")] if found.stopped else [])


def _arm(arm: Compared) -> str:
    found = arm.estimate
    if found is None and arm.dropped:
        return f"DROPPED: {safe(arm.reason)}"
    if found is None:
        return f"{'NOT KNOWN' if 'steps were seen' in arm.reason else 'INFEASIBLE'}: {safe(arm.reason)}"
    seen = f"{found.steps:,} steps, p = {found.p:.3f} ({found.p_low:.3f} to {found.p_high:.3f}), v = {found.v:.3f}"
    seen += f", rho = {found.rho:.3f} ({found.rho_low:.3f} to {found.rho_high:.3f})"
    worst = next(iter(found.kinds.items()), None)
    if worst and worst[1].p is not None:
        seen += f", worst kind {safe(worst[0])} p = {worst[1].p:.3f}"
    if arm.dropped:
        return f"DROPPED: {seen}. {safe(arm.reason)}"
    if not found.feasible:
        return f"INFEASIBLE: {seen}. {safe(found.reason)}"
    parts = [f"{found.verdict}: k = {found.k}", seen]
    parts += [f"{amount(found.samples)} samples"] if found.samples else []
    return "; ".join([*parts, *(f"{name} {value}" for name, value in needs(found))])


def _pair(pair: Paired) -> str:
    differ = f"wrong alone {pair.one_wrong:,} and {pair.other_wrong:,}"
    return f"{safe(pair.one)}, {safe(pair.other)}: {pair.n:,} of the same states, {differ}; chance {pair.chance:.2g}"
