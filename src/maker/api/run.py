"""maker.run: a task carried out step by step, journaled, resumable.

A run is the replay of its journal and what follows: the journal is opened, every record in it goes through the same
code as a live wave, and the run goes on. A new run is an empty journal.

Not covered: the run itself (`engine/loop.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Unpack

from maker.api.opened import Asking, opened, task_for
from maker.api.sync import twin
from maker.decision.config import KeepSamples
from maker.decision.sample import AnyModel
from maker.engine.course import Course
from maker.engine.crew.cluster import Workers, hired
from maker.engine.ladder.rungs import Rung, make_ladder, models_of
from maker.engine.loop import Loop
from maker.engine.result import Progress, RunResult
from maker.journal.header import check_accepted
from maker.journal.writer import Journal
from maker.task.plan import plan_of
from maker.task.task import Task


async def run(
    task: Task | str,
    *,
    model: AnyModel,
    k: int | str = "auto",
    target: float = 0.95,
    worst_case: bool = False,
    journal: str | Path | None = None,
    segments: int | None = None,
    paraphrases: bool = False,
    paraphrase: bool = False,
    keep_samples: KeepSamples | None = None,
    ladder: Sequence[Rung] | None = None,
    accept_change: Sequence[str] = (),
    progress: Callable[[Progress], None] | None = None,
    interrupted: Callable[[], bool] | None = None,
    workers: Workers = None,
    **asking: Unpack[Asking],
) -> RunResult:
    """Carry out a task step by step, each step decided by first-to-ahead-by-k.

    task, model: objects, or names as on the command line. k: the margin, or "auto": from a small calibration, so that
    the whole run is right with probability `target`, or "table": from the same, a margin that widens where votes
    disagree. worst_case: k "auto" relies on nothing but what was seen, whatever the shape of difficulty, and is refused
    (Infeasible) where that promises too little. journal: the file; an existing one is resumed, None keeps it in a
    temporary file. segments: how many pieces with known entry states run side by side (default 1,024 where the task
    has a plan, else 1). asking: flags, limits, seed, system, temperature, max_tokens, stop and so on, as told at
    `Asking` and `Config`. paraphrases: ask in the task's views in turn (paraphrase is its older name). keep_samples:
    see `Config`. ladder: what is tried, in order, at a step that does not decide: rungs of `maker.ladder` or your own;
    None for its default (only where one answer is clearly ahead and a limit that you did not set was in the way: more
    votes), [] for nothing. Like a limit it may be another at a resume, because each change is journaled. progress:
    called with what is acknowledged, at most ten times a second. interrupted: asked between waves, and while calls wait
    to be made; True ends the run once what is out has come.
    accept_change: settings that may differ from the journal's ("k", "temperature", "prompt", ...), or that a server
    may change in mid-run ("model", "fingerprint"); each is journaled, and begins a new epoch. workers: "ray" or a
    `maker.cluster.Ray`, whose workers decide steps (docs/cluster.md); None for this machine's own cores.

    Returns a RunResult; a stop is in its `stopped`, not raised. Raises TaskError (also Infeasible),
    ModelError, JournalError. On failure or cancellation the journal keeps all that was acknowledged;
    the same call resumes it.
    """
    task = task_for(task, model) if isinstance(task, str) else task
    check_accepted(accept_change)
    rungs = make_ladder(ladder)
    plan = plan_of(task, segments)
    async with opened(
        run, model, asking, others=models_of(rungs), task=task, k=k, target=target, worst_case=worst_case,
        segments=len(plan.segments), keep_samples=keep_samples, paraphrase=paraphrases or paraphrase,
        tools=getattr(task, "tools", None),
    ) as (senders, config, red_flags):  # fmt: skip
        with hired(workers, model) as launcher, Journal(journal) as book:
            begin = partial(Course, task, senders, config, book, plan, red_flags, tuple(accept_change), rungs)
            return await Loop(begin, progress, interrupted, launcher).carry_out()


run_sync = twin(run)
