"""What is one long answer worth against many short ones and a vote? `maker experiment token-budget`.

Products, answered after a thought that is cut off at so many tokens, and answered at once, many times: of these as many
are counted as have the tokens of the long answer, and the one that was given most often is taken. How often each way is
right, and how often two answers of the same way to the same question differ.

Without `--model` a stand-in answers, whose chances are planted: that shows what is counted, and nothing of any model.

Not covered: tokens read; short answers that share a prompt cost little there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from maker.experiments.kit.figure import legend, line, points
from maker.experiments.kit.study import Options, Row, Share, Study
from maker.experiments.replies.sums import Product, products
from maker.experiments.replies.thinkers import ModelThinker, Said, StandIn, Thinker

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "token-budget"
QUESTION = "What is one long answer worth against many short ones and a vote?"
LENGTHS = (32, 64, 128, 256, 512)  # tokens of a thought, at most
LONG, VOTES = "one long answer", "short answers and a vote"
MOST = 48  # short answers in a vote; equal tokens would allow more after long thoughts
DIGITS = (2, 2)
LEAST_RIGHT = 0.05


@dataclass(slots=True, frozen=True)
class Answers:
    """All answers of one way, a list for each question. length: of the thought; each: short answers in one vote.

    tokens: written for one answer of the way, on the average.
    """

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

    def row(self) -> Row:
        """Return the way as a row."""
        given = "; ".join(" ".join("-" if answer is None else str(answer) for answer in said) for said in self.given)
        return {
            "way": self.way, "length": self.length, "each": self.each, "tokens": self.tokens, **self.right.row("right"),
            **self.differ.row("differ"), "asked": "; ".join(f"{one.x} x {one.y}" for one in self.asked),
            "given": given,
        }  # fmt: skip


def run(options: Options) -> Study:
    """Ask the stand-in, or the model that was named."""
    if options.model is None:
        name = StandIn.name
        found = measured(options, name, StandIn(options.seed), options.size(100, 20), 6, LENGTHS, MOST)
    else:
        with ModelThinker(options.model, options.temperature, options.seed) as thinker:
            name = thinker.name
            found = measured(options, name, thinker, options.size(30, 6), options.size(3, 2),
                             LENGTHS[: options.size(len(LENGTHS), 3)], options.size(16, 5))  # fmt: skip
    return Study(
        name=NAME,
        question=QUESTION,
        rows=[one.row() for one in found],
        table=table(found),
        draw=lambda figure: draw(figure, found),
        shows=f"{name}: {shows(found)}",
        shows_not=(
            "Work that cannot be answered at once at all: there many short answers are many guesses. Answers to one "
            "question hang together, so the intervals, which take each by itself, are too narrow. "
            + ("The stand-in's chances are planted, a gain by thought and a loss by a long one among them: these "
               "curves are what was put in." if options.model is None else "Other models, and longer thoughts.")
        ),
        answer=answer(found, stand_in=options.model is None),
        n=f"{len(found[0].asked)} products of two numbers of {DIGITS[0]} digits, {len(found[0].given[0])} answers to "
        f"each at every length",
        simulated="all of it: chances are planted" if options.model is None else "nothing",
        seed=options.seed,
        size=(11.0, 4.4),
    )  # fmt: skip


def measured(
    options: Options, name: str, thinker: Thinker, number: int, repeats: int, lengths: Sequence[int], most: int
) -> list[Answers]:
    """Ask for all answers; of a model that is hardly ever right at once, and with the first thought, no more.

    most: short answers in a vote.
    """
    asked = tuple(products(number, DIGITS, options.seed))
    options.say(f"{name}: at once")
    first = [thinker(asked, 0) for _ in range(repeats)]
    found = [_answers(LONG, 0, 1, asked, first)]
    short: list[list[Said]] = [*first]
    for length in lengths:
        options.say(f"{name}: after {length} tokens")
        long = _answers(LONG, length, 1, asked, [thinker(asked, length) for _ in range(repeats)])
        found.append(long)
        if length == lengths[0] and all(one.right.rate < LEAST_RIGHT for one in found):
            return found
        each = max(1, min(most, round(long.tokens / max(found[0].tokens, 1))))
        while len(short) < each * repeats:
            short.append(thinker(asked, 0))
        found.append(_voted(length, each, asked, short, repeats))
    return found


def _answers(way: str, length: int, each: int, asked: tuple[Product, ...], said: list[list[Said]]) -> Answers:
    tokens = sum(one.tokens for round_ in said for one in round_) / (len(said) * len(asked))
    given = tuple(tuple(one.answer for one in mine) for mine in zip(*said, strict=True))
    return Answers(way, length, each, tokens, asked, given)


def _voted(length: int, each: int, asked: tuple[Product, ...], short: list[list[Said]], repeats: int) -> Answers:
    """Return the votes of so many short answers each, as many votes as long answers were given."""
    drawn = [short[at * each : (at + 1) * each] for at in range(repeats)]
    votes = [[_most([round_[at] for round_ in part]) for at in range(len(asked))] for part in drawn]
    return _answers(VOTES, length, each, asked, votes)


def _most(said: Sequence[Said]) -> Said:
    """Return the answer given most often, of equals the first; and the tokens of all."""
    counts = Counter(one.answer for one in said if one.answer is not None)
    return Said(max(counts, key=counts.__getitem__) if counts else None, sum(one.tokens for one in said))


def table(found: Sequence[Answers]) -> list[list[str]]:
    """Return a line for each way and length."""
    made = [["way", "thought, tokens", "answers in a vote", "tokens written", "right", "two answers differ"]]
    made += [[one.way, str(one.length), str(one.each), f"{one.tokens:.0f}", one.right.text(), one.differ.text()]
             for one in found]  # fmt: skip
    return made


def shows(found: Sequence[Answers]) -> str:
    """Say how the two ways compare at each length."""
    if all(one.right.rate < LEAST_RIGHT for one in found):
        return f"nothing to measure: p = {max(one.right.rate for one in found):.2g}."
    by = {(one.way, one.length): one for one in found}
    said = []
    for length in dict.fromkeys(one.length for one in found if one.length):
        long, votes = by[LONG, length].right, by[VOTES, length].right
        better = "the vote" if votes.low > long.high else "the long one" if long.low > votes.high else "neither shown"
        said.append(f"{length} tokens: {long.rate:.2f} right by one long answer, {votes.rate:.2f} by "
                    f"{by[VOTES, length].each} short ones and a vote (better: {better})")  # fmt: skip
    return f"at once {by[LONG, 0].right.rate:.2f} right; {'; '.join(said)}."


def answer(found: Sequence[Answers], *, stand_in: bool) -> str:
    """Answer the question in one sentence."""
    if stand_in:
        return "Not answered yet: these are a stand-in's planted chances; --model asks a real one."
    best = {way: max((one for one in found if one.way == way), key=lambda one: one.right.rate, default=None)
            for way in (LONG, VOTES)}  # fmt: skip
    long, votes = best[LONG], best[VOTES]
    if long is None or votes is None:
        return ""
    return (f"At best {long.right.rate:.0%} of single answers are right ({long.tokens:.0f} tokens), and "
            f"{votes.right.rate:.0%} of votes of {votes.each} short ones ({votes.tokens:.0f} tokens).")  # fmt: skip


def draw(figure: Figure, found: Sequence[Answers]) -> None:
    """Draw right answers, and pairs that differ, against tokens written."""
    left, right = figure.subplots(1, 2)
    for number, way in enumerate((LONG, VOTES)):
        mine = [one for one in found if one.way == way]
        at = [one.tokens for one in mine]
        for axes, shares in ((left, [one.right for one in mine]), (right, [one.differ for one in mine])):
            points(axes, at, shares, number, way)
            line(axes, at, [share.rate for share in shares], number, linestyle=":")
    left.set(ylabel="share of right answers", xlabel="tokens written", ylim=(-0.03, 1.05))
    right.set(ylabel="two answers to a question differ", xlabel="tokens written", ylim=(-0.03, 1.05))
    for axes in (left, right):
        axes.set_xscale("log")
    legend(figure, left, 2)
