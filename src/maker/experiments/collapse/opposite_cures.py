"""Which cure helps which illness? `maker experiment opposite-cures`.

Avalanche: a policy that reads its own errors makes more. Collapse: a policy that lost its variety repeats one answer.
Two cures: subtract context while running (the state alone, and a vote), and keep variety while training (KL-Cov). The
same small networks are measured in all cells: they pay amounts with coins, and were taught by writers that err, whose
record they read. What neither cure reaches is given to the ladder's rungs.

No weights are shipped: at full size training takes half a minute of one core.

Not covered: language models (`self-conditioning` asks some), and training on dirty histories.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from maker.engine.ladder.rungs import WARMER
from maker.experiments.avalanche.readers import expected
from maker.experiments.collapse.coins import Questions, split
from maker.experiments.collapse.law import Mean, mean
from maker.experiments.collapse.policy import LAST, NO_HISTORY, Policy
from maker.experiments.collapse.training import METHODS, draw, taught, update
from maker.experiments.collapse.votes import raced
from maker.experiments.kit.exact import Floats
from maker.experiments.kit.figure import legend, style
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
STAGES = {"taught": "taught alone", PLAIN.name: "trained plainly", KEPT.name: f"variety kept ({KEPT.name})"}
AVALANCHE, COLLAPSE = "avalanche: share of right replies lost to own errors", f"collapse: what a vote of k = {K} adds"
SHOWN, ALONE = "history shown", "state alone"
REPLY, VOTE, WARM, OTHER = "one reply, dirty history", "vote on the state alone", "+ warmer", "+ another network"
RIGHT = "right steps"
Cells = dict[tuple[str, str, str], list[float]]  # measure, what is done, stage -> a value for each run


@dataclass(slots=True)
class Trained:
    """The policies of one run, taught, then trained in two ways, and the questions they are asked."""

    asked: Questions
    policies: dict[str, Policy]

    def one(self, policy: str, wrong: int) -> Floats:
        """Return P(right) of one reply to each question, under a history with so many wrong ones."""
        right: Floats = (self.policies[policy].table(self.asked, wrong) * self.asked.right).sum(1)
        return right

    def vote(self, policy: Policy, seed: int, wrong: int = NO_HISTORY, heat: float = 1.0) -> Floats:
        """Return P(the vote is right) of each question; without a history, unless one is told."""
        won, ended = raced(policy.table(self.asked, wrong, heat), RACES, np.random.default_rng(seed))
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
        size=(10.0, 4.8),
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


def cells(trained: Sequence[Trained], seed: int) -> Cells:
    """Return both symptoms and the share of right steps of each run, by what is done and how it was trained."""
    found: Cells = defaultdict(list)
    for number, here in enumerate(trained):
        other = trained[(number + 1) % len(trained)]
        for stage in STAGES:
            policy = here.policies[stage]
            clean, dirty, alone = (float(here.one(stage, wrong).mean()) for wrong in (CLEAN, DIRTY, NO_HISTORY))
            vote = here.vote(policy, seed)
            warm = vote + (1 - vote) * here.vote(policy, seed + 1, heat=1 + WARMER)
            last = warm + (1 - warm) * here.vote(other.policies[stage], seed + 2)
            found[AVALANCHE, SHOWN, stage].append(1 - dirty / clean)
            found[AVALANCHE, ALONE, stage].append(0.0)  # what is not shown costs nothing
            found[COLLAPSE, SHOWN, stage].append(float(here.vote(policy, seed, CLEAN).mean()) - clean)
            found[COLLAPSE, ALONE, stage].append(float(vote.mean()) - alone)
            for name, share in ((REPLY, dirty), (VOTE, vote.mean()), (WARM, warm.mean()), (OTHER, last.mean())):
                found[RIGHT, name, stage].append(float(share))
    return dict(found)


def rows(found: Cells) -> list[Row]:
    """Return a row for each run of each cell."""
    return [
        {"measure": measure, "done": done, "trained": stage, "run": number, "value": value}
        for (measure, done, stage), values in found.items()
        for number, value in enumerate(values)
    ]


def table(found: Cells, seed: int) -> list[list[str]]:
    """Return a line for each measure and what is done, a column for each way of training."""
    lines = dict.fromkeys((measure, done) for measure, done, _ in found)
    return [
        ["measure", "what is done", *STAGES.values()],
        *([*line, *(mean(found[(*line, stage)], seed).text() for stage in STAGES)] for line in lines),
    ]


def apart(found: Cells, one: tuple[str, str, str], other: tuple[str, str, str], seed: int) -> Mean:
    """Return by how much one cell is above another, run by run."""
    return mean([a - b for a, b in zip(found[one], found[other], strict=True)], seed)


def shows(found: Cells, seed: int) -> str:
    """Say what each cure does to each symptom, and what is left for the ladder."""
    plain, kept = PLAIN.name, KEPT.name
    ill = {stage: mean(found[AVALANCHE, SHOWN, stage], seed) for stage in STAGES}
    kept_avalanche = apart(found, (AVALANCHE, SHOWN, kept), (AVALANCHE, SHOWN, plain), seed)
    kept_collapse = apart(found, (COLLAPSE, ALONE, kept), (COLLAPSE, ALONE, plain), seed)
    subtracted = apart(found, (COLLAPSE, ALONE, plain), (COLLAPSE, SHOWN, plain), seed)
    history, state = (expected(TURNS, DIRTY / LAST, window) for window in (None, 0))
    opposite = ill["taught"].low > 0 and kept_collapse.low > 0 and kept_avalanche.high >= 0 and subtracted.low <= 0
    ladder = {name: [float(np.mean(found[RIGHT, name, stage])) for stage in STAGES] for name in (VOTE, WARM, OTHER)}
    rungs = "; ".join(
        f"{said} {' -> '.join(f'{values[at]:.3f}' for values in ladder.values())}"
        for at, said in enumerate(STAGES.values())
    )
    return (
        f"{'Each cure helps its own illness alone here' if opposite else 'The cures are not told apart here'}. "
        f"Avalanche: where half of its last eight answers are wrong, the taught network loses {ill['taught'].text()} "
        f"of its right replies, the one trained plainly {ill[plain].text()}, with its variety kept {ill[kept].text()}; "
        "on the state alone nothing is shown, and nothing lost. Variety kept "
        f"{_moved(kept_avalanche)} of the loss, against plain training. Collapse: variety kept {_moved(kept_collapse)} "
        f"of what the vote adds, against plain training; subtracting a clean history {_moved(subtracted)} of it. "
        "Right steps by the vote on the state alone, then of what is not right, on a checker's word, warmer, then by "
        f"another network: {rungs}. The exact reader of `self-conditioning`, half of whose history of {TURNS - 1} "
        f"turns was shifted, is right with {history:.3f}, and with {state:.3f} on the state alone; it is not trained, "
        "so that nothing can keep its variety: that cell cannot be measured."
    )


def _moved(change: Mean) -> str:
    """Say which way a difference goes, if it is clear of 0."""
    way = "adds" if change.low > 0 else "takes" if change.high < 0 else "is not shown to change"
    return f"{way} {change.value:+.3f} ({change.low:+.3f} to {change.high:+.3f})"


def draw_figure(figure: Figure, found: Cells, seed: int) -> None:
    """Draw both symptoms, by training, with the history shown and on the state alone."""
    panels: Any = figure.subplots(1, 2)
    titles = ("Avalanche: right replies lost to own errors\n(half of its last eight answers are wrong)",
              f"Collapse: what a vote of k = {K} adds\nto the share of right steps")  # fmt: skip
    for axes, measure, title in zip(panels, (AVALANCHE, COLLAPSE), titles, strict=True):
        for side, done in enumerate((SHOWN, ALONE)):
            for at, stage in enumerate(STAGES):
                seen = mean(found[measure, done, stage], seed)
                x = at + 0.4 * side - 0.2
                axes.bar(x, seen.value, color=style(side)["color"], width=0.36, label=done if not at else None)
                ends = [[seen.value - seen.low], [seen.high - seen.value]]
                axes.errorbar([x], [seen.value], ends, color="black", capsize=3)
                axes.text(x, max(seen.high, 0) + 0.003, f"{seen.value:.3f}", ha="center")
        axes.set_xticks(range(len(STAGES)), [name.replace(" (", "\n(") for name in STAGES.values()])
        axes.set_title(title)
        axes.axhline(0, color="black", linewidth=0.8)
    panels[0].set_ylabel("share of right replies lost")
    panels[1].set_ylabel("right by vote less right by one reply")
    legend(figure, panels[0], 2)
