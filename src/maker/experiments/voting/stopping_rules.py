"""Which stopping rule needs the fewest votes at the same error? `maker experiment stopping-rules`.

Each rule of `kit/stops.py` at many settings: its error against its expected votes, for two answers (exact) and
for five (simulated); and what a confidence for each vote would save, if it were true.

Not covered: any model. The shares of the answers are planted and the same at every step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from maker import theory
from maker.experiments.kit import stops
from maker.experiments.kit.figure import style
from maker.experiments.kit.stops import Cost, Rule
from maker.experiments.kit.study import Options, Row, Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


ERROR = 0.01  # at which the table compares
KINDS = {0.6: 0.5, 0.95: 0.5}  # confidences of the last scene, and how many votes have them
WEIGHTED = "weighted SPRT"
PPR = "PPR-1v1"


@dataclass(slots=True, frozen=True)
class Scene:
    """Who votes: the share of each answer, the right one first."""

    title: str
    short: str  # for a table's head
    shares: tuple[float, ...]
    least: float  # the smallest error that is looked at


SCENES = (
    Scene("two answers, p = 0.75 (exact)", "2 answers, p = .75", (0.75, 0.25), 1e-5),
    Scene("two answers, p = 0.95 (exact)", "2 answers, p = .95", (0.95, 0.05), 1e-5),
    Scene(
        "five answers, p = 0.4, rivals 0.15 each (simulated)",
        "5 answers (simulated)",
        (0.4, 0.15, 0.15, 0.15, 0.15),
        1e-3,
    ),
    Scene(
        "two answers, half the votes right with 0.6, half with 0.95 (exact)",
        "2 answers, .6 or .95",
        (0.775, 0.225),
        1e-5,
    ),
)
Found = dict[str, list[tuple[float, Cost]]]  # by rule: its settings and what each costs


def run(options: Options) -> Study:
    """Walk or play every rule in every scene."""
    options.no_model("stopping-rules")
    races = options.size(50_000, 5000)
    rng = np.random.default_rng(options.seed)
    found: dict[Scene, Found] = {}
    for scene in SCENES:
        found[scene] = frontiers(scene, races, rng)
        options.say(f"{scene.title}: done")
    rows: list[Row] = [
        {"scene": scene.title, "rule": name, "setting": setting, "error": cost.error, "votes": cost.votes,
         "races": cost.races or None}
        for scene, rules in found.items() for name, costs in rules.items() for setting, cost in costs
    ]  # fmt: skip

    def draw(figure: Figure) -> None:
        for axes, (scene, rules) in zip(figure.subplots(2, 2).flat, found.items(), strict=True):
            _draw(axes, scene, rules)
        handles = {str(line.get_label()): line for axes in figure.axes for line in axes.get_lines()}
        figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=4)

    return Study(
        "stopping-rules", "Which stopping rule needs the fewest votes at the same error?", rows, _table(found), draw,
        _shows(found),
        "Nothing about errors that cluster or samples that are copied: every rule fails there, and the cheap ones "
        "first. Ahead-by-k, first-to-k, windows and the majority are set here with the shares known; PPR-1v1 alone "
        "keeps its promise without. With more than two answers no rule here is proved to be the cheapest. Confidences "
        "of real models are seldom calibrated, and the weighted rule's saving is lost with that.",
        f"{races:,} simulated races for each setting in the scene of five answers, which know an error of 1% to within "
        f"{196 * math.sqrt(ERROR * (1 - ERROR) / races):.2f} percentage points (95%); the other scenes are exact",
        "all of it: votes are arithmetic or coins, no model is asked", options.seed, (9.6, 8.6),
    )  # fmt: skip


def settings(candidates: int) -> dict[str, list[Rule]]:
    """Return the rules at all settings that are looked at."""
    levels = [10 ** (-e / 3) for e in range(1, 16)]  # every third is a power of ten
    rules = [
        *(stops.ahead_by(k) for k in range(1, 13)), *(stops.first_to(k) for k in range(1, 41)),
        *(stops.majority(n) for n in range(1, 122, 2)),
        *(stops.beta_posterior(1 - level) for level in levels),
        *(stops.window(w) for w in range(1, 13)), *(stops.ppr(level, candidates) for level in levels),
    ]  # fmt: skip
    return {name: list(same) for name, same in groupby(rules, lambda rule: rule.name)}


def frontiers(scene: Scene, races: int, rng: np.random.Generator) -> Found:
    """Return what each rule costs at its settings, from lax to strict, until its error is below the scene's least."""
    found: Found = {}
    for name, rules in settings(len(scene.shares)).items():
        found[name] = []
        for rule in rules:
            two = len(scene.shares) == 2
            cost = stops.exact(rule, scene.shares[0]) if two else stops.played(rule, scene.shares, races, rng)
            found[name].append((rule.parameter, cost))
            if cost.error < scene.least and not (name == PPR and rule.parameter > ERROR * 1.001):
                break
    if scene is SCENES[-1]:
        reach = [10 ** (-e / 6) for e in range(2, 31)]
        found[WEIGHTED] = [(level, stops.weighted(level, KINDS)) for level in reach]
    return found


def at(rules: Found, name: str, error: float) -> float | None:
    """Return the votes of a rule at this error, or None where it does not reach it."""
    return stops.cheapest([cost for _, cost in rules[name]], error)


def promised(rules: Found) -> Cost:
    """Return what PPR-1v1 costs when it promises the error that the others are compared at; its real one is smaller."""
    return next(cost for level, cost in rules[PPR] if math.isclose(level, ERROR))


def _table(found: dict[Scene, Found]) -> list[list[str]]:
    table = [["votes at error 1%", *(scene.short for scene in SCENES)]]
    for name in found[SCENES[-1]]:
        cells = []
        for scene in SCENES:
            votes = at(found[scene], name, ERROR) if name in found[scene] and name != PPR else None
            cells.append("-" if votes is None else f"{votes:.2f}")
            if name == PPR:
                cost = promised(found[scene])
                real = f"real error {100 * cost.error:.2g}%" if cost.error else f"no error in {cost.races:,} races"
                cells[-1] = f"{cost.votes:.2f} ({real})"
        table.append([name, *cells])
    return table


def _shows(found: dict[Scene, Found]) -> str:
    said = []
    for scene in SCENES:
        votes = {name: at(found[scene], name, ERROR) for name in found[scene]}
        known = {name: n for name, n in votes.items() if n is not None and name not in (WEIGHTED, PPR)}
        best = min(known, key=lambda name: known[name])
        said.append(f"{scene.title}: {best} with {known[best]:.2f}")
    last = found[SCENES[-1]]
    saved = (at(last, "ahead by k", ERROR) or math.nan) / (at(last, WEIGHTED, ERROR) or math.nan)
    dear = [promised(found[scene]).votes / (at(found[scene], "ahead by k", ERROR) or math.nan) for scene in SCENES[:2]]
    bound = theory.k_from_odds(0.4, 0.15, ERROR, 5)
    return (
        f"The fewest votes at an error of 1% (settings mixed by a coin, so that errors are equal): {'; '.join(said)}. "
        f"With two answers and p known this must be ahead-by-k, which is Wald's test. PPR-1v1, which need not know p, "
        f"takes {dear[0]:.1f} and {dear[1]:.1f} times as many at p = 0.75 and 0.95 when it promises the same error "
        f"(its real one is smaller). Spread-out rivals are handled by k from the "
        f"odds: for five answers the bound asks for k = {bound}. A true confidence for each vote saves a factor "
        f"{saved:.2f}."
    )


def _draw(axes: Axes, scene: Scene, rules: Found) -> None:
    for number, (name, costs) in enumerate(rules.items()):
        seen = [(cost.error, cost.votes, cost.races) for _, cost in costs if cost.error >= scene.least]
        look = {"markersize": 3.5, "linewidth": 1, **style(number)}
        axes.plot([error for error, _, _ in seen], [votes for _, votes, _ in seen], label=name, **look)
        if seen and seen[0][2]:  # simulated: the 95% interval of the error
            half = [1.96 * math.sqrt(error * (1 - error) / races) for error, _, races in seen]
            places, heights = [error for error, _, _ in seen], [votes for _, votes, _ in seen]
            axes.errorbar(places, heights, xerr=half, fmt="none", color=look["color"], label="_bars")
    axes.set(xscale="log", yscale="log", xlabel="error of one step", ylabel="expected votes")
    axes.set_title(scene.title, fontsize=9)
    axes.set_xlim(scene.least * 0.8, 0.5)
    axes.invert_xaxis()
