"""Arguments of the equations, checked: a number in its range, or a ValueError that names it.

Not covered: what the numbers mean.
"""

from __future__ import annotations

import math
from numbers import Integral, Real  # so that numpy scalars are numbers too; bool is refused below

HUGE = 1e100  # no count comes near it; below it no product of two counts leaves a double


def real(name: str, value: object) -> float:
    """Return a number that is none of NaN, infinite, or senselessly large."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(f"{name} must be a number, got {value!r}")  # noqa: TRY004  one error for all refusals
    try:
        number = float(value)
    except OverflowError:  # an int that no double holds
        number = math.inf
    if not abs(number) <= HUGE:  # written so that NaN fails too
        raise ValueError(f"{name} must be a number of at most {HUGE:g}, got {number}")
    return number


def share(name: str, value: object) -> float:
    """Return a probability."""
    number = real(name, value)
    if not 0 <= number <= 1:
        raise ValueError(f"{name} must be a probability in [0, 1], got {value!r}: a share, not a percentage")
    return number


def inside(name: str, value: object) -> float:
    """Return a probability that is neither 0 nor 1."""
    number = share(name, value)
    if number in (0, 1):
        raise ValueError(f"{name} must be strictly between 0 and 1, got {value!r}: no finite vote is certain")
    return number


def whole(name: str, value: object, least: int = 1) -> int:
    """Return a whole number, `least` or more."""
    number = real(name, value)
    if not isinstance(value, Integral) or number < least:
        raise ValueError(f"{name} must be a whole number (an int), {least} or more, got {value!r}")
    return int(value)
