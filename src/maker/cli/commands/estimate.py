"""`maker estimate`: what a full run would need, before paying for it; of one design of a task, or of several."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer

from maker.api.estimate import Estimate, estimate_sync
from maker.api.opened import task_for
from maker.cli.options import (
    ASKING,
    REACHING,
    Json,
    TaskName,
    say,
    shown_until_interrupted,
    task_options,
    with_settings,
)
from maker.cli.screen import Bar, Rows, safe
from maker.errors import Infeasible, TaskError
from maker.theory.findings import Rate
from maker.theory.kinds import Kind
from maker.theory.planner import Amount

SHOWN = 6  # kinds and flags on one screen
LONG = 10.0  # seconds from which on it is said how long it takes, even without a terminal
Designs = Annotated[str | None, typer.Option(help="Compare designs of the task's steps: all, or NAME,NAME.")]
UNITS = (("h", 3600.0, 7200.0), ("min", 60.0, 120.0), ("s", 1.0, 0.0))  # name, seconds, from so many seconds on


@with_settings(
    f"ctx task model designs steps repeats target worst_case total_steps {ASKING} paraphrase concurrency max_calls "
    f"max_tokens max_cost max_seconds patience {REACHING} as_json",
)
def estimate(
    ctx: typer.Context, task: TaskName, settings: dict[str, Any], designs: Designs = None, as_json: Json = False
) -> None:
    """Say what a full run would need, from a sample of its steps. Other options go to the task.

    Leaves with 0 when it is shown that voting can do it, with 3 when that stays open, with 2 when the evidence
    forbids it.
    """
    options = task_options(ctx.args)
    if designs is not None:
        _compare(task, options, designs, settings, as_json=as_json)
    found = _measured("estimate", task, options, settings, quiet=as_json)
    say(found.as_json(), _rows(found), "maker estimate", as_json=as_json, code=found.exit_code)


def _measured(label: str, task: str, options: dict[str, str], settings: dict[str, Any], *, quiet: bool) -> Estimate:
    """Estimate a task, with a bar that says what a reply takes."""
    with shown_until_interrupted(label, quiet=quiet) as bar:
        made = task_for(task, settings["model"], **options)
        return estimate_sync(made, **settings, progress=_pace(bar, settings["repeats"]))


def _pace(bar: Bar, repeats: int) -> Callable[[int, int], None]:
    """Return what shows progress with the pace: on the bar, and once on stderr where it will take a while."""
    begun, told = time.monotonic(), False

    def show(count: int, total: int) -> None:
        nonlocal told
        each = (time.monotonic() - begun) / count
        left = each * (total - count)
        words = f"{each / repeats:.2f} s a reply, {_duration(left)} left, and more for steps that erred"
        bar.steps(count, total, words)
        if not told and left >= LONG:
            typer.echo(f"estimate: {words}", err=True)
        told = True

    return show


def _compare(task: str, options: dict[str, str], names: str, settings: dict[str, Any], *, as_json: bool) -> NoReturn:
    """Estimate designs of a task on the same problem, and print the cheapest feasible one first."""
    known = list(getattr(task_for(task, settings["model"], **options), "designs", ()))
    if not known:
        raise TaskError(f"--designs: {task} has one design of its steps only. Leave the option out.")
    found: dict[str, Estimate | Infeasible] = {}
    for name in known if names == "all" else names.split(","):
        try:
            found[name] = _measured(name, task, {**options, "design": name}, settings, quiet=as_json)
        except Infeasible as error:
            found[name] = error
    ranked = dict(sorted(found.items(), key=lambda item: _dearness(item[1])))
    first = next(iter(ranked.values()))
    code = first.exit_code if isinstance(first, Estimate) else 2
    said = {name: {"reason": str(one), "feasible": False} if isinstance(one, Infeasible) else one.as_json()
            for name, one in ranked.items()}  # fmt: skip
    say({"designs": said, "exit_code": code}, [(name, _summary(one)) for name, one in ranked.items()],
        "maker estimate --designs", as_json=as_json, code=code)  # fmt: skip


def _dearness(found: Estimate | Infeasible) -> float:
    """Return what a design costs, to rank it: tokens where they are known, else samples; infeasible ones last."""
    if isinstance(found, Infeasible) or not found.feasible:
        return math.inf
    amount = found.tokens or found.samples
    return amount.value if amount else math.inf


def _summary(found: Estimate | Infeasible) -> str:
    """Return a design's line of the table."""
    if isinstance(found, Infeasible):
        return f"INFEASIBLE: {safe(str(found))}"
    seen = f"{found.steps:,} steps, p = {found.p:.3f} ({found.p_low:.3f} to {found.p_high:.3f}), v = {found.v:.3f}"
    worst = next(iter(found.kinds.items()), None)
    if worst:
        seen += f", worst kind {safe(worst[0])} {_kind(worst[1]).partition(',')[0]}"
    if not found.feasible:
        return f"INFEASIBLE: {seen}. {safe(found.reason)}"
    parts = [_verdict(found), seen]
    parts += [f"{_amount(found.samples)} samples"] if found.samples else []
    return "; ".join([*parts, *(f"{name} {value}" for name, value in _needs(found))])


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
    if found.samples:
        rows += [("samples", _amount(found.samples)), *_needs(found)]
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
    unit, size = _unit(more.seconds)
    cost = "" if more.cost is None else f", ${more.cost:,.2f}"
    drawn = f"{float(f'{more.steps:.2g}'):,.0f} steps drawn on {'once' if more.repeats == 1 else 'twice'}"
    said = f"about {drawn} with errors as seen: {float(f'{more.samples:.2g}'):,.0f} samples{cost}"
    return [("to settle it", f"{said}, {more.seconds / size:,.0f} {unit} at this pace")]


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
        parts.append(f"{_amount(kind.tokens, 1)} tokens a reply")
    return f"{', '.join(parts)}; {kind.wrong:,} of {kind.n:,} wrong"


def _share(rate: Rate) -> str:
    low, high = rate.low or 0.0, rate.high or 1.0
    return f"{1 - rate.wrong / rate.n:.3f} ({1 - high:.3f} to {1 - low:.3f})"


def _needs(found: Estimate) -> Rows:
    """Return what the samples of a run take."""
    rows: Rows = []
    if found.tokens and found.tokens_in and found.tokens_out:
        each = f"{found.tokens_in.value:.0f} in, {found.tokens_out.value:.0f} out a sample"
        rows.append(("tokens", f"{_amount(found.tokens)}: {each}"))
    digits = 2 if found.cost and found.cost.value >= 1 else 4
    rows.append(("cost", f"${_amount(found.cost, digits)}" if found.cost else "not known: no prices"))
    if found.seconds:
        unit, size = _unit(found.seconds.value)
        rows.append(("time", f"{_amount(found.seconds.times(1 / size), 1)} {unit} at the pace of this estimate"))
    return rows


def _unit(seconds: float) -> tuple[str, float]:
    return next((name, size) for name, size, least in UNITS if seconds >= least)


def _duration(seconds: float) -> str:
    unit, size = _unit(seconds)
    return f"about {seconds / size:.0f} {unit}"


def _interval(found: Estimate, name: str) -> str:
    value, low, high = (getattr(found, name + end) for end in ("", "_low", "_high"))
    return f"{value:.5f} (95%: {low:.5f} to {high:.5f})"


def _amount(amount: Amount, digits: int = 0) -> str:
    return f"{amount.value:,.{digits}f} ({amount.low:,.{digits}f} to {amount.high:,.{digits}f})"


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
