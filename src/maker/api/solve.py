"""maker.solve: a problem in plain words, decomposed by the model until it can be answered.

Four roles: a decomposer proposes two parts or says "atomic", a solver proposes answers, and each
has a judge. Everything is decided by first-to-ahead-by-k; there is no plurality and no fallback:

1. At most 2k - 1 valid proposals are drawn, as in Meyerson et al. 2025 (arXiv 2511.09030). One that is
   k ahead has won, and no judge is asked; at k = 1 this is always the first.
2. As soon as that is no longer possible, the judge chooses among the distinct candidates by number,
   k votes ahead. Each draw shows them turned by one place, so place alone decides nothing.
3. If the judge says "none", those candidates are refused, are named as refused to the proposer, and
   a new round begins at 1. All rounds together make no more proposals than a step may have votes.

The two parts of a problem are solved at the same time. Opening a solve is replaying its journal: one that was killed
ends as the undisturbed one would have. An undecided role is named with its problem.

Not covered: proposals that say the same in other words are different candidates, so that splits
seldom agree where "atomic" does; a judge wrong more often than right; whether the answer is true.
Settings cannot be changed in the middle of a solve, and the judges are played by the same model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Unpack

from maker.api.opened import Asking, opened
from maker.api.sync import twin
from maker.decision.flags import chain, illegal
from maker.decision.sample import AnyModel
from maker.engine.result import Progress, RunResult
from maker.errors import TaskError
from maker.journal.writer import Journal

MAX_DEPTH = 32  # what an address has room for


async def solve(
    problem: str,
    *,
    model: AnyModel,
    k: int = 3,
    depth: int = 5,
    journal: str | Path | None = None,
    accept_change: Sequence[str] = (),
    progress: Callable[[Progress], None] | None = None,
    interrupted: Callable[[], bool] | None = None,
    **asking: Unpack[Asking],
) -> RunResult:
    """Answer a problem by splitting it into smaller ones, each decision by first-to-ahead-by-k.

    problem: all that the model is told. k: the margin. depth: how often a problem may be split over
    and over, 0 to 32; at that depth it is answered at once. journal: the file; an existing one is
    resumed, None keeps it in a temporary file. asking, progress, interrupted: as of `run`; of the limits, a step is
    one decision, max_votes bounds a judge's votes and all proposals for one decision;
    `illegal` is always among the flags, since a choice of what there is
    not could not be carried out. accept_change: what a server may change in mid-solve, "model" or
    "fingerprint"; settings may not change.

    Returns a RunResult: `answer` is text, `solved` says that it was decided (no truth is known),
    `state` is the tree of problems as nested dicts, `steps` counts decisions; a stop is in `stopped`.
    Raises TaskError, ModelError, JournalError. On failure or cancellation the journal keeps all that
    was acknowledged; the same call resumes it.
    """
    from maker.engine.solve.solver import Solver  # noqa: PLC0415 -- `import maker` stays light
    from maker.engine.solve.tree import Tree  # noqa: PLC0415 -- likewise

    _check(problem, depth, k)
    if other := set(accept_change) - {"model", "fingerprint"}:
        raise TaskError(f"solve: accept_change = {sorted(other)}: only a server's model and fingerprint may change")
    red_flags = chain(asking.get("flags"))
    if illegal not in red_flags:
        red_flags = (*red_flags, illegal)
    asking["flags"] = red_flags
    async with opened(solve, model, asking, k=k) as (senders, config, _):
        own = senders.own
        if own.limits.votes_for(k) < 2 * k - 1:
            least = f"one round of {2 * k - 1} proposals"
            raise TaskError(f"solve: max_votes = {own.limits.max_votes} is less than {least}")
        if own.traits.needs_truth:
            raise TaskError("solve: this model answers steps of a task only. Give one that reads text.")
        with Journal(journal) as book:
            tree = Tree(problem.strip(), depth)
            return await Solver(
                tree, senders, config, book, red_flags, accept_change, progress, interrupted
            ).carry_out()


solve_sync = twin(solve)


def _check(problem: str, depth: int, k: object) -> None:
    """Raise TaskError for what is no problem, depth or k."""
    if not isinstance(problem, str) or not problem.strip():
        raise TaskError("solve: the problem must be text, and not empty")
    if isinstance(depth, bool) or not isinstance(depth, int) or not 0 <= depth <= MAX_DEPTH:
        raise TaskError(f"solve: depth = {depth!r}: give a whole number from 0 to {MAX_DEPTH}")
    if k in ("auto", "table"):
        raise TaskError(f"solve: k = {k!r}: give a whole number; only runs of a task can plan their own k")
