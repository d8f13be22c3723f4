"""What becomes of a stretch that somebody else has decided: it is checked, journaled, and the lane advances by it.

Two ways. What a trusted worker sends is taken if it leads to the state that the plan knows. What another one sends
is counted again, vote by vote, with the code that a resume goes through: a record is journaled only with its step, and
a step only when its votes, its answer and the state after it are what they say.

Not covered: that the texts are the model's own: who runs a worker can make them up.
"""

from __future__ import annotations

import struct
from typing import Any

from maker.decision.address import Address
from maker.decision.ending import Stop
from maker.decision.poll import Poll, Winner, conclude
from maker.decision.wave import Wave
from maker.engine.course import Course
from maker.engine.crew.stretch import Stretch
from maker.engine.front import Lane
from maker.errors import MakerError
from maker.journal.records import decode
from maker.task.canonical import canonical, digest


def is_known(course: Course, lane: Lane) -> bool:
    """Say whether a lane stands where the plan says that it does, so that another process can go on from there."""
    return lane.poll is None and canonical(course.plan.state_at(lane.index)) == canonical(lane.state)


def catch_up(course: Course, lane: Lane, stretch: Stretch) -> bool:
    """Journal what a trusted worker has decided, and advance the lane by it. Raises Stop as `Front.advance` does.

    False, and nothing has changed, if that leads to another state than the plan knows at that step.
    """
    if not stretch.steps:
        return True
    state = course.plan.state_at(lane.index + stretch.steps)
    if digest(canonical(state)) != stretch.state_digest:
        return False
    for record in stretch.records:
        course.journal.append(record)
    course.usage.add(stretch.usage)
    course.opened += stretch.steps
    course.sampled += stretch.steps
    course.front.catch_up(lane, stretch.score, stretch.hashes, state, stretch.state_digest)
    course.journal.commit_if_due()
    return True


def recount(course: Course, lane: Lane, stretch: Stretch) -> bool:
    """Journal what a worker has decided as far as its votes say so, and advance the lane by that.

    False where a record does not follow: what came before it is kept. Raises Stop as `Front.advance` does.
    """
    decided, held = 0, []  # held: the records of a step and their waves
    assert course.method is not None, "k is chosen before a crew begins"
    poll = Poll.of(course.method, course.rules, lane.index, lane.state)
    try:
        for record in stretch.records:
            wave = decode(record)
            if not isinstance(wave, Wave) or wave.step != lane.index or decided == stretch.steps:
                return False
            if not _paid_for(course, wave):
                return False
            poll.replay(wave)
            held.append((record, wave))
            if wave.verdict is None:
                continue
            decided_as = _concluded(poll)
            if decided_as is None or decided_as[1] != wave.verdict:
                return False
            _take(course, lane, poll, decided_as, held)
            decided += 1
            held.clear()
            if decided < stretch.steps:
                poll = Poll.of(course.method, course.rules, lane.index, lane.state)
    except (MakerError, LookupError, TypeError, ValueError, struct.error):
        return False
    course.journal.commit_if_due()
    return decided == stretch.steps and not held


def _paid_for(course: Course, wave: Wave) -> bool:
    """Say whether the samples of a wave are among those that were booked, where they cost something."""
    run, known = course.header["run"], course.receipts.known
    draws = range(wave.first, wave.first + len(wave))
    return course.dispatcher.traits.lockstep or all(Address(run, wave.step, draw) in known for draw in draws)


def _concluded(poll: Poll) -> tuple[Any, Winner] | None:
    """Return what a poll leads to, None where it is not won, or won by what the rules do not allow."""
    try:
        return conclude(poll)
    except Stop:
        return None


def _take(course: Course, lane: Lane, poll: Poll, decided: tuple[Any, Winner], held: list[tuple[bytes, Wave]]) -> None:
    """Journal one step that was counted, and advance the lane by it."""
    for record, wave in held:
        course.journal.append(record)
        course.account.replayed(wave, course.header["run"])
    course.opened += 1
    course.sampled += 1
    course.front.advance(lane, poll, *decided)
