"""One round of a vote counted again, one ballot at a time, with code that the engine does not share.

A `Race` takes the waves of a round as a journal holds them. Each has to follow from those before it: its draws are
numbered on, every fact and every text belongs to one of them, a flagged draw has a kind and a vote has none, a new
answer comes with its text, and nothing is drawn once the vote is decided. `Failed` says what does not hold.

Not covered: what the texts say, and whether a flag was right (`checker.py`, `solve.py`, `rejudge.py`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from maker.decision.address import ROUND
from maker.decision.wave import FLAGGED, Wave
from maker.errors import TaskError

_PLAIN: dict[str, Any] = {}


class Failed(Exception):
    """A check that does not hold."""


@contextmanager
def findings(step: int) -> Iterator[None]:
    """Make whatever the block raises a finding about a step; a TaskError goes on as it is."""
    try:
        yield
    except (Failed, TaskError):
        raise
    except Exception as error:
        raise Failed(f"step {step}: {type(error).__name__}: {error}") from error


@dataclass(slots=True, frozen=True)
class Said:
    """What the text of a vote says: itself, the answer, and what the answer is counted by."""

    text: bytes
    answer: Any
    key: bytes


@dataclass(slots=True)
class Race:
    """The recount of one round of a decision, one ballot at a time.

    name: what is decided, for messages. k: the margin that decides, one more for each total in `widens` that the votes
    have come to. most: the votes that a table of margins goes to, None where there is none. weights: how many votes a
    draw counts, the draws taking turns at them; none where each is one. drawn: how many draws it had. texts: those
    stored, None where only a digest is. barred: candidates that lost their votes in a look ahead.
    first: what each candidate said first; said: what a text says, by its number; both entered by whoever counts.
    """

    name: str
    k: int
    round: int = 0
    widens: tuple[int, ...] = ()
    most: int | None = None
    weights: tuple[int, ...] = ()
    drawn: int = 0
    votes: Counter[int] = field(default_factory=Counter)
    first: dict[int, Any] = field(default_factory=dict)
    said: dict[int, Any] = field(default_factory=dict)
    texts: list[bytes | None] = field(default_factory=list)
    barred: set[int] = field(default_factory=set)

    def ballots(self, wave: Wave) -> Iterator[tuple[int, int]]:
        """Count a wave; yield for each draw the candidate, or FLAGGED, and the number of its text."""
        if wave.first != self.round * ROUND + self.drawn:
            raise Failed(f"{self.name}: draw {wave.first} does not follow draw {self.drawn - 1} of round {self.round}")
        known, numbers = len(self.texts), wave.draws[1::4]
        self.texts += [raw if full else None for full, raw in wave.texts]
        if len(self.texts) > known and not set(numbers).issuperset(range(known, len(self.texts))):
            raise Failed(f"{self.name}: there is a text that no draw brought")
        for position in wave.extras:
            if position >= len(numbers):
                raise Failed(f"{self.name}: there is a fact about draw {wave.first + position}, which was never made")
        for position, (candidate, number) in enumerate(zip(wave.draws[0::4], numbers, strict=True)):
            if self.margin() >= self.needed():
                raise Failed(f"{self.name}: samples were drawn after the vote was decided")
            self._check(wave, position, candidate, number)
            if candidate != FLAGGED:
                self.votes[candidate] += self._weight(self.drawn)
            self.drawn += 1
            yield candidate, number

    def _check(self, wave: Wave, position: int, candidate: int, number: int) -> None:
        """Check that a draw is one that a vote can have."""
        draw, facts = wave.first + position, wave.extras.get(position, _PLAIN)
        if facts is _PLAIN and 0 <= candidate < len(self.votes) and number < len(self.texts) and not self.barred:
            return  # another plain vote for a known answer, as most are
        if number >= len(self.texts):
            raise Failed(f"{self.name}: draw {draw} has a text that is not there")
        if (candidate == FLAGGED) != ("flag" in facts):
            raise Failed(f"{self.name}: draw {draw} is flagged without a kind, or has a vote in spite of its flag")
        if candidate != FLAGGED and facts.get("silent"):
            raise Failed(f"{self.name}: draw {draw} has a vote, though its reply had no text")
        if candidate != FLAGGED and not 0 <= candidate <= len(self.votes):
            raise Failed(f"{self.name}: draw {draw} votes for candidate {candidate}, which nobody gave")
        if candidate in self.barred:
            raise Failed(f"{self.name}: draw {draw} votes for candidate {candidate}, which has lost its votes")
        if candidate == len(self.votes) and self.texts[number] is None:
            raise Failed(f"{self.name}: the text of candidate {candidate} is missing")

    def bar(self, candidates: Iterable[int]) -> None:
        """Take their votes from candidates."""
        for candidate in candidates:
            self.votes[candidate] = 0
            self.barred.add(candidate)

    def foremost(self, top: int) -> list[int]:
        """Return the candidates with the most votes, the first ones among equals."""
        return sorted((n for n, count in self.votes.items() if count), key=lambda n: (-self.votes[n], n))[:top]

    def margin(self) -> int:
        """Return the votes of the leader minus those of the runner-up."""
        if len(self.votes) < 2:
            return self.votes[0]
        first, second = sorted(self.votes.values(), reverse=True)[:2]
        return first - second

    def needed(self) -> int:
        """Return the margin that decides at so many votes."""
        return self.k + bisect_right(self.widens, self.votes.total()) if self.widens else self.k

    def wanting(self) -> int:
        """Return how many votes the next draws would have, if all of them were for the leader and decided."""
        lacking, votes, draw = self.needed() - self.margin(), 0, self.drawn
        while votes < lacking:
            votes, draw = votes + self._weight(draw), draw + 1
        return votes

    def _weight(self, draw: int) -> int:
        """Return how many votes a draw of this round counts."""
        return self.weights[(self.round * ROUND + draw) % len(self.weights)] if self.weights else 1

    def won_by(self, winner: int) -> bool:
        """Say whether a candidate leads by what is needed, and the table has not ended.

        It may lead by more where another has lost its votes, or the last draw counts several: none comes after that.
        """
        in_time = self.most is None or self.votes.total() <= self.most
        return in_time and self.margin() >= self.needed() and self.votes[winner] == max(self.votes.values())


def unanimous(wave: Wave, k: int) -> bool:
    """Say whether a wave is the whole vote of its step: k draws of its first round, all for the one answer there is."""
    if wave.verdict is None or wave.verdict[0] or wave.first or wave.extras or len(wave) != k:
        return False
    return len(wave.texts) == 1 and wave.texts[0][0] and not any(wave.draws[0::4]) and not any(wave.draws[1::4])
