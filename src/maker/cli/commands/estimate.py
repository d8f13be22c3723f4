"""`maker estimate`: what a full run would need, before paying for it; of one design of a task, or of several."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from maker.api.estimate import Estimate, estimate_sync
from maker.api.opened import task_for
from maker.cli.amounts import amount, needs, told, unit
from maker.cli.commands.compare import asked, compared_rows
from maker.cli.options import (
    ASKING,
    REACHING,
    Json,
    Quiet,
    TaskName,
    say,
    shown_until_stopped,
    task_options,
    with_settings,
)
from maker.cli.screen import safe
from maker.decision.telling.rows import Rows
from maker.errors import TaskError
from maker.theory.findings import Rate
from maker.theory.uneven.kinds import Kind
from maker.theory.votes.weights import Weighing

SHOWN = 6  # kinds and flags on one screen
Designs = Annotated[str | None, typer.Option(help="Compare designs of the task's steps: all, or NAME,NAME.")]
Windows = Annotated[str | None, typer.Option(help="Compare how many steps before its own a prompt shows: 0,1,25,all.")]


@with_settings(
    f"ctx task model designs windows steps repeats target worst_case total_steps journal {ASKING} paraphrase "
    f"concurrency max_calls max_tokens max_cost max_seconds patience {REACHING} quiet as_json",
    journal="File for the run to come, a new one: it takes the k and counts the paid draws.",
)
def estimate(
    ctx: typer.Context,
    task: TaskName,
    settings: dict[str, Any],
    designs: Designs = None,
    windows: Windows = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Say what a full run would need, from a sample of its steps. Other options go to the task.

    Interrupted, it says what it knows; a second time, it ends at once.

    Leaves with 0 when it is shown that voting can do it, with 3 when that stays open, with 2 when the evidence
    forbids it.
    """
    options = task_options(ctx.args)
    journal = settings.get("journal")
    if designs is not None or windows is not None:
        axis = "designs" if windows is None else "windows"
        if journal is not None:
            raise TaskError(f"estimate: a journal is of the run of one design: leave --journal out, or --{axis}")
        compared = asked(
            axis, task, {"": settings.pop("model")}, options, designs, settings, quiet=as_json, windows=windows
        )
        said = {axis: compared.as_json()["arms"], "stopped": compared.stopped, "exit_code": compared.exit_code}
        say(said, compared_rows(compared), f"maker estimate --{axis}", as_json=as_json, code=compared.exit_code)
    with shown_until_stopped("estimate", quiet=as_json) as (bar, interrupted):
        made = task_for(task, settings["model"], **options)
        found = estimate_sync(made, **settings, **told(bar, "estimate"), interrupted=interrupted)
    rows = _rows(found)
    if journal is not None and found.feasible:
        rows.append(("journal", f"{safe(str(journal))}: `maker run` with the same settings goes on with it"))
    say(found.as_json(), rows, "maker estimate", as_json=as_json, code=found.exit_code)


def _rows(found: Estimate) -> Rows:
    """Return an estimate on one screen, a row each."""
    simulated = "  (simulated)" if found.simulated else ""
    rows: Rows = [
        ("verdict", f"{_verdict(found)} for target {found.target:g}" if found.feasible else "INFEASIBLE by voting"),
        *_shapes(found),
        ("why", safe(found.reason)), *_settling(found),
        ("model", safe(found.model) + simulated), ("task", f"{safe(found.task)}, {found.steps:,} steps"),
        ("drawn", f"{found.draws:,} samples on {found.n:,} steps, graded by {found.against}"),
        ("p", _interval(found, "p") + f"; {found.wrong:,} of {found.n:,} wrong, one draw a step"),
        ("v", _interval(found, "v")),
        ("rho", _interval(found, "rho") + f"; {found.collisions:,} of {found.pairs:,} pairs both wrong"),
    ]  # fmt: skip
    rows += _pool(found)
    if found.samples:
        rows += [("samples", amount(found.samples)), *needs(found)]
    rows += _kinds(found)
    if found.flags:
        rows.append(("red flags", "; ".join(_flag(name, found) for name in list(found.flags)[:SHOWN])))
    if len(found.lengths.bins) > 1:
        by_length = "; ".join(
            f"{low if low == high else f'{low}-{high}'} tokens {_rate(rate)}" for low, high, rate in found.lengths.bins
        )
        cap = f"; cheapest cut off at {found.lengths.cap} tokens" if found.lengths.cap else ""
        rows.append(("by length", by_length + cap))
    if found.entropy:
        spread = f"{found.entropy.mean:.3f} nats, {found.entropy.answers:.2f} effective answers"
        rows.append(("vote entropy", f"{spread} (mean of {found.entropy.steps:,} steps that erred)"))
    return rows


def _pool(found: Estimate) -> Rows:
    """Return a row for each model of a pool, and for each two of them."""
    rows: Rows = []
    for name, of in found.models.items():
        said = f"p = {of.p:.3f} ({of.p_low:.3f} to {of.p_high:.3f}), v = {of.v:.3f}, rho = {of.rho:.3f}"
        rows.append((f"of {safe(name)}", f"{said}; {of.wrong:,} of {of.n:,} wrong"))
    for pair in found.together:
        said = (
            f"both wrong at {pair.both:,} of {pair.n:,} steps, by chance {pair.by_chance:.1f}; alike at {pair.alike:,}"
        )
        share = f"{pair.share:.0%} of the steps where either is wrong"
        rows.append((f"{safe(pair.one)} with {safe(pair.other)}", f"{said}; {share}"))
    if found.weights is not None:
        rows.append(("weights", safe(_weights(found.weights))))
    return rows


def _weights(found: Weighing) -> str:
    """Return what weights of a pool are worth, on one line."""
    if not found.votes:
        return f"none: {found.why}"
    by = ",".join(map(str, found.votes))
    if found.k is None or found.share is None:
        return f"{by} by turn"
    return (
        f"{by} by turn, with k = {found.k} of such votes about {found.share:.0%} of the samples where steps are alike"
    )


def _verdict(found: Estimate) -> str:
    return f"{found.verdict}: {'no k is promised' if found.k is None else f'k = {found.k}'}"


def _shapes(found: Estimate) -> Rows:
    """Return what is expected of the whole run if difficulty is spread smoothly, and what holds whatever its shape."""
    worst = found.worst_case
    lost = f"between {_steps(worst.lost_low)} and {_steps(worst.lost_high)} of {found.steps:,} steps lost at any k"
    return [
        ("if difficulty is spread smoothly (Beta)", f"success {_percent(found.success.value)}"),
        ("whatever its shape", f"{lost}, success at least {_percent(worst.success_low)} (95%, by {worst.by})"),
    ]


def _settling(found: Estimate) -> Rows:
    """Return which further draws would settle what is open, and what they cost."""
    more = found.settling
    if more is None:
        return []
    name, size = unit(more.seconds)
    cost = "" if more.cost is None else f", ${more.cost:,.2f}"
    drawn = f"{float(f'{more.steps:.2g}'):,.0f} steps drawn on {'once' if more.repeats == 1 else 'twice'}"
    said = f"about {drawn} with errors as seen: {float(f'{more.samples:.2g}'):,.0f} samples{cost}"
    return [("to settle it", f"{said}, {more.seconds / size:,.0f} {name} at this pace")]


def _steps(count: float) -> str:
    return f"{count:,.0f}" if count >= 10 or count == 0 else f"{count:.2g}"


def _kinds(found: Estimate) -> Rows:
    """Return a row for each kind of step, the worst first, and wrong replies of the worst."""
    rows = [(f"kind {safe(name)}", _kind(kind)) for name, kind in list(found.kinds.items())[:SHOWN]]
    if len(found.kinds) > SHOWN:
        rows.append(("more kinds", f"{len(found.kinds) - SHOWN}, no worse than these"))
    worst = next(iter(found.kinds.values()), None)
    if worst and worst.slips:
        slips = "; ".join(f'"{safe(slip.reply)}", right was {safe(slip.right)}' for slip in worst.slips)
        rows.append(("wrong replies", slips))
    return rows


def _kind(kind: Kind) -> str:
    """Return p, v and tokens of a kind, each with its interval."""
    v = kind.v
    parts = [f"p = {_share(kind)}" if kind.n else "p is not known", f"v = {_share(v)}"]
    if kind.tokens:
        parts.append(f"{amount(kind.tokens, 1)} tokens a reply")
    return f"{', '.join(parts)}; {kind.wrong:,} of {kind.n:,} wrong"


def _share(rate: Rate) -> str:
    low, high = rate.low or 0.0, rate.high or 1.0
    return f"{1 - rate.wrong / rate.n:.3f} ({1 - high:.3f} to {1 - low:.3f})"


def _interval(found: Estimate, name: str) -> str:
    value, low, high = (getattr(found, name + end) for end in ("", "_low", "_high"))
    return f"{value:.5f} (95%: {low:.5f} to {high:.5f})"


def _percent(share: float) -> str:
    return f"{share:.2%}" if share < 0.9999 or share == 1 else f"1 - {1 - share:.1g}"


def _rate(rate: Rate) -> str:
    if rate.low is None or rate.high is None:
        return "none could be read"
    return f"{rate.wrong:,} of {rate.n:,} wrong ({rate.low:.2%} to {rate.high:.2%})"


def _flag(name: str, found: Estimate) -> str:
    """Return what one flag did, and whether it pays."""
    effect = found.flags[name]
    said: dict[Any, str] = {True: ", pays", False: ", does not pay", None: ""}
    read = f", {_rate(effect.dropped)}{said[effect.pays]}" if effect.dropped.n else ", unreadable"
    return f"{safe(name)} {effect.count:,} ({effect.share:.1%}){read}"
