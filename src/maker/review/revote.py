"""Stored samples counted again: another k, rule, flag set or parser; nothing is sent.

`revote` takes every step of a journal on its own, in the state that the run had reached, and asks what
its stored draws would have decided. Draws do not depend on k or on the rule, so for a step whose draws
suffice this is what a run with the other settings would have seen there. From the first other winner on
such a run would have been in another state; later steps are still judged in the recorded one.

Undecidable from the store are a step whose draws run out first (a larger k, stricter flags: more samples would
have been drawn), and one that needs a text of which the journal has only a digest. Another k or rule never needs
a text, because the ballots themselves are stored; what other flags and parsers can do without it says `rejudge.py`.

Not covered: other prompts, temperatures or models (the draws would be others), and whether the recorded
winner was right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from maker.decision.address import ROUND
from maker.decision.config import MOST_VOTES
from maker.decision.flags import Flag, flag_name
from maker.decision.race import Tally, wanting
from maker.errors import JournalError, TaskError
from maker.journal.bulk.plain import Run
from maker.journal.notes import Epoch
from maker.journal.steps import StoredStep
from maker.journal.story import Story
from maker.review.rejudge import Judge, Recorded, Unreadable, flag_names
from maker.task.load import journaled_task
from maker.task.task import Task
from maker.theory.votes.tables import Table

KEPT_CHANGES = 100  # changed winners whose texts are kept

# How many more votes a rule needs at least; it decides for the leader when that is none. A table is of rule "ahead".
RULES: Mapping[str, Callable[[Tally, int, Table | None], int]] = {
    "ahead": wanting,
    "first": lambda tally, k, _: k - max(tally.counts.values(), default=0),
    "majority": lambda tally, k, _: 2 * k - 1 - tally.total,
}

NEEDS_CODE = "other flags or another parser need the task's code, and {!r}"


class Steps:
    """A growing set of step numbers, kept as ranges: a million neighbours take the room of one."""

    def __init__(self) -> None:
        self._last: dict[int, int] = {}  # the end of a range, by its start
        self._first: dict[int, int] = {}  # the start, by the step after its end

    def add(self, step: int) -> None:
        """Take a step that is not in the set."""
        first = self._first.pop(step, step)
        last = self._last.pop(step + 1, step)
        self._last[first] = last
        self._first[last + 1] = first

    def __len__(self) -> int:
        return sum(last + 1 - first for first, last in self._last.items())

    def __iter__(self) -> Iterator[int]:
        for first, last in self.ranges():
            yield from range(first, last + 1)

    def ranges(self) -> list[tuple[int, int]]:
        """Return (first, last) of every range, in order."""
        return sorted(self._last.items())


@dataclass(slots=True, frozen=True)
class Change:
    """A step with another winner: the text that gave the recorded answer, and the one that gives the new."""

    step: int
    recorded: str
    now: str


@dataclass(slots=True)
class Revote:
    """What stored samples say under other settings.

    k, rule, flags: of the recount; k_recorded, flags_recorded: of the run, whose rule is "ahead"; where that went by
    a table of margins, k is the least of them, and `notes` say so. A run that
    changed its settings has those of its last epoch here; where nothing else is asked for, each step is counted
    under those of its own.
    steps: decided in the journal = same + changed + tied + missing + unreadable. Of these, same: the same
    winner; changed: another one, `changes` holding the texts of the first 100; tied: a majority without a
    leader; missing: the draws run out, `missing_votes` more at least; unreadable: a text is not stored.
    settled: steps open in the journal that are decided now; open: those that stay so. samples,
    samples_recorded: that steps in same and changed need, and had. dropped, admitted: draws counted here
    that voted then and are flagged now, by their flags, and the reverse. notes: what the store cannot show.
    """

    run: str
    simulated: bool
    k: int
    k_recorded: int
    rule: str
    flags: tuple[str, ...]
    flags_recorded: tuple[str, ...]
    wrong: int | None
    steps: int = 0
    same: int = 0
    changed: Steps = field(default_factory=Steps)
    changes: list[Change] = field(default_factory=list)
    tied: Steps = field(default_factory=Steps)
    missing: Steps = field(default_factory=Steps)
    missing_votes: int = 0
    unreadable: Steps = field(default_factory=Steps)
    settled: Steps = field(default_factory=Steps)
    open: int = 0
    samples: int = 0
    samples_recorded: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    admitted: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def undecidable(self) -> int:
        """Decided steps that the store cannot decide under the new settings."""
        return len(self.missing) + len(self.unreadable)

    def as_json(self) -> dict[str, Any]:
        """Return the object that `maker revote --json` prints; sets of steps are lists of [first, last]."""
        said: dict[str, Any] = {}
        for name in self.__slots__:
            value = getattr(self, name)
            if isinstance(value, Steps):
                said[name], said[f"{name}_steps"] = len(value), value.ranges()
            else:
                said[name] = value
        said["changes"] = [asdict(change) for change in self.changes]
        said["undecidable"] = self.undecidable
        return said


def revote(
    journal: str | Path,
    *,
    k: int | None = None,
    flags: str | Sequence[Flag] | None = None,
    parse: Callable[[str], Any] | None = None,
    rule: str = "ahead",
    task: Task | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Revote:
    """Count the stored samples of a run again under other settings; nothing is sent.

    k: the margin of rule "ahead", the votes that win in rule "first", or the majority of 2 k - 1 valid votes in rule
    "majority"; None is the run's k, or its table of margins in rule "ahead". flags: None for the run's own, "default",
    "paper", "none", or a list of callables. parse: another way to read a reply; None is the task's.
    task: needed with flags or parse when the task is not built in, since no code that a journal names is
    ever loaded. progress: called now and then with the steps counted and those there are.

    Returns a Revote. Raises JournalError for a file that cannot be read or does not fit the task,
    TaskError for settings that do not fit, a missing task, and what the task's code raises.
    """
    story = Story(journal)
    summary = story.summary()
    if summary.k is None:
        raise JournalError(f"{journal}: the run ended before it chose k, so it has no votes to count again.")
    if rule not in RULES:
        raise TaskError(f"rule = {rule!r}: give one of {', '.join(RULES)}")
    if k is not None and (isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= MOST_VOTES):
        raise TaskError(f"k = {k!r}: give a whole number from 1 to {MOST_VOTES}")
    recorded = flag_names(summary.header)
    found = Revote(
        run=str(summary.header["run"]), simulated=bool(summary.header.get("simulated")), k=k or summary.k,
        k_recorded=summary.k, rule=rule, flags=recorded, flags_recorded=recorded, wrong=summary.close.get("wrong"),
    )  # fmt: skip
    judge = None
    if flags is not None or parse is not None:
        known = task or journaled_task(summary.header, NEEDS_CODE)
        judge = Judge(known, summary.header, flags, parse)
        found.flags = tuple(map(flag_name, judge.under(Epoch(summary.header)).flags))
    told = 0
    for item in judge.judged(story.steps()) if judge else story.steps_in_turn():
        if isinstance(item, Run):
            assert item.epoch is not None, "who yields steps follows the settings"
            _recount_plain(found, item, RULES[rule], k or item.epoch.k or summary.k, None if k else item.epoch.table)
        else:
            stand = Recorded(item) if isinstance(item, StoredStep) else item
            epoch = stand.stored.epoch
            _recount(found, stand, RULES[rule], k or epoch.k or summary.k, None if k else epoch.table)
        if progress is not None and found.steps - told >= 1000:
            told = found.steps
            progress(told, summary.steps)
    if summary.table:
        asked = rule == "ahead" and not k
        found.notes.append(f"the run went by a table of margins: {summary.table}; the recount "
                           f"{'does as well' if asked else 'does not'}")  # fmt: skip
    if summary.weights:
        by = ", ".join(map(str, summary.weights))
        found.notes.append(
            f"the votes of the run's pool weigh {by} by turn; the recount's do as well, and its k is in them"
        )
    if judge:
        found.notes += judge.notes
    return found


def _recount(
    found: Revote, stand: Recorded, need: Callable[[Tally, int, Table | None], int], k: int, table: Table | None
) -> None:
    """Count the ballots of a step until the rule decides, they run out, or one is unreadable, and enter how it went."""
    stored, tally, readable = stand.stored, Tally(), True
    short, draws = need(tally, k, table), 0
    try:
        for draws, ballot in enumerate(stand.ballots(), 1):
            tally.weigh(ballot, stored.epoch.weights, stored.round * ROUND + draws - 1)
            short = need(tally, k, table)
            if short <= 0:
                break
    except Unreadable:
        readable = False
    found.dropped += stand.dropped
    found.admitted += stand.admitted
    winner = tally.leader if short <= 0 and tally.margin else None
    if stored.winner is None:
        if winner is None:
            found.open += 1
        else:
            found.settled.add(stored.step)
        return
    found.steps += 1
    if not readable:
        found.unreadable.add(stored.step)
    elif short > 0:
        found.missing.add(stored.step)
        found.missing_votes += short
    elif winner is None:
        found.tied.add(stored.step)
    else:
        found.samples += draws
        found.samples_recorded += len(stored.candidates)
        _compare(found, stand, winner)


def _recount_plain(
    found: Revote, run: Run, need: Callable[[Tally, int, Table | None], int], k: int, table: Table | None
) -> None:
    """Count plain waves: all with as many draws, each of them for one answer, come to the same end."""
    sizes = [size for _, size, _ in run.rows]
    for size, count in Counter(sizes).items():
        tally, draws = Tally(), 0
        while (short := need(tally, k, table)) > 0 and draws < size:
            draws += 1
            tally.add(b"0")
        found.steps += count
        if short > 0:
            found.missing_votes += short * count
            for step in (step for step, other in enumerate(sizes, run.first) if other == size):
                found.missing.add(step)
        else:
            found.same += count
            found.samples += draws * count
            found.samples_recorded += size * count


def _compare(found: Revote, stand: Recorded, winner: bytes) -> None:
    if winner == stand.recorded():
        found.same += 1
        return
    stored = stand.stored
    found.changed.add(stored.step)
    if len(found.changes) < KEPT_CHANGES:
        found.changes.append(Change(stored.step, stored.answer(stored.winner or 0), stand.text(winner)))
