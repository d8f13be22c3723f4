"""Takes waves: what polls ask for is drawn, judged and booked.

Promises: a wave that was cancelled, or that a limit stopped, leaves no trace in its poll.

Not covered: sending (`dispatcher.py`), and whether many polls share a wave or each has its own (`engine/loop.py`).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

from maker.decision.poll import Poll
from maker.decision.sample import Request, Sample
from maker.decision.wave import Wave
from maker.log import debugging, log
from maker.sending.budget.usage import Usage

Draw = Callable[[Sequence[Request]], Awaitable[Sequence[Sample]]]


async def settle(polls: Sequence[Poll], draw: Draw, usage: Usage | None = None) -> list[Wave]:
    """Take one wave of every poll and return what the journal keeps of each, in order.

    usage: where it is booked. Each poll is then either won, stuck, or open for its next wave. Raises what `draw`
    raises; polls are then as they were.
    """
    began = time.monotonic() if debugging() else None
    samples = await draw([request for poll in polls for request in poll.requests()])
    waves, at = [], 0
    for poll in polls:
        wave = poll.take(samples[at : at + poll.need])
        at += len(wave)
        if usage is not None:
            usage.book(wave)
        waves.append(wave)
    if began is not None:
        _tell(polls, waves, time.monotonic() - began)
    return waves


def _tell(polls: Sequence[Poll], waves: Sequence[Wave], seconds: float) -> None:
    for poll, wave in zip(polls, waves, strict=True):
        flags = [facts["flag"] for facts in wave.extras.values() if "flag" in facts]
        log.debug("step.wave", run=poll.method.run, step=wave.step, samples=len(wave), flags=flags, won=poll.won,
                  seconds=seconds)  # fmt: skip


async def decide(
    polls: Sequence[Poll], draw: Draw, usage: Usage | None = None, took: Callable[[Poll, Wave], object] | None = None
) -> None:
    """Take waves of all polls that are open, until none is. took: called with each wave; the rest as for `settle`."""
    while ready := [poll for poll in polls if poll.open]:
        for poll, wave in zip(ready, await settle(ready, draw, usage), strict=True):
            if took is not None:
                took(poll, wave)
