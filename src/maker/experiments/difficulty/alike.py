"""What is counted of draws that were asked in one way and another, and how it is told.

Of each way: p, rho, the votes that its draws are worth, the steps that the most frequent answer loses, and the tokens.
What one way loses and the other does not is counted step by step.

Not covered: who is asked, and how (`decorrelation.py`, `comparisons.py`).
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from maker.decision.flags import PAPER, judge
from maker.experiments.kit.figure import points, style
from maker.experiments.kit.study import Row, Share

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from maker.decision.sample import Sample
    from maker.decision.step import Step

KEPT = Path(__file__).parent / "data" / "decorrelation.csv"  # of a language model: a row for each way and step
RESAMPLED = 1000  # times, for the interval of rho


@dataclass(slots=True)
class Found:
    """What one way of asking brought: of each step its votes and the wrong ones among them, and whether it is lost."""

    votes: list[int] = field(default_factory=list)
    wrong: list[int] = field(default_factory=list)
    lost: list[bool] = field(default_factory=list)
    replies: int = 0
    tokens: int = 0

    def add(self, samples: Sequence[Sample], step: Step, right: bytes) -> None:
        """Count the draws on one more step, with the votes that the paper's flags leave. right: its answer's key."""
        votes: dict[bytes, int] = {}
        for sample in samples:
            self.replies += 1
            self.tokens += (sample.tokens_in or 0) + (sample.tokens_out or 0)
            key = step.read(sample.text).key
            if key is not None and judge(sample, step, (), PAPER) is None:
                votes[key] = votes.get(key, 0) + 1
        total = sum(votes.values())
        others = max((n for key, n in votes.items() if key != right), default=0)
        self.votes.append(total)
        self.wrong.append(total - votes.get(right, 0))
        self.lost.append(votes.get(right, 0) <= others)  # a tie is lost too

    @property
    def p(self) -> Share:
        """The share of right votes."""
        return Share(sum(self.votes) - sum(self.wrong), sum(self.votes))

    @property
    def losses(self) -> Share:
        """The share of steps that are lost."""
        return Share(sum(self.lost), len(self.lost))

    @property
    def rho(self) -> tuple[float, float, float]:
        """The correlation of two votes' errors on a step, and its 95% interval over the steps."""
        kept = [(wrong, votes) for wrong, votes in zip(self.wrong, self.votes, strict=True) if votes > 1]
        if not kept:
            return 0.0, 0.0, 1.0
        pairs = np.array(kept, np.float64)
        found = [_rho(pairs)]
        generator = np.random.default_rng(0)
        found += [_rho(pairs[generator.integers(0, len(pairs), len(pairs))]) for _ in range(RESAMPLED)]
        low, high = np.quantile(found[1:], [0.025, 0.975])
        return found[0], float(low), float(high)

    @property
    def worth(self) -> float:
        """The independent votes that the draws on a step are worth."""
        each = sum(self.votes) / max(1, len(self.votes))
        return each / (1 + max(0.0, each - 1) * max(0.0, self.rho[0]))


def _rho(pairs: np.ndarray) -> float:
    """Return the correlation from (wrong, votes) of steps, by the first two moments."""
    wrong, votes = pairs.T
    mean = float((wrong / votes).mean())
    both = float((wrong * (wrong - 1) / (votes * (votes - 1))).mean())
    return (both - mean**2) / (mean * (1 - mean)) if 0 < mean < 1 else 0.0


@dataclass(slots=True)
class Asked:
    """A model, what is asked of it, and what each way of asking brought; `plain` is the one that others are held to."""

    name: str
    simulated: bool
    steps: str
    found: dict[str, Found] = field(default_factory=dict)

    @property
    def draws(self) -> int:
        """How many draws there are on a step, in every way."""
        plain = self.found["plain"]
        return plain.replies // len(plain.votes)

    def apart(self, way: str) -> tuple[int, int]:
        """Return how many steps plain draws lose and this way does not, and the reverse."""
        pairs = list(zip(self.found["plain"].lost, self.found[way].lost, strict=True))
        return sum(plain and not here for plain, here in pairs), sum(here and not plain for plain, here in pairs)

    def rows(self) -> list[Row]:
        """Return a row for each way."""
        return [self._row(way, seen) for way, seen in self.found.items()]

    def _row(self, way: str, seen: Found) -> Row:
        rho, low, high = seen.rho
        saved, lost = self.apart(way)
        return {
            "model": self.name, "simulated": self.simulated, "way": way, "draws": self.draws, **seen.p.row("p"),
            "rho": rho, "rho_low": low, "rho_high": high, "worth": seen.worth, **seen.losses.row("lost"),
            "saved": saved, "newly_lost": lost, "tokens": seen.tokens / max(1, seen.replies),
        }  # fmt: skip

    def table(self) -> list[list[str]]:
        """Return a line of the table for each way."""
        made = []
        for way, seen in self.found.items():
            rho, low, high = seen.rho
            saved, lost = self.apart(way)
            made.append([
                self.name, way, seen.p.text(), f"{rho:.3f} ({low:.3f} to {high:.3f})", f"{seen.worth:.1f}",
                seen.losses.text(), str(saved), str(lost), f"{seen.tokens / max(1, seen.replies):.0f}",
            ])  # fmt: skip
        return made

    def shows(self) -> str:
        """Say in words what the ways brought."""
        plain = self.found["plain"]
        said = []
        for way, seen in self.found.items():
            if way != "plain":
                saved, lost = self.apart(way)
                said.append(
                    f"{way}: rho {seen.rho[0]:.3f}, {sum(seen.lost)} lost ({saved} saved, {lost} newly lost), "
                    f"{seen.tokens / max(1, plain.tokens):.2f} times the tokens"
                )
        least = min(sum(seen.lost) for seen in self.found.values())
        best = [way for way, seen in self.found.items() if sum(seen.lost) == least]
        return (
            f"{self.name}: {self.draws} plain draws on a step have rho = {plain.rho[0]:.3f}, are worth "
            f"{plain.worth:.1f} votes, and lose {sum(plain.lost)} of {len(plain.lost):,} steps. On the same steps and "
            f"with as many draws, {'; '.join(said)}. Fewest steps are lost with: {', '.join(best)}."
        )

    def drawn(self) -> str:
        """Say how much was drawn."""
        return f"{self.name}: {len(self.found['plain'].votes):,} {self.steps}, {self.draws} draws on each in every way"

    def draw(self, left: Axes, right: Axes) -> None:
        """Draw rho and the steps lost, way by way."""
        names = list(self.found)
        for number, (way, seen) in enumerate(self.found.items()):
            rho, low, high = seen.rho
            side = [[max(0.0, rho - low)], [max(0.0, high - rho)]]
            left.errorbar([number], [rho], side, linestyle="none", capsize=2.5, **style(number))
            points(right, [number], [seen.losses], number, way)
        for axes in (left, right):
            axes.set_xticks(range(len(names)), names, rotation=20, ha="right")
            axes.set_xlim(-0.5, len(names) - 0.5)
        left.axhline(0, color="black", linewidth=0.6)
        left.set(ylabel="rho, two votes' errors", title=self.name)
        right.set(ylabel="share of steps lost", ylim=(0, None), title=f"same steps, {self.draws} draws on each")


TABLE = [["model", "draws", "p of a vote", "rho", "independent votes they are worth", "steps lost", "saved",
          "newly lost", "tokens a draw"]]  # fmt: skip


def kept() -> Asked:
    """Return what was measured of a language model before, and is kept with the code."""
    with KEPT.open(newline="") as file:
        rows = list(csv.DictReader(file))
    asked = Asked(rows[0]["model"], simulated=False, steps="comparisons of two numbers")
    for row in rows:
        seen = asked.found.setdefault(row["way"], Found())
        seen.votes.append(int(row["votes"]))
        seen.wrong.append(int(row["wrong"]))
        seen.lost.append(row["lost"] == "1")
        seen.replies += int(row["replies"])
        seen.tokens += int(row["tokens"])
    return asked
