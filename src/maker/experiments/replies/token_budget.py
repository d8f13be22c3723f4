"""What is one long answer worth against many short ones and a vote? `maker experiment token-budget`.

Products, answered after a thought that is cut off at so many tokens, and answered at once, many times: of these as many
are counted as have the tokens of the long answer, and the one that was given most often is taken. How often each way is
right, and how often two answers of the same way to the same question differ.

Without `--model` a stand-in answers, whose chances are planted: that shows what is counted, and nothing of any model.
Beside it stand the answers of language models that are kept in `data/token-budget.csv`.

Not covered: tokens read; short answers that share a prompt cost little there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Self

from maker.experiments.kit.figure import legend, line, points
from maker.experiments.kit.files import kept
from maker.experiments.kit.record import Record
from maker.experiments.kit.study import Options, Row, Share, Study
from maker.experiments.replies.sums import Product, products
from maker.experiments.replies.thinkers import ModelThinker, Said, StandIn, Thinker

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "token-budget"
QUESTION = "What is one long answer worth against many short ones and a vote?"
LENGTHS = (32, 64, 128, 256, 512)  # tokens of a thought, at most
FEW_LENGTHS = LENGTHS[:4]  # of a language model
LONG, VOTES = "one long answer", "short answers and a vote"
MOST, FEW = 48, 10  # short answers in a vote; equal tokens would allow more after long thoughts
DIGITS = (2, 1)  # of what is multiplied: two of two digits are beyond the smallest models in any way
LEAST_RIGHT = 0.05


@dataclass(slots=True, frozen=True)
class Answers:
    """All answers of one way of a model, a list for each question.

    length: of the thought; each: short answers in one vote. tokens: written for one answer of the way, on the average.
    """

    model: str
    way: str
    length: int
    each: int
    tokens: float
    asked: tuple[Product, ...]
    given: tuple[tuple[int | None, ...], ...]

    @property
    def right(self) -> Share:
        """How many of all answers are right."""
        marks = [answer == one.right for one, said in zip(self.asked, self.given, strict=True) for answer in said]
        return Share(sum(marks), len(marks))

    @property
    def differ(self) -> Share:
        """How many pairs of answers to the same question differ."""
        pairs = [one != other for said in self.given for one, other in combinations(said, 2)]
        return Share(sum(pairs), len(pairs))

    @classmethod
    def read(cls, row: dict[str, str]) -> Self:
        """Return the way of a row of a file."""
        asked = tuple(Product(*map(int, one.split(" x "))) for one in row["asked"].split("; "))
        given = tuple(tuple(None if answer == "-" else int(answer) for answer in said.split())
                      for said in row["given"].split("; "))  # fmt: skip
        return cls(row["model"], row["way"], int(row["length"]), int(row["each"]), float(row["tokens"]), asked, given)

    def row(self) -> Row:
        """Return the way as a row."""
        given = "; ".join(" ".join("-" if answer is None else str(answer) for answer in said) for said in self.given)
        return {
            "model": self.model, "way": self.way, "length": self.length, "each": self.each, "tokens": self.tokens,
            **self.right.row("right"), **self.differ.row("differ"),
            "asked": "; ".join(f"{one.x} x {one.y}" for one in self.asked), "given": given,
        }  # fmt: skip


def run(options: Options) -> Study:
    """Ask the stand-in, beside what was kept of language models, or the model that was named."""
    if options.model is None:
        stand_in = StandIn(options.seed)
        found = measured(options, stand_in.name, stand_in, options.size(100, 20), 6, LENGTHS, MOST)
        found += [Answers.read(row) for row in kept(Path(__file__).parent, NAME)]
    else:
        number, repeats, lengths, most = (4, 2, FEW_LENGTHS[:2], 5) if options.quick else (8, 3, FEW_LENGTHS, FEW)
        about = number * repeats * (most + 2 * len(lengths))
        record = Record.of(options, NAME, about)
        with ModelThinker(options.model, options.temperature, options.seed, record) as thinker:
            found = measured(options, thinker.name, thinker, number, repeats, lengths, most)
    return study(options, found)


def study(options: Options, found: Sequence[Answers]) -> Study:
    """Return what these ways come to."""
    models = _models(found)
    able = {name: mine for name, mine in models.items() if not _hopeless(mine)}
    return Study(
        name=NAME,
        question=QUESTION,
        rows=[one.row() for one in found],
        table=table(found),
        draw=(lambda figure: draw(figure, able)) if able else None,
        shows=" ".join(f"{name}: {shows(mine)}" for name, mine in models.items()),
        shows_not=(
            "Work that cannot be answered at once at all: there many short answers are many guesses. Answers to one "
            "question hang together, so the intervals, which take each by itself, are too narrow. Other models, and "
            f"longer thoughts. A vote has at most {MOST} answers, of a language model {FEW}: where it has fewer tokens "
            "than the long answer, it could have had more."
            + (" The stand-in's chances are planted, a gain by thought and a loss by a long one among them: its curves "
               "are what was put in." if StandIn.name in models else "")
        ),
        answer=answer(models),
        n="; ".join(f"{name}: {len(mine[0].asked)} products of numbers of {DIGITS[0]} and {DIGITS[1]} digits, "
                    f"{len(mine[0].given[0])} answers to each at every length" for name, mine in models.items()),
        simulated=(
            "all of it, of the stand-in: chances are planted; language models gave their own answers"
            if StandIn.name in models else "nothing"
        ),
        seed=options.seed,
        size=(11.0, 4.0 * max(1, len(able)) + 0.4),
    )  # fmt: skip


def _models(found: Sequence[Answers]) -> dict[str, list[Answers]]:
    """Return the ways by model."""
    return {name: [one for one in found if one.model == name] for name in dict.fromkeys(one.model for one in found)}


def _hopeless(found: Sequence[Answers]) -> bool:
    """Say whether a model is hardly ever right, in any way."""
    return all(one.right.rate < LEAST_RIGHT for one in found)


def measured(
    options: Options, name: str, thinker: Thinker, number: int, repeats: int, lengths: Sequence[int], most: int
) -> list[Answers]:
    """Ask for all answers; of a model that is hardly ever right at once, and with the first thought, no more.

    most: short answers in a vote.
    """
    asked = tuple(products(number, DIGITS, options.seed))
    options.say(f"{name}: at once")
    first = [thinker(asked, 0) for _ in range(repeats)]
    found = [_answers(name, LONG, 0, 1, asked, first)]
    short: list[list[Said]] = [*first]
    for length in lengths:
        options.say(f"{name}: after {length} tokens")
        long = _answers(name, LONG, length, 1, asked, [thinker(asked, length) for _ in range(repeats)])
        found.append(long)
        if length == lengths[0] and _hopeless(found):
            return found
        each = max(1, min(most, round(long.tokens / max(found[0].tokens, 1))))
        while len(short) < each * repeats:
            short.append(thinker(asked, 0))
        found.append(_voted(name, length, each, asked, short, repeats))
    return found


def _answers(
    model: str, way: str, length: int, each: int, asked: tuple[Product, ...], said: list[list[Said]]
) -> Answers:
    tokens = sum(one.tokens for round_ in said for one in round_) / (len(said) * len(asked))
    given = tuple(tuple(one.answer for one in mine) for mine in zip(*said, strict=True))
    return Answers(model, way, length, each, tokens, asked, given)


def _voted(
    model: str, length: int, each: int, asked: tuple[Product, ...], short: list[list[Said]], repeats: int
) -> Answers:
    """Return the votes of so many short answers each, as many votes as long answers were given."""
    drawn = [short[at * each : (at + 1) * each] for at in range(repeats)]
    votes = [[_most([round_[at] for round_ in part]) for at in range(len(asked))] for part in drawn]
    return _answers(model, VOTES, length, each, asked, votes)


def _most(said: Sequence[Said]) -> Said:
    """Return the answer given most often, of equals the first; and the tokens of all."""
    counts = Counter(one.answer for one in said if one.answer is not None)
    return Said(max(counts, key=counts.__getitem__) if counts else None, sum(one.tokens for one in said))


def table(found: Sequence[Answers]) -> list[list[str]]:
    """Return a line for each way and length."""
    made = [["model", "way", "thought, tokens", "answers in a vote", "tokens written", "right", "two answers differ"]]
    made += [[one.model, one.way, str(one.length), str(one.each), f"{one.tokens:.0f}", one.right.text(),
              one.differ.text()] for one in found]  # fmt: skip
    return made


def shows(found: Sequence[Answers]) -> str:
    """Say how the two ways of one model compare at each length."""
    if _hopeless(found):
        return f"nothing to measure: p = {max(one.right.rate for one in found):.2g}."
    by = {(one.way, one.length): one for one in found}
    said = []
    for length in dict.fromkeys(one.length for one in found if one.length):
        long, votes = by[LONG, length].right, by[VOTES, length].right
        better = "the vote" if votes.low > long.high else "the long one" if long.low > votes.high else "neither shown"
        said.append(f"{length} tokens: {long.rate:.2f} right by one long answer, {votes.rate:.2f} by "
                    f"{by[VOTES, length].each} short ones and a vote (better: {better})")  # fmt: skip
    return f"at once {by[LONG, 0].right.rate:.2f} right; {'; '.join(said)}."


def answer(models: Mapping[str, Sequence[Answers]]) -> str:
    """Answer the question in one sentence, of the first language model that can do it."""
    for name, found in models.items():
        votes = [one for one in found if one.way == VOTES]
        if name == StandIn.name or _hopeless(found) or not votes:
            continue
        long = max((one for one in found if one.way == LONG), key=lambda one: one.right.rate)
        vote = max(votes, key=lambda one: one.right.rate)
        return (f"Of {name}, at best {long.right.rate:.0%} of single answers are right ({long.tokens:.0f} tokens), and "
                f"{vote.right.rate:.0%} of votes of {vote.each} short ones ({vote.tokens:.0f} tokens).")  # fmt: skip
    return "Not answered yet: these are a stand-in's planted chances; --model asks a real one."


def draw(figure: Figure, models: Mapping[str, Sequence[Answers]]) -> None:
    """Draw right answers, and pairs that differ, against tokens written, for each model."""
    panels = figure.subplots(len(models), 2, squeeze=False)
    for (left, right), (name, found) in zip(panels, models.items(), strict=True):
        for number, way in enumerate((LONG, VOTES)):
            mine = sorted((one for one in found if one.way == way), key=lambda one: one.tokens)
            at = [one.tokens for one in mine]
            for axes, shares in ((left, [one.right for one in mine]), (right, [one.differ for one in mine])):
                points(axes, at, shares, number, way)
                line(axes, at, [share.rate for share in shares], number, linestyle=":")
        left.set(ylabel="share of right answers", xlabel="tokens written", ylim=(-0.03, 1.05), title=name)
        right.set(ylabel="two answers to a question differ", xlabel="tokens written", ylim=(-0.03, 1.05), title=name)
        for axes in (left, right):
            axes.set_xscale("log")
    legend(figure, panels[0][0], 2)
