"""Trips: an edit and its inverse in two fresh calls, again and again, in the arms that are compared.

A whole ledger a call, or a record a call; with or without red flags on what an edit does not change (how many records,
which, and the form it asks for); once or by a vote. Where no reply has a vote, or none wins, the edit is refused, and
the records stay as they were before the trip: that is said, and no error.

Not covered: what is drawn and told of it (`relay.py`).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from maker.decision.race import Ballot, first_to_ahead
from maker.experiments.relaying.documents import Record, edits, read, similarity
from maker.experiments.relaying.editors import Editor, Job, Reply

MOST_VOTES, MOST_FLAGGED = 12, 3  # of one edit
CRITICAL = 0.1  # lost in one trip

Small = Collection[tuple[int, bool]]  # edits, and whether back
Units = Generator[list[Job], list[Reply], "list[Record] | None"]
Voting = Generator[list[Job], list[Reply], "bytes | None"]


@dataclass(slots=True, frozen=True)
class Arm:
    """How edits are asked for: the whole ledger a call or a record, with flags or without, by a vote or once.

    finer: whether edits that an estimate does not trust are made by small questions.
    """

    name: str
    whole: bool
    flags: bool
    votes: bool = False
    finer: bool = False


ARMS = (
    Arm("A: whole ledger a call", whole=True, flags=False),
    Arm("B: A and red flags", whole=True, flags=True),
    Arm("C: one record a call", whole=False, flags=True),
    Arm("D: C and a vote", whole=False, flags=True, votes=True),
    Arm("E: D, finer where an estimate says so", whole=False, flags=True, votes=True, finer=True),
)


@dataclass(slots=True)
class Run:
    """What a ledger went through. scores, intact: similarity and share of exact records after each trip.

    k: votes that a winner is ahead, 1 for a single reply.
    """

    model: str
    form: str
    arm: str
    number: int
    records: int
    k: int
    scores: list[float] = field(default_factory=list)
    intact: list[float] = field(default_factory=list)
    trips: int = 0  # of the whole ledger, or of its records together
    refused: int = 0  # of these
    lost: int = 0  # records that are gone in the end
    changed: int = 0  # those that are there, and not as they were
    calls: int = 0
    tokens: int = 0

    @property
    def drops(self) -> list[float]:
        """What each trip lost."""
        return [before - after for before, after in zip([1.0, *self.scores], self.scores, strict=False)]


def relayed(run: Run, arm: Arm, original: list[Record], trips: int, editor: Editor, small: Small) -> Run:
    """Send a ledger on so many trips, and fill in the run. small: edits that are made by questions."""
    units = [original] if arm.whole else [[record] for record in original]
    order = edits(run.form).order
    for trip in range(trips):
        edit = order[trip % len(order)]
        paths = [_trip(run, unit, edit, arm, small) for unit in units]
        after = _driven(paths, editor, run)
        run.trips += len(units)
        run.refused += sum(now is None for now in after)
        units = [unit if now is None else now for unit, now in zip(units, after, strict=True)]
        now = [record for unit in units for record in unit]
        run.scores.append(similarity(original, now))
        texts = {json.dumps(record) for record in now}
        run.intact.append(sum(json.dumps(record) in texts for record in original) / len(original))
    there = {record["id"] for unit in units for record in unit}
    run.lost = sum(record["id"] not in there for record in original)
    run.changed = round((1 - run.intact[-1]) * len(original)) - run.lost
    return run


def _driven(paths: Sequence[Units], editor: Editor, run: Run) -> list[list[Record] | None]:
    """Let all paths ask at once, round by round, and return what each ends with."""
    found: list[list[Record] | None] = [None] * len(paths)
    wanted = {at: next(path) for at, path in enumerate(paths)}
    while wanted:
        replies = iter(editor([job for jobs in wanted.values() for job in jobs]))
        asked, wanted = wanted, {}
        for at, jobs in asked.items():
            mine = [next(replies) for _ in jobs]
            run.calls += len(mine)
            run.tokens += sum(reply.tokens for reply in mine)
            try:
                wanted[at] = paths[at].send(mine)
            except StopIteration as ended:
                found[at] = ended.value
    return found


def _trip(run: Run, unit: list[Record], edit: int, arm: Arm, small: Small) -> Units:
    """Edit a unit there and back; return None where an edit was refused."""
    now: list[Record] | None = unit
    for back in (False, True):
        if now is None:
            break
        fine = arm.finer and (edit, back) in small
        way = _finely(now[0], run, edit, back=back) if fine else _edited(now, run, edit, arm, back=back)
        now = yield from way
    return now


def _edited(unit: list[Record], run: Run, edit: int, arm: Arm, *, back: bool) -> Units:
    """Edit a unit in one reply, by a vote where the arm has one."""
    form = run.form
    job = job_of(unit, form, edit, back=back, whole=arm.whole)

    def ballot(reply: Reply) -> Ballot:
        return accepted(unit, read(reply.text, form), form, edit, back=back) if arm.flags else reply.text.encode()

    won = yield from _voted(job, run.k, ballot)
    if won is None:
        return None
    return [dict(one) for one in json.loads(won)] if arm.flags else read(won.decode(), form)


def job_of(unit: list[Record], form: str, edit: int, *, back: bool, whole: bool) -> Job:
    """Return the request to edit these records."""
    known = edits(form)
    return Job(
        "ledger" if whole else "record", form, known.name(edit, back=back), known.asked(unit, edit, back=back),
        lambda: [known.right(record, edit, back=back) for record in unit], len(unit),
    )  # fmt: skip


def accepted(before: list[Record], after: list[Record], form: str, edit: int, *, back: bool) -> bytes | None:
    """Return the vote for edited records; None where a flag sees that they cannot be right."""
    known = edits(form)
    whole = len(before) == len(after) and all(
        known.fits(one, other, edit, back=back) for one, other in zip(before, after, strict=True)
    )
    return json.dumps(after).encode() if whole else None


def _finely(record: Record, run: Run, edit: int, *, back: bool) -> Units:
    """Edit a record by small questions, each voted on."""
    for small in edits(run.form).finer(edit, back=back):
        job = Job("question", "JSON", small.kind, small.asked(record), functools.partial(small.right, record), 0)
        won = yield from _voted(job, run.k, functools.partial(_small_ballot, small, record))
        if won is None:
            return None
        record = small.put(record, won.decode())
    return [record]


def _small_ballot(small: Any, record: Record, reply: Reply) -> Ballot:
    """Return the vote of a reply to a small question; None where it has not the form that was asked for."""
    said = reply.text.strip().strip("`*").strip()
    try:
        return said.encode() if small.fits(record, said) else None
    except (ValueError, KeyError):
        return None


def _voted(job: Job, k: int, ballot: Callable[[Reply], Ballot]) -> Voting:
    """Draw replies to a job until one is ahead by k; return its ballot, None where none wins."""
    race = first_to_ahead(k, MOST_VOTES, MOST_FLAGGED)
    need = next(race)
    while True:
        replies = yield [job] * need
        try:
            need = race.send([ballot(reply) for reply in replies])
        except StopIteration as ended:
            winner: bytes | None = ended.value.winner
            return winner
