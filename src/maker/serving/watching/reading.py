"""A journal read as it grows: sums of bounded size, kept up to date by a thread that reads each record once.

Promises: nothing is written, and nothing of the run's process is needed; a million steps take no more room than a
thousand. What was rolled back does not count: where that happens the journal is read once more. A journal that cannot
be read says why, and is tried again as soon as it has changed.

Not covered: how it looks (`app.py`, `cli/commands/follow.py`), and steering (`engine/steering/`).
"""

from __future__ import annotations

import heapq
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from maker.decision.wave import Wave
from maker.errors import MakerError
from maker.journal.database import START, read_on
from maker.journal.escalated import Abandoned, Escalation
from maker.journal.notes import Close, Epoch, Note, Steered, note_of
from maker.journal.records import decode
from maker.journal.steps import StoredStep, steps_of
from maker.journal.story import Summary
from maker.review.report.steps import show_step
from maker.serving.watching.servers import Servers
from maker.task.canonical import visible

POLL_SECONDS = 0.25
SHOWN_STEPS = 12  # hardest, and last
SHOWN_TEXT = 400  # characters
SHOWN_ROUNDS = 24  # bars of a curve; the last one holds all above
RATE_SECONDS = 20.0  # that steps a second are seen over


class Reading:
    """One journal, followed from when it is opened until `close`. path: the file. wait: seconds between looks."""

    def __init__(self, path: Path, wait: float = POLL_SECONDS) -> None:
        self.path = path
        self._wait = wait
        self._lock = threading.Lock()
        self._ends = threading.Event()
        self._escalations: list[Escalation] = []
        self._begin()
        self._thread = threading.Thread(target=self._follow, name="reading", daemon=True)
        self._thread.start()

    def _begin(self) -> None:
        """Forget all: the journal is read from its start."""
        self.problem = ""
        self._caught_up = self._busy = False  # caught up: once at least
        self._at = (0, START)
        self._seen: object = None
        self._summary = Summary(abandoned=Abandoned(self._escalations))
        self._votes, self._rounds = Counter[int](), Counter[int]()
        self._contested = 0
        self._entropy = 0.0
        self._entropies = Counter[float]()  # contested steps by the tenth of a nat
        self._hardest: list[tuple[int, int, StoredStep]] = []
        self._last: deque[StoredStep] = deque(maxlen=SHOWN_STEPS)
        self._tokens = [0, 0]
        self.servers = Servers()
        self._steered = ""
        self._pace: deque[tuple[float, int]] = deque()

    def close(self) -> None:
        """Follow no longer."""
        self._ends.set()
        self._thread.join()

    def caught_up(self) -> bool:
        """Say whether all that is in the file by now was read."""
        with self._lock:
            return self._caught_up and not self._busy and self._seen == self._stamp()

    # -- the thread ------------------------------------------------------------------------------------

    def _follow(self) -> None:
        while not self._ends.is_set():
            try:
                for stored in steps_of(self._items(), self._summary.abandoned):
                    if stored.winner is not None:
                        with self._lock:
                            self._decided(stored)
            except _Again:
                with self._lock:
                    self._begin()
            except MakerError as error:
                with self._lock:
                    self.problem, self._caught_up, self._busy = str(error), True, False
                while self._seen == self._stamp() and not self._ends.wait(self._wait):
                    pass
                with self._lock:
                    self._escalations = []
                    self._begin()

    def _items(self) -> Iterator[Wave | Note]:
        """Yield what the journal holds, and what it gets, until the reading ends."""
        while not self._ends.is_set():
            stamp = self._stamp()
            if stamp != self._seen:
                with self._lock:
                    self._seen, self._busy = stamp, True
                yield from self._new()
            with self._lock:
                self._caught_up, self._busy = True, False
                self._pace.append((time.monotonic(), self._summary.steps))
                while len(self._pace) > 2 and self._pace[-1][0] - self._pace[0][0] > RATE_SECONDS:
                    self._pace.popleft()
            self._ends.wait(self._wait)

    def _new(self) -> Iterator[Wave | Note]:
        for head, record in read_on(self.path, self._at):
            if self._ends.is_set():
                return
            read = decode(record)
            item = read if isinstance(read, Wave) else note_of(read, self.path)
            with self._lock:
                self._at = (self._at[0] + 1, head)
                self._summary.take(item)
                if not isinstance(item, Wave):
                    self._note(item)
            yield item

    def _note(self, item: Note) -> None:
        self.servers.take(item)
        match item:
            case Epoch(header):
                self._summary.header = header
            case Escalation() if item.change.back and not self._summary.abandoned.knows(item):
                self._escalations.append(item)
                raise _Again
            case Escalation():
                if item not in self._escalations:
                    self._escalations.append(item)
            case Steered(order):
                self._steered = order
            case Close():
                self._steered = ""

    def _decided(self, stored: StoredStep) -> None:
        """Count a decided step."""
        samples = len(stored.candidates)
        self._rounds[min(stored.rounds, SHOWN_ROUNDS)] += 1
        for at, tokens in enumerate((stored.tokens_in, stored.tokens_out)):
            self._tokens[at] += sum(count for count in tokens if count < 2**31)
        plain = not any(stored.candidates)  # one answer, and no flag
        self._votes[min(samples if plain else stored.tally().total, SHOWN_ROUNDS)] += 1
        self._last.append(stored)
        if not plain:
            tally = stored.tally()
            if len(tally.counts) > 1:
                self._contested += 1
                self._entropy += tally.entropy
                self._entropies[min(int(tally.entropy * 10), SHOWN_ROUNDS) / 10] += 1
        if not plain or len(self._hardest) < SHOWN_STEPS:
            keep = heapq.heappush if len(self._hardest) < SHOWN_STEPS else heapq.heappushpop
            keep(self._hardest, (samples, -stored.step, stored))

    def _stamp(self) -> object:
        """Return what changes with the file."""
        found = []
        for path in (self.path, self.path.with_name(self.path.name + "-wal")):
            try:
                is_now = path.stat()
                found.append((is_now.st_size, is_now.st_mtime_ns, is_now.st_ino))
            except OSError:
                found.append((0, 0, 0))
        return found

    # -- what is shown ---------------------------------------------------------------------------------

    def shown(self) -> dict[str, Any]:
        """Return how the run stands, as JSON: sums, curves, and the numbers of the steps that can be asked for."""
        with self._lock:
            said = self._summary.as_json()
            header, total = self._summary.header, self._summary.header.get("steps")
            rate = self._rate()
            left = total - self._summary.steps if isinstance(total, int) else None
            close, flags = self._summary.close, self._summary.flags.most_common(SHOWN_ROUNDS)
            return {
                **{name: said[name] for name in ("simulated", "k", "solved", "steps", "total", "samples", "flagged")},
                **{name: _short(said[name]) for name in ("run", "task", "model")},
                "flags": [[_short(kind), count] for kind, count in flags],
                "escalations": {_short(rung): count for rung, count in said["escalations"].items()},
                "answer": _short(said["answer"]), "seconds": close.get("seconds"), "over": bool(close),
                "stopped": _short(close.get("stopped")), "detail": _short(close.get("detail")),
                "steered": _short(self._steered), "problem": _short(self.problem), "read": self._at[0],
                "reading": not self._caught_up,
                "rate": rate, "eta": left / rate if left and rate else None, "solve": header.get("task") == "solve",
                "tokens": self.servers.tokens or self._tokens, "cost": self.servers.cost,
                "votes": _bars(self._votes), "undecided": _undecided(self._rounds),
                "contested": self._contested, "entropies": _bars(self._entropies),
                "entropy": self._entropy / self._contested if self._contested else 0.0,
                "servers": self.servers.shown(), "hardest": [_brief(one) for _, _, one in sorted(self._hardest)[::-1]],
                "last": [_brief(one) for one in reversed(self._last)],
            }  # fmt: skip

    def step(self, number: int) -> dict[str, Any] | None:
        """Return a step that is among those shown, with its samples; None where it is not (any more)."""
        with self._lock:
            kept = [*self._last, *(stored for _, _, stored in self._hardest)]
        found = next((stored for stored in kept if stored.step == number), None)
        return None if found is None else show_step(found)

    def _rate(self) -> float:
        """Return the steps a second that were seen; 0 where nothing was."""
        if len(self._pace) < 2:
            return 0.0
        (begun, before), (ended, now) = self._pace[0], self._pace[-1]
        return (now - before) / (ended - begun) if ended > begun else 0.0


def _short(told: object) -> str:
    """Return what a journal says as text that prints, and is not too long."""
    text = told if isinstance(told, str) else "" if told is None else json.dumps(told, default=str)
    return visible(text[:SHOWN_TEXT])


class _Again(Exception):
    """The journal is to be read once more."""


def _bars(counts: Counter[Any]) -> list[list[Any]]:
    return [[value, counts[value]] for value in sorted(counts)]


def _undecided(rounds: Counter[int]) -> list[list[int]]:
    """Return how many of the decided steps were undecided after each round."""
    left, found = rounds.total(), []
    for number in range(1, max(rounds, default=0) + 1):
        left -= rounds[number]
        found.append([number, left])
    return found


def _brief(stored: StoredStep) -> dict[str, Any]:
    """Return a step in a line."""
    tally = stored.tally()
    return {"step": stored.step, "samples": len(stored.candidates), "margin": tally.margin,
            "entropy": round(tally.entropy, 3) if tally.total else 0.0, "flagged": tally.flagged,
            "rounds": stored.rounds}  # fmt: skip
