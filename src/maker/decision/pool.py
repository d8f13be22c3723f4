"""The name of a pool: several models of which each draws in its turn, over and over. Pure.

Draw d of a step is the turn of model d mod P, whatever became of the other draws. So the name of a run's pool, with
the number of a draw, says whose the draw is: a journal needs no more.

Not covered: asking them (`models/pool.py`).
"""

from __future__ import annotations

from collections.abc import Iterable

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
