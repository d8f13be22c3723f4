"""Which cure helps which illness? `maker experiment opposite-cures`.

Avalanche: a policy that reads its own errors makes more. Collapse: a policy that lost its variety repeats one answer.
Two cures: subtract context while running (the state alone, and a vote), and keep variety while training (KL-Cov). The
same small networks are measured in all cells: they pay amounts with coins, and were taught by writers that err, whose
record they read. What neither cure reaches is given to the ladder's rungs.

Not covered: language models (`self-conditioning` asks some), and training on dirty histories.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from maker.engine.ladder.rungs import WARMER
from maker.experiments.avalanche.readers import expected
from maker.experiments.collapse.coins import Questions, split
from maker.experiments.collapse.law import Mean, mean
from maker.experiments.collapse.policy import LAST, Policy
from maker.experiments.collapse.training import METHODS, draw, taught, update
from maker.experiments.collapse.votes import raced
from maker.experiments.kit.exact import Floats
from maker.experiments.kit.figure import style
from maker.experiments.kit.study import Options, Row, Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "opposite-cures"
QUESTION = "which cure helps which illness?"
PLAIN = METHODS[0]
KEPT = next(method for method in METHODS if method.name == "KL-Cov")
K = 3
RACES = 16  # of a question
DIRTY, CLEAN = LAST // 2, 0  # wrong ones among the last eight answers
TURNS = 40  # of the exact reader's histories, as in `self-conditioning`
ILLNESSES = ("avalanche", "collapse")
CURES = ("as it is", "subtract context", "keep variety", "both", "both, and warmer", "both, and another model")
DONE = {
    "as it is": "history shown, one reply",
    "subtract context": f"state alone, vote k = {K}",
    "keep variety": f"{KEPT.name} training, history shown, one reply",
    "both": f"{KEPT.name} training, state alone, vote k = {K}",
    "both, and warmer": f"what is not right is voted on again, {WARMER:g} warmer",
    "both, and another model": "what is not right is voted on by another network",
}


@dataclass(slots=True)
class Trained:
    """The policies of one run, taught, then trained in two ways, and the questions they are asked."""

    asked: Questions
    policies: dict[str, Policy]

    def one(self, policy: str, wrong: int) -> Floats:
        """Return P(right) of one reply to each question, under a history with so many wrong ones."""
        right: Floats = (self.policies[policy].table(self.asked, wrong) * self.asked.right).sum(1)
        return right

    def vote(self, policy: Policy, seed: int, heat: float = 1.0) -> Floats:
        """Return P(the vote is right) of each question, of the state alone."""
        won, ended = raced(policy.table(self.asked, heat=heat), RACES, np.random.default_rng(seed))
        rows = np.repeat(np.arange(len(self.asked)), RACES)
        right = self.asked.right[rows, won[K - 1]] & (ended[K - 1] > 0)
        found: Floats = right.reshape(-1, RACES).mean(1)
        return found


def run(options: Options) -> Study:
    """Train policies, and measure every illness under every cure."""
    options.no_model(NAME)
    runs, updates, asked = options.size(3, 2), options.size(200, 40), options.size(200, 60)
    trained = []
    for number in range(runs):
        trained.append(_trained(options.seed, number, options.size(1200, 200), updates, asked))
        options.say(f"run {number} is trained")
    found = cells(trained, options.seed)
    return Study(
        name=NAME,
        question=QUESTION.capitalize(),
        rows=rows(found),
        table=table(found, options.seed),
        draw=lambda figure: draw_figure(figure, found, options.seed),
        shows=shows(found, options.seed),
        shows_not=(
            "Anything about a language model. The network is handed the number of wrong ones among its last "
            "eight answers, where a language model must notice them, and the writers that taught it to heed that "
            "number are made up. Policy gradient saw no histories at all. A rung is told which steps are not right, "
            "as by a task that can check a decision; where nothing checks, no rung is asked. A cure's cell holds its "
            "dose: another k, another way to keep entropy, or more training have other numbers."
        ),
        n=(f"{runs} runs: a network taught, then trained by {updates} updates plainly and with {KEPT.name}; {asked} "
           f"questions held back, probabilities of one reply exact, {RACES} races a question for a vote"),
        simulated="all of it: networks trained here, votes by their exact probabilities",
        seed=options.seed,
        size=(11.0, 4.8),
    )  # fmt: skip


def _trained(seed: int, number: int, lessons: int, updates: int, asked: int) -> Trained:
    """Return the policies of one run."""
    rng = np.random.default_rng((seed, number, 3))
    learned, held = split(rng)
    policies = {"taught": taught(rng, learned, lessons, writers=True)}
    for method in (PLAIN, KEPT):
        policy, draws = policies["taught"].copy(), np.random.default_rng((seed, number, 4))
        for _ in range(updates):
            update(policy, method, draw(policy, learned, draws), draws)
        policies[method.name] = policy
    return Trained(held[np.arange(asked)], policies)


def cells(trained: Sequence[Trained], seed: int) -> dict[tuple[str, str], list[float]]:
    """Return the share of right steps of each run, by illness and cure."""
    found: dict[tuple[str, str], list[float]] = {(illness, cure): [] for illness in ILLNESSES for cure in CURES}
    # the avalanche is that of the policy that has its variety; the collapse that of one whose history is clean
    sick = {"avalanche": ("taught", DIRTY), "collapse": (PLAIN.name, CLEAN)}
    for number, here in enumerate(trained):
        other = trained[(number + 1) % len(trained)]
        both = here.vote(here.policies[KEPT.name], seed)
        rungs = {
            "both, and warmer": here.vote(here.policies[KEPT.name], seed + 1, 1 + WARMER),
            "both, and another model": here.vote(other.policies[KEPT.name], seed + 2),
        }
        for illness, (policy, wrong) in sick.items():
            values = {
                "as it is": here.one(policy, wrong),
                "subtract context": here.vote(here.policies[policy], seed),
                "keep variety": here.one(KEPT.name, wrong),
                "both": both,
                **{name: both + (1 - both) * again for name, again in rungs.items()},
            }
            for cure, value in values.items():
                found[illness, cure].append(float(value.mean()))
    return found


def rows(found: dict[tuple[str, str], list[float]]) -> list[Row]:
    """Return a row for each run of each cell."""
    return [
        {"illness": illness, "cure": cure, "done": DONE[cure], "run": number, "right": value}
        for (illness, cure), values in found.items()
        for number, value in enumerate(values)
    ]


def gain(found: dict[tuple[str, str], list[float]], illness: str, cure: str, seed: int) -> Mean:
    """Return by how much a cure raises the share of right steps, run by run."""
    pairs = zip(found[illness, cure], found[illness, "as it is"], strict=True)
    return mean([after - before for after, before in pairs], seed)


def table(found: dict[tuple[str, str], list[float]], seed: int) -> list[list[str]]:
    """Return a line for each cure."""
    made = [["cure", "what is done", *(part for one in ILLNESSES for part in (f"{one}: right", "more than as it is"))]]
    for cure in CURES:
        line = [cure, DONE[cure]]
        for illness in ILLNESSES:
            more = "-" if cure == CURES[0] else gain(found, illness, cure, seed).text()
            line += [mean(found[illness, cure], seed).text(), more]
        made.append(line)
    return made


def shows(found: dict[tuple[str, str], list[float]], seed: int) -> str:
    """Say what each cure does for each illness, and which does more."""
    said, best = [], []
    for illness in ILLNESSES:
        first = mean(found[illness, "as it is"], seed)
        subtract, keep = (gain(found, illness, cure, seed) for cure in CURES[1:3])
        pairs = zip(found[illness, CURES[1]], found[illness, CURES[2]], strict=True)
        apart = mean([one - other for one, other in pairs], seed)
        better = CURES[1] if apart.low > 0 else CURES[2] if apart.high < 0 else "neither clearly"
        best.append(f"{illness}: {better}")
        said.append(
            f"{illness.capitalize()}: {first.value:.3f} of the steps right as it is; subtracting context adds "
            f"{_signed(subtract)}, keeping variety {_signed(keep)}, both together "
            f"{_signed(gain(found, illness, 'both', seed))}; the first less the second {_signed(apart)}."
        )
    said.insert(0, f"What helps more, {'; '.join(best)}.")
    ladder = {cure: found_mean(found, "collapse", cure) for cure in CURES[4:]}
    said.append(
        "Of what both cures leave, on a checker's word: "
        + "; ".join(f"{cure.removeprefix('both, and ')} ends at {value:.3f}" for cure, value in ladder.items())
        + "."
    )
    history, state = (expected(TURNS, DIRTY / LAST, window) for window in (None, 0))
    said.append(
        f"The exact reader of `self-conditioning`, half of whose history of {TURNS - 1} turns was shifted, is right "
        f"with {history:.3f}, and with {state:.3f} on the state alone; it is not trained, so that nothing can keep "
        "its variety."
    )
    return " ".join(said)


def found_mean(found: dict[tuple[str, str], list[float]], illness: str, cure: str) -> float:
    """Return the mean of a cell."""
    return float(np.mean(found[illness, cure]))


def _signed(more: Mean) -> str:
    return f"{more.value:+.3f} ({more.low:+.3f} to {more.high:+.3f})"


def draw_figure(figure: Figure, found: dict[tuple[str, str], list[float]], seed: int) -> None:
    """Draw the share of right steps of each cell as a bar, with its interval and its number."""
    panels: Any = figure.subplots(1, 2, sharey=True)
    titles = ("Avalanche: half of its last eight answers are wrong", "Collapse: trained until variety is gone")
    names = [
        "as it is", "subtract\ncontext:\nstate alone,\nvote", "keep\nvariety:\nKL-Cov\ntraining", "both",
        "both,\nand\nwarmer", "both, and\nanother\nmodel",
    ]  # fmt: skip
    for axes, illness, title in zip(panels, ILLNESSES, titles, strict=True):
        for number, cure in enumerate(CURES):
            seen = mean(found[illness, cure], seed)
            axes.bar(number, seen.value, color=style(number)["color"], width=0.7, alpha=0.85)
            axes.errorbar([number], [seen.value], [[seen.value - seen.low], [seen.high - seen.value]], color="black",
                          capsize=3)  # fmt: skip
            axes.text(number, seen.high + 0.015, f"{seen.value:.2f}", ha="center")
        axes.set_xticks(range(len(CURES)), names, fontsize=8.5)
        axes.set(title=title, ylim=(0, 1))
    panels[0].set_ylabel("share of right steps, questions held back")
