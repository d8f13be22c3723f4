"""Which signs betray a wrong reply? `maker experiment detectors`.

Signs of a reply that wanders: switch words, several final answers, "impossible"; a state that was there before, of a
list of moves; a move that is not allowed, or a small answer that is not, or not in the form asked for, and counts as
wrong; and running on to the limit of its tokens. A sign pays as a flag when throwing out the replies that have it makes
a vote cheaper: by samples a step, k(p) / (v (2p - 1)).

The replies are those of real models that were kept: what the signs say of each, and whether it was right, in
`data/detectors.csv`. `--model` asks for fresh ones.

Not covered: which of two signs a reply is thrown out for; signs that read the thought apart from the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from maker.decision.flags import SMELLS
from maker.decision.sample import Sample
from maker.experiments.kit.figure import legend, points
from maker.experiments.kit.files import kept
from maker.experiments.kit.record import Record
from maker.experiments.kit.speaker import Speaker
from maker.experiments.kit.study import Options, Row, Share, Study
from maker.experiments.replies.sums import answer_in, products
from maker.theory.findings import Rate, relative_samples

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "detectors"
QUESTION = "Which signs betray a wrong reply?"
SIGNS = (*SMELLS, "revisited", "illegal", "overrun")
LEAST_RIGHT = 0.05  # of fresh replies; below, a sign of a wrong one tells nothing
LEAST = 5  # replies with a sign, and without it, to say anything of it
TOKENS = 384  # of a fresh reply
DIGITS = (2, 2)  # of what is multiplied aloud


@dataclass(slots=True, frozen=True)
class Judged:
    """One reply: whose, at what, whether it was right, and which signs it shows."""

    model: str
    task: str
    right: bool
    signs: frozenset[str]

    @classmethod
    def read(cls, row: dict[str, str]) -> Self:
        """Return the reply of a row of a file."""
        return cls(row["model"], row["task"], row["right"] == "1", frozenset(row["signs"].split()))

    def row(self) -> Row:
        """Return the reply as a row."""
        return {"model": self.model, "task": self.task, "right": int(self.right), "signs": " ".join(sorted(self.signs))}


@dataclass(slots=True, frozen=True)
class Sign:
    """What a sign tells of the replies of a model at a task.

    flagged, rest: wrong replies among those with the sign, and among the others.
    """

    name: str
    flagged: Share
    rest: Share

    @classmethod
    def of(cls, name: str, replies: Sequence[Judged]) -> Self:
        """Count a sign."""
        wrong = [[not one.right for one in replies if (name in one.signs) is shown] for shown in (True, False)]
        return cls(name, *(Share(sum(part), len(part)) for part in wrong))

    @property
    def rate(self) -> Share:
        """How many replies have it."""
        return Share(self.flagged.n, self.flagged.n + self.rest.n)

    @property
    def verdict(self) -> str:
        """Whether it pays; shown means that the intervals of both shares are apart, too."""
        n = self.rate.n
        if min(self.flagged.n, self.rest.n) < LEAST:
            return "too few to say"
        every = Rate(n, self.flagged.seen + self.rest.seen)
        costs = relative_samples(Rate(self.rest.n, self.rest.seen), n), relative_samples(every, n)
        if costs[0] == costs[1]:
            return "no vote helps either way"
        pays = costs[0] < costs[1]
        shown = self.flagged.low > self.rest.high if pays else self.flagged.low <= self.rest.high
        return ("pays" if shown else "may pay, not shown") if pays else "does not pay"


def run(options: Options) -> Study:
    """Count the signs in the replies that were kept, or in fresh ones of the model that was named."""
    replies = before() if options.model is None else fresh(options, options.size(240, 40))
    models = list(dict.fromkeys(one.model for one in replies))
    right = Share(sum(one.right for one in replies), len(replies))
    able = right.rate >= LEAST_RIGHT
    return Study(
        name=NAME,
        question=QUESTION,
        rows=[one.row() for one in replies],
        table=table(replies),
        draw=(lambda figure: draw(figure, replies)) if able else None,
        shows=shows(replies) if able else f"nothing to measure: p = {right.rate:.2g}.",
        shows_not=(
            "Models that think long: few of these replies hold a thought, and the small steps of a run hold none at "
            "all, so that a sign of wandering has nothing to speak of. A small answer that has not the form asked for "
            "counts as wrong, whatever it says: that illegal ones are wrong is no finding, only how many. Tasks at "
            "which every reply is wrong tell nothing of a sign. What pays of one model at one task need not pay of "
            "another: measure yours with --model before you name a flag."
        ),
        answer=answer(replies) if able else "",
        n=f"{len(replies):,} replies of {', '.join(models)}, each by itself",
        simulated="nothing: these are replies of real models, not simulated ones",
        seed=options.seed,
        size=(11.0, 4.6),
    )


def before() -> list[Judged]:
    """Return the replies that were kept."""
    return [Judged.read(row) for row in kept(Path(__file__).parent, NAME)]


def fresh(options: Options, many: int) -> list[Judged]:
    """Ask a model for products, thinking aloud."""
    asked = products(many, DIGITS, options.seed)
    record = Record.of(options, NAME, many)
    with Speaker(str(options.model), options.temperature, options.seed, record) as speaker:
        samples = speaker.replies([one.aloud for one in asked], [TOKENS] * many)
    return [
        Judged(speaker.name, "product aloud", answer_in(sample.text) == one.right, signs(sample, TOKENS))
        for one, sample in zip(asked, samples, strict=True)
    ]


def signs(sample: Sample, most: int) -> frozenset[str]:
    """Return the signs that the words and the length of a reply show. most: tokens that it might have."""
    nothing: Any = None  # these flags look at the words alone
    found = {name for name, flag in SMELLS.items() if flag(sample, nothing, ())}
    return frozenset(found | ({"overrun"} if (sample.tokens_out or 0) >= most else set()))


def hanoi_signs(text: str, disks: int) -> frozenset[str]:
    """Return the signs of a list of moves, `disk from to` on a line each: illegal, revisited."""
    pegs: list[list[int]] = [list(range(disks, 0, -1)), [], []]
    seen, found = {str(pegs)}, set[str]()
    for line in text.splitlines():
        try:
            disk, start, end = map(int, line.strip(" []*").replace(",", " ").split())
        except ValueError:
            continue
        legal = min(start, end) >= 0 and max(start, end) <= 2 and pegs[start][-1:] == [disk]
        if not legal or (pegs[end] and pegs[end][-1] < disk):
            return frozenset({*found, "illegal"})
        pegs[end].append(pegs[start].pop())
        if str(pegs) in seen:
            found.add("revisited")
        seen.add(str(pegs))
    return frozenset(found)


def _groups(replies: Sequence[Judged]) -> dict[tuple[str, str], list[Judged]]:
    found: dict[tuple[str, str], list[Judged]] = {}
    for one in replies:
        found.setdefault((one.model, one.task), []).append(one)
    return found


def _shown(replies: Sequence[Judged]) -> list[tuple[str, str, Sign]]:
    """Return each sign that a reply of a model at a task has."""
    return [
        (model, task, found) for (model, task), mine in _groups(replies).items() for name in SIGNS
        if (found := Sign.of(name, mine)).flagged.n
    ]  # fmt: skip


def table(replies: Sequence[Judged]) -> list[list[str]]:
    """Return a line for each sign of a model at a task."""
    made = [["model", "task", "sign", "replies with it", "wrong with it", "wrong without it", "as a flag"]]
    made += [
        [model, task, sign.name, f"{sign.flagged.n} of {sign.rate.n}", sign.flagged.text(), sign.rest.text(),
         sign.verdict]
        for model, task, sign in _shown(replies)
    ]  # fmt: skip
    silent = [f"{task} ({len(mine)})" for (_, task), mine in _groups(replies).items()
              if not any(one.signs for one in mine)]  # fmt: skip
    if silent:
        made.append(["", ", ".join(silent), "none", "0", "-", "-", "-"])
    return made


def shows(replies: Sequence[Judged]) -> str:
    """Say which signs pay."""
    told = _shown(replies)
    by = {verdict: [f"{sign.name} ({task}, {model})" for model, task, sign in told if sign.verdict == verdict]
          for verdict in ("pays", "may pay, not shown", "does not pay")}  # fmt: skip
    wrong = sum(not one.right for one in replies)
    without = sum(not one.right and not one.signs for one in replies)
    said = "; ".join(f"{verdict}: {', '.join(names) or 'none'}" for verdict, names in by.items())
    return f"Of {wrong} wrong replies {without} show no sign at all. As a flag {said}."


def answer(replies: Sequence[Judged]) -> str:
    """Answer the question in one sentence."""
    pays = dict.fromkeys(sign.name for _, _, sign in _shown(replies) if sign.verdict == "pays")
    wrong = [one for one in replies if not one.right]
    silent = sum(not one.signs for one in wrong)
    return (f"{', '.join(pays).capitalize() or 'None'} alone is shown to pay as a flag; {silent} of {len(wrong)} wrong "
            "replies show no sign at all.")  # fmt: skip


def draw(figure: Figure, replies: Sequence[Judged]) -> None:
    """Draw the share of wrong replies with each sign beside that without it, over all tasks at which some are right."""
    able = [mine for mine in _groups(replies).values() if any(one.right for one in mine)]
    pooled = [Sign.of(name, [one for mine in able for one in mine]) for name in SIGNS]
    left, right = figure.subplots(1, 2)
    places = list(range(len(SIGNS)))
    points(left, [at - 0.1 for at in places], [sign.flagged for sign in pooled], 1, "with the sign")
    points(left, [at + 0.1 for at in places], [sign.rest for sign in pooled], 0, "without it")
    left.set(ylabel="share of wrong replies", ylim=(-0.03, 1.05), title="tasks at which some reply is right")
    points(right, places, [Sign.of(name, replies).rate for name in SIGNS], 2, "replies with the sign")
    right.set(ylabel="share of all replies", ylim=(-0.01, None), title="how often, all replies")
    for axes in (left, right):
        axes.set_xticks(places, [name.replace("-", "\n") for name in SIGNS])
    legend(figure, left, 2)
