"""Several models that were asked at the same steps: what each is like, and how often two fail together.

Votes of a pool are worth more than those of one model as far as its models err at different steps: two that fail
together are one. `both` against `by_chance` tells that: the steps at which both were wrong, and how many there would be
if the errors of one said nothing of the other's.

Not covered: which models to choose. A run by a pool is planned for as one by a model whose p, v and rho are the pool's,
though turns are spread more evenly than chance would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

from maker.theory.draws import Draw, Seen
from maker.theory.evidence import Evidence

_TOLD = ("n", "wrong", "p", "p_low", "p_high", "v", "v_low", "v_high", "rho", "rho_low", "rho_high", "pairs",
         "collisions")  # fmt: skip


@dataclass(slots=True, frozen=True)
class Together:
    """Two models at n steps where each had a vote: wrong replies of one, of the other, of both, and both alike.

    alike: both were wrong with the same answer, which is what wins votes.
    """

    one: str
    other: str
    n: int
    one_wrong: int
    other_wrong: int
    both: int
    alike: int

    @property
    def by_chance(self) -> float:
        """At how many steps both would be wrong if the errors were independent."""
        return self.one_wrong * self.other_wrong / self.n if self.n else 0.0

    @property
    def share(self) -> float:
        """Of the steps at which either was wrong, those at which both were; 0 where none was."""
        either = self.one_wrong + self.other_wrong - self.both
        return self.both / either if either else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the object of `--json`."""
        return {**asdict(self), "by_chance": self.by_chance, "share": self.share}


def shuffled(draws: Sequence[Draw], choose: Callable[[list[str]], str]) -> list[Draw]:
    """Return draws of a pool in an order in which the model of the first says nothing of the second's.

    So the first two are as two draws of one model that errs as the pool does: it may be the same one's turn again.
    choose: one of a list by chance.
    """
    left = list(draws)
    turns = [draw.model for draw in draws]
    found: list[Draw] = []
    while left:
        name = choose(turns)
        at = next((at for at, draw in enumerate(left) if draw.model == name), 0)
        found.append(left.pop(at))
    return found


def by_model(seen: Sequence[Seen], names: Iterable[str], looks: int) -> dict[str, Evidence]:
    """Return what each of the named models is like, from its own draws. looks: as for `Evidence.of`."""

    def of(draws: list[Draw], name: str) -> list[Draw]:
        return [draw for draw in draws if draw.model == name]

    return {
        name: Evidence.of(
            [replace(step, draws=of(step.draws, name), again=of(step.again, name)) for step in seen], looks
        )
        for name in dict.fromkeys(names)
    }  # fmt: skip


def together(seen: Sequence[Seen], names: Iterable[str]) -> list[Together]:
    """Return every two of the named models, at the steps where both had a vote, by the first of each."""
    return [_pair(one, other, seen) for one, other in combinations(dict.fromkeys(names), 2)]


def as_json(models: Mapping[str, Evidence], pairs: Sequence[Together]) -> dict[str, Any]:
    """Return what `--json` says of a pool; {} where there is none."""
    if not models:
        return {}
    told = {model: {name: getattr(found, name) for name in _TOLD} for model, found in models.items()}
    return {"models": told, "together": [pair.as_json() for pair in pairs]}


def _pair(one: str, other: str, seen: Sequence[Seen]) -> Together:
    n = wrong = other_wrong = both = alike = 0
    for step in seen:
        valid = [[draw.key for draw in step.draws if draw.model == name and draw.flag is None] for name in (one, other)]
        for key, theirs in list(zip(*valid, strict=False))[: step.picked]:
            n += 1
            wrong += key != step.right
            other_wrong += theirs != step.right
            both += key != step.right != theirs
            alike += key == theirs != step.right
    return Together(one, other, n, wrong, other_wrong, both, alike)
