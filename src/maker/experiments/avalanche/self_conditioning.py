"""Does a reader that sees its own errors make more of them? `maker experiment self-conditioning`.

Running totals, turn after turn. A share of the answers in the history is shifted, and the next turn is asked for; or a
reader goes on from its own answers. It is shown the whole history, a window of it, or the last total alone, and
answers once or by a vote. The exact reader is arithmetic; the transcript net learned from the writers that the exact
reader knows; language models were asked, and their marks are kept in `data/self-conditioning.csv`. `--model` asks
another one instead.

A language model reads the history as a chat: a sum as each turn, and the answers as its own. The first reply of its
vote is the one that counts alone.

Not covered: looking values up, and thinking before an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from maker.experiments.avalanche.marks import Cell, Measure, bootstrapped, follows, horizon, slope
from maker.experiments.avalanche.net import NetReader
from maker.experiments.avalanche.readers import ExactReader, ModelReader, expected
from maker.experiments.avalanche.totals import ARMS, LARGEST, Reader, at_turn, rolled
from maker.experiments.avalanche.transcript import LARGEST as SMALL
from maker.experiments.kit.figure import legend, line, points, style
from maker.experiments.kit.files import kept
from maker.experiments.kit.record import Record
from maker.experiments.kit.study import Options, Share, Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME = "self-conditioning"
QUESTION = "does a reader that sees its own errors make more of them?"
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
FEW_SHARES = (0.0, 0.5, 1.0)  # of a language model
VOTES = (1, 3)
TURNS, FEW_TURNS = 40, 12  # few: of a language model, whose prompts grow with them
DIRTY = 0.5  # a context of which so many answers are shifted, or more
YARDSTICK = (ExactReader.name, NetReader.name)  # whose panels show the exact reader's lines: it knows their writers
LEAST_RIGHT = 0.05  # at the last total alone; below, a model cannot do the task, and nothing is measured


@dataclass(slots=True, frozen=True)
class Plan:
    """How much is drawn of a reader.

    turns: of a history. number: of histories for each share, arm and k. own: runs from its own answers, and own_votes
    the k of them. largest: of a value.
    """

    turns: int
    number: int
    own: int
    largest: int = LARGEST
    shares: tuple[float, ...] = SHARES
    own_votes: tuple[int, ...] = VOTES

    @property
    def arms(self) -> list[str]:
        """The arms, the last total alone first; one whose window holds the whole history anyway is left out."""
        arms = [arm for arm, window in ARMS.items() if window is None or window < self.turns - 1]
        return sorted(arms, key=lambda arm: ARMS[arm] != 0)

    @property
    def about(self) -> int:
        """Replies that a reader is asked for, where a vote takes few more than it must, and its first is shared."""
        return len(self.arms) * (len(self.shares) * self.number * max(VOTES)
                                 + self.own * self.turns * sum(self.own_votes))  # fmt: skip


def run(options: Options) -> Study:
    """Ask exact reader and net, beside what was kept of language models, or the model that was named."""
    if options.model is None:
        reader, net = ExactReader(options.seed), NetReader(options.seed)
        many, few = options.size(400, 40), options.size(60, 20)
        cells = measured(options, reader.name, reader, Plan(TURNS, many, many))
        cells += measured(options, net.name, net, Plan(TURNS, few, few, SMALL))
        cells += [Cell.read(row) for row in kept(Path(__file__).parent, NAME)]
    else:
        plan = Plan(FEW_TURNS, options.size(10, 4), options.size(3, 1), shares=FEW_SHARES, own_votes=(1,))
        record = Record.of(options, NAME, plan.about)
        with ModelReader(options.model, options.temperature, options.seed, record) as model:
            cells = measured(options, model.name, model, plan, model.anew)
    return study(options, cells)


def study(options: Options, cells: Sequence[Cell]) -> Study:
    """Return what these cells come to."""
    readers = list(dict.fromkeys(cell.reader for cell in cells))
    able = [cell for cell in cells if not _hopeless([one for one in cells if one.reader == cell.reader])]
    return Study(
        name=NAME,
        question=QUESTION.capitalize(),
        rows=[cell.row() for cell in cells],
        table=table(cells, options.seed),
        draw=(lambda figure: draw(figure, able)) if able else None,
        shows=" ".join(shows(reader, cells, options.seed) for reader in readers),
        shows_not=(
            "Long chats: language models were asked after few turns, and values are looked up by the code. The exact "
            "reader knows the writers it reads, which differ in their error rate alone: it says what errors are "
            "evidence of, not how a language model works. Nor does the net, which was taught by such writers: it says "
            "whether a network that nobody told to count errors does. Shifted answers differ from the errors it "
            "learned from: the shift is not carried on, so that one turn can be off by 20. Errors that follow errors "
            "may come from runs that differ, and not from what was read: the exact reader has no other reason. Few "
            "histories of language models: their intervals are wide, and small effects unseen."
        ),
        n="; ".join(_drawn(reader, cells) for reader in readers),
        simulated=(
            "all of it, of the exact reader; net and language models gave their own answers"
            if ExactReader.name in readers
            else "nothing"
        ),
        seed=options.seed,
        size=(13.0, 3.4 * len(readers) + 0.6),
    )


def measured(
    options: Options, name: str, reader: Reader, plan: Plan, anew: Callable[[], None] = lambda: None
) -> list[Cell]:
    """Return the marks of a reader in all arms; of one that cannot do the task, those of the last total alone.

    anew: called where the draws of a question may begin anew, before each arm and k.
    """
    cells = []
    for arm in plan.arms:
        for k in VOTES:
            options.say(f"{name}: {arm}, k = {k}")
            anew()
            for share in plan.shares:
                marks = at_turn(plan.turns, share, arm, k, plan.number, reader, options.seed, plan.largest)
                cells.append(Cell.of(name, arm, k, share, plan.turns, [marks]))
            if k == 1 and ARMS[arm] == 0 and _hopeless(cells):
                return cells
            if k in plan.own_votes:
                runs = rolled(plan.turns, arm, k, plan.own, reader, options.seed, plan.largest)
                cells.append(Cell.of(name, arm, k, None, plan.turns, runs))
    return cells


def _alone(cells: Sequence[Cell]) -> Share:
    """Return how often single replies to the last total alone are right."""
    alone = [cell.right for cell in cells if cell.share is not None and cell.k == 1 and ARMS[cell.arm] == 0]
    return Share(sum(right.seen for right in alone), sum(right.n for right in alone))


def _hopeless(cells: Sequence[Cell]) -> bool:
    """Say whether a reader cannot do the task at all."""
    return _alone(cells).rate < LEAST_RIGHT


def table(cells: Sequence[Cell], seed: int) -> list[list[str]]:
    """Return a line for each reader, arm and vote."""
    made = [["reader", "shown", "k", "right, none shifted", "right, all shifted", "slope in the share",
             "right turns, first half", "right turns, last half", "H at 1/2, turns",
             "errors after errors"]]  # fmt: skip
    for reader, arm, k in dict.fromkeys((cell.reader, cell.arm, cell.k) for cell in cells):
        here = [cell for cell in cells if (cell.reader, cell.arm, cell.k) == (reader, arm, k)]
        shifted = [cell for cell in here if cell.share is not None]
        at = {cell.share: cell.right.text() for cell in shifted}
        own = next((cell for cell in here if cell.share is None), None)
        made.append([
            reader, arm, str(k), at.get(0.0, "-"), at.get(1.0, "-"), slope(shifted, seed).text(),
            *(["-"] * 4 if own is None else [
                *(Share(int(half.sum()), half.size).text() for half in np.array_split(own.runs, 2, 1)),
                bootstrapped(own.runs, horizon, seed).text(f"> {own.turns}"),
                bootstrapped(own.runs, follows, seed).text(),
            ]),
        ])  # fmt: skip
    return made


def shows(reader: str, cells: Sequence[Cell], seed: int) -> str:
    """Say what the marks of one reader show."""
    mine = [cell for cell in cells if cell.reader == reader and cell.share is not None]
    if _hopeless(mine):
        return f"{reader}: nothing to measure: p = {_alone(mine).rate:.2g} with the last total alone."
    said = [_slope_said(arm, slope([cell for cell in mine if cell.arm == arm and cell.k == 1], seed)) for arm in ARMS]
    return f"{reader}: {'; '.join(filter(None, [*said, *_vote_said(mine)]))}."


def _slope_said(arm: str, seen: Measure) -> str:
    """Say whether a slope is clear of 0."""
    if seen.value is None or seen.low is None or seen.high is None:
        return ""
    clear = "falls" if seen.high < 0 else "rises" if seen.low > 0 else "is not shown to change"
    return f"{arm}, one reply: the share of right answers {clear} with the share shifted, slope {seen.text()}"


def _vote_said(cells: Sequence[Cell]) -> list[str]:
    """Say what a vote adds in a context where half of the answers or more are shifted, and on the last total alone."""
    said = []
    for arm in ("whole history", "state only"):
        here = {k: {cell.share: cell.right for cell in cells if cell.arm == arm and cell.k == k} for k in VOTES}
        both = [share for share in here[1] if share is not None and share >= DIRTY and share in here[3]]
        if both:
            one, vote = (
                sum(here[k][share].seen for share in both) / sum(here[k][share].n for share in both) for k in VOTES
            )
            said.append(f"{arm} with half or more shifted: {one:.2f} right alone, {vote:.2f} by a vote")
    return said


def _drawn(reader: str, cells: Sequence[Cell]) -> str:
    """Say how much was drawn of a reader."""
    mine = [cell for cell in cells if cell.reader == reader]
    at = {cell.right.n for cell in mine if cell.share is not None}
    runs = {len(cell.marks) for cell in mine if cell.share is None}
    many = f"{min(at)} to {max(at)}" if len(at) > 1 else str(min(at))
    return (f"{reader}: {many} histories of {mine[0].turns} turns for each share, arm and k"
            + (f", {max(runs)} runs from its own answers" if runs else ""))  # fmt: skip


def draw(figure: Figure, cells: Sequence[Cell]) -> None:
    """Draw, for each reader, right answers against the share shifted, alone and by a vote, and runs without mistake."""
    readers = list(dict.fromkeys(cell.reader for cell in cells))
    panels = figure.subplots(len(readers), 4, squeeze=False)
    for row, reader in zip(panels, readers, strict=True):
        mine = [cell for cell in cells if cell.reader == reader]
        for axes, k in zip(row, VOTES, strict=False):
            _shifted(
                axes,
                [cell for cell in mine if cell.k == k and cell.share is not None],
                exact=reader in YARDSTICK and k == 1,
            )
            by_arithmetic = "; lines: exact reader" if reader == NetReader.name and k == 1 else ""
            axes.set_title(f"{reader}\n{'one reply' if k == 1 else f'vote, k = {k}'}{by_arithmetic}")
        row[0].set_ylabel("share of right answers")
        own = [cell for cell in mine if cell.share is None]
        if own:
            _own(row[2], row[3], own)
        else:
            row[2].remove()
            row[3].remove()
    legend(figure, panels[0][0], len(ARMS))


def _shifted(axes: Axes, cells: Sequence[Cell], *, exact: bool) -> None:
    """Draw right answers against the share of answers shifted. exact: with the exact reader's lines, by arithmetic."""
    for number, (arm, window) in enumerate(ARMS.items()):
        here = [cell for cell in cells if cell.arm == arm]
        at = [cell.share for cell in here if cell.share is not None]
        if here:
            points(axes, [x + 0.012 * (number - 1.5) for x in at], [cell.right for cell in here], number, arm)
        if exact and here:
            fine = np.linspace(0, 1, 41).tolist()
            line(axes, fine, [expected(here[0].turns, share, window) for share in fine], number)
        elif here:
            line(axes, at, [cell.right.rate for cell in here], number, linestyle=":")
    axes.set(xlabel="share of answers shifted", ylim=(-0.03, 1.05))


def _own(turn: Axes, task: Axes, cells: Sequence[Cell]) -> None:
    """Draw right turns along the runs, a mean of a few, and the share of runs without a mistake; dashed with a vote."""
    arms = list(ARMS)
    for cell in cells:
        look = {"color": style(arms.index(cell.arm))["color"], "linestyle": "-" if cell.k == 1 else "--"}
        ends = np.linspace(0, cell.turns, 9).astype(int)
        parts = [cell.runs[:, low:high].mean() for low, high in pairwise(ends)]
        turn.plot([(low + high + 1) / 2 for low, high in pairwise(ends)], parts, **look)
        task.plot(range(1, cell.turns + 1), np.cumprod(cell.runs, 1).mean(0), **look)
    turn.set(xlabel="turn, from own answers", ylim=(-0.03, 1.05), title="right turns; dashed: vote")
    task.set(xlabel="turn, from own answers", ylim=(-0.03, 1.05), title="no mistake so far; dashed: vote")
