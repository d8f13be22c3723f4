"""The `chain`: one hash over all decisions, in global step order.

Each step gives hash(step, winning answer, state digest). Steps of several segments are decided out
of order; the fold keeps what came early, a few bytes a step, until the steps before it are there.
It knows no ballots, times, retries or segments, so equal decisions give an equal chain.
"""

from __future__ import annotations

import hashlib
from bisect import bisect
from dataclasses import dataclass, field

from maker.errors import InternalError
from maker.task.canonical import DIGEST_SIZE


@dataclass(slots=True)
class _Run:
    """Consecutive steps that cannot be folded yet."""

    hashes: bytearray = field(default_factory=bytearray)
    state_digest: bytes = b""


class Fold:
    """Folds step hashes in step order, whatever the order they come in.

    `steps` is the length of the unbroken sequence from step 0; `chain` and `state_digest` are those
    of that sequence.
    """

    def __init__(self) -> None:
        self.steps = 0
        self.state_digest = b""
        self._hash = hashlib.blake2b(digest_size=DIGEST_SIZE)
        self._by_start: dict[int, _Run] = {}
        self._by_end: dict[int, int] = {}
        self._starts: list[int] = []  # sorted

    @property
    def chain(self) -> str:
        """The fold so far, as 32 hex digits."""
        return self._hash.hexdigest()

    def add(self, step: int, hashes: bytes, state_digest: bytes) -> None:
        """Take one decided step, or consecutive ones from `step` on. Raises InternalError for what was folded before.

        hashes: of the steps, one after another. state_digest: that after the last of them.
        """
        count = len(hashes) // DIGEST_SIZE
        if step == self.steps:
            self._hash.update(hashes)
            self.steps += count
            self.state_digest = state_digest
            while self._by_start and (run := self._by_start.pop(self.steps, None)) is not None:
                self._starts.remove(self.steps)  # the first one, where the steps fit each other
                self._hash.update(run.hashes)
                self.steps += len(run.hashes) // DIGEST_SIZE
                self.state_digest = run.state_digest
                del self._by_end[self.steps]
            return
        if step < self.steps or step in self._by_start:
            raise InternalError(f"step {step} was decided twice")
        start = self._by_end.pop(step, step)
        run = self._by_start.get(start)
        if run is None:
            place = bisect(self._starts, step)
            if place and step < self._end(self._starts[place - 1]):
                raise InternalError(f"step {step} was decided twice")
            self._starts.insert(place, step)
            run = self._by_start[start] = _Run()
        run.hashes += hashes
        run.state_digest = state_digest
        self._by_end[step + count] = start

    def _end(self, start: int) -> int:
        return start + len(self._by_start[start].hashes) // DIGEST_SIZE
