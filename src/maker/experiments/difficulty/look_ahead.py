"""Does a look ahead see through a favourite that is wrong? `maker experiment look-ahead`.

Runs of Checker Jumping by a simulated model that errs on three steps of a run in the same way more often than not: its
favourite there is a legal move that leads to a dead end. `near` dead ends show within the steps that are looked at,
`far` ones do not. Each arm may make as many calls; voting alone is shown with the margin of the others, and with one
that spends twice as much on each step.

Not covered: how real models err, and tasks without a check of their states (`sound`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from maker.api.run import run_sync
from maker.decision.sample import Request, Sample
from maker.engine.ladder.rungs import Rung, go_back, look_ahead
from maker.experiments.kit.figure import COLOURS, legend
from maker.experiments.kit.study import Options, Row, Share, Study
from maker.task.load import load_task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZES, SMALL = (12, 15, 20), (8,)  # small: for a quick run
K, STEPS_AHEAD = 6, 4
NEAR, FAR = STEPS_AHEAD, 3 * STEPS_AHEAD  # steps until a dead end shows: at most, at least
HARD, WRONG, P = 3, 0.6, 0.98  # hard steps of a run, P(wrong) there, P(right) elsewhere
BUDGET = 14  # calls for each step of the path
ENDS = ("solved", "wrong", "undecided", "out of budget")
ARMS: dict[str, tuple[int, Sequence[Rung]]] = {
    f"voting, k = {K}": (K, []),
    f"voting, k = {2 * K}": (2 * K, []),
    "look ahead, undecided steps": (K, [look_ahead(STEPS_AHEAD)]),
    "look ahead, wins too": (K, [look_ahead(STEPS_AHEAD, wins=True)]),
    "... and go back, thrice": (K, [look_ahead(STEPS_AHEAD, wins=True), *[go_back(8)] * 3]),
}


def watched(n: int) -> Any:
    """Return Checker Jumping with a check of its states.

    No piece of a block RRBB can ever move again, and where nothing can move the goal must be reached.
    """
    task: Any = load_task("checkers", n=n)
    nothing = task.parse('move = []\nnext_cells = "_____"')  # allowed only where no piece can move
    task.sound = lambda state: "RRBB" not in task.answer(state) and (task.done(state) or not task.legal(state, nothing))
    return task


def distances(task: Any) -> dict[int, int]:
    """Return how many steps after it the wrong move of a step shows as a dead end, where it is legal and does."""
    found: dict[int, int] = {}
    for step in range(task.steps):
        state = task.state_at(step)
        wrong = _rival(task, state, step)
        if wrong is None:
            continue
        state, after = task.apply(state, wrong), 0
        while task.sound(state) and not task.done(state):
            after += 1
            state = task.apply(state, task.truth(state, step + after))
        if not task.done(state):
            found[step] = after
    return found


def _rival(task: Any, state: Any, step: int) -> Any:
    """Return a legal move that is not the right one, None where there is none."""
    right = task.truth(state, step)
    return next(
        (move for move in task.rivals(state, step) if move.move != right.move and task.legal(state, move)), None
    )


class Mover:
    """A simulated model: p = .98, but at hard steps of the path a favourite that leads to a dead end."""

    simulated = True
    lockstep = True
    name = "mover"

    def __init__(self, task: Any, hard: Sequence[int]) -> None:
        self._task = task
        self._hard = {step: task.state_at(step) for step in hard}

    async def draw(self, requests: Sequence[Request]) -> list[Sample]:
        """Answer every request, by its seed alone."""
        return [Sample(self._text(request), len(request.prompt) // 4, 20) for request in requests]

    def _text(self, request: Request) -> str:
        step, state, share = request.address.step, request.state, request.seed / 2**64
        right = self._task.truth(state, step)
        if share < (1 - WRONG if self._hard.get(step) == state else P):
            return str(self._task.render(right))
        rival = _rival(self._task, state, step)
        return str(self._task.render(right if rival is None else rival))


@dataclass(slots=True)
class Ended:
    """How the runs of one arm ended.

    calls, looks: of all of them. unopposed: runs that were not solved, and whose first wrong step had no other vote.
    """

    ends: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    looks: int = 0
    unopposed: int = 0

    @property
    def n(self) -> int:
        """How many runs there were."""
        return self.ends.total()


Found = dict[tuple[str, int, str], Ended]  # by kind, size and arm


def run(options: Options) -> Study:
    """Carry out the same runs under every arm."""
    options.no_model("look-ahead")
    n, sizes = options.size(20, 4), SMALL if options.quick else SIZES
    found: Found = {}
    for size in sizes:
        task = watched(size)
        shown = distances(task)
        kinds = {"near": [step for step, after in shown.items() if after <= NEAR]}
        if size == sizes[0]:
            kinds["far"] = [step for step, after in shown.items() if after >= FAR]
        for kind, steps in kinds.items():
            for number in range(n):
                seed = options.seed * 10_000 + number
                hard = np.random.default_rng(seed).choice(steps, HARD, replace=False).tolist()
                for arm in ARMS:
                    _one(task, hard, arm, seed, found.setdefault((kind, size, arm), Ended()))
            solved = "; ".join(f"{arm} {found[kind, size, arm].ends['solved']}" for arm in ARMS)
            options.say(f"{kind}, n = {size}: {solved} of {n}")
    return Study(
        "look-ahead", "Does a look ahead see through a favourite that is wrong?",
        [_row(*of, ended) for of, ended in found.items()], _table(found), lambda figure: _draw(figure, found),
        _shows(found),
        "A cure for an error that breaks no rule within so many steps (the `far` kind), or whose wrong answer wins "
        "unopposed: nobody doubts it, so nobody looks. Nor how a real model errs: this one goes on by the strategy "
        "from a wrong move too, so that its rolls show where the move leads, and seldom where its next error does.",
        f"{n} runs for each size, kind and arm, {HARD} hard steps each, one segment; the same steps and seeds in all "
        f"arms; at most {BUDGET} calls for each step of the path",
        "all of it: the model and its errors", options.seed, (9.6, 4.4),
    )  # fmt: skip


def _one(task: Any, hard: Sequence[int], arm: str, seed: int, ended: Ended) -> None:
    """Carry out one run under one arm."""
    k, rungs = ARMS[arm]
    result = run_sync(task, model=Mover(task, hard), k=k, seed=seed, segments=1, ladder=rungs,
                      limits={"max_calls": BUDGET * task.steps})  # fmt: skip
    stopped = {"undecided": "undecided", "max_calls": "out of budget"}
    ended.ends["solved" if result.solved else stopped.get(result.stopped or "", "wrong")] += 1
    ended.calls += result.usage.dispatched
    if not result.solved:
        path = ((verdict, task.truth(task.state_at(verdict.step), verdict.step)) for verdict in result.verdicts())
        first = next((verdict for verdict, right in path if verdict.answer != right), None)
        ended.unopposed += first is not None and first.samples == first.margin
    ended.looks += sum(times for rung, times in result.escalations.items() if rung.startswith("look"))


def _row(kind: str, size: int, arm: str, ended: Ended) -> Row:
    counts = {end.replace(" ", "_"): ended.ends[end] for end in ENDS[1:]}
    solved = Share(ended.ends["solved"], ended.n).row("solved")
    return {"kind": kind, "n": size, "arm": arm, "simulated": True, **solved, **counts,
            "unopposed": ended.unopposed, "calls": ended.calls / ended.n, "looks": ended.looks / ended.n}  # fmt: skip


def _table(found: Found) -> list[list[str]]:
    table = [["dead ends", "n", "arm", *ENDS, "calls a run", "looks a run"]]
    for (kind, size, arm), ended in found.items():
        table.append([
            kind, str(size), arm, *(f"{ended.ends[end]}/{ended.n}" for end in ENDS),
            f"{ended.calls / ended.n:,.0f}", f"{ended.looks / ended.n:.1f}",
        ])  # fmt: skip
    return table


def _solved(found: Found, kind: str, arm: str) -> Share:
    picked = [ended for (of, _, name), ended in found.items() if (of, name) == (kind, arm)]
    return Share(sum(ended.ends["solved"] for ended in picked), sum(ended.n for ended in picked))


def _shows(found: Found) -> str:
    plain, twice, rung, wins, back = (_solved(found, "near", arm).text() for arm in ARMS)
    lost = [ended for (kind, _, arm), ended in found.items() if kind == "near" and arm == list(ARMS)[3]]
    unsolved, unopposed = sum(e.n - e.ends["solved"] for e in lost), sum(e.unopposed for e in lost)
    far = [_solved(found, "far", arm).text() for arm in ARMS]
    return (
        f"Where the dead end shows within {STEPS_AHEAD} steps, voting at k = {K} solves {plain} of the runs, and at "
        f"k = {2 * K} {twice}: more votes only make the favourite surer. As a rung for steps that do not decide, a "
        f"look ahead solves {rung}, as a wrong answer that wins is no trouble to anybody. Asked about every win that "
        f"others voted against, it solves {wins}; {unopposed} of the {unsolved} others first erred at a step whose "
        f"favourite won unopposed. With going back where all answers lead to a dead end it is {back}. Where the dead "
        f"end comes {FAR} steps later or more, a look at wins solves {far[3]}, voting alone {far[0]}."
    )


def _draw(figure: Figure, found: Found) -> None:
    panels: Any = figure.subplots(1, 2, sharey=True)
    colours = dict(zip(ENDS, (COLOURS[0], COLOURS[1], COLOURS[4], "#9aa0a6"), strict=True))
    for axes, kind in zip(panels, ("near", "far"), strict=True):
        for place, arm in enumerate(ARMS):
            left, runs = 0.0, [ended for (of, _, name), ended in found.items() if (of, name) == (kind, arm)]
            total = sum(ended.n for ended in runs)
            for end in ENDS:
                share = sum(ended.ends[end] for ended in runs) / total
                axes.barh(place, share, left=left, color=colours[end], label=end if not place else None)
                left += share
        axes.set_yticks(range(len(ARMS)), list(ARMS))
        axes.set(xlabel="share of runs, all sizes", xlim=(0, 1), title=f"dead ends {kind} (simulated)")
    panels[0].set_ylabel("arm")
    panels[0].invert_yaxis()
    legend(figure, panels[0], len(ENDS))
