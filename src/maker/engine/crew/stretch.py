"""A stretch: consecutive steps of one segment, decided one after another, with nobody else to ask.

The same polls, red flags and task code as in any run. Whatever is not plain (a draw that fails, a step that does
not decide, an answer against the rules, task code that raises) ends the stretch before that step. Who asked for it
goes on from there and meets the same, or has the samples that were paid for. One that met the limits of its job is
short: it can be gone on with like any other.

As bytes a stretch is, little endian: the length of its head u32, the head in JSON, then hashes and records.

Not covered: the journal, the run's limits and its ladder (`engine/course.py`), and who asks for it (`lead.py`).
"""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from maker.decision.ending import Stop
from maker.decision.method import Method
from maker.decision.poll import Poll, conclude
from maker.decision.sample import AtOnce, Failure, Reply, Request, Sample
from maker.decision.step import Rules
from maker.decision.wave import Wave
from maker.engine.front import Score
from maker.errors import MakerError
from maker.journal.records import encode_wave
from maker.sending.budget.usage import Usage
from maker.task.canonical import DIGEST_SIZE
from maker.task.prompt import render
from maker.task.task import Task

_LENGTH = struct.Struct("<I")
_SHORT = ("max_calls", "max_tokens", "max_cost", "max_seconds")  # what a job may spend


class Draws(Protocol):
    """Who answers: a model, or a dispatcher before it."""

    def draw(self, requests: Sequence[Request]) -> Awaitable[Sequence[Reply]]:
        """Return one sample or failure for each request, in order."""
        ...


@dataclass(slots=True)
class Stretch:
    """What was decided.

    first: the number of its first step. records: the waves, as a journal keeps them. hashes: of the steps, one after
    another. state_digest: that after the last of them. score, usage: what is counted of them, and what they took.
    why: what ended it early, "" for nothing that was said; short: that was a limit of the job.
    """

    first: int
    score: Score
    usage: Usage = field(default_factory=Usage)
    records: list[bytes] = field(default_factory=list)
    hashes: bytes = b""
    state_digest: bytes = b""
    why: str = ""
    short: bool = False

    @property
    def steps(self) -> int:
        """How many steps are decided."""
        return len(self.hashes) // DIGEST_SIZE

    def encode(self) -> bytes:
        """Return it as bytes."""
        head = json.dumps({
            "first": self.first, "steps": self.steps, "state_digest": self.state_digest.hex(),
            "records": list(map(len, self.records)), "score": _fields(self.score),
            "usage": _fields(self.usage), "why": self.why, "short": self.short,
        }).encode()  # fmt: skip
        return b"".join((_LENGTH.pack(len(head)), head, self.hashes, *self.records))

    @classmethod
    def decode(cls, content: bytes) -> Stretch:
        """Return what `encode` made bytes of. Raises ValueError, KeyError, TypeError or struct.error for others."""
        (length,) = _LENGTH.unpack_from(content)
        at = _LENGTH.size + length
        head = json.loads(content[_LENGTH.size : at])
        score, usage = Score(**head["score"]), Usage(**head["usage"])
        score.waves = Counter({int(waves): steps for waves, steps in score.waves.items()})
        usage.flags = Counter(usage.flags)
        end = at + head["steps"] * DIGEST_SIZE
        stretch = cls(head["first"], score, usage, [], content[at:end], bytes.fromhex(head["state_digest"]),
                      str(head["why"]), head["short"] is True)  # fmt: skip
        for size in head["records"]:
            stretch.records.append(content[end : end + size])
            end += size
        if end != len(content):
            raise ValueError(f"it is {len(content)} bytes long, and its head says {end}")
        return stretch


def _fields(counts: Score | Usage) -> dict[str, Any]:
    return {name: getattr(counts, name) for name in counts.__slots__}


async def run_stretch(
    task: Task, model: Draws, method: Method, first: int, state: Any, steps: int, at_once: AtOnce | None = None
) -> Stretch:
    """Return what can be decided plainly of so many steps.

    method: that of the run. first: the number of the first step; state: the one before it. at_once: asked in place of
    the model, as told at `Traits`, where all draws of a wave ask the same.
    Raises what `model.draw` raises beside Stop and MakerError.
    """
    stretch = Stretch(first, Score.of(task))
    rules, hashes = Rules.of(task), []
    waves: list[Wave] = []  # of all steps that are decided

    async def draw(requests: Sequence[Request]) -> list[Sample]:
        """Ask the model; a draw that fails is not plain."""
        samples = [reply for reply in await model.draw(requests) if not isinstance(reply, Failure)]
        if len(samples) != len(requests):
            raise Stop("model_lost", "a draw failed")
        return samples

    try:
        for index in range(first, first + steps):
            poll = Poll.of(method, rules, index, state, render(task, state, index))
            taken: list[Wave] = []
            while poll.open:
                samples = at_once(*poll.asked()) if at_once is not None else await draw(poll.requests())
                taken.append(poll.take(samples))
            if not poll.won:
                break
            state, verdict = conclude(poll)
            stretch.score.count(task, poll, verdict[0])
            taken[-1].verdict = verdict
            waves += taken
            hashes.append(verdict[1])
            stretch.state_digest = verdict[2]
    except Stop as stop:
        stretch.why, stretch.short = str(stop), stop.kind in _SHORT
    except MakerError as error:
        stretch.why = str(error)
    stretch.hashes = b"".join(hashes)
    stretch.records = [encode_wave(wave) for wave in waves]
    stretch.usage.replay(*waves)
    return stretch
