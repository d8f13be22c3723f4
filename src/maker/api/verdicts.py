"""The verdicts of a run whose steps are items, in item order.

They are read from the journal when asked for (`journal/views/items.py`): in item order whatever the order of decision,
and without holding them in memory. They are as of the first use.

Not covered: running and resuming (`map.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from maker.api.answers import Reader
from maker.api.frames import Row, arrow, of_failed, of_verdict, pandas, polars
from maker.decision.race import Tally, Verdict, VoteUsage
from maker.decision.telling.rows import html_of, lines_of
from maker.engine.result import RunResult
from maker.errors import Undecided
from maker.journal.steps import StoredStep
from maker.journal.views.items import ByItem
from maker.sending.budget.usage import Usage

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

SHOWN = 5  # failed items in a summary, and items in a notebook

T = TypeVar("T")


@dataclass(slots=True, frozen=True)
class FailedItem:
    """An item without a verdict in a map that is through: its position, why, how its votes stood, and what it took.

    usage, cost: as of a `Verdict`.
    """

    item: int
    reason: str
    tally: Tally
    usage: VoteUsage
    cost: float | None


class Verdicts(Generic[T]):
    """What was decided about each item, read from the journal when asked for.

    Iterating gives the verdicts there are, in item order; `verdict.step` is the item's position, and
    `len` is their number. `verdict.usage` and `verdict.cost` are what that item took, by every call on its journal;
    what was spent to find out about the server is in the usage of the whole alone. result: the RunResult of the run
    behind it. items: what was asked about, as given.

    `to_dicts`, `to_pandas`, `to_polars` and `to_arrow` put items and answers side by side, a row for each item.

    It is not copied to another process (pickled): give list(verdicts), or the journal's path and the call of map.

    An item that stays undecided, is refused or cannot be answered does not end the others: it is in `failed`, and the
    map is through all the same. The same call asks about those items once more.
    """

    def __init__(self, result: RunResult, items: Sequence[Any], reader: Reader[T]) -> None:
        self.result = result
        self.items = items
        self._reader = reader
        self._found: ByItem | None = None

    @property
    def stopped(self) -> str | None:
        """What ended it early, a limit or a lost server: None, or its name; `result.detail` says what to do."""
        return None if self.result.failed else self.result.stopped

    @property
    def failed(self) -> list[FailedItem]:
        """The items that have no verdict though the map is through, in order."""
        return [FailedItem(item, _of_item(why), self._tally(item), *self._took(item))
                for item, why in self.result.failed.items()]  # fmt: skip

    @property
    def usage(self) -> Usage:
        """The account: calls, tokens and dollars, those of earlier calls on the same journal included."""
        return self.result.usage

    @property
    def cost(self) -> float | None:
        """Dollars, None where they are not known."""
        return self.result.cost

    def summary(self) -> str:
        """Return a few lines for a person: items decided and failed with reasons, flags, tokens and cost, any stop."""
        failed, examples = self.failed, self._index.examples
        lines = [self._decided() + (f", {len(failed):,} failed" if failed else "")]
        lines += [f"failed: {failure.reason}" for failure in failed[:SHOWN]]
        lines += [f"failed: {len(failed) - SHOWN:,} more, see `failed`"] if len(failed) > SHOWN else []
        for kind, count in sorted(self.result.flags.items(), key=lambda flag: -flag[1]):
            lines.append(f"flagged: {kind} {count:,}" + (f", such as '{examples[kind]}'" if kind in examples else ""))
        account = lines_of(self.result.account()[1:])  # its steps are the items above
        lines.append(account.replace(" a step", " an item").replace("steps/s", "items/s"))
        lines += [f"stopped: {self.stopped}. {_of_item(self.result.detail)}"] if self.stopped else []
        return "\n".join(lines)

    def to_dicts(self) -> list[Row]:
        """Return a row for each item, in order, whose values JSON can say: an answer that is a record is a dict.

        Keys: position, item, answer, votes (of the answer), margin, samples, flagged, reason. Where an item has no
        verdict, the answer and its votes are None, and reason says why.
        """
        return list(self._rows())

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows of `to_dicts` as a DataFrame of pandas.

        The fields of an item or answer that is a record are columns of their own, `answer.topic`; what has no
        one plain type (a list, values of several types) is written as JSON. Raises TaskError where pandas is missing.
        """
        return pandas(self._rows())

    def to_polars(self) -> pl.DataFrame:
        """Return the rows as a DataFrame of polars, as `to_pandas` does."""
        made: pl.DataFrame = polars(self._rows())
        return made

    def to_arrow(self) -> pa.Table:
        """Return the rows as a Table of pyarrow, as `to_pandas` does."""
        return arrow(self._rows())

    def _rows(self) -> Iterator[Row]:
        """Yield a row for each item."""
        decided = iter(self)
        due = next(decided, None)
        failed = self.result.failed
        unasked = f"not decided: the run stopped, {self.stopped}" if self.stopped else "not decided"
        for position, item in enumerate(self.items):
            if due is not None and due.step == position:
                yield of_verdict(position, item, due)
                due = next(decided, None)
            else:
                why = _of_item(failed[position]) if position in failed else unasked
                yield of_failed(position, item, self._tally(position), why)

    def _decided(self) -> str:
        return f"{len(self):,} of {len(self.items):,} items are decided"

    def __len__(self) -> int:
        return self._index.decided

    def __iter__(self) -> Iterator[Verdict[T]]:
        for stored in self._index.steps("decided"):
            yield self._verdict(stored)

    def __getitem__(self, position: int) -> Verdict[T]:
        """Return the verdict on one item, by its position from 0.

        Raises IndexError for no item's position; Undecided, with the item's tally, where there is none yet.
        """
        if not 0 <= position < len(self.items):
            raise IndexError(f"there is no item {position}, only 0 to {len(self.items) - 1}")
        stored = next(self._index.steps("step = ?", position), None)
        if stored is not None and stored.winner is not None:
            return self._verdict(stored)
        stopped, why = self.result.stopped, self.result.failed.get(position)
        message = f"item {position} has no verdict"
        message += f": {_of_item(why)}" if why else f", the run stopped: {stopped}. {self.result.detail}"
        raise Undecided(message, tally=self._tally(position), step=position, limit=stopped or "")

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("Verdicts read their journal when asked, and are not copied to another process. Give it "
                        "list(verdicts), or the journal's path and the call of map.")  # fmt: skip

    def __repr__(self) -> str:
        failed = f", {len(self.result.failed)} failed" if self.result.failed else ""
        return f"<Verdicts on {self.result.steps} of {len(self.items)} items{failed}, stopped: {self.stopped}>"

    def _repr_html_(self) -> str:
        first = list(islice(self._rows(), SHOWN))
        shown = [(row["position"], row["item"], row["answer"], row["votes"], row["reason"]) for row in first]
        return html_of(f"{self._decided()}, the first:", shown, ("", "item", "answer", "votes", "reason"))

    def _verdict(self, stored: StoredStep) -> Verdict[T]:
        """Return the verdict on one item, with what it took."""
        usage, cost = self._took(stored.step)
        return replace(self._reader.verdict(stored.verdict(self._reader.parse)), usage=usage, cost=cost)

    def _took(self, position: int) -> tuple[VoteUsage, float | None]:
        """Return what one item took, and its dollars; nothing where the whole cost nothing."""
        usage, cost = self._index.took(position)
        return usage, 0.0 if self.cost == 0 else cost

    def _tally(self, position: int) -> Tally:
        """Return how the votes on one item stand."""
        stored = next(self._index.steps("step = ?", position), None)
        return self._reader.tally(stored.named(self._reader.parse) if stored is not None else Tally())

    def answers(self) -> Iterator[T]:
        """Return the answer to each item, in item order. Raises Undecided if any has none, so that no answer slips."""
        for position in self.missing():
            self[position]
        return (verdict.answer for verdict in self)

    def missing(self) -> Iterator[int]:
        """Yield the positions of the items without a verdict, in order."""
        return self._index.missing(len(self.items))

    @property
    def _index(self) -> ByItem:
        """The journal by item, made when first asked for."""
        if self._found is None:
            journal = self.result.journal or self.result._book
            assert journal is not None, "a run without a file keeps its journal open"
            self._found = ByItem(journal)
        return self._found


def _of_item(why: str) -> str:
    """Return what a stop says of a step, in the words of a map."""
    said = why.replace("step ", "item ", 1).replace("Reword the step", "Reword the item")
    return said.replace("make the step finer", "make the item easier")
