"""Does a margin that widens with disagreement lose fewer steps at the same cost? `maker experiment margins`.

Three rules at many settings, each step with at most 100 votes: ahead by a constant k; ahead by a table
(`theory/votes/tables.py`) that was calibrated on a Beta with the moments of the scene, or in the hostile scenes on what
is not true; and the Beta posterior of `kit/stops.py`, which assumes nothing and asks for a lead that grows like a
root. All is exact: the ways to a count are counted once a rule, and weighed with the chance of the count in the scene.

Not covered: any model, third answers, flags, and what a step costs that ends undecided.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from maker.experiments.kit.figure import legend, style
from maker.experiments.kit.study import Options, Row, Study, short
from maker.theory.votes.mixture import Steps
from maker.theory.votes.tables import Table, table_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
MOST = 100  # votes of one step: what a run allows by default
KS = range(1, 11)
AT = (2, 3, 4, 6)  # constant k at whose mean votes the table compares
CONSTANT, TABLE, POSTERIOR = "constant k", "table", "posterior"
_LEAST = 1e-9  # shares below it are not drawn


@dataclass(slots=True, frozen=True)
class Scene:
    """A population of steps: parts (share, steps, each alike or a Beta), and what the table believes."""

    title: str
    parts: tuple[tuple[float, Steps], ...]
    believed: Steps


def moments(parts: Sequence[tuple[float, Steps]]) -> Steps:
    """Return the Beta with the mean and the variance of a population: what a large calibration would find."""
    mean = sum(share * steps.p for share, steps in parts)
    square = sum(share * (steps.p**2 + steps.rho * steps.p * (1 - steps.p)) for share, steps in parts)
    return Steps(mean, max(0.0, (square - mean**2) / (mean * (1 - mean))))


ALIKE = ((1.0, Steps(0.9)),)
BETA = ((1.0, Steps(0.95, 0.1)),)
TWO_POINTS = ((0.95, Steps(0.98)), (0.05, Steps(0.6)))
WORSE = ((1.0, Steps(0.85, 0.3)),)
LOST = ((0.98, Steps(0.98)), (0.02, Steps(0.1)))
SCENES = (
    Scene("alike: p = .9", ALIKE, moments(ALIKE)),
    Scene("Beta: p = .95, rho = .1", BETA, moments(BETA)),
    Scene("two points: .98, and 5% at .6", TWO_POINTS, moments(TWO_POINTS)),
    Scene("hostile: Beta .85, rho .3, taken for .98, .02", WORSE, Steps(0.98, 0.02)),
    Scene("hostile: .98, and 2% at .1, taken for alike", LOST, Steps(0.9624)),
    Scene("hostile: alike at .9, taken for rho = .1", ALIKE, Steps(0.9, 0.1)),
)


@dataclass(slots=True, frozen=True)
class Outcome:
    """What a rule does to a step of a population, in the mean: votes, P(wrong wins), P(undecided)."""

    votes: float
    wrong: float
    undecided: float

    def mixed(self, other: Outcome, share: float) -> Outcome:
        """Return what it is to use the other rule for a share of the steps."""
        pairs = ((self.votes, other.votes), (self.wrong, other.wrong), (self.undecided, other.undecided))
        return Outcome(*(mine + share * (its - mine) for mine, its in pairs))


Found = dict[str, list[tuple[float, Outcome]]]  # by rule: settings and outcomes, from lax to strict


def run(options: Options) -> Study:
    """Walk every rule through every scene."""
    options.no_model("margins")
    each = options.size(4, 2)  # settings for each power of ten
    found: dict[Scene, Found] = {}
    for scene in SCENES:
        found[scene] = outcomes(scene, each)
        options.say(f"{scene.title}: done")
    rows: list[Row] = [
        {"scene": scene.title, "rule": rule, "setting": setting, "votes": seen.votes, "wrong": seen.wrong,
         "undecided": seen.undecided, "believed_p": scene.believed.p, "believed_rho": scene.believed.rho}
        for scene, rules in found.items() for rule, settings in rules.items() for setting, seen in settings
    ]  # fmt: skip

    def draw(figure: Figure) -> None:
        for axes, (scene, rules) in zip(figure.subplots(2, 3).flat, found.items(), strict=True):
            _draw(axes, scene, rules)
        legend(figure, figure.axes[0], 3)

    return Study(
        "margins", "Does a margin that widens with disagreement lose fewer steps at the same cost?", rows,
        _table(found), draw, _shows(found),
        "That a calibration of a few hundred steps finds these moments: here the table is told them exactly, or told "
        "what is false. That an undecided step is saved: it goes up the ladder, or the run stops there; either costs "
        "more than the votes counted here. Steps that nearly always give one wrong answer look like right ones "
        "to every rule.",
        f"nothing: all is exact, by the ways to each count of up to {MOST} votes",
        "all of it: populations of steps are planted, no model is asked", options.seed, (10.5, 7.0),
    )  # fmt: skip


def rules(believed: Steps, each: int) -> dict[str, list[tuple[float, Table]]]:
    """Return the settings of each rule as tables of margins, from lax to strict. each: settings for a power of ten."""
    levels = [10 ** (-e / each) for e in range(each // 2, 8 * each + 1)]
    found: dict[str, list[tuple[float, Table]]] = {CONSTANT: [(k, Table(k, (), MOST)) for k in KS], TABLE: []}
    for level in levels:
        table = table_for(believed, level, most=MOST)
        if table is None:
            break
        found[TABLE].append((level, table))
    return found | {POSTERIOR: [(level, posterior(level)) for level in levels]}


@cache
def posterior(level: float) -> Table:
    """Return the margins at which P(the leader's share <= 1/2) <= level, under a uniform prior."""
    log_half, margins = math.log(0.5), []
    for total in range(MOST + 1):
        # P(share <= 1/2) for Beta(a+1, b+1) is P(at most b of total + 1 tosses are heads)
        tail, rival = 0.0, 0
        while rival <= total / 2:
            tail += math.exp(_log_choose(total + 1, rival) + (total + 1) * log_half)
            if tail > level:
                break
            rival += 1
        margins.append(total - 2 * (rival - 1) - 1)  # a vote less than this has another parity: it cannot be met
    k = next((total for total, margin in enumerate(margins) if total >= max(margin, 1)), MOST)
    widens: list[int] = []
    for total in range(k + 1, MOST + 1):
        widens += [total] * max(0, margins[total] - k - len(widens))
    return Table(k, tuple(widens), MOST)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def outcomes(scene: Scene, each: int) -> Found:
    """Return what each rule does in a scene at its settings, from lax to strict."""
    chance = chances(scene.parts)
    return {name: [(setting, walk(table)(chance)) for setting, table in settings]
            for name, settings in rules(scene.believed, each).items()}  # fmt: skip


def chances(parts: Sequence[tuple[float, Steps]]) -> Floats:
    """Return [a, b]: the chance of one given order of a right and b wrong votes, over a population of steps."""
    a, b = np.indices((MOST + 1, MOST + 1))
    gamma = np.vectorize(math.lgamma, otypes=[float])
    n, total = np.arange(MOST + 1), np.zeros(a.shape)
    for share, steps in parts:
        if steps.alike:
            logs = a * math.log(steps.p) + b * math.log1p(-steps.p)
        else:
            c = (1 - steps.rho) / steps.rho
            x, y = steps.p * c, (1 - steps.p) * c
            sums = gamma(c + np.arange(2 * MOST + 1))[a + b]
            logs = (gamma(x + n) - math.lgamma(x))[a] + (gamma(y + n) - math.lgamma(y))[b] - sums + math.lgamma(c)
        total += share * np.exp(logs)
    return total


@cache
def walk(table: Table) -> Callable[[Floats], Outcome]:
    """Return what a rule does, as a function of the chance of each count.

    A step ends undecided as soon as no decision is possible within 100 votes.
    """
    ended, given_up = np.zeros((MOST + 1, MOST + 1)), np.zeros((MOST + 1, MOST + 1))
    ways = np.ones(1)  # to a right votes of n, with none of them an end
    for n in range(MOST + 1):
        a = np.arange(n + 1)
        by_margin = [table.wanting(margin, n) for margin in range(n % 2, n + 1, 2)]
        wanting = np.array(by_margin)[np.abs(2 * a - n) // 2]
        won, hopeless = wanting <= 0, (wanting > 0) & (n + wanting > MOST)
        ended[a, n - a] = np.where(won, ways, 0)
        given_up[a, n - a] = np.where(hopeless, ways, 0)
        open_ = np.where(won | hopeless, 0, ways)
        ways = np.append(open_, 0) + np.append(0, open_)
    a, b = np.indices(ended.shape)

    def outcome(chance: Floats) -> Outcome:
        votes = float(((ended + given_up) * (a + b) * chance).sum())
        return Outcome(votes, float((ended * (b > a) * chance).sum()), float((given_up * chance).sum()))

    return outcome


def at(settings: Sequence[tuple[float, Outcome]], votes: float) -> Outcome | None:
    """Return a rule's outcome at this mean of votes, two settings mixed by a coin; None out of its range."""
    for (_, low), (_, high) in pairwise(settings):
        if low.votes <= votes <= high.votes and high.votes > low.votes:
            return low.mixed(high, (votes - low.votes) / (high.votes - low.votes))
    return None


def _table(found: dict[Scene, Found]) -> list[list[str]]:
    table = [["scene", "votes a step (k)", *(f"{name}: wrong, undecided" for name in (CONSTANT, TABLE, POSTERIOR))]]
    for scene, rules_ in found.items():
        for k in AT:
            votes = constant(rules_, k).votes
            cells = []
            for name in (CONSTANT, TABLE, POSTERIOR):
                seen = constant(rules_, k) if name == CONSTANT else at(rules_[name], votes)
                cells.append("-" if seen is None else f"{_said(seen.wrong)}, {_said(seen.undecided)}")
            table.append([scene.title if k == AT[0] else "", f"{votes:.2f} (k = {k})", *cells])
    return table


def constant(rules_: Found, k: int) -> Outcome:
    """Return what constant k does."""
    return next(seen for setting, seen in rules_[CONSTANT] if setting == k)


def _said(share: float) -> str:
    return short(share if share >= _LEAST else 0)


def _shows(found: dict[Scene, Found]) -> str:
    said = []
    for scene, rules_ in found.items():
        steady = constant(rules_, 4)
        parts = [f"constant k {_said(steady.wrong)} wrong and {_said(steady.undecided)} undecided"]
        for name in (TABLE, POSTERIOR):
            seen = at(rules_[name], steady.votes)
            parts.append(
                f"{name} {_said(seen.wrong)} and {_said(seen.undecided)}" if seen else f"{name} is not so cheap"
            )
        said.append(f"{scene.title}: {', '.join(parts)}")
    return (
        f"Shares of the steps, at the mean votes that k = 4 takes. {'; '.join(said)}. On steps that are alike the "
        "table is constant k. Where steps differ as believed it has fewer wrong ones and leaves more undecided: it "
        "gives up on what constant k decides by luck. With few votes it gains nothing: what contested steps take is "
        "missing elsewhere. The posterior, which assumes nothing, does nearly as well with few votes, and leaves fewer "
        "undecided. The hostile scenes are the price of a wrong belief. Taken for better than they are, steps get "
        "margins that hardly widen; steps that mostly give one wrong answer are lost under every rule; and steps that "
        "are alike and taken for varied are decided worse at the same cost."
    )


def _draw(axes: Axes, scene: Scene, rules_: Found) -> None:
    for number, name in enumerate((CONSTANT, TABLE, POSTERIOR)):
        votes = [seen.votes for _, seen in rules_[name]]
        look = {"markersize": 3, "linewidth": 1, **style(number)}
        axes.plot(votes, [max(seen.wrong, _LEAST / 10) for _, seen in rules_[name]], label=f"{name}: wrong", **look)
        undecided = [max(seen.undecided, _LEAST / 10) for _, seen in rules_[name]]
        axes.plot(votes, undecided, ":", color=look["color"], linewidth=1.3, label=f"{name}: undecided")
    axes.set(yscale="log", xlabel="mean votes a step", ylabel="share of steps", ylim=(_LEAST, 1), xlim=(0, 25))
    axes.set_title(scene.title, fontsize=9)
