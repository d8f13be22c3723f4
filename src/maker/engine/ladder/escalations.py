"""How the open steps of a run are tried again: which rung is next, and what it changes about the vote.

A change that was journaled is carried out from its note, by a live run and by a replay alike; so a resume is
tried as before, whatever its own ladder says, and only new trouble climbs that.

Seeds and numbers of draws follow from the step's branch and attempt alone, never from what other segments did
meanwhile: a run is the same however it is carried out.

Not covered: rungs (`rungs.py`), and stopping workers for a rollback (`engine/loop.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from maker.decision.address import ATTEMPTS, BRANCHES, ROUND, seed_key
from maker.decision.config import MOST_VOTES, Config
from maker.decision.method import Method
from maker.engine.front import Lane
from maker.engine.ladder.rungs import CONTESTED, Rung, Trouble, asked_of_wins, climb, trouble_of
from maker.journal.escalated import Change, Escalation
from maker.sending.budget.limits import Limits
from maker.task.task import Task, guarded

HOTTEST = 10.0  # the highest temperature that a change can ask for, as in Config


@dataclass(slots=True)
class _Tries:
    """What was tried at one step: rungs used, how often it began anew in its branch, the change in force."""

    rungs: tuple[str, ...] = ()
    attempt: int = 0
    change: Change = field(default_factory=Change)
    more: int = 1


_NONE = _Tries()


class Escalations:
    """The tries of one run. False as long as there are none.

    plain: the task is asked in its own words alone (a simulated model knows no others). counts: changes by rung,
    those of abandoned branches included. look: there are rungs that are asked about wins.
    """

    def __init__(self, task: Task, ladder: Sequence[Rung], limits: Limits, *, plain: bool) -> None:
        self._task, self._ladder, self._limits = task, ladder, limits
        self.look = asked_of_wins(ladder)
        self.counts: Counter[str] = Counter()
        self._tries: dict[int, _Tries] = {}
        finer = hasattr(task, "finer") and hasattr(task, "render")
        beside = {"paraphrases": hasattr(task, "paraphrases"), "finer": finer}
        self._offers = frozenset(name for name, there in beside.items() if there and not plain)
        self._fixed = frozenset(name for name in ("max_votes", "max_flags") if getattr(limits, name) is not None)

    def __bool__(self) -> bool:
        return bool(self._tries)

    def tried(self, step: int) -> bool:
        """Say whether a step is tried in another way than plainly, or was."""
        return step in self._tries

    def change(self, step: int) -> Change:
        """Return the change that is in force at a step."""
        return self._tries.get(step, _NONE).change

    def trouble(self, lane: Lane, reason: str) -> Trouble:
        """Say how an open step stands, in counts. Raises TaskError when the task's `sound` does."""
        sound = getattr(self._task, "sound", None)
        unsound = sound is not None and not guarded(sound, lane.index, "sound", lane.state)
        return self._trouble(lane, reason, unsound=unsound)

    def _trouble(self, lane: Lane, reason: str, *, unsound: bool = False) -> Trouble:
        assert lane.poll is not None, "only an open step is in trouble"
        return trouble_of(
            lane.poll, reason, tried=self._tries.get(lane.index, _NONE).rungs, offers=self._offers, fixed=self._fixed,
            decided=lane.index - lane.segment.start, unsound=unsound,
        )  # fmt: skip

    def doubt(self, lane: Lane) -> Escalation | None:
        """Return the look ahead that is due before a win counts; None where there is none to take. Raises TaskError."""
        poll = lane.poll
        if not self.look or poll is None or poll.looked or len(poll.tally.counts) < 2:
            return None
        found = climb(self.look, replace(self._trouble(lane, CONTESTED), tried=()))
        attempt = self._tries.get(lane.index, _NONE).attempt
        return None if found is None else Escalation(lane.index, lane.branch, attempt, found[0], CONTESTED, found[1])

    def next(self, lane: Lane, trouble: Trouble) -> Escalation | None:
        """Return what is tried next at a step in trouble, None at the end of the ladder. Raises TaskError."""
        found = climb(self._ladder, trouble)
        branch, attempt = lane.branch, self._tries.get(lane.index, _NONE).attempt
        if found is None or attempt + 1 == ATTEMPTS or branch + 1 == BRANCHES:
            return None
        rung, change = found
        if change.back:
            branch, attempt = branch + 1, 0
        elif not change.goes_on:
            attempt += 1
        return Escalation(lane.index, branch, attempt, rung, trouble.diagnosis, change)

    def take(self, found: Escalation) -> None:
        """Keep what a journaled change does to its steps."""
        self.counts[found.rung] += 1
        tries = self._tries.setdefault(found.step, _Tries())
        if found.reason != CONTESTED:  # of a win; should the vote come into trouble yet, all rungs are to be had
            tries.rungs += (found.rung,)
        if found.change.ahead:
            return
        tries.more = found.change.more
        for step in found.steps:
            tries = self._tries.setdefault(step, _Tries())
            tries.attempt, tries.more = found.attempt, found.change.more
            tries.change = replace(found.change, back=0)

    def begin_anew(self) -> None:
        """Forget all tries, as new settings have begun; the counts stay."""
        self._tries.clear()

    def method(self, plain: Method, lane: Lane, config: Config, epoch: int) -> tuple[Method, int]:
        """Return how a lane's next step is voted on, and the number of its first draw."""
        tries = self._tries.get(lane.index)
        if tries is None and not lane.branch:
            return plain, 0
        tries = tries or _NONE
        number = lane.branch * ATTEMPTS + tries.attempt
        change = tries.change
        warm = [None if t is None else min(t + change.warmer, HOTTEST)
                for t in (plain.temperature, plain.first_temperature)]  # fmt: skip
        votes, flags = self._most(plain.k, tries.more)
        changed: dict[str, Any] = {
            "key": seed_key(config.seed, epoch, number), "max_votes": votes, "max_flags": flags,
            "temperature": warm[0], "first_temperature": warm[1], "token_cap": plain.token_cap * change.longer,
        }  # fmt: skip
        return replace(plain, **changed), number * ROUND

    def go_on(self, lane: Lane) -> None:
        """Let an open race go on under the limits that its step has now."""
        assert lane.poll is not None, "only an open race goes on"
        lane.poll.go_on(*self._most(lane.poll.method.k, self._tries[lane.index].more))

    def _most(self, k: int, more: int) -> tuple[int, int]:
        """Return the most votes and flagged samples, `more` times the run's own limits."""
        limits = self._limits
        return min(limits.votes_for(k) * more, MOST_VOTES), min(limits.flags_for(k) * more, MOST_VOTES)
