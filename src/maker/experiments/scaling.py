"""What do success and cost do as steps, k and m grow? `maker experiment scaling`.

Four figures by formula, with simulated points through the engine's own voting rule: P(whole run right)
against the number of steps for several k, and against k; samples a step at the smallest k that reaches 95%, against
the number of steps, for several p; steps written in a whole run against m, the steps asked for at once (a
reply of m steps counts m).

Not covered: any model. p is planted, the same for every step, and the samples are independent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from maker import theory
from maker.decision.race import Ballot
from maker.experiments.kit.figure import line, points, style
from maker.experiments.kit.races import coins, race
from maker.experiments.kit.study import Options, Row, Share, Study, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


P = 0.9  # of the first figure
MARGINS = (1, 2, 3, 4, 6, 9, 12, 15)
PLAYED = (1, 2, 3, 4)  # the k that are simulated too
LENGTHS = (10, 30, 100, 300, 1000, 3000, 10_000)
STEPS = [10.0**e for e in range(15)]
TARGET = 0.95
CHANCES = (0.75, 0.9, 0.99, 0.9978)
MANY = 1e6  # steps of the fourth figure
SIZES = (1, 2, 3, 5, 8, 12, 20)
Points = dict[float, tuple[float, float]]  # by place: mean, half of the 95% interval


def run(options: Options) -> Study:
    """Draw the three figures and play the points."""
    options.no_model("scaling")
    rng = np.random.default_rng(options.seed)
    rows: list[Row] = []
    wins: dict[int, dict[int, Share]] = {}
    for k in PLAYED:
        wins[k] = played_runs(rng, k, options.size(200_000, 40_000))
        rows += [_success_row(k, s, wins[k].get(int(s))) for s in sorted({*STEPS, *map(float, LENGTHS)})]
        options.say(f"P(run right), k = {k}: played")
    rows += [_success_row(k, s, None) for k in MARGINS if k not in PLAYED for s in STEPS]
    votes: dict[float, Points] = {}
    for p in CHANCES:
        votes[p] = played_votes(rng, p, options.size(10_000, 2000))
        rows += [_cost_row("samples a step", p, s, 1, votes[p].get(s)) for s in STEPS]
        options.say(f"samples a step, p = {p}: played")
    sizes: dict[float, Points] = {}
    for p in CHANCES:
        sizes[p] = played_sizes(rng, p, options.size(2000, 400))
        rows += [_cost_row("steps written", p, MANY, m, sizes[p].get(m)) for m in SIZES]
        options.say(f"steps written against m, p = {p}: played")

    def draw(figure: Figure) -> None:
        (steps, margins), (cost, size) = figure.subplots(2, 2)
        _draw_success(steps, wins)
        _draw_margins(margins, wins)
        _draw_cost(cost, votes, STEPS, _votes_by_formula)
        cost.set(xscale="log", xlabel="steps s", ylabel="samples a step", title="Cost at the smallest k for 95%, m = 1")
        _draw_cost(size, sizes, SIZES, _written_by_formula)
        size.set(xlabel="m, steps asked for at once", ylabel="steps written in a run of a million",
                 title="Cost against m, smallest k for 95%", xticks=(1, 5, 10, 15, 20))  # fmt: skip

    return Study(
        "scaling", "What do success and cost do as steps, k and m grow?", rows, _table(), draw,
        _shows(wins, votes, sizes),
        "Nothing about any model, and nothing about what a prompt costs (with a long prompt, m above 1 saves some of "
        "it): p is planted, is the same at every step, and samples are independent. Where errors cluster, the lines of "
        "the first figure end early (see `correlation`). Points were played up to 10,000 steps a run; beyond that "
        "there is only the formula.",
        f"{options.size(200_000, 40_000):,} races for each k of the first two figures, {options.size(10_000, 2000):,} "
        f"for each point of the third, {options.size(2000, 400):,} of the fourth",
        "all points are simulated votes (coins) through `decision.race.first_to_ahead`; lines are formulas",
        options.seed, (9.6, 8.0),
    )  # fmt: skip


def played_runs(rng: np.random.Generator, k: int, races: int) -> dict[int, Share]:
    """Play races in a row and cut the row into runs: the share of runs without a wrong step, by their length."""
    ballots = coins(rng, P)
    right = np.array([race(ballots, k).right for _ in range(races)])
    shares = {}
    for length in LENGTHS:
        runs = races // length
        if runs >= 20:
            shares[length] = Share(int(right[: runs * length].reshape(runs, length).all(1).sum()), runs)
    return shares


def played_votes(rng: np.random.Generator, p: float, races: int) -> Points:
    """Return the mean samples a step at the smallest k that reaches the target, for runs of 1, 1,000, ... steps."""
    ballots = coins(rng, p)
    return {steps: _replies(ballots, theory.k_min(p, steps, TARGET), races) for steps in STEPS[::3]}


def played_sizes(rng: np.random.Generator, p: float, races: int) -> Points:
    """Return the steps written in a run of a million steps, by m, where a subtask takes fewer than 200."""
    points: Points = {}
    for m in SIZES:
        k = theory.k_min(p, MANY, TARGET, m)
        if theory.expected_cost(p, k, m, m=m) < 200:
            mean, half = _replies(coins(rng, p, m=m), k, races)
            points[m] = mean * MANY, half * MANY  # a reply has m steps, a run MANY / m subtasks
    return points


def _replies(ballots: Callable[[], Ballot], k: int, races: int) -> tuple[float, float]:
    """Return the mean replies of a race and half of its 95% interval (normal)."""
    replies = [race(ballots, k).replies for _ in range(races)]
    return float(np.mean(replies)), float(1.96 * np.std(replies) / np.sqrt(races))


def _votes_by_formula(p: float, steps: float) -> float:
    return theory.expected_votes(p, theory.k_min(p, steps, TARGET))


def _written_by_formula(p: float, m: int) -> float:
    return theory.expected_cost(p, theory.k_min(p, MANY, TARGET, m), MANY, m, m=m)


def _success_row(k: int, steps: float, seen: Share | None) -> Row:
    rate, low, high, n = (seen.rate, seen.low, seen.high, seen.n) if seen else (None, None, None, None)
    return {"figure": "P(run right)", "p": P, "k": k, "m": 1, "steps": steps, "theory": theory.run_success(P, k, steps),
            "simulated": rate, "low": low, "high": high, "n": n}  # fmt: skip


def _cost_row(what: str, p: float, steps: float, m: int, seen: tuple[float, float] | None) -> Row:
    return {
        "figure": what, "p": p, "k": theory.k_min(p, steps, TARGET, m) if steps >= m else None, "m": m, "steps": steps,
        "theory": _votes_by_formula(p, steps) if what == "samples a step" else _written_by_formula(p, m),
        "simulated": seen[0] if seen else None, "low": seen[0] - seen[1] if seen else None,
        "high": seen[0] + seen[1] if seen else None, "n": None,
    }  # fmt: skip


def _table() -> list[list[str]]:
    table = [["p", "steps", "smallest k for 95%", "samples a step", "steps written, m = 1", "steps written, m = 10"]]
    for p in CHANCES:
        for steps in (1e3, 1e6, 1e9, 1e14):
            k = theory.k_min(p, steps, TARGET)
            ten = theory.expected_cost(p, theory.k_min(p, steps, TARGET, 10), steps, 10, m=10)
            table.append([
                f"{p:g}", f"{steps:.0e}", str(k), short(theory.expected_votes(p, k)),
                short(theory.expected_cost(p, k, steps)), short(ten),
            ])  # fmt: skip
    return table


def _shows(wins: dict[int, dict[int, Share]], votes: dict[float, Points], sizes: dict[float, Points]) -> str:
    inside = [
        share.low <= theory.run_success(P, k, steps) <= share.high
        for k, shares in wins.items() for steps, share in shares.items()
    ]  # fmt: skip
    close = [
        abs(mean - _votes_by_formula(p, at)) <= half for p, seen in votes.items() for at, (mean, half) in seen.items()
    ]
    above = max((seen[m][0] / _written_by_formula(p, int(m)), p, m) for p, seen in sizes.items() for m in seen)
    return (
        "Each vote of margin multiplies the length that a run survives by about p/(1-p), so k, and with it the "
        f"samples a step, grow like the logarithm of the number of steps: at p = {P} k = "
        f"{theory.k_min(P, 1e3, TARGET)} carries 1,000 steps and k = {theory.k_min(P, 1e14, TARGET)} carries 1e14. "
        "Asking for m steps at once needs 1/p^(m-1) times as many replies for a vote, each m times as long. The "
        f"theory lies inside the 95% interval of {sum(inside)} of {len(inside)} points of the first figure (runs of "
        f"different length share their races) and {sum(close)} of {len(close)} of the third. In the fourth the points "
        f"may lie above the lines, at most by a factor {above[0]:.3f} (p = {above[1]:g}, m = {above[2]}): the formula "
        "leaves scattered wrong answers out of the race, but where there is no other rival even one vote for such an "
        f"answer makes a runner-up, and costs a vote more."
    )


def _draw_success(axes: Axes, wins: dict[int, dict[int, Share]]) -> None:
    fine = np.logspace(0, 14, 400)
    for number, k in enumerate(MARGINS):
        look = {"color": style(number)["color"], "linestyle": "-" if k in wins else "--"}
        axes.plot(fine, [theory.run_success(P, k, s) for s in fine], **look)
        half = max(math.log(2) / math.log1p(((1 - P) / P) ** k), 1.5)  # the steps at which success is 1/2
        place = half if half < 1e14 else 2e13
        height = 0.5 if half < 1e14 else theory.run_success(P, k, place)
        axes.annotate(f"k={k}", (place, height), ha="center", va="center", fontsize=8, color=look["color"],
                      bbox={"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none"})  # fmt: skip
        if k in wins:
            points(axes, list(wins[k]), list(wins[k].values()), number, f"k = {k}")
    axes.set(xscale="log", xlabel="steps s", ylabel="P(whole run right)")
    axes.set_title(f"Success against steps, p = {P} (points simulated)")


def _draw_margins(axes: Axes, wins: dict[int, dict[int, Share]]) -> None:
    for number, steps in enumerate((100, 1000, 10**6, 10**9, 10**14)):
        every = range(1, 21)
        line(axes, every, [theory.run_success(P, k, steps) for k in every], number)
        played = [k for k in wins if steps in wins[k]]
        label = f"s = {steps:,}" if steps <= 1000 else f"s = {steps:.0e}".replace("e+0", "e").replace("e+", "e")
        axes.plot([], [], label=label, **style(number))
        points(axes, played, [wins[k][steps] for k in played], number, "_none")
    axes.set(xlabel="k, margin of votes that wins", ylabel="P(whole run right)")
    axes.set_title(f"Success against k, p = {P} (points simulated)")
    axes.set_xticks(range(1, 21, 3))
    axes.legend(loc="lower right")


def _draw_cost(
    axes: Axes, played: dict[float, Points], places: Sequence[Any], formula: Callable[[float, Any], float]
) -> None:
    """Draw a cost by formula at some places, and as it was played, for each p."""
    for number, (p, seen) in enumerate(played.items()):
        line(axes, places, [formula(p, place) for place in places], number)
        means, halves = zip(*seen.values(), strict=True)
        axes.errorbar(list(seen), means, halves, linestyle="none", capsize=2.5, label=f"p = {p:g}", **style(number))
    axes.set(yscale="log")
    axes.legend()
