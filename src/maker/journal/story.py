"""What a journal says of its run, counted from its records without running any task code.

Not covered: whether it is true (`review/verify.py`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maker.decision.address import round_of
from maker.decision.wave import FLAGGED, Wave
from maker.errors import InternalError, JournalError
from maker.journal.chain import Fold
from maker.journal.database import read_chain, read_records
from maker.journal.notes import Abandoned, Escalation, RolledBack, check_note
from maker.journal.records import SENSELESS, decode, senseless


@dataclass(slots=True)
class Summary:
    """What a journal says of its run, counted from its records without running any code.

    `close` is what the run said when it last ended, {} when it is still going or was killed. `head` is the hash
    of the newest record, which covers all before it, as 32 hex digits. steps, waves and fold are those of the
    verdicts that count; samples and flags are all. abandoned: what rollbacks left behind.
    """

    header: dict[str, Any] = field(default_factory=dict)
    k: int | None = None
    calibration: dict[str, Any] | None = None
    steps: int = 0
    samples: int = 0
    flagged: int = 0
    flags: Counter[str] = field(default_factory=Counter)
    waves: Counter[int] = field(default_factory=Counter)
    fold: Fold = field(default_factory=Fold)
    close: dict[str, Any] = field(default_factory=dict)
    head: str = ""
    records: int = 0
    escalations: Counter[str] = field(default_factory=Counter)
    abandoned: Abandoned = field(default_factory=Abandoned)

    def as_json(self) -> dict[str, Any]:
        """Return the object that `maker show --json` prints."""
        return {
            "run": self.header.get("run"), "task": self.header.get("task"), "parameters": self.header.get("parameters"),
            "model": self.header.get("model"), "simulated": self.header.get("simulated"), "k": self.k,
            "solved": bool(self.close.get("solved")), "steps": self.steps, "total": self.header.get("steps"),
            "samples": self.samples, "flagged": self.flagged, "flags": dict(self.flags),
            "wrong": self.close.get("wrong"), "answer": self.close.get("answer"),
            "state_digest": self.fold.state_digest.hex(), "chain": self.fold.chain,
            "escalations": dict(self.escalations),
            "stopped": self.close.get("stopped", "running or killed"), "seconds": self.close.get("seconds"),
            "segments": self.header.get("segments"), "records": self.records, "head": self.head,
        }  # fmt: skip


def summarise(journal: str | Path) -> Summary:
    """Return what a journal says. Raises JournalError for a file that is missing, damaged or foreign."""
    try:
        return _summary(journal, Abandoned())
    except RolledBack:
        return _summary(journal, Abandoned.of(read_records(journal)))


def _summary(journal: str | Path, abandoned: Abandoned) -> Summary:
    """Return what a journal says. Raises RolledBack for a rollback that is not among those known beforehand."""
    summary = Summary(abandoned=abandoned)
    open_waves: Counter[tuple[int, int]] = Counter()  # by step and round
    try:
        for head, record in read_chain(journal):
            summary.head, summary.records = head.hex(), summary.records + 1
            item = decode(record)
            if isinstance(item, Wave):
                summary.close = {}
                _count(summary, item, open_waves)
            else:
                check_note(item, journal)
                _note(summary, item)
                _escalated(summary, item)
                if "epoch" in item:
                    open_waves.clear()
    except SENSELESS as error:
        raise senseless(journal, f"record {summary.records - 1}", error) from error
    if not summary.header:
        raise JournalError(f"{journal}: holds no run yet.")
    return summary


def _escalated(summary: Summary, note: dict[str, Any]) -> None:
    if "escalation" in note:
        found = Escalation.of(note)
        if found.change.back and not summary.abandoned.knows(found):
            raise RolledBack
        summary.escalations[found.rung] += 1


def _count(summary: Summary, wave: Wave, open_waves: Counter[tuple[int, int]]) -> None:
    summary.samples += len(wave)
    lost = wave.draws[0::4].count(FLAGGED)
    if lost:
        summary.flagged += lost
        summary.flags.update(facts["flag"] for facts in wave.extras.values() if "flag" in facts)
    if summary.abandoned and wave in summary.abandoned:
        return
    place = (wave.step, round_of(wave.first))
    open_waves[place] += len(wave) > 0
    if wave.verdict is not None:
        summary.steps += 1
        summary.waves[open_waves.pop(place)] += 1
        try:
            summary.fold.add(wave.step, wave.verdict[1], wave.verdict[2])
        except InternalError as error:
            raise JournalError(f"the journal contradicts itself: {error}") from None


def _note(summary: Summary, note: dict[str, Any]) -> None:
    header = note.get("header") or note.get("epoch", {}).get("header")
    if header is not None:
        summary.header = header
        if summary.header["k"] != "auto":
            summary.k = summary.header["k"]
    elif "calibration" in note:
        summary.calibration = note["calibration"]
        summary.k = note["calibration"]["k"]
        summary.samples += note["calibration"]["draws"]
        summary.flagged += note["calibration"]["draws"] - note["calibration"]["valid"]
        summary.flags.update(note["calibration"]["flags"])
    elif "close" in note:
        summary.close = note["close"]
