"""What happens when errors cluster on a few steps? `maker experiment correlation`.

Left: the simulated model with the same mean p and growing rho (each step's own p_s is Beta), voted on by the
engine at several k, beside the error that theory gives and the floor, the share of steps with p_s < 1/2, which
no k passes. Right: the same for the early checkpoint of the bundled model, whose errors do cluster, beside what
its exact p_s give.

Not covered: how to find such steps, and what helps (views, finer steps, flags that know the rules).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maker.decision.flags import DEFAULT, PAPER, Flag
from maker.experiments.kit.bench import DISKS, STEPS, Bench, Source, neural, oracle, said_of, sources, spread
from maker.experiments.kit.exact import Floats, measured
from maker.experiments.kit.figure import line, points, style
from maker.experiments.kit.study import Options, Row, Share, Study, short
from maker.theory.votes.mixture import Steps

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


P = 0.95
RHOS = (0.0, 0.01, 0.05, 0.1, 0.3)
MARGINS = (1, 2, 3, 4, 6, 8)
FEWER = (1, 3, 8)  # for a quick run
Lost = dict[int, tuple[Share, int]]  # by k: steps lost (wrong or undecided), and how many of them undecided


def run(options: Options) -> Study:
    """Vote at several k on steps whose errors cluster more and more."""
    n = options.size(5000, 400)
    sweep = {rho: votes(oracle(f"p={P},rho={rho:g}"), PAPER, n, options) for rho in RHOS}
    (used,) = sources(options, neural(1.0, "early"))
    real = {"paper's flags": votes(used, PAPER, n, options), "default flags": votes(used, DEFAULT, n, options)}
    exact = _exact(used, options)
    rows = [_row(f"oracle, p = {P} (simulated)", True, rho, "paper's flags", k, seen, Steps(P, rho).error(k))
            for rho, lost in sweep.items() for k, seen in lost.items()]  # fmt: skip
    rows += [_row(used.name, used.simulated, None, flags, k, seen, _from(exact, k) if "paper" in flags else None)
             for flags, lost in real.items() for k, seen in lost.items()]  # fmt: skip

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        _draw_sweep(left, sweep)
        _draw_real(right, used, real, exact)

    return Study(
        "correlation", "What happens when errors cluster on a few steps?", rows, _table(sweep, used, real, exact), draw,
        _shows(sweep, used, real, exact),
        "That a real model's p_s follow a Beta distribution, or that a step lost here is lost in another wording. All "
        "k see the same steps and begin with the same draws, so the points of one line move together. The theory takes "
        "one wrong answer with all of a step's errors; where wrong answers are spread out, a step with p_s < 1/2 may "
        "still be won.",
        f"{n:,} different steps of the {DISKS}-disk path for each line, voted on at "
        f"{len(FEWER if options.quick else MARGINS)} margins k",
        f"the left figure, all of it. Right: {said_of([used])}", options.seed, (9.6, 4.8),
    )  # fmt: skip


def votes(source: Source, flags: tuple[Flag, ...], n: int, options: Options) -> Lost:
    """Vote on n steps at each k; a step is lost when a wrong answer wins or none does."""
    steps, _ = spread(STEPS, n, options.seed)
    lost: Lost = {}
    with Bench(source, options.seed) as bench:
        for k in FEWER if options.quick else MARGINS:
            winners = [(poll.key, bench.right(poll)) for poll in bench.votes(DISKS, steps, k, flags)]
            undecided = sum(winner is None for winner, _ in winners)
            lost[k] = (Share(sum(winner != right for winner, right in winners), n), undecided)
    options.say(f"{source.name}: " + ", ".join(f"k = {k} loses {share.seen}" for k, (share, _) in lost.items()))
    return lost


def _exact(source: Source, options: Options) -> Floats | None:
    """Return exact error rates 1 - p_s of steps of the path, for the bundled weights; None for another model."""
    p = measured([source], [DISKS], options.size(4000, 256), options.seed + 1).get((source, DISKS))
    if p is None:
        return None
    options.say(f"{source.name}: exact p_s of {len(p):,} steps")
    return np.asarray(np.clip(1 - p, 1e-300, 1.0), np.float64)


def _from(rates: Floats | None, k: int) -> float | None:
    """Return the error at margin k from exact error rates of steps, all with one rival."""
    if rates is None:
        return None
    with np.errstate(over="ignore"):
        return float((1 / (1 + ((1 - rates) / rates) ** k)).mean())


def _row(
    model: str, simulated: bool, rho: float | None, flags: str, k: int, seen: tuple[Share, int], expected: float | None
) -> Row:  # fmt: skip
    row: Row = {"model": model, "simulated": simulated, "rho": rho, "flags": flags, "k": k, "theory": expected}
    return {**row, **seen[0].row("lost"), "undecided": seen[1]}


def _table(
    sweep: dict[float, Lost], used: Source, real: dict[str, Lost], exact: Floats | None
) -> list[list[str]]:  # fmt: skip
    shown = (1, 3, 8)
    table = [["steps", *(f"lost at k = {k}" for k in shown), *(f"theory, k = {k}" for k in shown), "floor"]]
    for rho, lost in sweep.items():
        table.append([
            f"oracle (simulated), rho = {rho:g}", *(lost[k][0].text() for k in shown),
            *(short(Steps(P, rho).error(k)) for k in shown), short(Steps(P, rho).lost()),
        ])  # fmt: skip
    for flags, lost in real.items():
        theory_cells = ["-"] * (len(shown) + 1)
        if exact is not None and "paper" in flags:
            theory_cells = [short(_from(exact, k) or 0.0) for k in shown] + [short(float((exact > 0.5).mean()))]
        table.append([f"{used.name}, {flags}", *(lost[k][0].text() for k in shown), *theory_cells])
    return table


def _shows(sweep: dict[float, Lost], used: Source, real: dict[str, Lost], exact: Floats | None) -> str:
    top = MARGINS[-1]
    inside = [
        share.low <= Steps(P, rho).error(k) <= share.high
        for rho, lost in sweep.items() for k, (share, _) in lost.items()
    ]  # fmt: skip
    worst = sweep[RHOS[-1]][top][0]
    paper, full = real["paper's flags"][top], real["default flags"][top]
    floor = "" if exact is None else (
        f" By its exact p_s, {short(float((exact > 0.5).mean()))} of the steps have p_s < 1/2 and theory gives "
        f"{short(_from(exact, top) or 0.0)}, if each step's errors were one and the same answer."
    )  # fmt: skip
    return (
        f"At the same mean p = {P}, independent errors vanish with k (theory at k = {top}: "
        f"{short(Steps(P, 0.0).error(top))}), but at rho = {RHOS[-1]:g} k = {top} still loses {worst.text()} of the "
        f"steps, where the floor is {short(Steps(P, RHOS[-1]).lost())}: no k helps a step that is wrong more often "
        f"than right. Theory lies inside {sum(inside)} of {len(inside)} simulated 95% intervals. "
        f"{used.name}: k = {top} loses {paper[0].text()} under the paper's flags ({paper[1]} of {paper[0].seen} "
        f"undecided).{floor} Under the default flags it loses {full[0].text()} ({full[1]} of {full[0].seen} undecided)."
    )


def _draw_sweep(axes: Axes, sweep: dict[float, Lost]) -> None:
    every = range(1, MARGINS[-1] + 1)
    for number, (rho, lost) in enumerate(sweep.items()):
        line(axes, every, [Steps(P, rho).error(k) for k in every], number)
        if rho >= 0.05:
            axes.axhline(Steps(P, rho).lost(), color=style(number)["color"], linestyle=":")
        points(axes, list(lost), [share for share, _ in lost.values()], number, f"rho = {rho:g}")
    axes.set(xlabel="k, margin of votes that wins", ylabel="share of steps lost", yscale="log", ylim=(1e-5, 0.3))
    axes.set_title(
        f"Oracle (simulated), mean p = {P}\nlines: theory; dotted: floor, share with p_s < 1/2", fontsize=9.5
    )
    axes.legend(loc="lower left", fontsize=8)


def _draw_real(axes: Axes, used: Source, real: dict[str, Lost], exact: Floats | None) -> None:
    every = range(1, MARGINS[-1] + 1)
    for number, (flags, lost) in enumerate(real.items()):
        points(axes, list(lost), [share for share, _ in lost.values()], number, flags)
    if exact is not None:
        line(axes, every, [_from(exact, k) or 0.0 for k in every], 0, label="theory, from exact p_s, one rival")
        floor = float((exact > 0.5).mean())
        axes.axhline(floor, color=style(0)["color"], linestyle=":", label="floor: share with p_s < 1/2")
    axes.set(xlabel="k, margin of votes that wins", yscale="log", ylabel="share of steps lost (wrong or undecided)")
    axes.set_title(f"{used.name}{' (simulated)' if used.simulated else ', real errors'}", fontsize=9.5)
    axes.legend(fontsize=8)
