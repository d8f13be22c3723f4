"""What the notes of a journal put in force, followed one by one: epochs, k, and the rounds that steps are voted in.

Each note has to follow from those before it: one header, at the start; epochs in order, all of one run; k chosen once
an epoch; and each escalation the next try of its step, or the next branch of its segment. What does not is `Failed`.

Not covered: whether a calibration or a rung chose well; of what was sent and paid for, all but the round of a reply.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from maker.decision.address import ATTEMPTS, round_of
from maker.decision.pool import Weights, turns_of
from maker.errors import Infeasible
from maker.journal.escalated import Ahead, Change, Escalation
from maker.journal.header import FIXED, FUNCTIONS
from maker.journal.notes import Calibration, Epoch, Note, Receipt
from maker.journal.views.items import is_map
from maker.review.checking.recount import Failed
from maker.theory.votes.tables import Table
from maker.theory.votes.weights import calibrated

_SAME = sorted(FIXED | {"run"})  # in all epochs of a journal


class Settings:
    """The settings in force. k: None until it is known. table: of margins, where there is one. weights: of a pool."""

    def __init__(self, starts: Sequence[int] = (0,)) -> None:
        """Begin before the first record. starts: the first step of each segment."""
        self.k: int | None = None
        self.table: Table | None = None
        self.weights: Weights = ()
        self._starts = starts
        self._number = -1  # of the epoch
        self._header: dict[str, Any] = {}
        self._attempts: dict[int, int] = {}  # by step
        self._branches: dict[int, int] = {}  # by segment
        self._looks: dict[int, Change] = {}  # by step, those ahead that are due

    @property
    def changed(self) -> bool:
        """Some step is, or was, voted on in a later round than its first."""
        return bool(self._attempts or self._branches)

    def segment_of(self, step: int) -> int:
        """Return the number of a step's segment."""
        return bisect_right(self._starts, step) - 1

    def round(self, step: int) -> int:
        """Return the round in which a step is voted on now."""
        return self._branches.get(self.segment_of(step), 0) * ATTEMPTS + self._attempts.get(step, 0)

    def look(self, note: Ahead) -> Change:
        """Return the change that a look ahead carries out. Raises Failed for a look that is not due."""
        if note.step not in self._looks or note.round != self.round(note.step):
            raise Failed(f"step {note.step} was looked ahead at in round {note.round}, where that was not due")
        return self._looks.pop(note.step)

    def take(self, note: Note) -> None:
        """Follow a note. Raises Failed for one that does not follow."""
        match note:
            case Epoch():
                self._begin(note)
            case Calibration():
                self._calibrated(note)
            case Escalation():
                self._escalated(note)
                if note.change.ahead:
                    self._looks[note.step] = note.change
            case Receipt(address=at) if at.run == self._header.get("run"):
                if round_of(at.draw) > self.round(at.step):
                    raise Failed(f"step {at.step}: a reply came in round {round_of(at.draw)}, which no note begins")

    def _begin(self, epoch: Epoch) -> None:
        self._number += 1
        if epoch.number != self._number:
            raise Failed(f"epoch {epoch.number} of the settings stands where epoch {self._number} was due")
        for name in _other(self._header, epoch.header) if self._number else ():
            raise Failed(f"epoch {epoch.number} is of another run: its {name} differs from that of the header")
        self._header, self.k, self.table, self.weights = epoch.header, epoch.k, None, epoch.weights
        if epoch.k is not None and epoch.header.get("weights") == "calibrated":
            raise Failed(f"epoch {epoch.number} of the settings leaves weights to a calibration, and k to none")
        turns = len(turns_of(epoch.header.get("model")))
        if len(self.weights) not in (0, turns):
            raise Failed(
                f"epoch {epoch.number} of the settings has {len(self.weights)} weights, its pool {turns} turns"
            )
        self._attempts.clear()
        self._looks.clear()

    def _calibrated(self, found: Calibration) -> None:
        if self._number < 0 or self.k is not None:
            raise Failed("a calibration stands where k was known, or before the header")
        flagged = sum(found.flags.values())
        if found.wrong > found.valid or found.valid + flagged != found.draws or found.k < 1:
            raise Failed(f"a calibration of {found.draws} draws has {found.valid} valid ones, {found.wrong} of them "
                         f"wrong, {flagged} flagged, and chose k = {found.k}")  # fmt: skip
        if bool(found.table) != (self._header.get("k") == "table"):
            raise Failed("a calibration has a table of margins and its header does not ask for one, or the reverse")
        self.k, self.table, self.weights = found.k, found.margins(), self._weighed(found)

    def _weighed(self, found: Calibration) -> Weights:
        """Return the weights that go with a calibration: the header's, or what its counts of wrong draws make."""
        asked, turns = self._header.get("weights", []), turns_of(self._header.get("model"))
        if found.weights and asked == "calibrated":
            try:
                asked = list(calibrated(found.weights["models"], turns))
            except Infeasible as error:
                raise Failed(f"a calibration made weights of what allows none: {error}") from None
        if list(found.by_turn()) != asked:
            raise Failed(f"a calibration has the weights {list(found.by_turn())}, where {asked} were due")
        return found.by_turn()

    def _escalated(self, found: Escalation) -> None:
        segment = self.segment_of(found.step)
        branch, attempt = self._branches.get(segment, 0), self._attempts.get(found.step, 0)
        due = (branch + 1, 0) if found.change.back else (branch, attempt + (not found.change.goes_on))
        if (found.branch, found.attempt) != due or self.segment_of(found.step - found.change.back) != segment:
            raise Failed(f"step {found.step}: an escalation begins branch {found.branch}, attempt {found.attempt}, "
                         f"where branch {due[0]}, attempt {due[1]} was due")  # fmt: skip
        if found.change.back:
            self._branches[segment] = found.branch
            self._attempts = {step: tried for step, tried in self._attempts.items() if step not in found.steps}
            self._looks.pop(found.step, None)
        else:
            self._attempts[found.step] = found.attempt


def _other(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return what makes a header that of another run. A map may get more items, or another function."""
    changed = [name for name in _SAME if now.get(name) != before.get(name)]
    if not is_map(before) or not isinstance(now.get("parameters"), dict):
        return changed
    grown = (now.get("steps") or 0) > (before.get("steps") or 0)
    free = FUNCTIONS | {"prompts", "paraphrases"} if grown else FUNCTIONS
    told, tells = before["parameters"], now["parameters"]
    same = all(name in free or told.get(name) == tells.get(name) for name in {**told, **tells})
    may = {name for name, can in (("parameters", same), ("steps", grown), ("segments", grown)) if can}
    return [name for name in changed if name not in may]
