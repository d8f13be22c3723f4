"""Blocks: how many calls a worker may make for one job, and what they may take together.

A block is held in the run's purses, and durable, before it is handed out; the worker's own purse is the block. So caps
hold in total at any moment, whatever the workers do. What an answer says was spent is booked, and the rest is free
again. Of a worker that is lost nobody knows what it has sent: its whole block is booked, and so it is at a resume where
this process dies. Models in this machine's memory cost nothing: where the run has no caps they need no blocks.

Not covered: what a worker does with one (`order.py`), and its notes (`noted.py`).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from maker.decision.address import Address
from maker.decision.poll import Poll
from maker.decision.wave import tell
from maker.engine.course import Course
from maker.engine.crew.launcher import Lost
from maker.engine.crew.noted import Note, noted_in
from maker.engine.front import Lane
from maker.errors import MakerError
from maker.sending.budget.usage import Spent
from maker.sending.draw import Draw
from maker.task.prompt import render

SPARE = 1.5  # times the calls that the steps so far would have taken: a block that is used up ends a job early

Lease = list[tuple[Lane, int]]  # lanes, and how many steps of each


@dataclass(slots=True, frozen=True)
class Block:
    """What one job may spend. name: what it is reserved under; bounds: the most that each call can take."""

    name: str = ""
    bounds: Sequence[Spent] = field(default=(), repr=False)


class Blocks:
    """The blocks of one run."""

    def __init__(self, course: Course) -> None:
        self._course, self._own = course, course.dispatcher
        self.paid = not self._own.traits.lockstep

    @property
    def needed(self) -> bool:
        """A job has to have a block now."""
        limits, shared = self._own.limits, self._own.budget.shared
        return self.paid or shared is not None or any((limits.max_calls, limits.max_tokens, limits.max_cost))

    async def grant(self, lease: Lease) -> Block | None:
        """Return the block of a lease once it is durable; an empty one where none is needed.

        None where there is no room for two waves of each of its steps.
        """
        if not self.needed:
            return Block()
        course, budget = self._course, self._own.budget
        assert course.method is not None, "k is chosen before a crew begins"
        each = 2 * course.method.k  # calls: enough for any wave
        least = each * len(lease)
        used = course.usage.dispatched / course.front.steps if course.front.steps else each
        calls = least + int(SPARE * used * sum(steps for _, steps in lease))
        bound = self._most(lease)
        while not budget.take_beside([bound] * calls):
            if calls == least:
                return None
            calls = max(least, calls // 2)
        name = f"{course.header['run']}/block {course.journal.appended}"
        block = Block(name, (bound,) * calls)
        if self.paid:
            try:
                course.receipts.note_block(name, block.bounds)
                await course.journal.committed()
            except BaseException:
                with self.spent(block, ()):
                    raise
        return block

    def _most(self, lease: Lease) -> Spent:
        """Return the most that one call of a lease can take, as far as its first steps say."""
        course, draws = self._course, []
        assert course.method is not None, "k is chosen before a crew begins"
        for lane, _ in lease:
            prompt = render(course.task, lane.state, lane.index)
            asked = Poll.of(course.method, course.rules, lane.index, lane.state, prompt).requests()
            draws.append(Draw(asked[0]))
        bounds = [draw.bound for draw in self._own.bounded(draws)]
        return Spent(assumed=max(bound.assumed for bound in bounds), cost=max(bound.cost for bound in bounds))

    def told(self, lease: Lease, block: Block) -> bytes:
        """Return a job as a worker is told it: what to decide, and what it may spend on that."""
        job: dict[str, Any] = {"job": [(lane.index, steps) for lane, steps in lease]}
        if block.bounds:
            bound, calls, receipts = block.bounds[0], len(block.bounds), self._course.receipts
            left = self._own.budget.seconds_left
            job["name"], job["block"] = block.name, {
                "max_calls": calls, "max_tokens": calls * bound.assumed or None, "max_cost": calls * bound.cost or None,
                "max_seconds": max(left, 0.001) if left < float("inf") else None,
            }  # fmt: skip
            if self.paid:
                steps = {lane.index for lane, _ in lease}
                job["known"] = [_told(at, one) for at, one in receipts.known.items() if at.step in steps]
                job["takes"] = receipts.takes
        return json.dumps(job).encode()

    def answers(self, lease: Lease, block: Block) -> int:
        """Return how many parts the answer to a job has: its stretches, and with a block its notes."""
        return len(lease) + bool(block.bounds)

    def noted(self, block: Block, content: bytes) -> list[tuple[bytes, Note]]:
        """Return what a worker has noted of its calls. Raises ValueError for what it cannot have."""
        try:
            return noted_in(content, block.name, self._course.header["run"], len(block.bounds))
        except (MakerError, struct.error, RecursionError) as error:
            raise ValueError(str(error)) from error

    @contextmanager
    def spent(self, block: Block, noted: Sequence[tuple[bytes, Note]]) -> Iterator[None]:
        """Book what was noted, then what is journaled meanwhile; with that the block ends.

        Of a worker that turns out to be lost meanwhile, since it says what is not so, all is booked. Raises as
        `return_block`.
        """
        if not block.bounds:
            yield
            return
        course, budget, lost = self._course, self._own.budget, False
        before = course.account.snapshot()
        try:
            if self.paid:
                course.receipts.return_block(block.name, noted)
            yield
        except Lost:
            lost = True
            raise
        finally:
            spent = course.usage.since(before)
            kept = spent.dispatched if lost else len(block.bounds)
            budget.end_block(block.bounds[:kept], spent)
            if rest := block.bounds[kept:]:
                if self.paid:
                    course.receipts.note_block(f"{block.name}, not told", rest)
                budget.lose_block(rest)

    def lose(self, block: Block) -> None:
        """Book all of a block, of which nobody knows what became."""
        if block.bounds:
            self._own.budget.lose_block(block.bounds)


def _told(address: Address, sample: Any) -> dict[str, Any]:
    """Return a sample that came before, as a worker is told it."""
    note: dict[str, Any] = {"step": address.step, "draw": address.draw}
    tell(sample, note)
    return note
