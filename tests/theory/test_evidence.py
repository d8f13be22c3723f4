"""What was seen of a model: how draws are counted, and p and rho with intervals that cover them.

Oracles: a likelihood written with Beta functions on a plain grid, and seeded simulations of steps that are wrong by
their own Beta-distributed chance.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from gathered import evidence, simulated
from maker.theory.draws import Draw, Seen
from maker.theory.evidence import Evidence


def covers(found: Evidence, rho: float) -> bool:
    """Say whether the interval of rho holds a value; quicker than its ends."""
    return not found.wrongs or found._profile(rho) >= found._profile(found.rho) - found._cutoff / 2


# ---- what was seen


def seen(index: int, first: str, again: str = "", picked: int = 1) -> Seen:
    """Return a step as it was seen: R right, W wrong, X another wrong answer, F flagged."""

    def draws(text: str) -> list[Draw]:
        return [Draw(None if c == "F" else c.encode(), "malformed" if c == "F" else None, 10) for c in text]

    return Seen(index, None, right=b"R", picked=picked, draws=draws(first), again=draws(again))


def test_evidence_counts_one_draw_a_step_and_all_of_them() -> None:
    """Both p and v come from first draws, pairs from the first two valid ones, the likelihood from all valid draws."""
    found = Evidence.of(
        [seen(0, "RR"), seen(1, "RW", "R" * 20), seen(2, "WW", "W" * 20), seen(3, "FR"), seen(4, "FF")], looks=3
    )
    assert (found.n, found.wrong, found.asked, found.dropped) == (4, 1, 5, 2)
    assert (found.pairs, found.collisions) == (3, 1)
    assert found.wrongs == [2] + [1] * 21
    assert found.rights == [3, 2] + [1] * 19
    assert found.valids == [4, 3] + [2] * 20
    assert (found.suspects, found.lost) == (1, [[2, 20, 0]])
    assert (found.rival, found.errors) == (20, 20)


def test_a_step_picked_often_counts_as_often() -> None:
    """A short task's step, picked three times with two draws each, gives three first draws and three pairs."""
    found = Evidence.of([seen(0, "RRWRWW", "R" * 20, picked=3)], looks=5)
    assert (found.n, found.wrong, found.pairs, found.collisions) == (3, 1, 3, 1)
    assert found.wrongs == [1, 1, 1]


def test_steps_are_cleared_and_lost_by_further_draws_alone() -> None:
    """What made a step a suspect never judges it; a sign test against the most common wrong answer does."""
    assert not seen(0, "WWWWWW").shown_lost(1)
    assert not seen(0, "RRRRRR").cleared
    assert seen(0, "W", "R" * 15 + "W" * 5).cleared
    assert not seen(0, "W", "R" * 14 + "W" * 6).cleared
    assert seen(0, "W", "R" * 8 + "WX" * 1 + "F" * 10).cleared
    assert seen(0, "W", "W" * 17 + "R" * 3).shown_lost(1)
    assert not seen(0, "W", "W" * 17 + "R" * 3).shown_lost(10)
    assert not seen(0, "W", "W" * 7 + "X" * 7 + "R" * 6).shown_lost(1)


def test_a_step_at_one_half_is_hardly_ever_called_lost() -> None:
    """Of 2,000 simulated suspects that are right half the time, looked at five times, under 1 in 100 is called lost."""
    rng, called = np.random.default_rng(8), 0
    for _ in range(2000):
        votes = "".join(rng.choice(["R", "W"], 100))
        called += any(seen(0, "W", votes[: 20 * i]).shown_lost(5) for i in range(1, 6))
    assert called / 2000 < 0.01


# ---- p and rho


def test_p_is_never_one() -> None:
    """Few clean steps give a p below 1, and an interval that reaches down to 1 - 3.7 / n."""
    found = evidence(0, 40)
    assert found.p < 0.99
    assert found.p_low == pytest.approx(0.025 ** (1 / 40))
    assert (found.p_high, found.rho, found.rho_low, found.rho_high) == (1, 0, 0, 1)


@pytest.mark.parametrize("rho", [0.001, 0.05, 0.5])
def test_the_likelihood_is_that_of_a_beta_binomial(rho: float) -> None:
    """Profile differences equal those of Beta functions, maximised over p on a fine grid."""
    found = evidence(5, 60, ((0, 20), (1, 20), (7, 20), (19, 20)))
    cells = [(1, 21), (2, 21), (8, 21), (20, 21), (1, 1), *[(0, 1)] * 55]

    def by_hand(rho: float) -> float:
        c = (1 - rho) / rho
        best = -math.inf
        for q in np.linspace(0.001, 0.999, 1500):
            a, b = (1 - q) * c, q * c
            base = math.lgamma(a) + math.lgamma(b) - math.lgamma(c)
            total = sum(
                math.lgamma(b + w) + math.lgamma(a + n - w) - math.lgamma(c + n) - base for w, n in set(cells)
                for _ in range(cells.count((w, n)))
            )  # fmt: skip
            best = max(best, total)
        return best

    assert found._profile(rho) - found._profile(0.2) == pytest.approx(by_hand(rho) - by_hand(0.2), abs=1e-3)


def test_the_interval_of_rho_has_the_level_at_its_ends() -> None:
    """The best rho lies inside the interval, whose ends are covered and whose outside is not."""
    found = evidence(8, 300, ((0, 20), (1, 20), (7, 20), (12, 20), (2, 20)))
    assert 0 < found.rho_low < found.rho < found.rho_high < 1
    assert covers(found, found.rho_low * 1.01)
    assert covers(found, found.rho_high * 0.99)
    assert not covers(found, found.rho_low * 0.98)
    assert not covers(found, found.rho_high * 1.02)
    nearby = [found._profile(found.rho * factor) for factor in (0.9, 1, 1.1)]
    assert nearby[1] == max(nearby)


def test_rho_grows_with_what_repeated_draws_show() -> None:
    """The more further draws on erring steps are wrong, the larger rho and both its ends."""
    fits = [evidence(6, 300, ((more, 20),) * 6) for more in (0, 1, 4, 12)]
    for name in ("rho", "rho_low", "rho_high"):
        values = [getattr(found, name) for found in fits]
        assert values == sorted(values), name
    assert fits[0].rho == 0


def coverage(p: float, rho: float, steps: int, repeats: int, most: int, trials: int) -> float:
    """How often the interval of rho held the truth in simulated estimates."""
    rng = np.random.default_rng([steps, repeats, round(1e4 * p), round(1e4 * rho)])
    return sum(covers(simulated(p, rho, steps, repeats, most, rng), rho) for _ in range(trials)) / trials


@pytest.mark.parametrize("rho", [0.0, 0.01, 0.05, 0.3])
@pytest.mark.parametrize(("p", "width"), [(0.8, 0.051), (0.95, 0.028), (0.99, 0.014), (0.998, 0.007)])
def test_the_interval_of_p_covers_whatever_the_correlation(p: float, width: float, rho: float) -> None:
    """In 1,000 simulated estimates of 1,000 steps it holds p in at least 94%, and is about as wide as said here."""
    rng = np.random.default_rng([round(1e4 * p), round(1e4 * rho)])
    held, total = 0, 0.0
    ends = {}
    for _ in range(1000):
        c = (1 - rho) / rho if rho else 0.0
        q = 1 - rng.beta(p * c, (1 - p) * c, 1000) if rho else np.full(1000, 1 - p)
        wrong = int((rng.random(1000) < q).sum())
        if wrong not in ends:
            found = evidence(wrong, 1000)
            ends[wrong] = (found.p_low, found.p_high)
        low, high = ends[wrong]
        held += low <= p <= high
        total += high - low
    assert held >= 940
    assert total / 1000 == pytest.approx(width, abs=0.001)


@pytest.mark.parametrize(("p", "rho"), [(0.98, 0.0), (0.98, 0.05), (0.9, 0.01)])
def test_the_interval_of_rho_covers(p: float, rho: float) -> None:
    """In 60 simulated estimates the interval of rho holds the truth in at least 54 (in 1,000, at least 940: slow)."""
    assert coverage(p, rho, 300, 1, 10, 60) >= 0.9


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("rho", [0.0, 0.01, 0.05, 0.3])
@pytest.mark.parametrize("p", [0.8, 0.95, 0.99, 0.998])
@pytest.mark.parametrize(("steps", "repeats", "most"), [(1000, 2, 100), (300, 1, 20)])
def test_the_interval_of_rho_covers_in_a_thousand(p: float, rho: float, steps: int, repeats: int, most: int) -> None:
    """In 1,000 simulated estimates the interval of rho holds the truth in at least 94%."""
    held = coverage(p, rho, steps, repeats, most, 1000)
    print(f"p={p} rho={rho} steps={steps} repeats={repeats}: rho covered {held:.3f}")
    assert held >= 0.94


def test_more_than_two_draws_a_step_are_counted_by_how_many_were_wrong() -> None:
    """Of steps with r valid draws: how many, and how many with at least 1, ..., r wrong; nothing for two."""

    def seen(letters: str, picked: int = 1) -> Seen:
        return Seen(0, None, b"R", picked=picked,
                    draws=[Draw(c.encode(), "malformed" if c == "F" else None, 7) for c in letters])  # fmt: skip

    found = Evidence.of([seen("RRR"), seen("RWR"), seen("WWW"), seen("WWF"), seen("RRRWWR", 2)], 1)
    assert found.tails == [5, 3, 2, 1]
    assert found.as_note()["tails"] == found.tails
    assert Evidence.of([seen("RR"), seen("WW")], 1).tails == Evidence.of([seen("RRR"), seen("WW")], 1).tails == []
    assert "tails" not in Evidence.of([seen("RR")], 1).as_note()
