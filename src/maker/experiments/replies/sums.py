"""Products to be worked out aloud, or answered at once: what is asked, and the answer that a reply gives.

Not covered: who answers.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

_NUMBER = re.compile(r"-?\d[\d,]*")
_FINAL = re.compile(r"answer[*_:= ]{1,9}\D{0,9}?(-?\d[\d,]*)", re.IGNORECASE)


@dataclass(slots=True, frozen=True)
class Product:
    """Two numbers of so many digits."""

    x: int
    y: int

    @property
    def right(self) -> int:
        """Their product."""
        return self.x * self.y

    @property
    def aloud(self) -> str:
        """The request to think before the answer."""
        return f"What is {self.x} x {self.y}? Think step by step. End with one line: Answer: <the number>"

    @property
    def short(self) -> str:
        """The request for the answer at once."""
        return f"What is {self.x} x {self.y}? Answer with the number alone."


def products(many: int, digits: tuple[int, int], seed: int) -> list[Product]:
    """Draw so many products of numbers of so many digits."""
    drawn = random.Random(seed)  # noqa: S311 -- data of an exercise, not a secret
    return [Product(*(drawn.randrange(10 ** (size - 1), 10**size) for size in digits)) for _ in range(many)]


def answer_in(text: str | None) -> int | None:
    """Return the last final answer of a reply, or its last number; None where it has none."""
    found = _FINAL.findall(text or "") or _NUMBER.findall(text or "")
    return int(found[-1].replace(",", "")) if found else None
