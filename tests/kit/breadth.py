"""The number of moves of a shortest way, by a breadth-first search from the rules alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

State = TypeVar("State", bound=Hashable)


def shortest(start: State, done: Callable[[State], bool], after: Callable[[State], Iterable[State]]) -> int | None:
    """Return how many moves it takes to get from `start` to a state that is done; None if there is no way."""
    reached, queue = {start: 0}, deque([start])
    while queue:
        state = queue.popleft()
        if done(state):
            return reached[state]
        for found in after(state):
            if found not in reached:
                reached[found] = reached[state] + 1
                queue.append(found)
    return None
