"""What an audit found: the wrong decisions it saw, and how many the run has at most.

Not covered: how it is counted (`theory/acceptance.py`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from maker.engine.result import RunResult

CONFIDENCE = 0.95


@dataclass(slots=True, frozen=True)
class Part:
    """Decisions of one kind in one stratum: there are, were judged, are wrong, were left undecided by the judge."""

    stratum: str
    kind: str
    size: int
    judged: int
    wrong: int
    undecided: int


@dataclass(slots=True, frozen=True)
class Disputed:
    """A decision that the judge found wrong. said: the judge's own answer, None where it came to no verdict."""

    step: int
    stratum: str
    kind: str
    votes: int
    against: int
    answer: str
    said: str | None


@dataclass(slots=True, frozen=True)
class Corrected:
    """Wrong decisions of the whole run, by a judge that errs and whose mistakes were counted.

    known: decisions that a person judged, too; mistaken: those of them on which the judge was. missed: the most of the
    wrong decisions that it is taken to miss. low, high: wrong ones, if it misses no more of them; high_alone: the most
    that the person's verdicts alone allow, whatever the judge misses. Each is missed with probability 5% at most.
    """

    known: int
    mistaken: int
    missed: float
    low: int
    high: int
    high_alone: int


@dataclass(slots=True)
class Acceptance:
    """A sample of the decisions of a run, judged.

    simulated: the run's model was, or the judge is. words: what a disputed decision is: "wrong", or a "disagreement"
    of two models; low, high and expected count those. decided: steps of the run. sample: asked for, at the look that
    counts. low, high: of the whole run, each missed with probability 5% at most, at whichever look it ended; None
    before the first look. What a judge left undecided is counted in `high` alone. expected: as many as the sample has,
    by the weight of each. bound: share that was asked about, None for none. shown: the run has no more than that;
    refuted: it has more. disputed: those of the sample. stopped: None, or what ended it early; detail: what to do.
    corrected: by what a person said of the first of them, None where nobody did; then the bound is about these.
    kept: the file of the judge, None where nothing is kept. asked: how the judge's own run went, None where no model
    was asked.
    """

    run: str
    simulated: bool
    judge: str
    words: str
    decided: int
    sample: int
    bound: float | None
    low: int | None = None
    high: int | None = None
    expected: float | None = None
    corrected: Corrected | None = None
    shown: bool = False
    refuted: bool = False
    parts: list[Part] = field(default_factory=list)
    disputed: list[Disputed] = field(default_factory=list)
    stopped: str | None = None
    detail: str = ""
    kept: Path | None = None
    asked: RunResult | None = field(default=None, repr=False)

    @property
    def judged(self) -> int:
        """Decisions that were judged."""
        return sum(part.judged for part in self.parts)

    @property
    def wrong(self) -> int:
        """Decisions of the sample that are wrong, or disagreed with."""
        return sum(part.wrong for part in self.parts)

    @property
    def share_high(self) -> float | None:
        """The most that the wrong decisions are of all."""
        return None if self.high is None else self.high / self.decided

    @property
    def exit_code(self) -> int:
        """0: the bound is shown, or none was asked and nothing wrong was seen; 1: wrong ones beyond it; 3: open."""
        wrong = self.corrected.low if self.corrected else self.wrong
        if self.refuted or (self.bound is None and self.stopped is None and wrong):
            return 1
        return 0 if self.shown or (self.bound is None and self.high is not None and not self.disputed) else 3

    def as_json(self) -> dict[str, Any]:
        """Return the object that `maker audit --json` prints."""
        said = {name: getattr(self, name) for name in self.__slots__ if name not in ("asked", "kept")}
        usage = self.asked.usage if self.asked else None
        return {
            **said, "parts": [asdict(part) for part in self.parts], "disputed": [asdict(one) for one in self.disputed],
            "corrected": self.corrected and asdict(self.corrected), "judged": self.judged, "wrong": self.wrong,
            "share_high": self.share_high, "confidence": CONFIDENCE, "kept": str(self.kept) if self.kept else None,
            "calls": usage.dispatched if usage else 0, "tokens": usage.tokens if usage else 0,
            "cost": self.asked.cost if self.asked else None, "exit_code": self.exit_code,
        }  # fmt: skip
