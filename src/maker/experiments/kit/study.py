"""What an experiment is told, and what it brings back: rows, a table, a figure, and what they show.

An experiment is one function `run(options) -> Study` in a file of its own. Every share has its exact two-sided 95%
interval and its n.

Not covered: what a question needs; that is in the experiment's own file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from maker import theory
from maker.errors import TaskError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


Cell = str | int | float | None
Row = dict[str, Cell]

SIDE = 0.975  # two one-sided bounds at this level make a 95% interval


@dataclass(slots=True, frozen=True)
class Options:
    """How an experiment runs.

    quick: fewer draws, under 30 seconds. seed: of all draws. model: ask this one instead of the
    experiment's own, at `temperature`. partner: a second model, for an experiment that asks two. say: hears what is
    going on. out: folder in which an experiment keeps what a model replied so far, to go on from there.
    allow_code: whether Python of a model's making may be run.
    """

    quick: bool = False
    seed: int = 0
    model: str | None = None
    temperature: float = 0.1
    say: Callable[[str], None] = lambda _line: None
    out: Path | None = None
    partner: str | None = None
    allow_code: bool = False

    def size(self, full: int, quick: int) -> int:
        """Return how many of something to draw."""
        return quick if self.quick else full

    def no_model(self, name: str) -> None:
        """Raise TaskError if a model was named for an experiment that asks none."""
        if self.model is not None:
            raise TaskError(f"{name} asks no model: it is arithmetic and simulated votes. Run it without --model.")


@dataclass(slots=True)
class Study:
    """What an experiment found.

    question: in one line. rows: everything counted, one dict each, all with the same keys.
    table: what a person reads, a header and rows of text. draw: fills an empty figure; None where nothing was measured.
    shows, shows_not: a paragraph each, in plain words, with the figures found. n: what was drawn, in
    words. simulated: what of it is simulated, in words. size: of the figure, in inches. answer: to the question, in
    one sentence.
    """

    name: str
    question: str
    rows: list[Row]
    table: list[list[str]]
    draw: Callable[[Figure], None] | None
    shows: str
    shows_not: str
    n: str
    simulated: str
    seed: int
    size: tuple[float, float] = (9.0, 4.2)
    files: dict[str, str] = field(default_factory=dict)
    answer: str = ""


@dataclass(slots=True, frozen=True)
class Share:
    """A share seen in n trials, with its exact 95% interval (Clopper & Pearson 1934)."""

    seen: int
    n: int

    @property
    def rate(self) -> float:
        """The share itself; NaN of no trials."""
        return self.seen / self.n if self.n else float("nan")

    @property
    def low(self) -> float:
        """The lower end of the interval."""
        return 1 - theory.p_upper(self.seen, self.n, SIDE) if self.n else 0.0

    @property
    def high(self) -> float:
        """The upper end of the interval."""
        return 1 - theory.p_lower(self.seen, self.n, SIDE) if self.n else 1.0

    def text(self) -> str:
        """Return rate and interval for a table."""
        return f"{short(self.rate)} ({short(self.low)} to {short(self.high)})" if self.n else "-"

    def row(self, name: str) -> Row:
        """Return the columns of this share in the rows."""
        return {name: self.rate if self.n else None, f"{name}_low": self.low, f"{name}_high": self.high,
                f"{name}_seen": self.seen, f"{name}_n": self.n}  # fmt: skip


def short(value: float) -> str:
    """Write a number in three digits."""
    return "0" if value == 0 else f"{value:.3g}" if 1e-4 <= abs(value) < 1e4 else f"{value:.1e}"


def aligned(table: Sequence[Sequence[str]]) -> str:
    """Return a table as text in columns."""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def markdown(table: Sequence[Sequence[str]]) -> str:
    """Return a table as Markdown."""
    return "\n".join([markdown_head(table[0]), *map(markdown_row, table[1:])])


def markdown_head(cells: Sequence[str]) -> str:
    """Return the two lines that begin a table in Markdown."""
    return markdown_row(cells) + "\n|" + "---|" * len(cells)


def markdown_row(cells: Sequence[object], digits: int = 5) -> str:
    """Return a line of a table in Markdown. digits: of its floats."""
    return "| " + " | ".join(f"{cell:.{digits}g}" if isinstance(cell, float) else str(cell) for cell in cells) + " |"
