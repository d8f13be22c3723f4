"""Every kind of note that a journal holds, beside the waves: its fields, and its one reader.

An `Escalation` is one change at one step that did not decide, `Change` what it changes. `Abandoned` says what
rollbacks have left behind: it stays in the journal, is paid for, and counts no more; that is known from the notes
alone, whatever the order in which waves are read. A `Calibration` is what was seen before the first step.

Not covered: their bytes (`records.py`), and what a run makes of them (`engine/course.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from maker.decision.address import ATTEMPTS, ROUND
from maker.decision.wave import Wave
from maker.errors import Infeasible, JournalError
from maker.journal.records import NOTE, decode
from maker.theory.evidence import Evidence
from maker.theory.planner import Projection, project

if TYPE_CHECKING:
    from maker.sending.usage import Usage

# What the engine relies on in each kind of note.
_NOTES: dict[str, tuple[str, ...]] = {
    "header": ("version", "run", "task", "steps", "model", "k", "segments"),
    "calibration": ("draws", "valid", "wrong", "tokens_in", "tokens_out", "flags", "against", "k"),
    "usage": ("failed", "cancelled", "lost_in", "lost_out"),
    "epoch": ("number", "changed", "header"),
    "reserve": ("run", "step", "draws", "tokens", "cost"),
    "sample": ("run", "step", "draw", "spent"),
    "failure": ("run", "step", "draw", "detail", "spent"),
    "change": ("what", "from", "to"),
    "escalation": ("step", "branch", "attempt", "rung", "reason", "change"),
    "close": ("solved", "stopped", "detail", "wrong", "answer", "seconds"),
}


def check_note(note: dict[str, Any], path: object) -> None:
    """Raise JournalError for a note that lacks what its kind must have."""
    for kind, names in _NOTES.items():
        if kind in note:
            content = note[kind]
            if not isinstance(content, dict) or not all(name in content for name in names):
                raise JournalError(f"{path}: a {kind} note lacks some of {', '.join(names)}: it is damaged or forged.")


@dataclass(slots=True, frozen=True)
class Change:
    """How a step is tried again. What is not named stays as the run has it, k and the red flags always.

    more: times the limits of votes and flagged samples. warmer: added to the temperature. longer: times the
    tokens that a reply may have. paraphrase: ask in the task's views. model: the name of another one. finer:
    let the task split the step. back: decided steps of the segment to give up first, and to plan again.
    """

    more: int = 1
    warmer: float = 0.0
    longer: int = 1
    paraphrase: bool = False
    model: str | None = None
    finer: bool = False
    back: int = 0

    @property
    def goes_on(self) -> bool:
        """The race goes on with the votes that it has; otherwise it begins anew, with draws of its own."""
        return self == Change(more=self.more)

    def as_note(self) -> dict[str, Any]:
        """Return what differs from a plain vote, as the journal keeps it."""
        return {name: value for name, value in asdict(self).items() if value != _PLAIN[name]}


_PLAIN = {field.name: field.default for field in fields(Change)}

UNKNOWN_STEPS = 1_000_000  # planned for where a task cannot say how long it is


@dataclass(slots=True, frozen=True)
class Calibration:
    """What the calibration saw, and the k it chose.

    draws: all; valid ones of these, wrong ones of these, erring steps drawn again included; flags by kind.
    steps, erred: one draw a step, and how many of these were wrong; p, p_plan, rho, rho_low, rho_high: what
    follows from `evidence` (`Evidence`, as the journal keeps it). against: "truth" or "agreement".
    """

    draws: int
    valid: int
    wrong: int
    tokens_in: int
    tokens_out: int
    flags: dict[str, int]
    against: str
    k: int = 0
    steps: int = 0
    erred: int = 0
    p: float = 0.0
    p_plan: float = 0.0
    rho: float = 0.0
    rho_low: float = 0.0
    rho_high: float = 1.0
    evidence: dict[str, Any] = field(default_factory=dict)

    def as_note(self) -> dict[str, Any]:
        """Return it as the journal keeps it."""
        return asdict(self)

    def book(self, usage: Usage) -> None:
        """Add the draws of an earlier process to the account."""
        usage.dispatched += self.draws
        usage.voted += self.valid
        usage.flagged += self.draws - self.valid
        usage.tokens_in += self.tokens_in
        usage.tokens_out += self.tokens_out
        usage.flags.update(self.flags)

    def project(self, steps: int | None, target: float) -> Projection:
        """Return the plan for a run of `steps` steps. Raises Infeasible when hardly a sample could vote."""
        return project(Evidence(**self.evidence), steps or UNKNOWN_STEPS, target)

    def choose(self, steps: int | None, target: float) -> int:
        """Return k for the whole run. Raises Infeasible when the evidence forbids voting."""
        try:
            plan = self.project(steps, target)
        except Infeasible as error:
            raise Infeasible(f"calibration: {error}") from None
        if plan.k is None:
            raise Infeasible(f"calibration: {plan.reason} --k N runs all the same.")
        return plan.k


_MARK = b'{"escalation"'


class RolledBack(Exception):
    """Steps were rolled back: what follows from the journal must be read anew, knowing that."""


@dataclass(slots=True, frozen=True)
class Escalation:
    """One change at one step: the branch and attempt that it begins, the rung, the trouble, and what is changed."""

    step: int
    branch: int
    attempt: int
    rung: str
    reason: str
    change: Change

    @classmethod
    def of(cls, note: dict[str, Any]) -> Escalation:
        """Return what a journaled note says. Raises JournalError for one that contradicts itself."""
        said = note["escalation"]
        try:
            step, branch, attempt = (int(said[name]) for name in ("step", "branch", "attempt"))
            change = Change(**said["change"])
            sound = min(branch, attempt) >= 0 and 0 <= change.back <= step and min(change.more, change.longer) >= 1
        except (TypeError, ValueError, KeyError) as error:
            raise JournalError(f"an escalation note contradicts itself: {error!r}. It is damaged or forged.") from None
        if not sound:
            raise JournalError(f"an escalation note contradicts itself: {said}. It is damaged or forged.")
        return cls(step, branch, attempt, str(said["rung"]), str(said["reason"]), change)

    def as_note(self) -> dict[str, Any]:
        """Return it as the journal keeps it."""
        return {"escalation": {
            "step": self.step, "branch": self.branch, "attempt": self.attempt, "rung": self.rung,
            "reason": self.reason, "change": self.change.as_note(),
        }}  # fmt: skip

    @property
    def round(self) -> int:
        """The number of the round that begins."""
        return self.branch * ATTEMPTS + self.attempt

    @property
    def steps(self) -> range:
        """The steps that begin anew with it; none where the race goes on."""
        if self.change.goes_on:
            return range(0)
        return range(self.step - self.change.back, self.step + 1)


class Abandoned:
    """What rollbacks have left behind. False when there was none."""

    def __init__(self, escalations: Iterable[Escalation] = ()) -> None:
        self._spans = [(found.steps.start, found.step, found.branch) for found in escalations if found.change.back]

    @classmethod
    def of(cls, records: Iterable[bytes]) -> Abandoned:
        """Return what all rollbacks of a journal leave behind. Raises JournalError for a damaged note."""
        found = []
        for record in records:
            if record[0] == NOTE and record.startswith(_MARK, 1):
                note = decode(record)
                assert isinstance(note, dict), "a note is an object"
                found.append(Escalation.of(note))
        return cls(found)

    def __bool__(self) -> bool:
        return bool(self._spans)

    def __contains__(self, wave: Wave) -> bool:
        """Say whether a wave counts no more."""
        branch = wave.first // (ROUND * ATTEMPTS)
        return any(first <= wave.step <= last and branch < begun for first, last, begun in self._spans)

    def knows(self, found: Escalation) -> bool:
        """Say whether a rollback is one of those known beforehand."""
        return (found.steps.start, found.step, found.branch) in self._spans
