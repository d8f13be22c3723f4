"""A margin that widens with disagreement: how far ahead the leader must be at each total of votes.

A constant k spends its whole error on contested steps. Where steps vary, the chance that the leader is wrong follows
from both counts, not from their difference: a step voted 10:7 is likelier to be near a coin than one voted 3:0.
`table_for` gives the least margin at each total with which that chance is at most delta, under a population of steps
(`mixture.py`) with a share of coins beside it. Where all steps are alike it is the constant k.

The table is monotone: for p > 1/2 a vote each for two answers never lessens the chance, and a vote for the leader
never raises it, because what the votes cannot tell apart shifts towards p_s = 1/2, where the odds are worst. So a
total asks for at most one vote more than the one before it, and no vote before the last of `wanting` can decide.

Not covered: steps that give one wrong answer nearly always. They look like right ones to any margin, and a share of
them above delta would leave no finite one. More than two answers: a third one's votes count in the total alone.
"""

from __future__ import annotations

import hashlib
import json
import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from maker.theory.votes.mixture import MOST_K, Steps

MOST = 30_000  # votes of one step; no table goes on beyond it
_REACH = 200  # times its k, the total at which a table ends: ten times what a step may take by default


@dataclass(frozen=True, slots=True)
class Table:
    """The margin that decides at each total of valid votes.

    k: at totals below the first of `widens`. widens: the totals, in order, from which on one vote more is needed.
    most: the last total that decides; a step with more votes ends undecided. Raises ValueError for what is no table.
    """

    k: int
    widens: tuple[int, ...] = ()
    most: int = MOST

    def __post_init__(self) -> None:
        numbers = (self.k, *self.widens, self.most)
        whole = all(isinstance(number, int) and not isinstance(number, bool) for number in numbers)
        if not whole or list(numbers) != sorted(numbers) or self.k < 1 or self.most > MOST:
            raise ValueError(f"a table needs 1 <= k <= totals in order <= most <= {MOST}, got {self!r:.100}")

    @classmethod
    def of(cls, said: Mapping[str, Any], k: int) -> Table:
        """Return a table that `as_note` gave. Raises ValueError for what is none, or has another digest."""
        table = cls(k, tuple(said["widens"]), said["most"])
        if said["digest"] != table.digest:
            raise ValueError("a table of margins does not have its digest")
        return table

    def as_note(self) -> dict[str, Any]:
        """Return what a journal keeps of it beside k."""
        return {"widens": list(self.widens), "most": self.most, "digest": self.digest}

    @property
    def digest(self) -> str:
        """A name for the table: 32 hex digits that are the same for the same margins."""
        told = json.dumps([self.k, self.widens, self.most], separators=(",", ":"))
        return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()

    def __str__(self) -> str:
        """Return the margins in a few words, for a person."""
        totals = (total for total in (20, 100, 500) if self.k < self.need(total) and total <= self.most)
        return ", ".join([f"{self.k} ahead", *(f"{self.need(total)} at {total} votes" for total in totals)])

    def need(self, total: int) -> int:
        """Return the margin that decides at a total of votes."""
        return self.k + bisect_right(self.widens, total)

    def wanting(self, margin: int, total: int) -> int:
        """Return how many more votes, all for the leader, would decide; 0 or less where it is decided.

        No fewer votes can decide, whoever gets them. Where none can by the end of the table, the total that they
        come to is beyond it.
        """
        votes = self.need(total) - margin
        while votes > 0 and total + votes <= self.most:
            more = self.need(total + votes) - margin
            if more == votes:
                break
            votes = more
        return votes


def leader_wrong(steps: Steps, lead: float, rival: float, coins: float = 0.0) -> float:
    """Return P(the leader of a vote is wrong), at `lead` votes to `rival`, lead >= rival.

    steps: the population, with one rival (spread = 1). coins: share of further steps that are right every other time.
    Half votes are allowed: between two totals of one kind the value is that of the integral, not of any vote.
    Equation: E[p^b q^a] / E[p^a q^b + p^b q^a] over p_s, a = lead, b = rival; for a Beta(x, y) it is
    B(x+b, y+a) / (B(x+a, y+b) + B(x+b, y+a)).
    """
    right, wrong = _log_mean(steps, lead, rival), _log_mean(steps, rival, lead)
    if not coins:
        return 1 / (1 + math.exp(min(right - wrong, 700.0)))
    right, wrong = right + math.log1p(-coins), wrong + math.log1p(-coins)
    coin = math.log(coins) - (lead + rival + 1) * math.log(2)  # half of it for either answer
    peak = max(right, wrong, coin)
    right, wrong, coin = (math.exp(x - peak) for x in (right, wrong, coin))
    return (wrong + coin) / (right + wrong + 2 * coin)


def _log_mean(steps: Steps, right: float, wrong: float) -> float:
    """Return the log of E[p_s^right (1 - p_s)^wrong]."""
    if steps.alike:
        return right * math.log(steps.p) + wrong * math.log1p(-steps.p)
    c = (1 - steps.rho) / steps.rho
    return _log_beta(steps.p * c + right, (1 - steps.p) * c + wrong) - _log_beta(steps.p * c, (1 - steps.p) * c)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def table_for(steps: Steps, delta: float, coins: float = 0.0, most: int | None = None) -> Table | None:
    """Return the least margin at each total at which P(leader wrong) <= delta; None where no votes reach it.

    steps, coins: as in `leader_wrong`; delta: strictly between 0 and 1. most: the last total, 200 times k if it is not
    given; nothing above 1,500 is tried for k. Raises ValueError for p <= 1/2, for spread-out
    rivals, and outside these ranges.
    """
    if steps.p <= 0.5 or steps.spread != 1 or not 0 < delta < 1 or not 0 <= coins < 1:
        raise ValueError(
            f"a table needs p > 1/2, one rival, delta in (0, 1), coins in [0, 1): {steps}, {delta}, {coins}"
        )
    tried = range(1, min(MOST_K, most or MOST) + 1)
    if steps.alike and not coins:  # as constant k is planned, to the last bit
        k = next((k for k in tried if steps.error(k) <= delta), None)
        return None if k is None else Table(k, (), min(MOST, most or _REACH * k))
    k = next((k for k in tried if leader_wrong(steps, k, 0, coins) <= delta), None)
    if k is None:
        return None
    margin, widens, most = k, [], min(MOST, most or _REACH * k)
    for total in range(k + 1, most + 1):
        while leader_wrong(steps, (total + margin) / 2, (total - margin) / 2, coins) > delta:
            margin += 1
            widens.append(total)
    return Table(k, tuple(widens), most)


def widest(first: Table, second: Table) -> Table:
    """Return the table that asks at each total for the larger margin of two."""
    most = min(first.most, second.most)
    k = max(first.need(first.k), second.need(second.k))
    margin, widens = k, []
    for total in range(k + 1, most + 1):
        due = max(first.need(total), second.need(total))
        widens += [total] * (due - margin)
        margin = max(margin, due)
    return Table(k, tuple(widens), most)
