"""Plain waves of consecutive steps checked together: nearly all of a long run, without a race for each.

By its bytes a plain wave has draws for one answer alone (`journal/bulk/plain.py`). It decides its step if they are as
many as k, in the step's first round, and nothing else was drawn for that. Its text is read, its answer asked to be
legal and applied, and both hashes are made again, as of any other step; so is the comparison with the truth. Whatever
does not hold is given to the general check, which finds it once more and says what it is.

Not covered: all other records (`checker.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from maker.decision.wave import step_hash
from maker.journal.bulk.plain import Row, Run
from maker.task.canonical import DIGEST_SIZE, canonical, digest

if TYPE_CHECKING:
    from maker.review.checking.checker import Checker


def take_run(checker: Checker, run: Run) -> None:
    """Check the waves of a run. Raises Failed for what does not hold, TaskError where the task's code does."""
    at, count = 0, len(run)
    while at < count:
        taken = _take(checker, run.first + at, run.rows, at)
        if not taken:
            checker.take(run.wave(at))
        at += taken or 1


def _take(checker: Checker, step: int, rows: Sequence[Row], at: int) -> int:
    """Check steps of one segment by the rows from a place on, the first of which is of a step; return how many."""
    settings = checker.settings
    if settings.k is None or settings.table is not None or settings.weights:
        return 0
    try:
        number, state = checker.due(step)
    except Exception:  # noqa: BLE001 -- here and below: the general check meets it again
        return 0
    stop = checker.plan.segments[number].stop  # where it is not known, the task is asked after each step
    theirs = rows[at : at + (1 if stop is None else stop - step)]
    count, state = _walk(checker, step, state, theirs)
    if count:
        checker.at[number] = (step + count, state)
        if hasattr(checker.task, "check"):
            for there, (text, _, _) in enumerate(theirs[:count], step):
                checker.winners.add(there, text)
        checker.decided(count)
    return count


def _walk(checker: Checker, step: int, state: Any, rows: Sequence[Row]) -> tuple[int, Any]:
    """Return how many consecutive steps are as their rows say, and the state after them."""
    task, settings, abandoned = checker.task, checker.settings, checker.summary.abandoned
    parse, legal, apply, truth = task.parse, task.legal, task.apply, getattr(task, "truth", None)
    reads, k, began = checker.reads, settings.k, step
    changed = bool(abandoned or checker.open or settings.changed)
    for text, draws, verdict in rows:
        if draws != k or (changed and _apart(checker, step)):
            break
        try:
            answer = parse(text.decode("utf-8", "surrogatepass"))
            key = canonical(answer) if reads else text
            if not legal(state, answer):
                break
            after = apply(state, answer)
            digested = digest(canonical(after))
            hashed = verdict[:DIGEST_SIZE]
            if verdict[DIGEST_SIZE:] != digested or (reads and step_hash(step, key, digested) != hashed):
                break
            if truth is not None:
                right = truth(state, step)
                if answer != right and key != canonical(right):
                    break
        except Exception:  # noqa: BLE001
            break
        step += 1
        state = after
    return step - began, state


def _apart(checker: Checker, step: int) -> bool:
    """Say whether something else is known of a step: it was rolled back, is open, or is tried in another way."""
    return checker.summary.abandoned.covers(step, 0) or (step, 0) in checker.open or checker.settings.round(step) != 0
