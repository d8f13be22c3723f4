"""A look ahead recounted: that the answers that were rolled are the foremost ones, and that each roll ended as it says.

Every step of every roll is counted again from its recorded draws, its texts read, and its most frequent legal answer
applied, by code that the engine does not share. A roll of which nothing is known is followed as far as it went.

Not covered: whether a flag of a rolled draw was right, as in every recount.
"""

from __future__ import annotations

from typing import Any

from maker.decision.wave import FLAGGED, Wave
from maker.journal.escalated import FALLS, STANDS, UNKNOWN, Ahead, Change, Rolled
from maker.review.checking.recount import Failed, Race
from maker.task.canonical import canonical
from maker.task.task import Task

ILLEGAL = 3  # draws of a step without a legal one that are a dead end
ROLLS = 3  # of an answer that has to fall
NUMBERS = 16  # of draws that a step has in each of them


def recount_ahead(note: Ahead, change: Change, race: Race, task: Task, state: Any) -> None:
    """Check a look ahead. race: the vote as it stands; state: that before its step. Raises Failed."""
    rolled = [roll.candidate for roll in note.rolls]
    if rolled != race.foremost(change.top):
        raise Failed(f"{race.name}: {rolled} were rolled ahead, and {race.foremost(change.top)} have the most votes")
    for roll in note.rolls:
        end = _walk(roll, race, task, note.step, state, change.ahead)
        if roll.end not in (UNKNOWN, end):
            raise Failed(f"{race.name}: the look ahead at candidate {roll.candidate} {end}, the note says {roll.end}")


def _walk(roll: Rolled, race: Race, task: Task, step: int, state: Any, most: int) -> str:
    """Follow the rolls of an answer; return how they ended."""
    answer = race.first[roll.candidate].answer
    if not task.legal(state, answer):
        return FALLS
    entry, waves, end = task.apply(state, answer), list(roll.waves), ""
    for number in range(ROLLS):
        begun = len(waves)
        end = _once(waves, race, number, task, step, entry, most)
        if end != FALLS or len(waves) == begun:
            break
    if waves:
        raise Failed(f"{race.name}: a look ahead at candidate {roll.candidate} went on after its end")
    return end


def _once(waves: list[Wave], race: Race, number: int, task: Task, step: int, state: Any, most: int) -> str:
    """Follow one roll, and take its waves off the front; return how it ended."""
    for ahead in range(1, most + 2):
        end = _seen(task, step + ahead, state, last=ahead > most)
        if end:
            return end
        at = Race(f"{race.name}, {ahead} ahead", 2**16, race.round, drawn=number * NUMBERS)
        found = _voted(waves, at, step + ahead, task, state)
        if isinstance(found, str):
            return found
        (state,) = found
    return UNKNOWN


def _seen(task: Task, step: int, state: Any, *, last: bool) -> str:
    """Return how a roll ends in a state, "" where it goes on."""
    if hasattr(task, "sound") and not task.sound(state):
        return FALLS
    if step == task.steps:
        return STANDS if task.done(state) else FALLS
    return STANDS if last or (task.steps is None and task.done(state)) else ""


def _voted(waves: list[Wave], race: Race, step: int, task: Task, state: Any) -> str | tuple[Any]:
    """Take a step's waves off the front; return how the roll ended there, or (the state that follows,)."""
    answers: dict[int, Any] = {}
    illegal = 0
    while waves and waves[0].step == step and not _legal(answers, task, state):
        if illegal + race.votes.total() >= ILLEGAL:
            break  # the next wave is the next roll's
        wave = waves.pop(0)
        for candidate, text in race.ballots(wave):
            if candidate != FLAGGED and candidate not in answers:
                answers[candidate] = task.parse((race.texts[text] or b"").decode("utf-8", "surrogatepass"))
        illegal += sum(facts.get("flag") == "illegal" for facts in wave.extras.values())
    if len({canonical(answer) for answer in answers.values()}) < len(answers):
        raise Failed(f"{race.name}: two candidates are the same answer")
    if legal := _legal(answers, task, state):
        return (task.apply(state, answers[max(legal, key=lambda candidate: (race.votes[candidate], -candidate))]),)
    return FALLS if illegal + race.votes.total() >= ILLEGAL else UNKNOWN


def _legal(answers: dict[int, Any], task: Task, state: Any) -> list[int]:
    return [candidate for candidate, answer in answers.items() if task.legal(state, answer)]
