"""Ballots -> Tally -> Verdict: first to ahead by k, or by what a table asks for at so many votes.

Because no wave of `need = k - margin` ballots can decide before its last valid one, drawing in waves takes exactly the
samples that one-at-a-time voting takes, and has the same winner; the order inside a wave does not matter. The same
holds for a table of margins, where a wave is as many ballots as would decide if all were for the leader, and for the
weights of a pool (`pool.py`), where it is the fewest draws whose votes come to what the leader wants.

A ballot is the canonical bytes of a whole answer, or None for a flagged sample. A limit never
turns into a plurality: it ends the race undecided, resumable with a higher limit.

Not covered: errors that most samples of a step share. Where a step's own error rate is above one
half the wrong answer wins at any k.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from maker.decision.pool import Weights, draws_for, weighed, weight_of
from maker.decision.telling.verdicts import explained, in_html, short
from maker.task.canonical import canonical
from maker.task.tools import ToolCall, Turn
from maker.theory.votes.tables import Table

T = TypeVar("T")
Ballot = bytes | None


@dataclass(slots=True)
class Tally:
    """The count of one race: votes by canonical answer, and how many samples were flagged.

    Votes are as many as a draw counts (`pool.py`); flagged samples are counted one by one.

    `answers` maps each vote key to an answer with that key, as far as the caller has named them.
    """

    counts: dict[bytes, int] = field(default_factory=dict)
    flagged: int = 0
    total: int = 0
    leader: bytes | None = None
    answers: dict[bytes, Any] = field(default_factory=dict)

    def add(self, ballot: Ballot, times: int = 1) -> None:
        """Count one ballot, or several equal ones."""
        if ballot is None:
            self.flagged += times
            return
        count = self.counts.get(ballot, 0) + times
        self.counts[ballot] = count
        self.total += times
        if self.leader is None or count > self.counts[self.leader]:
            self.leader = ballot

    def weigh(self, ballot: Ballot, weights: Weights, draw: int) -> None:
        """Count the ballot of a draw with the weight of its turn; a flagged sample is one, whatever it would weigh."""
        self.add(ballot, 1 if ballot is None else weight_of(weights, draw))

    def drop(self, key: bytes) -> int:
        """Take an answer out of the race; return how many votes it had."""
        count = self.counts.pop(key, 0)
        self.total -= count
        self.leader = max(self.counts, key=self.counts.__getitem__, default=None)
        return count

    @property
    def margin(self) -> int:
        """Votes of the leader minus votes of the runner-up; no votes count as 0."""
        if self.leader is None:
            return 0
        if len(self.counts) == 1:
            return self.total
        return self.counts[self.leader] - max(n for key, n in self.counts.items() if key != self.leader)

    @property
    def votes(self) -> Votes[Any]:
        """The counts by answer."""
        return Votes({key: (self.answers.get(key), n) for key, n in self.counts.items()})

    @property
    def entropy(self) -> float:
        """Entropy of the votes in nats, H = -sum f ln f; e^H is the effective number of answers."""
        return -sum(n / self.total * math.log(n / self.total) for n in self.counts.values()) + 0.0


class Outcome(NamedTuple):
    """How a race ended: `winner` is the winning key, or None and `limit` names the limit met."""

    winner: bytes | None
    limit: str | None = None


def wanting(tally: Tally, k: int, table: Table | None = None) -> int:
    """Return how many more votes, all for the leader, would decide; 0 or less where it is decided.

    Votes, not draws: a draw may count as several.
    """
    return k - tally.margin if table is None else table.wanting(tally.margin, tally.total)


def first_to_ahead(
    k: int, max_votes: int, max_flags: int, tally: Tally | None = None, table: Table | None = None,
    weights: Weights = (), at: int = 0,
) -> Generator[int, Sequence[Ballot], Outcome]:  # fmt: skip
    """Run one race: yield how many ballots are needed, receive them in draw order, return the Outcome.

    k: the margin that decides, 1 or more. max_votes, max_flags: the most valid votes and flagged
    samples. tally: counted into, if given, so that the caller can look on. table: the margins that decide, if they
    are not always k. weights: of a pool's turns. at: the number of the first draw to come.
    The race ends undecided as soon as no decision is possible within the limits.
    Source: Meyerson et al. 2025, arXiv 2511.09030; Wald's sequential test for two answers.
    """
    tally = Tally() if tally is None else tally
    while isinstance(due := next_wave(k, max_votes, max_flags, tally, table, weights, at), int):
        ballots = yield due
        assert len(ballots) == due, "a wave must bring as many ballots as were asked for"
        count(ballots, tally, weights, at)
        at += due
        assert weights or wanting(tally, k, table) >= 0, "a wave decided before its last ballot"
    return due


def next_wave(
    k: int, max_votes: int, max_flags: int, tally: Tally, table: Table | None = None, weights: Weights = (),
    at: int = 0,
) -> int | Outcome:  # fmt: skip
    """Return how many ballots a race needs next, or how it ended; the parameters as of `first_to_ahead`."""
    need = wanting(tally, k, table)
    if need <= 0:  # below 0 where an answer has lost its votes since, or the last draw weighs more than was wanting
        return Outcome(tally.leader)
    if table is not None:
        max_votes = min(max_votes, table.most)
    draws, votes = need, need
    if weights:
        draws = draws_for(weights, at, need)
        votes = weighed(weights, at, draws)
    if tally.total + votes > max_votes:
        return Outcome(None, "max_votes")
    if tally.flagged >= max_flags:
        return Outcome(None, "max_flags")
    left = max_flags - tally.flagged
    return draws if draws <= left else left


def count(ballots: Sequence[Ballot], tally: Tally, weights: Weights, at: int) -> None:
    """Count the ballots of a wave, whose first draw has the number `at`."""
    draws = len(ballots)
    if ballots[0] is not None and ballots.count(ballots[0]) == draws:
        tally.add(ballots[0], weighed(weights, at, draws))
    else:
        for draw, ballot in enumerate(ballots, at):
            tally.weigh(ballot, weights, draw)


class Votes(Mapping[T, int]):
    """Counts by answer, as a mapping that also takes unhashable answers (lists, models) as keys.

    Answers are told apart by their canonical bytes: votes[True] and votes[1] are different counts.
    """

    __slots__ = ("_by_key",)

    def __init__(self, by_key: dict[bytes, tuple[T, int]]) -> None:
        self._by_key = by_key

    def __getitem__(self, answer: T) -> int:
        try:
            return self._by_key[canonical(answer)][1]
        except (TypeError, ValueError):
            raise KeyError(answer) from None

    def __iter__(self) -> Iterator[T]:
        return (answer for answer, _ in self._by_key.values())

    def __len__(self) -> int:
        return len(self._by_key)

    def values(self) -> Any:
        """Return the counts alone."""
        return [n for _, n in self._by_key.values()]

    def items(self) -> Any:
        """Return (answer, count) pairs."""
        return list(self._by_key.values())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        try:
            theirs = {canonical(answer): n for answer, n in other.items()}
        except (TypeError, ValueError):
            return False
        return theirs == {key: n for key, (_, n) in self._by_key.items()}

    __hash__ = None  # type: ignore[assignment]  # a mapping that compares by content has no hash

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{answer!r}: {n}" for answer, n in self._by_key.values()) + "}"


@dataclass(slots=True, frozen=True)
class VoteUsage:
    """What one vote took, failed calls included. assumed: tokens that nobody reported, the most they can have been."""

    calls: int
    samples: int
    tokens_in: int
    tokens_out: int
    assumed: int


@dataclass(slots=True, frozen=True)
class Verdict(Generic[T]):
    """What a vote decided.

    step: global index. answer: the winner. votes: counts by answer. samples: all draws, flagged ones
    included. flagged: how many were; flags: how many by kind. margin: leader minus runner-up. weights: how many votes
    a draw counts, by turn, where the models of a pool weigh differently.
    entropy: of the votes, in nats. waves: rounds of sampling. usage: what a single vote, or one item of a map, took;
    cost: US dollars, None where that is not known. Both are None for a step of a run, which has an account of its own.
    """

    step: int
    answer: T
    votes: Votes[T]
    samples: int
    flagged: int
    flags: Mapping[str, int]
    margin: int
    entropy: float
    waves: int
    usage: VoteUsage | None = None
    cost: float | None = None
    weights: Weights = ()

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The calls that won, of a vote with tools; none of any other."""
        return self.answer.calls if isinstance(self.answer, Turn) else ()

    def explain(self) -> str:
        """Return five lines that say why this answer won: the votes, the rest, the draws, how sure, what it took."""
        return explained(self)

    def __repr__(self) -> str:
        return short(self)

    def _repr_html_(self) -> str:
        return in_html(self)
