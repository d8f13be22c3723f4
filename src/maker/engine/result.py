"""What a run returns, and what it shows while it runs: at most ten times a second.

Both count acknowledged work only: decided steps whose records are committed.

Not covered: how it looks (`cli/screen.py`).
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup

from maker import theory
from maker.decision.ending import Stop
from maker.decision.race import Verdict
from maker.decision.telling.rows import Rows, html_of, lines_of
from maker.engine.senders import Senders
from maker.errors import JournalError, ungrouped
from maker.journal.story import Story
from maker.journal.writer import Journal
from maker.sending.budget.usage import Usage
from maker.task.canonical import jsonable, visible
from maker.task.load import import_again, origin
from maker.task.task import Task


@dataclass(slots=True, frozen=True)
class Progress:
    """A glimpse of a run: acknowledged steps of `total` (None: unknown), samples, flagged, seconds.

    in_flight: draws that are out now. tokens, cost: spent so far (cost None where it is not known). retrying: what a
    repetition waits for, "" when nothing does. pace: the limit in force of calls at once, "" when none is felt.
    """

    steps: int = 0
    total: int | None = None
    samples: int = 0
    flagged: int = 0
    replayed: int = 0
    seconds: float = 0.0
    in_flight: int = 0
    tokens: int = 0
    cost: float | None = None
    retrying: str = ""
    pace: str = ""

    def __str__(self) -> str:
        """Return it on one line, for a person."""
        whole = "" if self.total is None else f" of {self.total:,}"
        cost = [] if self.cost is None else [f"${self.cost:,.4f}"]
        parts = [
            f"{self.steps:,}{whole} steps", f"{self.samples:,} samples", f"{self.flagged:,} flagged",
            f"{self.tokens:,} tokens", *cost, f"{self.seconds:,.1f} s", *filter(None, (self.pace, self.retrying)),
        ]  # fmt: skip
        return ", ".join(parts)


def _begun(found: str | None) -> RunResult:
    """Return a result without its fields, as it is copied. found: where its task was loaded from."""
    if found is not None:
        import_again(found)
    return RunResult.__new__(RunResult)


@dataclass(slots=True)
class RunResult:
    """How a run went.

    solved: the goal was reached, and no step is known to be wrong. answer: the task's result, None unless solved.
    steps: decided. state: after the unbroken sequence of steps from the first, None when only its digest is known;
    state_digest, chain: of that sequence, as 32 hex digits. samples, flagged: draws, resumes included;
    flags: by kind. wrong: decided steps that differ from the truth, None when that is not known.
    stopped: None, or the name of what ended the run early; detail: what happened and what to do;
    exit_code: what the command line leaves with. k: the margin in force. waves: steps by the number of
    waves they took. first_wrong, collisions: steps whose first valid sample, and whose first two, were
    wrong (None where the truth is not known): what p and rho are estimated from. segments: how many
    were used. simulated: the model was a simulated one. cost: US dollars, None where it is not known. epochs: how
    often settings were changed on purpose. escalations: how often steps were tried in another way, by rung.
    A result can be copied to another process (pickled) with all but the verdicts of a run without a journal file.
    independence: whether copied samples would show, "" where none can be. failed: why, by step, for those that have
    no verdict where all the others are decided.
    """

    solved: bool
    answer: Any
    steps: int
    state: Any
    samples: int
    flagged: int
    flags: dict[str, int]
    usage: Usage
    stopped: str | None
    detail: str
    exit_code: int
    journal: Path | None
    wrong: int | None
    first_wrong: int | None
    collisions: int | None
    state_digest: str
    chain: str
    seconds: float
    replayed: int
    k: int | None
    segments: int
    waves: Counter[int]
    simulated: bool
    model: str
    calibration: dict[str, Any] | None = None
    cost: float | None = None
    epochs: int = 0
    independence: str = ""
    escalations: dict[str, int] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    task: Task | None = field(default=None, repr=False)
    _book: Journal | None = field(default=None, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        # What a run without a file has journaled stays in its process; the file of a loaded task is imported first.
        state = {name: getattr(self, name) for name in self.__slots__} | {"_book": None}
        return _begun, (None if self.task is None else origin(self.task),), (None, state)

    def verdicts(self) -> Iterator[Verdict[Any]]:
        """Yield every verdict in the order of decision, read from the journal one by one.

        Raises JournalError for the copy, in another process, of what a run without a file returned.
        """
        journal = self.journal or self._book
        if journal is None and self.steps:
            raise JournalError("the run had no journal file, so its verdicts stayed where it ran: give it journal=FILE")
        if journal is not None:
            yield from Story(journal).verdicts(self.task.parse if self.task is not None else None)

    @property
    def outcome(self) -> str:
        """How it ended, in a word or two."""
        return "solved" if self.solved else f"stopped: {self.stopped}" if self.stopped else "NOT solved"

    def account(self) -> Rows:
        """Return what was done and what it took, as names and values: the last lines of every command that asks."""
        usage, steps = self.usage, self.steps
        calibrating = self.calibration["draws"] if self.calibration else 0
        replayed = f" ({self.replayed:,} from the journal)" if self.replayed else ""
        each = f", {(self.samples - calibrating) / steps:.3f} a step" if steps else ""
        flagged = f", {self.flagged:,} flagged ({self.flagged / self.samples:.2%})" if self.samples else ""
        first = f" after {calibrating:,} to calibrate" if calibrating else ""
        lost = usage.failed + usage.cancelled
        assumed = f", and at most {usage.assumed:,} that nobody reported" if usage.assumed else ""
        return [
            ("steps", f"{steps:,}{replayed}"),
            ("samples", f"{self.samples:,}{flagged}{each}{first}"),
            ("calls", f"{usage.dispatched:,}" + (f", {lost:,} of them failed or given up" if lost else "")),
            ("tokens", f"{usage.tokens_in:,} in, {usage.tokens_out:,} out{assumed}"),
            ("time", f"{self.seconds:,.1f} s, {pace((steps - self.replayed) / max(self.seconds, 1e-9))} steps/s"),
            ("cost", self._dollars()),
        ]  # fmt: skip

    def _dollars(self) -> str:
        """Return what it cost, and what one step did."""
        if self.cost is None:
            return "not known"
        most = "at most " if self.usage.assumed else ""
        return f"{most}${self.cost:,.4f}" + (f", ${self.cost / self.steps:.3g} a step" if self.steps else "")

    def summary(self) -> str:
        """Return a few lines for a person: how it ended, steps, samples, calls, tokens, time, cost, and what to do."""
        rows = [("result", self.outcome), *self.account()]
        if self.detail:
            rows.append(("what to do" if self.stopped else "why", visible(self.detail)))
        return lines_of(rows)

    def __repr__(self) -> str:
        cost = "" if self.cost is None else f", ${self.cost:,.4f}"
        counts = f"{self.steps:,} steps, {self.samples:,} samples, {self.flagged:,} flagged"
        return f"<RunResult {self.outcome}: {counts}{cost}>"

    def _repr_html_(self) -> str:
        return html_of(f"{self.outcome}, by {self.model}", self.account())

    @property
    def observed(self) -> dict[str, Any]:
        """What the samples say of the model: p of the first valid sample with its exact 95% interval, v, rho.

        rho is estimated from collisions: ratio = collisions / (n (1-p)^2) = 1 + rho p / (1-p). None where the
        truth is not known, or too little was wrong for a collision to be expected.
        """
        seen: dict[str, Any] = {"v": 1 - self.flagged / self.samples if self.samples else None, "p": None, "rho": None}
        if self.first_wrong is None or self.collisions is None or not self.steps:
            return seen
        n, wrong = self.steps, self.first_wrong
        seen["p"] = p = 1 - wrong / n
        seen["p_low"], seen["p_high"] = theory.p_lower(wrong, n, 0.975), theory.p_upper(wrong, n, 0.975)
        by_chance = n * (1 - p) ** 2  # collisions that independent errors would give
        if 0 < p < 1 and (self.collisions or by_chance >= 1):
            seen["rho"] = (self.collisions / by_chance - 1) * (1 - p) / p
        return seen

    def as_json(self) -> dict[str, Any]:
        """Return the object that `maker run --json` prints."""
        return {
            "solved": self.solved, "steps": self.steps, "samples": self.samples, "flagged": self.flagged,
            "flags": self.flags, "wrong": self.wrong, "answer": jsonable(self.answer),
            "state_digest": self.state_digest, "chain": self.chain, "stopped": self.stopped, "detail": self.detail,
            "seconds": round(self.seconds, 3), "k": self.k, "segments": self.segments, "replayed": self.replayed,
            "model": self.model, "simulated": self.simulated, "tokens_in": self.usage.tokens_in,
            "tokens_out": self.usage.tokens_out, "tokens_assumed": self.usage.assumed, "cost": self.cost,
            "epochs": self.epochs, "escalations": self.escalations, "independence": self.independence,
            "observed": self.observed, "calls": self.usage.dispatched, "calibration": self.calibration,
            "journal": str(self.journal) if self.journal else None, "exit_code": self.exit_code,
        }  # fmt: skip


def pace(rate: float) -> str:
    """Return a rate as it is read: models over a network take seconds a step."""
    return f"{rate:,.0f}" if rate >= 10 or not rate else f"{rate:.2f}"


REPORT_SECONDS = 0.1
TICK_SECONDS = 0.5


class Reporter:
    """Calls `progress` with what the journal has committed, and notices an interrupt while nothing is decided.

    counts: returns decided steps, those of the journal, and the total (None: unknown). interrupted: True ends the
    waits between calls. `seconds`: since it was made.
    """

    def __init__(
        self, progress: Callable[[Progress], None] | None, journal: Journal, senders: Senders,
        counts: Callable[[], tuple[int, int, int | None]], interrupted: Callable[[], bool] | None = None,
    ) -> None:  # fmt: skip
        self.progress, self.interrupted = progress, interrupted
        self._journal, self._senders, self._counts = journal, senders, counts
        self._begun = time.monotonic()
        self._reported = 0.0
        self._shown: Progress | None = None
        self._waiting: deque[tuple[int, Progress]] = deque()  # glimpses, by the records that they count

    @property
    def seconds(self) -> float:
        """Wall seconds so far."""
        return time.monotonic() - self._begun

    def glimpse(self) -> Progress:
        """Return how the run stands now; its last steps may not be committed."""
        usage, senders = self._senders.own.usage, self._senders
        steps, replayed, total = self._counts()
        return Progress(
            steps, total, usage.voted + usage.flagged, usage.flagged, replayed, self.seconds, senders.out,
            usage.tokens, senders.cost, senders.retrying, senders.pace,
        )  # fmt: skip

    def report(self) -> None:
        """Show the newest glimpse that is all committed, unless one was shown just now."""
        now = time.monotonic()
        if self.progress is None or now - self._reported < REPORT_SECONDS:
            return
        self._reported = now
        newest = self.glimpse()
        self._waiting.append((self._journal.appended, newest))
        shown = self._shown or Progress(newest.replayed, newest.total, replayed=newest.replayed)
        while self._waiting and self._waiting[0][0] <= self._journal.acknowledged:
            shown = self._waiting.popleft()[1]
        self._shown = shown
        self.progress(shown)

    @asynccontextmanager
    async def workers(self, also: Callable[[], Coroutine[Any, Any, None]] | None = None) -> AsyncIterator[TaskGroup]:
        """Offer a group to the workers of a run; what one of them raises ends all, and comes out alone.

        also: goes on beside them until they have ended. Over a network, reports are made while nothing is decided, too:
        replies may take long, or a server be down.
        """
        with ungrouped():
            async with anyio.create_task_group() as beside:
                if not self._senders.own.traits.lockstep:
                    beside.start_soon(self._tick)
                if also is not None:
                    beside.start_soon(also)
                async with anyio.create_task_group() as group:
                    yield group
                beside.cancel_scope.cancel()

    async def _tick(self) -> None:
        while True:
            await anyio.sleep(TICK_SECONDS)
            self.report()
            if self.interrupted is not None and self.interrupted():
                self._senders.own.budget.stop(Stop("interrupted", "Run the same command to resume."))
