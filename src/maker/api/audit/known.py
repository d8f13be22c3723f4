"""What a person said of the first decisions of a sample, and what a judge that errs shows by it.

A model disagrees with right decisions, and misses wrong ones. The decisions that a person judged before, in the file of
an audit by csv, are the first of the same sample: there its verdicts are compared with theirs. So three bounds follow:

- the fewest wrong decisions: those disagreed with, less the most that may be false alarms;
- the most, if wrong ones are missed no oftener than any verdicts are mistaken;
- the most whatever both models get wrong alike: what the person's own verdicts show, and no more than that.

Each is missed with probability 5% at most, at whichever look the audit ended: half of it is of the judge's mistakes,
half of the sample's chance.

Not covered: persons who err.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from maker.api.audit.decisions import Decision
from maker.api.audit.judges import Opinion
from maker.api.audit.result import CONFIDENCE, Corrected
from maker.api.audit.sheet import Sheet
from maker.errors import TaskError
from maker.theory.acceptance import Look, Stratum, bounds
from maker.theory.votes.bounds import p_lower

Strata = Callable[[int, Counter[int], Counter[int]], list[Stratum]]  # (sample, wrong, sure) by stratum


class Known:
    """Verdicts of a person. sample: the decisions they are of are all that a sample of this size holds.

    Raises TaskError for a file of other decisions, and for one that is not filled.
    """

    def __init__(self, path: Path, sheet: Sheet, drawn: Sequence[Decision]) -> None:
        said = sheet.read()
        first = drawn[: len(said)]
        if not first or {decision.step for decision in first} != set(said):
            raise TaskError(
                f"{path}: its decisions are not the first of this sample: give the seed of the audit by csv that wrote "
                "it, and a sample that is larger"
            )
        if left := sum(right is None for right in said.values()):
            raise TaskError(f"{path}: {left:,} of {len(said):,} rows are not filled; some alone are no random sample")
        self._first, self._right = first, [bool(said[decision.step]) for decision in first]
        self.sample = max(decision.least for decision in first)

    def correct(
        self, opinions: Sequence[Opinion], look: Look, strata: Strata, wrong: Counter[int], sure: Counter[int]
    ) -> Corrected:  # fmt: skip
        """Return what a judge's opinions show. wrong, sure: those of the whole look, by stratum."""
        pairs = list(zip(self._first, self._right, opinions, strict=False))
        mistaken = sum(opinion.right is not None and opinion.right != right for _, right, opinion in pairs)
        bad = Counter(of.stratum for of, right, _ in pairs if not right)
        alarms = Counter(of.stratum for of, right, opinion in pairs if right and opinion.right is False)
        overlooked = sum(not right and bool(opinion.right) for _, right, opinion in pairs)
        side = (1 - CONFIDENCE) / 2
        missed = 1 - p_lower(mistaken, len(pairs), 1 - side)
        if bad:
            missed = max(missed, overlooked / bad.total())
        seen = strata(look.sample, wrong, sure)
        false = bounds(strata(self.sample, alarms, Counter()), side)[1]
        low = max(bounds(seen, look.alpha / 2)[0] - false, bad.total())
        return Corrected(
            len(pairs), mistaken, missed, low, max(low, bounds(seen, look.alpha / 2, missed)[1]),
            bounds(strata(self.sample, bad, Counter()), 1 - CONFIDENCE)[1],
        )  # fmt: skip
