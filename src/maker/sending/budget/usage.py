"""What a run has sent, got and spent, resumes included.

The account always balances: dispatched = voted + flagged + failed + cancelled + in flight, where a
sample that came and was not judged yet counts as in flight. What nobody reported is not guessed but bounded: a
reply without figures, and a call whose reply never came, count as spent at the most they could take.

Not covered: limits (`limits.py`), and how the account survives a crash (`receipts.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from maker.decision.sample import Failure, Prices, Request, Sample
from maker.decision.wave import UNKNOWN_TOKENS, Wave

TEMPLATE_TOKENS = 64  # that a server's chat template adds to a prompt, at most
FIGURES = 5  # of what a call took, which a receipt holds; that it was free shows in what the server said it cost


class Spent(NamedTuple):
    """Tokens and dollars of one call: reported, or at most."""

    tokens_in: int = 0
    tokens_out: int = 0
    assumed: int = 0  # tokens that nobody reported: the most they can have been
    cost: float = 0.0
    cached: int = 0  # of tokens_in, from the server's cache
    free: bool = False  # it costs nothing, as the server said; without that a cost of 0 is one that nobody knows


def most(request: Request, prices: Prices | None) -> Spent:
    """Return the most that one request can take.

    Input is bounded by bytes: no tokenizer makes more tokens than bytes.
    """
    told = len(request.prompt.encode("utf-8", "replace")) + TEMPLATE_TOKENS
    if request.schema is not None:
        told += len(str(request.schema))
    if request.tools is not None:
        told += len(str(request.tools.schemas))
    cost = prices.cost(told, request.max_tokens) if prices else 0.0
    return Spent(0, 0, told + request.max_tokens, cost)


def spent_on(reply: Sample | Failure, bound: Spent, prices: Prices | None) -> Spent:
    """Return what a reply took: as reported; where a figure is missing, the whole bound.

    Where the model has no prices, it costs what its server says.
    """
    tokens_in, tokens_out = reply.tokens_in, reply.tokens_out
    told, cached, free = 0.0, 0, False
    if isinstance(reply, Sample):
        cached = reply.cached or 0
        if prices is None and reply.cost is not None:
            told, free = reply.cost or 0.0, reply.cost == 0
    if tokens_in is None or tokens_out is None:
        known = (tokens_in or 0) + (tokens_out or 0)
        return Spent(tokens_in or 0, tokens_out or 0, max(0, bound.assumed - known), bound.cost or told, 0, free)
    cached = min(cached, tokens_in) if cached else 0
    cost = prices.cost(tokens_in, tokens_out, cached) if prices else told
    return Spent(tokens_in, tokens_out, 0, cost, cached, free)


@dataclass(slots=True)
class Usage:
    """The account of a run.

    tokens_in, tokens_out: as reported; lost_in, lost_out: of these, those of replies that no wave counts.
    assumed: tokens that nobody reported, at most. cost: dollars, assumed ones included, as far as they are known;
    unpriced: replies that took tokens, and nobody told or set a price; free: replies that cost nothing, as told.
    cached: of tokens_in, those that a server read from its cache.
    """

    dispatched: int = 0
    voted: int = 0
    flagged: int = 0
    failed: int = 0
    cancelled: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    lost_in: int = 0
    lost_out: int = 0
    assumed: int = 0
    cached: int = 0
    cost: float = 0.0
    flags: Counter[str] = field(default_factory=Counter)
    unpriced: int = field(default=0, compare=False)  # of a model in this process the journal does not say
    free: int = field(default=0, compare=False)

    @property
    def in_flight(self) -> int:
        """Draws sent and not yet accounted for."""
        return self.dispatched - self.voted - self.flagged - self.failed - self.cancelled

    @property
    def tokens(self) -> int:
        """All tokens that were spent, or may have been."""
        return self.tokens_in + self.tokens_out + self.assumed

    @property
    def known_cost(self) -> float | None:
        """Dollars, None where some reply has no price."""
        return None if self.unpriced else self.cost

    def begin_anew(self) -> None:
        """Set everything to nothing: the journal is about to be replayed once more."""
        fresh = Usage()
        for name in self.__slots__:
            setattr(self, name, getattr(fresh, name))

    def add(self, other: Usage) -> None:
        """Add what was counted elsewhere."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def since(self, before: Usage) -> Usage:
        """Return what was counted after another account of the same."""
        return Usage(**{name: getattr(self, name) - getattr(before, name) for name in self.__slots__})

    def spend(self, spent: Spent) -> None:
        """Book what one reply took."""
        tokens_in, tokens_out, assumed, cost, cached, free = spent
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out
        if assumed:
            self.assumed += assumed
        if cached:
            self.cached += cached
        if cost:
            self.cost += cost
        elif free:
            self.free += 1
        elif tokens_in or tokens_out or assumed:
            self.unpriced += 1

    def fail(self, spent: Spent) -> None:
        """Book a draw that failed, with what it took all the same."""
        self.failed += 1
        self.lost_in += spent.tokens_in
        self.lost_out += spent.tokens_out
        self.spend(spent)

    def cancel(self, bounds: Iterable[Spent]) -> None:
        """Book draws whose replies nobody will see: spent at the most they could take."""
        for bound in bounds:
            self.cancelled += 1
            self.spend(bound)

    def book(self, *waves: Wave) -> None:
        """Account for the judged samples of waves."""
        lost = judged = 0
        for wave in waves:
            judged += len(wave.draws) // 4
            if wave.extras:  # a flagged draw has its kind there
                kinds = [facts["flag"] for facts in wave.extras.values() if "flag" in facts]
                if kinds:
                    self.flags.update(kinds)
                    lost += len(kinds)
        self.flagged += lost
        self.voted += judged - lost

    def lose(self, samples: Collection[Sample]) -> None:
        """Book samples that came and will never be judged: paid for, and lost."""
        self.cancelled += len(samples)
        self.lost_in += sum(sample.tokens_in or 0 for sample in samples)
        self.lost_out += sum(sample.tokens_out or 0 for sample in samples)

    def replay_plain(self, draws: int, tokens_in: int, tokens_out: int) -> None:
        """Account for waves all of whose draws voted, as `replay` does for one."""
        self.dispatched += draws
        self.voted += draws
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out

    def replay(self, *waves: Wave) -> None:
        """Account for waves that another process drew in lock-step, tokens included."""
        draws: list[int] = []
        for wave in waves:
            draws += wave.draws
        self.dispatched += len(draws) // 4
        self.book(*waves)
        self.tokens_in += _told(draws[2::4])
        self.tokens_out += _told(draws[3::4])


def _told(counts: Sequence[int]) -> int:
    """Return the sum of token counts of a wave, as far as they are known."""
    return sum(counts) - UNKNOWN_TOKENS * counts.count(UNKNOWN_TOKENS)
