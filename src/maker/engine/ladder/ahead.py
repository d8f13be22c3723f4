"""A look ahead at a contested step, to see where its foremost answers lead.

Each of them is applied, and rolled on: the model is asked for the next step there, three draws, of which the most
frequent legal answer is applied in turn, and so on. A roll falls where the task's `sound` speaks against a state, where
all draws of a step are illegal, or where the task ends short of its goal. The answer *stands* as soon as one of its
rolls comes as far as was asked, or reaches the goal; it *falls* when the third of them has fallen, because a roll may
also fall over an error that the model makes on the way. Where a step brings no legal answer for another reason nothing
is known, and then none is barred.

Only rules are asked (`legal`, `apply`, `sound`, `done`), never a truth. A live look and one of a journal go through the
same code. LEAD (arXiv 2603.06870) looks ahead in the same places, for the same reason.

Not covered: when a look is due (`rungs.py`); an error that leads to no broken state within so many steps: it stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from maker.decision.address import ROUND, Address, key_ahead, round_of
from maker.decision.ending import Stop
from maker.decision.poll import Poll
from maker.decision.sample import Sample
from maker.decision.step import Rules
from maker.decision.wave import Wave
from maker.engine.front import Lane
from maker.errors import JournalError
from maker.journal.escalated import FALLS, STANDS, UNKNOWN, Ahead, Rolled, ahead_run
from maker.sending.account import Account
from maker.sending.dispatcher import Dispatcher
from maker.task.prompt import render
from maker.task.task import Task, guarded

DRAWS = 3  # of a rolled step; so many illegal ones, and no legal one, are a dead end
TRIES = 3  # rolls of an answer that has to fall
SPAN = 16  # numbers of draws that a step has in each of them
MOST = 9  # of a rolled step that brings nothing legal: then nothing is known


class Roll:
    """One answer of an open step on its way ahead.

    candidate: its number. end: how that ended, "" as long as it is under way. waves: what was drawn. asked: steps.
    """

    def __init__(self, task: Task, rules: Rules, lane: Lane, candidate: int) -> None:
        assert lane.poll is not None and lane.look is not None, "only an open step is looked ahead at"
        before, method = lane.poll, lane.poll.method
        self.candidate, self.end = candidate, ""
        self.waves: list[Wave] = []
        self.asked = 0
        self._task, self._rules, self._ahead = task, rules, lane.look.ahead
        self._start, self._tries = lane.index + 1, 0
        self._first = round_of(before.first) * ROUND
        self._method = replace(
            method, run=ahead_run(method.run, lane.index, candidate), key=key_ahead(method.key, lane.index, candidate),
            k=DRAWS, table=None, weights=(), max_votes=MOST, max_flags=MOST, first_temperature=None, keep="all",
        )  # fmt: skip
        reading = before.readings[candidate]
        if before.step.allows(reading):
            self._entry = before.step.after(reading)
            self._arrive(self._start, self._entry)
        else:
            self.end = FALLS

    @property
    def run(self) -> str:
        """The name under which its draws are addressed."""
        return self._method.run

    @property
    def poll(self) -> Poll:
        """The rolled step that is asked now; its prompt is written."""
        poll = self._poll
        if poll.prompt is None:
            poll.prompt = render(self._task, poll.step.state, poll.step.index)
        return poll

    def take(self, samples: Sequence[Sample]) -> None:
        """Take the next wave, live."""
        self.waves.append(self._poll.take(samples))
        self._look()

    def replay(self, wave: Wave) -> None:
        """Take the next wave of a journal. Raises JournalError for one that does not follow."""
        if self.end or wave.step != self._poll.step.index:
            raise JournalError(f"step {wave.step} was rolled where that was not due: the journal is damaged or forged.")
        self._poll.replay(wave)
        self.waves.append(wave)
        self._look()

    def _look(self) -> None:
        """Go on from what the last wave brought."""
        poll = self._poll
        legal = [reading for reading in poll.readings if poll.step.allows(reading)]
        if legal:
            best = max(legal, key=lambda reading: poll.tally.counts[reading.key or b""])
            self._arrive(poll.step.index + 1, poll.step.after(best))
        elif poll.flags.get("illegal", 0) + poll.tally.total >= DRAWS:
            self._fall()
        elif poll.over:
            self.end = UNKNOWN

    def _arrive(self, step: int, state: Any) -> None:
        """Look at the state before a step; ask for that step, or end."""
        sound, ends = getattr(self._task, "sound", None), self._task.steps
        if sound is not None and not guarded(sound, step, "sound", state):
            self._fall(certain=step == self._start)
            return
        reached = step == ends or ends is None
        reached = reached and bool(guarded(self._task.done, step, "done", state))
        if step == ends and not reached:
            self._fall(certain=step == self._start)
        elif reached or step == self._start + self._ahead:
            self.end = STANDS
        else:
            self._ask(step, state)

    def _fall(self, *, certain: bool = False) -> None:
        """Roll once more from the answer's own state, or end. certain: another roll would be the same."""
        self._tries += 1
        if certain or self._tries == TRIES:
            self.end = FALLS
        else:
            self._ask(self._start, self._entry)

    def _ask(self, step: int, state: Any) -> None:
        self.asked += 1
        first = self._first + self._tries * SPAN
        self._poll = Poll.of(self._method, self._rules, step, state, first=first)


class Lookout:
    """Looks ahead in one run."""

    def __init__(self, task: Task, rules: Rules, account: Account) -> None:
        self._task, self._rules, self._account = task, rules, account

    async def look(self, lane: Lane, sender: Dispatcher) -> tuple[Ahead, int]:
        """Roll the foremost answers of a lane's step; return what came of it, and how many steps were asked.

        Raises what `draw` does, but for a request that always fails: then nothing is known. On failure and
        cancellation the vote is as it was, and a resume draws the same.
        """
        rolls, came = self._begin(lane), dict[Address, Sample]()
        try:
            while under_way := [roll for roll in rolls if not roll.end]:
                await self._wave(under_way, sender, came)
        except BaseException:
            self._account.keep_unjudged(came, durable=sender.receipts is not None)
            raise
        found = Ahead(lane.index, round_of(_of(lane).first), [Rolled(r.candidate, r.end, r.waves) for r in rolls])
        for roll in rolls:
            for wave in roll.waves:
                self._account.judged(wave, roll.run)
        _settle(lane, found)
        return found, sum(roll.asked for roll in rolls)

    def replay(self, found: Ahead, run: str, lane: Lane | None, *, void: bool) -> int:
        """Take a look that the journal of a run holds; return how many steps were asked.

        lane: that of its step. void: the step was rolled back since, and the look counts as paid alone. Raises
        JournalError for a look that is not due, or does not follow from the vote and the rules.
        """
        if not void and (lane is None or lane.look is None):
            raise JournalError(f"step {found.step} was looked ahead at where that was not due: damaged or forged.")
        for rolled in found.rolls:
            for wave in rolled.waves:
                self._account.replayed(wave, found.run(run, rolled.candidate))
        if lane is None:
            return len({(rolled.candidate, wave.step) for rolled in found.rolls for wave in rolled.waves})
        rolls = self._begin(lane)
        if [roll.candidate for roll in rolls] != [rolled.candidate for rolled in found.rolls]:
            raise JournalError(f"step {found.step}: other answers were rolled ahead than were foremost in the vote.")
        for roll, rolled in zip(rolls, found.rolls, strict=True):
            for wave in rolled.waves:
                roll.replay(wave)
            if rolled.end not in (UNKNOWN, roll.end):
                raise JournalError(
                    f"step {found.step}: the task's rules say of a look ahead that it {roll.end or 'goes on'}, the "
                    f"journal that it {rolled.end}. Were they changed? Resume with the same code."
                )
        _settle(lane, found)
        return sum(roll.asked for roll in rolls)

    def _begin(self, lane: Lane) -> list[Roll]:
        poll, look = _of(lane), lane.look
        assert look is not None, "a look is due"
        votes = [poll.tally.counts.get(reading.key or b"", 0) for reading in poll.readings]
        foremost = sorted((n for n, count in enumerate(votes) if count), key=lambda n: -votes[n])[: look.top]
        return [Roll(self._task, self._rules, lane, candidate) for candidate in foremost]

    async def _wave(self, rolls: list[Roll], sender: Dispatcher, came: dict[Address, Sample]) -> None:
        """Draw the next wave of rolls that are under way."""
        asked = [roll.poll.requests() for roll in rolls]
        requests = [request for part in asked for request in part]
        try:
            samples = await sender.draw(requests)
        except Stop as stop:
            if stop.limit != "poison":
                raise
            for roll in rolls:
                self._account.forget_step(roll.run, roll.poll.step.index)
                roll.end = UNKNOWN
            return
        came.update(zip([request.address for request in requests], samples, strict=True))
        at = 0
        for roll, part in zip(rolls, asked, strict=True):
            roll.take(samples[at : at + len(part)])
            at += len(part)


def _of(lane: Lane) -> Poll:
    assert lane.poll is not None, "a step that is looked ahead at is open"
    return lane.poll


def _settle(lane: Lane, found: Ahead) -> None:
    """Take the votes of what fell; the look is over."""
    _of(lane).bar(found.fallen)
    lane.look = None
