"""`verify`: a journal re-checked from the file alone, by code that the engine does not share.

Not covered: whether the samples really came from a model, and a journal rewritten from the start
(compare its `head` with one that you kept).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from maker.decision.wave import Wave
from maker.journal.database import read_chain
from maker.journal.records import SENSELESS, decode, senseless
from maker.journal.story import summarise
from maker.review.checker import Audit, Checker, Failed
from maker.task.load import journaled_task
from maker.task.task import Task


def verify(
    journal: str | Path,
    task: Task | None = None,
    progress: Callable[[int, int], None] | None = None,
    expect: str | None = None,
) -> Audit:
    """Re-check a journal from the file alone.

    task: needed when the journal's task is not a built-in one, since no code named by a journal is
    ever loaded. progress: called now and then with the steps checked and those there are. expect: a `head`
    that this journal once had; it still has it, or more, unless it is an older copy or was rewritten.
    Returns an Audit. Raises JournalError for a file that cannot be read, TaskError for a missing task.
    """
    summary = summarise(journal)
    if task is None and "roles" in summary.header:  # a solve, whose tree is grown again
        from maker.review.solve import recheck  # noqa: PLC0415 -- it stands on this module

        return recheck(journal, expect).audit
    try:
        checker = Checker(
            summary, task or journaled_task(summary.header, "the journal's task is {!r}, which"), progress
        )
    except SENSELESS as error:
        raise senseless(journal, "the header", error) from error
    problem = None
    complete, reached, answer = False, False, None
    expected = expect is None
    try:
        for head, record in read_chain(journal):
            expected = expected or head.hex() == expect
            item = decode(record)
            if isinstance(item, Wave):
                checker.take(item)
            else:
                checker.note(item)  # in the summary it made sense
        if not expected:
            raise Failed(f"its record chain never had the hash {expect}: an older copy, or it was rewritten")
        checker.checked += ["expected hash"] if expect else []
        checker.joins()
        complete, last = checker.end()
        if complete:
            checker.sequence()
            reached = checker.task.done(last)
            if reached:
                answer = checker.task.answer(last)
    except Failed as failed:
        problem = str(failed)
    finally:
        checker.close()
    solved = problem is None and complete and reached
    return Audit(summary, solved, complete, checker.wrong, answer, checker.checked, problem)
