"""Does a run fail because it does not know what to do, or in doing it? `maker experiment execution-gap`.

Four puzzles of growing size, asked in one call, move by move with all moves before in view, one state a call with a
vote, one operation a call with a vote, and as a program; with the algorithm told and without it. Why a run failed is
decided by code (`runs.py`).

The simulated writer is arithmetic; runs of language models are kept in `data/execution-gap.csv`. `--model` asks another
one instead. Each of its runs is written to `execution-gap-runs-SEED.csv` in the folder of `--out` when it ends; the
same command again goes on from there. `--quick` asks at most 400 times.

Not covered: programs in a language that computers run; thinking before an answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from maker.experiments.gap.asking import ARMS, OPERATION, VOTED, Asked, Writer
from maker.experiments.gap.puzzles import FORMS, Puzzle
from maker.experiments.gap.runs import DATA, Run, keep, kept
from maker.experiments.gap.writers import MOVE, ModelWriter, Simulated, Spent
from maker.experiments.kit.figure import legend, line, points
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
LEAST_SIZES: Sizes = {"hanoi": (2, 3), "checkers": (1, 2), "river": (1, 2), "blocks": (2, 4)}
VOTES, FEW_VOTES = 3, 2  # ahead; few: of a model that is asked sparingly
MOST_CALLS, FEW_CALLS = 20_000, 400  # of a language model
SHORT = 7  # moves of a shortest way that is called short


def run(options: Options) -> Study:
    """Ask the simulated writer, or the model that was named; runs that are kept stand beside the simulated ones."""
    if options.model is None:
        plan = planned(FEW_SIZES if options.quick else SIZES, options.size(40, 8))
        simulated = Simulated(options.seed)
        runs = [*measured(options, simulated.name, plan, VOTES, simulated, [])]
        runs += kept(DATA / f"{NAME}.csv")
    else:
        runs = _of_model(options, options.model)
    models = list(dict.fromkeys(run.model for run in runs))
    return Study(
        name=NAME,
        question=QUESTION.capitalize(),
        rows=rows(runs),
        table=table(runs),
        draw=lambda figure: draw(figure, runs),
        shows=" ".join(shows(model, [run for run in runs if run.model == model]) for model in models),
        shows_not=(
            "What a language model does, where the writer is simulated: its chances are planted, the same at every "
            "size, so that its curves are arithmetic. Other sizes and puzzles. One operation a call has the algorithm "
            "in the code, so that it says what is left of the work and not whether a model would have found the way. "
            "The program is one in a language that no model was trained on. Where a puzzle has several shortest ways, "
            "another one than the algorithm's counts as solved, and a failure on it as one of decision."
        ),
        n="; ".join(f"{model}: {sum(run.model == model for run in runs)} runs" for model in models),
        simulated="all of it, of the simulated writer; language models gave their own replies",
        seed=options.seed,
        size=(13.0, 5.2 * len(models) + 0.6),
    )


def _of_model(options: Options, spec: str) -> list[Run]:
    """Return the runs of a language model, those that its file holds already and those that it is asked for now."""
    plan = planned(LEAST_SIZES if options.quick else FEW_SIZES, options.size(5, 1))
    k, most = (FEW_VOTES, FEW_CALLS) if options.quick else (VOTES, MOST_CALLS)
    with ModelWriter(spec, options.temperature, options.seed, most) as writer:
        name = f"{spec.rpartition('#')[2]}, T = {options.temperature:g}"
        path = options.out / f"{NAME}-runs-{options.seed}.csv" if options.out else None
        runs = []
        for found in measured(options, name, plan, k, writer, kept(path) if path else []):
            runs.append(found)
            if path and found not in kept(path):
                keep(path, [found])
    return runs


Planned = tuple[Puzzle, str, bool, int]


def planned(sizes: Sizes, many: int) -> list[Planned]:
    """Return the runs that are to be made, the smallest puzzles first: puzzle, arm, whether told, and a number."""
    puzzles = [Puzzle(name, of[rank]) for rank in range(len(sizes["hanoi"])) for name, of in sizes.items()]
    return [
        (puzzle, arm, given, number)
        for puzzle in puzzles
        for arm in ARMS
        for given in ((True,) if arm == OPERATION else (True, False))
        for number in range(many)
    ]


def measured(
    options: Options, name: str, plan: Sequence[Planned], k: int, writer: Writer, known: Sequence[Run]
) -> Iterator[Run]:
    """Yield the run of each item of a plan, one that is known as it was; end where the writer has no call left."""
    before = {run.key: run for run in known}
    said = ""
    for puzzle, arm, given, number in plan:
        asked = Asked(puzzle, arm, given, k, number, writer)
        if f"{puzzle.name} {puzzle.size}, {arm}" != said:
            said = f"{puzzle.name} {puzzle.size}, {arm}"
            options.say(f"{name}: {said}")
        if asked.key(name) in before:
            yield before[asked.key(name)]
            continue
        try:
            yield asked.run(name)
        except Spent:
            options.say(f"{name}: no call is left; the same command again goes on where this one ends")
            return


def grouped(runs: Sequence[Run], *names: str) -> dict[tuple[object, ...], list[Run]]:
    """Return the runs by these columns, in their order."""
    groups: dict[tuple[object, ...], list[Run]] = {}
    for one in runs:
        groups.setdefault(tuple(getattr(one, name) for name in names), []).append(one)
    return groups


def solved(runs: Sequence[Run]) -> Share:
    """Return the share of runs that are solved."""
    return Share(sum(run.solved for run in runs), len(runs))


def of_execution(runs: Sequence[Run]) -> Share:
    """Return the share of failures that are of execution."""
    return Share(sum(run.execution for run in runs), sum(not run.solved for run in runs))


def _failures(runs: Sequence[Run]) -> str:
    """Return how often each failure came."""
    return ", ".join(f"{name} {many}" for name, many in Counter(run.failure for run in runs).most_common() if name)


def rows(runs: Sequence[Run]) -> list[Row]:
    """Return a row for each model, puzzle, size, arm, and whether the algorithm was told."""
    made: list[Row] = []
    for group in grouped(runs, "model", "puzzle", "size", "arm", "given", "k").values():
        first = group[0]
        made.append({
            "model": first.model, "simulated": int(first.model == Simulated.name), "puzzle": first.puzzle,
            "size": first.size, "moves": first.moves, "arm": first.arm, "given": int(first.given), "k": first.k,
            **solved(group).row("solved"), **of_execution(group).row("execution"), "failures": _failures(group),
            "calls": sum(run.calls for run in group), "tokens_in": sum(run.tokens_in for run in group),
            "tokens_out": sum(run.tokens_out for run in group),
        })  # fmt: skip
    return made


def table(runs: Sequence[Run]) -> list[list[str]]:
    """Return a line for each model, arm, and whether the algorithm was told."""
    made = [["model", "asked", "algorithm", f"solved, up to {SHORT} moves", "solved, longer", "failures",
             "of execution", "calls a run", "tokens a run"]]  # fmt: skip
    for group in grouped(runs, "model", "arm", "given", "k").values():
        first = group[0]
        short, longer = ([run for run in group if (run.moves <= SHORT) == which] for which in (True, False))
        tokens = sum(run.tokens_in + run.tokens_out for run in group)
        made.append([
            first.model, first.arm + (f", k = {first.k}" if first.arm in VOTED else ""), _told(first),
            solved(short).text(), solved(longer).text(), _failures(group) or "-", of_execution(group).text(),
            f"{sum(run.calls for run in group) / len(group):.3g}", f"{tokens / len(group):.0f}",
        ])  # fmt: skip
    return made


def _told(run: Run) -> str:
    """Say whether the algorithm was told."""
    return "in the code" if run.arm == OPERATION else "told" if run.given else "not told"


def shows(model: str, runs: Sequence[Run]) -> str:
    """Say what the runs of one model show, the answer first."""
    if not any(run.solved for run in runs):
        return f"{model}: nothing to measure: p = 0, no run of {len(runs)} is solved in any arm."
    told, not_told = ([run for run in runs if run.given == given and run.arm != OPERATION] for given in (True, False))
    told_share, other = of_execution(told).text(), of_execution(not_told).text()
    said = [f"{model}: of failures, {told_share} are of execution with the algorithm told, {other} without it"]
    for arm, group in grouped(runs, "arm").items():
        parts = [f"{_told(of[0])} {solved(of).text()}" for of in grouped(group, "given").values()]
        said.append(f"solved, {arm[0]}: {', '.join(parts)}")
    return "; ".join(said) + "."


def draw(figure: Figure, runs: Sequence[Run]) -> None:
    """Draw, for each model and puzzle, solved runs against the length of the shortest way, with and without telling."""
    models = list(dict.fromkeys(run.model for run in runs))
    panels = figure.subplots(2 * len(models), len(FORMS), squeeze=False, sharey=True)
    for row, (model, given) in zip(
        panels, [(model, given) for model in models for given in (True, False)], strict=True
    ):
        for axes, name in zip(row, FORMS, strict=True):
            here = [run for run in runs if (run.model, run.puzzle) == (model, name)]
            _panel(axes, [run for run in here if run.given == given], MOVE[given] if model == Simulated.name else None)
            axes.set_title(f"{FORMS[name].title}\n{model}, algorithm {'told' if given else 'not told'}")
        row[0].set_ylabel("share of runs solved")
    legend(figure, panels[0][0], len(ARMS) + 1)


def _panel(axes: Axes, runs: Sequence[Run], chance: float | None) -> None:
    """Draw the runs of one puzzle. chance: of a right move, planted; its powers are drawn as a line."""
    for number, arm in enumerate(ARMS):
        groups = grouped([run for run in runs if run.arm == arm], "moves")
        at = [group[0].moves * 1.05 ** (number - 2) for group in groups.values()]
        if groups:
            points(axes, at, [solved(group) for group in groups.values()], number, arm)
    if chance is not None and runs:
        longest = max(run.moves for run in runs)
        line(axes, range(1, longest + 1), [chance**moves for moves in range(1, longest + 1)], 6, linestyle=":",
             label="every move right, planted")  # fmt: skip
    axes.set(xlabel="moves of the shortest way", ylim=(-0.05, 1.08))
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
