"""A step in finer steps: each sample of it is put together from the answers to smaller questions.

`task.finer(state, step)` is a small task whose `answer` is the action of the step. `InParts` stands before a model:
a draw of the step walks that task, one question after another, and what comes out is written as the task
would have it (`render`). So red flags, votes, journal and checks see an ordinary sample of the step: the parts are
drawn once each, and the vote is on what they make together. A part that cannot be read, is illegal or does not
end leaves the whole sample without text, which flags it.

A sample's tokens and finish reason are those of its longest part, as limits of a reply are about single
replies; the others are booked as calls beside it.

Not covered: votes on single parts; and holding money for all parts before the first (each draw holds for one).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from maker.decision.sample import Failure, Model, Request, Sample, Traits, desk
from maker.errors import TaskError
from maker.task.prompt import render, under
from maker.task.task import Task, guarded

MOST_PARTS = 64  # of one step; more are no end


@dataclass(slots=True)
class _Asking:
    """One draw on its way: its request, the smaller task, how far it has come, and the replies so far."""

    request: Request
    task: Task
    state: Any
    system: str | None
    replies: list[Sample] = field(default_factory=list)
    end: str | Failure | None = ""  # of the draw, "" as long as it has none

    def ask(self) -> Request:
        """Return the next question."""
        whole, part = self.request, len(self.replies)
        text = under(self.system, guarded(render, whole.address.step, "finer", self.task, self.state, part))
        key = hashlib.blake2b(b"part %d of %d" % (part, whole.seed), digest_size=8).digest()
        seed = int.from_bytes(key, "little")
        return Request(whole.address, text, seed, whole.temperature, whole.max_tokens, whole.stop, state=self.state)


class InParts:
    """A model that is asked a task's steps in finer steps.

    task: the one with `finer` and `render`. system: as of `Config`.
    """

    def __init__(self, model: Model, task: Any, system: str | None = None) -> None:
        traits = Traits.of(model)
        self.name, self.lockstep, self.callers = traits.name, traits.lockstep, traits.callers
        self.prices, self.simulated, self.room = traits.prices, traits.simulated, traits.room
        self.turns = traits.turns
        self._model, self._task, self._system = model, task, system

    async def draw(self, requests: Sequence[Request]) -> list[Sample | Failure]:
        """Answer every request in parts; parts with the same number are asked together."""
        walks = [self._begin(request) for request in requests]
        while under_way := [walk for walk in walks if walk.end == ""]:
            replies = await self._model.draw([walk.ask() for walk in under_way])
            for walk, reply in zip(under_way, replies, strict=True):
                self._take(walk, reply)
        return [await self._whole(walk) for walk in walks]

    def _begin(self, request: Request) -> _Asking:
        step = request.address.step
        smaller = guarded(self._task.finer, step, "finer", request.state, step)
        if not isinstance(smaller, Task):
            raise TaskError(f"step {step}: finer returned {type(smaller).__name__}, not a task. Mend the task.")
        return _Asking(request, smaller, guarded(smaller.initial_state, step, "finer"), self._system)

    def _take(self, walk: _Asking, reply: Sample | Failure) -> None:
        """Go on by one part."""
        if isinstance(reply, Failure):
            walk.end = reply
            return
        walk.replies.append(reply)
        walk.end = None  # unless the part can be read, is legal, and ends the walk or lets it go on
        step, smaller = walk.request.address.step, walk.task
        try:
            action = smaller.parse(reply.text or "")
        except Exception:  # noqa: BLE001 -- whatever the parser raises, the part cannot be read
            return
        if not guarded(smaller.legal, step, "finer", walk.state, action):
            return
        walk.state = guarded(smaller.apply, step, "finer", walk.state, action)
        if guarded(smaller.done, step, "finer", walk.state):
            walk.end = guarded(self._task.render, step, "render", smaller.answer(walk.state)) or None
        elif len(walk.replies) < MOST_PARTS:
            walk.end = ""

    async def _whole(self, walk: _Asking) -> Sample | Failure:
        """Return what the parts make: one sample, with the figures of the longest; the others are booked beside it."""
        longest = max(walk.replies, key=lambda reply: reply.tokens_out or 0, default=None)
        payer, address = desk.get(), walk.request.address
        beside = replace(walk.request, address=replace(address, run=f"{address.run}/part"))
        for reply in walk.replies:
            if payer is not None and (reply is not longest or isinstance(walk.end, Failure)):
                await payer.pay(beside, partial(_came, reply))
        if isinstance(walk.end, Failure) or longest is None:
            assert isinstance(walk.end, Failure), "a walk without a reply has failed"
            return walk.end
        cut = next((reply.finish_reason for reply in walk.replies if reply.finish_reason != "stop"), "stop")
        return replace(longest, text=walk.end or None, finish_reason=cut, response_id=None, logprob=None)


async def _came(reply: Sample, _: Request) -> Sample:
    return reply
