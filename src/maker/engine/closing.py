"""How a run went, said once it has ended: to the caller, and in the journal.

Not covered: what a person sees of it (`cli/screen.py`).
"""

from __future__ import annotations

from maker.engine.course import Course
from maker.engine.result import RunResult
from maker.log import log
from maker.task.task import guarded

_KEPT = ("solved", "stopped", "detail", "wrong", "answer", "seconds")  # what the journal keeps of it


def close(course: Course, seconds: float) -> RunResult:
    """Return how a run went, and note it; everything it counts is committed first. Raises TaskError, JournalError."""
    stop, usage, front, senders = course.stop, course.usage, course.front, course.senders
    solved, answer, detail, exit_code = False, None, "", 0
    if stop is not None:
        detail, exit_code = str(stop), stop.exit_code
    elif front.done(front.last_state, front.steps):
        solved, answer = True, guarded(course.task.answer, None, "answer", front.last_state)
    else:
        exit_code = 1
        detail = f"all {front.steps} steps are decided, but the goal is not reached: a wrong step won."
    log.info("run.close", run=course.header["run"], solved=solved, stopped=stop.kind if stop else None)
    score = front.score
    graded = score.wrong is not None
    paid = any(not sender.traits.lockstep for sender in senders)
    journal = course.journal
    result = RunResult(
        solved=solved, answer=answer, steps=front.steps, state=front.state(), usage=usage, wrong=score.wrong,
        first_wrong=score.first_wrong if graded else None, collisions=score.collisions if graded else None,
        samples=usage.voted + usage.flagged, flagged=usage.flagged, flags=dict(usage.flags), waves=score.waves,
        stopped=stop.kind if stop else None, detail=detail, exit_code=exit_code, journal=journal.path,
        state_digest=front.fold.state_digest.hex(), chain=front.fold.chain, replayed=course.replayed,
        seconds=seconds, k=course.method.k if course.method else None, segments=len(course.plan.segments),
        simulated=senders.simulated, model=course.header["model"], cost=usage.cost if senders.priced else None,
        epochs=course.epoch, escalations=dict(course.escalations.counts), abandoned=course.abandoned,
        independence=course.receipts.independence if paid and not senders.simulated else "",
        calibration=course.calibration.as_note() if course.calibration else None,
        task=course.task, _book=journal if journal.path is None else None,
    )  # fmt: skip
    if front.steps > course.replayed or not course.closed or course.closed["stopped"] != result.stopped:
        said = result.as_json()
        course.note({"close": {key: said[key] for key in _KEPT}})
    journal.flush()
    return result
