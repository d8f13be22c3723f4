"""Does a run fail because it does not know what to do, or in doing it? `maker experiment execution-gap`.

Four puzzles of growing size, asked in one call, move by move with all moves before in view, one state a call with a
vote, one operation a call with a vote, and as a program; with the algorithm told and without it. Why a run failed is
decided by code (`runs.py`).

The simulated writer is arithmetic; what came of language models is kept in `data/execution-gap.csv` and stands beside
it. `--model` asks another one instead, for three puzzles, and ends after the smallest where no arm solves any.
With `--allow-code` programs in Python are asked for too, and run in a child process that has nothing.

Not covered: thinking before an answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from maker.experiments.gap import sandbox
from maker.experiments.gap.asking import ARMS, BY_MOVE, OPERATION, PYTHON, STATE, VOTED, Asked, Writer
from maker.experiments.gap.puzzles import FORMS, Puzzle
from maker.experiments.gap.runs import Run
from maker.experiments.gap.writers import MOVE, ModelWriter, Simulated
from maker.experiments.kit.figure import legend, line, points
from maker.experiments.kit.files import kept
from maker.experiments.kit.record import Record
from maker.experiments.kit.study import Options, Row, Share, Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME = "execution-gap"
QUESTION = "does a run fail because it does not know what to do, or in doing it?"
Sizes = dict[str, tuple[int, ...]]
SIZES: Sizes = {"hanoi": (2, 3, 4, 5, 6), "checkers": (1, 2, 3, 4, 6), "river": (1, 2, 3, 4, 5),
                "blocks": (2, 4, 8, 16, 32)}  # fmt: skip
FEW_SIZES: Sizes = {"hanoi": (2, 3, 4), "checkers": (1, 2, 3), "river": (1, 2, 3), "blocks": (2, 4, 8)}
MODEL_SIZES: Sizes = {"hanoi": (2, 3), "river": (1, 2), "blocks": (2, 4)}
LEAST_SIZES: Sizes = {"hanoi": (2,), "river": (1,), "blocks": (2,)}
VOTES = 3  # ahead
LEAST_RIGHT = 0.05  # of all runs of a model; below, nothing is measured
SHORT = 7  # moves of a shortest way that is called short
Planned = tuple[Puzzle, str, bool, int]


@dataclass(slots=True, frozen=True)
class Group:
    """What became of the runs of one model on one puzzle in one arm. failures: how often each came."""

    model: str
    puzzle: str
    size: int
    moves: int
    arm: str
    given: bool
    k: int
    runs: int
    solved: int
    execution: int
    failures: dict[str, int]
    calls: int
    tokens_in: int
    tokens_out: int

    @classmethod
    def of(cls, runs: Sequence[Run]) -> Self:
        """Count these runs."""
        one = runs[0]
        return cls(
            one.model, one.puzzle, one.size, one.moves, one.arm, one.given, one.k, len(runs),
            sum(run.solved for run in runs), sum(run.execution for run in runs),
            dict(Counter(run.failure for run in runs if run.failure).most_common()), sum(run.calls for run in runs),
            sum(run.tokens_in for run in runs), sum(run.tokens_out for run in runs),
        )  # fmt: skip

    @classmethod
    def read(cls, row: dict[str, str]) -> Self:
        """Return the group of a row of a file."""
        failures = {name: int(many) for name, _, many in
                    (part.rpartition(" ") for part in row["failures"].split(", ") if part)}  # fmt: skip
        return cls(
            row["model"], row["puzzle"], int(row["size"]), int(row["moves"]), row["arm"], row["given"] == "1",
            int(row["k"]), int(row["solved_n"]), int(row["solved_seen"]), int(row["execution_seen"]), failures,
            int(row["calls"]), int(row["tokens_in"]), int(row["tokens_out"]),
        )  # fmt: skip

    def row(self) -> Row:
        """Return the group as a row."""
        return {
            "model": self.model, "simulated": int(self.model == Simulated.name), "puzzle": self.puzzle,
            "size": self.size, "moves": self.moves, "arm": self.arm, "given": int(self.given), "k": self.k,
            **solved([self]).row("solved"), **of_execution([self]).row("execution"), "failures": _failures([self]),
            "calls": self.calls, "tokens_in": self.tokens_in, "tokens_out": self.tokens_out,
        }  # fmt: skip


def run(options: Options) -> Study:
    """Ask the simulated writer, beside what was kept of language models, or the model that was named."""
    if options.allow_code:
        sandbox.run("")  # refuses at once where no program can be held in
    if options.model is None:
        plan = planned(FEW_SIZES if options.quick else SIZES, options.size(40, 8), code=options.allow_code)
        simulated = Simulated(options.seed)
        groups = counted(measured(options, simulated.name, plan, simulated))
        groups += [Group.read(row) for row in kept(Path(__file__).parent, NAME)]
    else:
        plan = planned(LEAST_SIZES if options.quick else MODEL_SIZES, options.size(3, 1), code=options.allow_code)
        record = Record.of(options, NAME, about(plan))
        with ModelWriter(options.model, options.temperature, options.seed, record) as writer:
            groups = counted(measured(options, writer.name, plan, writer))
    return study(options, groups)


def study(options: Options, groups: Sequence[Group]) -> Study:
    """Return what these groups come to."""
    models = list(dict.fromkeys(one.model for one in groups))
    able = [one for one in groups if not _hopeless([other for other in groups if other.model == one.model])]
    rows_of = len(dict.fromkeys(one.model for one in able))
    return Study(
        name=NAME,
        question=QUESTION.capitalize(),
        rows=[one.row() for one in groups],
        table=table(groups),
        draw=(lambda figure: draw(figure, able)) if able else None,
        shows=" ".join(shows(model, [one for one in groups if one.model == model]) for model in models),
        shows_not=(
            "What a language model does, where the writer is simulated: its chances are planted, the same at every "
            "size, so that its curves are arithmetic. Other sizes and puzzles. One operation a call has the algorithm "
            "in the code, so that it says what is left of the work and not whether a model would have found the way. "
            "The program is one in a language that no model was trained on; one in Python is another arm, where it "
            "may be run. Where a puzzle has several shortest ways, another one than the algorithm's counts as solved, "
            "and a failure on it as one of decision."
        ),
        n="; ".join(f"{model}: {sum(one.runs for one in groups if one.model == model)} runs" for model in models),
        simulated=(
            "all of it, of the simulated writer; language models gave their own replies"
            if Simulated.name in models else "nothing"
        ),
        seed=options.seed,
        size=(13.0, 5.2 * max(1, rows_of) + 0.6),
    )  # fmt: skip


def planned(sizes: Sizes, many: int, *, code: bool = False) -> list[Planned]:
    """Return the runs that are to be made, the smallest puzzles first: puzzle, arm, whether told, and a number."""
    puzzles = [Puzzle(name, of[rank]) for rank in range(len(sizes["hanoi"])) for name, of in sizes.items()]
    return [
        (puzzle, arm, given, number)
        for puzzle in puzzles
        for arm in ARMS if arm != PYTHON or code
        for given in ((True,) if arm == OPERATION else (True, False))
        for number in range(many)
    ]  # fmt: skip


def about(plan: Sequence[Planned]) -> int:
    """Return how many replies a plan takes of a model whose runs end half-way, and whose votes need few more."""
    calls = 0.0
    for puzzle, arm, _, _ in plan:
        steps = puzzle.asked.steps if arm == OPERATION else puzzle.moves if arm in (BY_MOVE, STATE) else 1
        calls += max(1.0, steps / 2) * (VOTES if arm in VOTED else 1)
    return round(calls)


def measured(options: Options, name: str, plan: Sequence[Planned], writer: Writer) -> Iterator[Run]:
    """Yield the run of each item of a plan; end after the smallest puzzles where none of them is solved."""
    said, smallest = "", {puzzle.name: puzzle.size for puzzle, *_ in reversed(plan)}
    able = False
    for puzzle, arm, given, number in plan:
        if puzzle.size > smallest[puzzle.name] and not able:
            return
        if f"{puzzle.name} {puzzle.size}, {arm}" != said:
            said = f"{puzzle.name} {puzzle.size}, {arm}"
            options.say(f"{name}: {said}")
        found = Asked(puzzle, arm, given, VOTES, number, writer).run(name)
        able = able or found.solved
        yield found


def counted(runs: Iterator[Run]) -> list[Group]:
    """Return the groups of runs, in their order."""
    groups: dict[tuple[object, ...], list[Run]] = {}
    for one in runs:
        groups.setdefault((one.puzzle, one.size, one.arm, one.given), []).append(one)
    return [Group.of(group) for group in groups.values()]


def grouped(groups: Sequence[Group], *names: str) -> dict[tuple[object, ...], list[Group]]:
    """Return the groups by these columns, in their order."""
    found: dict[tuple[object, ...], list[Group]] = {}
    for one in groups:
        found.setdefault(tuple(getattr(one, name) for name in names), []).append(one)
    return found


def solved(groups: Sequence[Group]) -> Share:
    """Return the share of runs that are solved."""
    return Share(sum(one.solved for one in groups), sum(one.runs for one in groups))


def of_execution(groups: Sequence[Group]) -> Share:
    """Return the share of failures that are of execution."""
    return Share(sum(one.execution for one in groups), sum(one.runs - one.solved for one in groups))


def _failures(groups: Sequence[Group]) -> str:
    """Return how often each failure came."""
    counts: Counter[str] = Counter()
    for one in groups:
        counts.update(one.failures)
    return ", ".join(f"{name} {many}" for name, many in counts.most_common())


def _hopeless(groups: Sequence[Group]) -> bool:
    """Say whether a model solves hardly anything, in any arm."""
    return solved(groups).rate < LEAST_RIGHT


def table(groups: Sequence[Group]) -> list[list[str]]:
    """Return a line for each model, arm, and whether the algorithm was told."""
    made = [["model", "asked", "algorithm", f"solved, up to {SHORT} moves", "solved, longer", "failures",
             "of execution", "calls a run", "tokens a run"]]  # fmt: skip
    for group in grouped(groups, "model", "arm", "given", "k").values():
        first, runs = group[0], sum(one.runs for one in group)
        short, longer = ([one for one in group if (one.moves <= SHORT) == which] for which in (True, False))
        tokens = sum(one.tokens_in + one.tokens_out for one in group)
        made.append([
            first.model, first.arm + (f", k = {first.k}" if first.arm in VOTED else ""), _told(first),
            solved(short).text(), solved(longer).text(), _failures(group) or "-", of_execution(group).text(),
            f"{sum(one.calls for one in group) / runs:.3g}", f"{tokens / runs:.0f}",
        ])  # fmt: skip
    return made


def _told(group: Group) -> str:
    """Say whether the algorithm was told."""
    return "in the code" if group.arm == OPERATION else "told" if group.given else "not told"


def shows(model: str, groups: Sequence[Group]) -> str:
    """Say what the runs of one model show, the answer first."""
    every = solved(groups)
    if _hopeless(groups):
        return f"{model}: nothing to measure: p = {every.rate:.2g}, {every.seen} of {every.n} runs are solved."
    told, not_told = ([one for one in groups if one.given == given and one.arm != OPERATION] for given in (True, False))
    told_share, other = of_execution(told).text(), of_execution(not_told).text()
    said = [f"{model}: of failures, {told_share} are of execution with the algorithm told, {other} without it"]
    for arm, group in grouped(groups, "arm").items():
        parts = [f"{_told(of[0])} {solved(of).text()}" for of in grouped(group, "given").values()]
        said.append(f"solved, {arm[0]}: {', '.join(parts)}")
    return "; ".join(said) + "."


def draw(figure: Figure, groups: Sequence[Group]) -> None:
    """Draw, for each model and puzzle, solved runs against the length of the shortest way, with and without telling."""
    models = list(dict.fromkeys(one.model for one in groups))
    panels = figure.subplots(2 * len(models), len(FORMS), squeeze=False, sharey=True)
    for row, (model, given) in zip(
        panels, [(model, given) for model in models for given in (True, False)], strict=True
    ):
        for axes, name in zip(row, FORMS, strict=True):
            here = [one for one in groups if (one.model, one.puzzle) == (model, name)]
            if not here:
                axes.remove()
                continue
            _panel(axes, [one for one in here if one.given == given], MOVE[given] if model == Simulated.name else None)
            axes.set_title(f"{FORMS[name].title}\n{model}, algorithm {'told' if given else 'not told'}")
        row[0].set_ylabel("share of runs solved")
    legend(figure, panels[0][0], len(ARMS) + 1)


def _panel(axes: Axes, groups: Sequence[Group], chance: float | None) -> None:
    """Draw the runs of one puzzle. chance: of a right move, planted; its powers are drawn as a line."""
    for number, arm in enumerate(ARMS):
        mine = grouped([one for one in groups if one.arm == arm], "moves")
        at = [of[0].moves * 1.05 ** (number - 2) for of in mine.values()]
        if mine:
            points(axes, at, [solved(of) for of in mine.values()], number, arm)
    if chance is not None and groups:
        longest = max(one.moves for one in groups)
        line(axes, range(1, longest + 1), [chance**moves for moves in range(1, longest + 1)], 6, linestyle=":",
             label="every move right, planted")  # fmt: skip
    axes.set(xlabel="moves of the shortest way", ylim=(-0.05, 1.08))
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
