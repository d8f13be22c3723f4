"""An estimate that is kept: the journal of a run that goes on with what was drawn to plan it.

The journal is that of a run with k = "auto" which ended after its calibration: the same header, the calibration's note,
and what each draw took. Of a paid model the first draws on each step are the run's own, with its seeds, and kept under
what they asked: a run that comes to the step with the same prompt counts them as its first votes, and does not pay for
them again. Where votes have led it elsewhere they are lost.

A model that costs nothing keeps no samples: its run begins with the k that was found. So does one with a temperature of
its own for first draws, since each draw of an estimate is as likely to be any.

Not covered: the run itself (`engine/course.py`), and which steps are drawn on (`engine/probe.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from maker.decision.config import Config
from maker.decision.flags import Flag
from maker.decision.pool import turns_of
from maker.engine.calibrate import chosen, seen_by
from maker.engine.course import Course
from maker.engine.probe import Probe
from maker.engine.senders import Senders
from maker.errors import Infeasible, JournalError
from maker.journal.writer import Journal
from maker.task.plan import Plan
from maker.task.task import Task


@contextmanager
def begun(
    task: Task, senders: Senders, config: Config, journal: str | Path, plan: Plan, flags: tuple[Flag, ...]
) -> Iterator[Course]:
    """Begin a run, or go on with one of which nothing but an estimate was drawn; close its journal in the end.

    Raises JournalError for the journal of another run, or of one that has its k; Stop for a model that changed.
    """
    with Journal(journal) as book:
        course = Course(task, senders, config, book, plan, flags)
        course.replay()
        if course.stop is not None:
            raise course.stop
        if course.method is not None:
            raise JournalError(f"{book.path}: this run was planned already: `maker run` goes on with it. "
                               "Give another file for a new estimate.")  # fmt: skip
        for drawn in course.receipts.ahead.values():  # by an estimate that was broken off
            course.receipts.known.update(drawn)
        course.receipts.ahead.clear()
        try:
            yield course
        finally:
            course.book.note_usage()


def shares(course: Course) -> bool:
    """Say whether a run can count the draws of its estimate."""
    return not course.dispatcher.traits.lockstep and course.config.first_temperature is None


def settle(course: Course, probe: Probe) -> None:
    """Note what an estimate found, with the k of the run; nothing where voting is infeasible."""
    flags = Counter(draw.flag for draw in probe.apart if draw.flag is not None)
    valid = len(probe.apart) - flags.total()
    wrong = sum(sum(step.voted(step.again if probe.run else [*step.draws, *step.again])) for step in probe.seen)
    found = seen_by(probe, valid, min(wrong, valid), flags)
    try:
        planned = chosen(found, course.plan.steps, course.config, turns_of(course.header["model"]))
    except Infeasible:
        return
    course.book.note({"calibration": planned.as_note()})
