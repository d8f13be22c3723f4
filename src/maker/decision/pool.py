"""The name of a pool, several models of which each draws in its turn, over and over; and what its draws count. Pure.

Draw d of a step is the turn of model d mod P, whatever became of the other draws. So the name of a run's pool, with
the number of a draw, says whose the draw is: a journal needs no more.

Weights are votes by turn: a draw of the turn counts as so many. There are none, (), where each draw counts as one. All
that is said in votes is said in these: the counts of the answers, the margin k, and the most votes of a step.

Not covered: asking them (`models/pool.py`).
"""

from __future__ import annotations

from collections.abc import Iterable

from maker.errors import TaskError

Weights = tuple[int, ...]  # by turn, each 1 or more; () where every draw is one vote
MOST_WEIGHT = 100
CALIBRATED = "calibrated"  # in place of weights: those that a calibration finds

MARK, BETWEEN = "pool: ", " | "


def pool_name(names: Iterable[str]) -> str:
    """Return the name of the pool whose turns are these models'; where they are all one model's, its own."""
    turns = list(names)
    return turns[0] if len(set(turns)) == 1 else MARK + BETWEEN.join(turns)


def turns_of(name: object) -> list[str]:
    """Return the models of a pool by its name, one for each turn; none where the name is that of one model."""
    if not isinstance(name, str) or not name.startswith(MARK):
        return []
    return name.removeprefix(MARK).split(BETWEEN)


def read_weights(text: str) -> Weights | str:
    """Return weights as a person writes them: "4,2,1", or CALIBRATED. Raises TaskError for what are neither."""
    if text == CALIBRATED:
        return text
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise TaskError(f"weights {text}: give a whole number for each turn of the pool, as in 4,2,1") from None


def in_force(told: Iterable[int] | str) -> Weights:
    """Return the weights that settings tell; none where they are left to a calibration, which has not been yet."""
    return () if isinstance(told, str) else tuple(map(int, told))


def weight_of(weights: Weights, draw: int) -> int:
    """Return how many votes a draw counts, by its number."""
    return weights[draw % len(weights)] if weights else 1


def weighed(weights: Weights, first: int, draws: int) -> int:
    """Return how many votes the draws from `first` on come to, so many of them."""
    if not weights:
        return draws
    rounds, rest = divmod(draws, len(weights))
    return rounds * sum(weights) + sum(weight_of(weights, first + at) for at in range(rest))


def draws_for(weights: Weights, first: int, votes: int) -> int:
    """Return the fewest draws from `first` on that come to so many votes; 0 for none or less."""
    if not weights or votes <= 0:
        return max(votes, 0)
    rounds, left = divmod(votes, sum(weights))
    draws = rounds * len(weights)
    while left > 0:
        left -= weight_of(weights, first + draws)
        draws += 1
    return draws
