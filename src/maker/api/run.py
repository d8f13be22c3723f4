"""maker.run: a task carried out step by step, journaled, resumable.

A run is the replay of its journal and what follows: the journal is opened, every record in it goes through the same
code as a live wave, and the run goes on. A new run is an empty journal.

A limit, an interrupt or a lost model ends the run with `RunResult.stopped`, to be resumed by the
same call. Raised are only TaskError, ModelError and JournalError; whatever is raised, and on
cancellation, everything acknowledged stays in the journal.

Not covered: the run itself (`engine/loop.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel

from maker.api.sync import in_new_loop
from maker.decision.config import Config, KeepSamples, validated
from maker.decision.flags import Flag, chain, flag_name
from maker.decision.sample import Model
from maker.engine.course import Course
from maker.engine.ladder import Rung, make_ladder, models_of
from maker.engine.loop import Loop
from maker.engine.result import Progress, RunResult
from maker.engine.senders import Senders
from maker.errors import TaskError
from maker.journal.header import check_accepted
from maker.journal.notes import Abandoned
from maker.journal.writer import Journal
from maker.models import load_model
from maker.sending.dispatcher import Dispatcher
from maker.sending.limits import Limits, make_limits
from maker.sending.usage import Usage
from maker.task.load import load_task
from maker.task.plan import plan_of
from maker.task.task import Task


async def run(
    task: Task | str,
    *,
    model: Model | str,
    k: int | str = "auto",
    target: float = 0.95,
    journal: str | Path | None = None,
    seed: int = 0,
    segments: int | None = None,
    flags: str | Sequence[Flag] | None = None,
    limits: Limits | Mapping[str, Any] | None = None,
    temperature: float = 0.1,
    first_temperature: float | None = None,
    token_cap: int = 1024,
    long_answer: int = 750,
    paraphrase: bool = False,
    keep_samples: KeepSamples | None = None,
    ladder: Sequence[Rung] | None = None,
    accept_change: Sequence[str] = (),
    progress: Callable[[Progress], None] | None = None,
    interrupted: Callable[[], bool] | None = None,
) -> RunResult:
    """Carry out a task step by step, each step decided by first-to-ahead-by-k.

    task, model: objects, or names as on the command line. k: the margin, or "auto": from a small
    calibration, so that the whole run is right with probability `target`. journal: the file; an
    existing one is resumed, None keeps it in a temporary file. segments: how many pieces with known
    entry states run side by side (default 1,024 where the task has a plan, else 1). flags, limits,
    temperature, first_temperature, token_cap, long_answer (tokens), paraphrase, keep_samples: see
    `Config` and `Limits`; the first draw of the "paper" flags is at temperature 0. ladder: what is tried, in order,
    at a step that does not decide: rungs of `maker.ladder` or your own; None for its default (only where one answer
    is clearly ahead and a limit that you did not set was in the way: more votes), [] for nothing. Like a limit it may
    be another at a resume, because each change is journaled. progress: called with what is
    acknowledged, at most ten times a second. interrupted: asked between waves; True ends the run.
    accept_change: settings that may differ from the journal's ("k", "temperature", "prompt", ...), or that a server
    may change in mid-run ("model", "fingerprint"); each is journaled, and begins a new epoch.

    Returns a RunResult; a stop is in its `stopped`, not raised. Raises TaskError (also Infeasible),
    ModelError, JournalError. On failure or cancellation the journal keeps all that was acknowledged;
    the same call resumes it.
    """
    if isinstance(task, str):
        task = load_task(task)
    check_accepted(accept_change)
    rungs = make_ladder(ladder)
    red_flags = chain(flags)
    if flags == "paper" and first_temperature is None:
        first_temperature = 0.0
    async with AsyncExitStack() as stack:
        engine, *more = [_ready(asked, task, stack) for asked in (model, *models_of(rungs).values())]
        if paraphrase and hasattr(engine, "bind"):
            raise TaskError("paraphrase: a simulated model answers the task's own prompt only; use another model")
        if keep_samples is None:
            keep_samples = "none" if getattr(engine, "simulated", False) or engine.lockstep else "all"
        plan = plan_of(task, segments)
        config = validated(Config, {
            "k": k, "target": target, "seed": seed, "temperature": temperature, "token_cap": token_cap,
            "first_temperature": first_temperature, "long_answer": long_answer,
            "flags": tuple(map(flag_name, red_flags)), "segments": len(plan.segments), "keep_samples": keep_samples,
            "paraphrase": paraphrase,
        })  # fmt: skip
        own = Dispatcher(engine, make_limits(limits), Usage())
        senders = Senders(own, dict(zip(models_of(rungs), more, strict=True)), task)
        with Journal(journal) as book:

            def begin(abandoned: Abandoned) -> Course:
                """Begin at the start of the journal, without what was rolled back."""
                return Course(task, senders, config, book, plan, red_flags, tuple(accept_change), rungs, abandoned)

            return await Loop(begin, progress, interrupted).carry_out()


def _ready(model: Model | str, task: Task, stack: AsyncExitStack) -> Model:
    """Return a model that can be asked about a task; one made here is closed with the stack."""
    engine = load_model(model) if isinstance(model, str) else model
    if engine is not model and hasattr(engine, "aclose"):
        stack.push_async_callback(_closed, engine)
    if hasattr(engine, "bind"):
        engine.bind(task)
    return engine


async def _closed(engine: Any) -> None:
    with anyio.CancelScope(shield=True):
        await engine.aclose()


def run_sync(task: Task | str, **settings: Any) -> RunResult:
    """Carry out a task as `run` does, from synchronous code; takes the same keywords."""
    return in_new_loop(lambda: run(task, **settings))
