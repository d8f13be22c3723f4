"""Running totals with a history: what is asked, which share of it is wrong, and how much of it is shown.

A turn adds a value, from -99 to 99 where nothing else is said, to the last answer. It is right when it equals the last
answer *given* and the value, so that a turn after a wrong one can be right. In an *induced* history every answer is,
with a chance, shifted by a whole number from -10 to 10 that is not 0; the shift stands on the true total and is not
carried on.

Not covered: looking values up (`tasks/dict_sum.py`), and who answers (`readers.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import numpy as np

from maker.decision.race import Ballot, first_to_ahead

LARGEST = 99  # of a value, in either direction
FARTHEST = 10  # of a shift
SHIFTS = [shift for shift in range(-FARTHEST, FARTHEST + 1) if shift]
ARMS: dict[str, int | None] = {"whole history": None, "window 25": 25, "window 1": 1, "state only": 0}
MOST_VOTES = 12  # of one turn, and as many replies that are none; then the vote is lost


@dataclass(slots=True, frozen=True)
class Turn:
    """One turn that was answered: the total before it, the value that was to be added, and what was answered."""

    before: int
    value: int
    answer: int

    @property
    def right(self) -> bool:
        """Whether the answer is the sum of the two."""
        return self.answer == self.before + self.value


@dataclass(slots=True, frozen=True)
class Question:
    """What a reader is shown: the turns before, as many as the arm allows, the last answer and the value to be added.

    number: of its history, and turn: of the question in it; they address its draws.
    """

    turns: tuple[Turn, ...]
    last: int
    value: int
    number: int = 0
    turn: int = 0

    @property
    def right(self) -> int:
        """The right answer: the last one and the value."""
        return self.last + self.value


# brings, for each question, as many replies as asked for; None for one that is no number
Reader = Callable[[Sequence[Question], Sequence[int]], list[list[int | None]]]


def values(turns: int, rng: np.random.Generator, largest: int = LARGEST) -> list[int]:
    """Return the values that so many turns add."""
    return [int(value) for value in rng.integers(-largest, largest + 1, turns)]


def induced(turns: int, share: float, rng: np.random.Generator, largest: int = LARGEST) -> list[Turn]:
    """Return a history of so many turns, whose answers are shifted with a chance."""
    history, true, last = [], 0, 0
    for value in values(turns, rng, largest):
        true += value
        answer = true + (int(rng.choice(SHIFTS)) if rng.random() < share else 0)
        history.append(Turn(last, value, answer))
        last = answer
    return history


def shown(history: Sequence[Turn], value: int, arm: str, number: int) -> Question:
    """Return the question that comes after a history, as an arm shows it."""
    window = ARMS[arm]
    seen = history if window is None else history[-window:] if window else ()
    return Question(tuple(seen), history[-1].answer if history else 0, value, number, len(history))


def answered(questions: Sequence[Question], k: int, reader: Reader) -> list[int | None]:
    """Return the answer of each question: the one reply for k = 1, else that of the vote; None where there is none.

    k: votes that the winner is ahead. A reply that is no number is drawn again in a vote; a single one counts as it is.
    """
    if k == 1:
        return [replies[0] for replies in reader(questions, [1] * len(questions))]
    races = [first_to_ahead(k, MOST_VOTES, MOST_VOTES) for _ in questions]
    wanted = {number: next(race) for number, race in enumerate(races)}
    found: list[int | None] = [None] * len(questions)
    while wanted:
        replies = reader([questions[number] for number in wanted], list(wanted.values()))
        asked, wanted = wanted, {}
        for number, given in zip(asked, replies, strict=True):
            need = _send(races[number], [None if reply is None else b"%d" % reply for reply in given])
            if isinstance(need, int):
                wanted[number] = need
            else:
                found[number] = int(need) if need is not None else None
    return found


def _send(race: Generator[int, Sequence[Ballot], object], ballots: list[Ballot]) -> int | bytes | None:
    """Send ballots to a race; return how many more it asks for, or its winner."""
    try:
        return race.send(ballots)
    except StopIteration as ended:
        winner: bytes | None = ended.value.winner
        return winner


def at_turn(
    turns: int, share: float, arm: str, k: int, number: int, reader: Reader, seed: int, largest: int = LARGEST
) -> list[bool]:
    """Return, of so many induced histories, whether the last turn is answered right. turns: with that one."""
    questions = []
    for which in range(number):
        rng = np.random.default_rng((seed, which))  # the same histories in every arm, at every share
        value = values(1, rng, largest)[0]
        questions.append(shown(induced(turns - 1, share, rng, largest), value, arm, which))
    given = answered(questions, k, reader)
    return [answer == question.right for answer, question in zip(given, questions, strict=True)]


def rolled(
    turns: int, arm: str, k: int, number: int, reader: Reader, seed: int, largest: int = LARGEST
) -> list[list[bool]]:
    """Return, of so many runs in which a reader goes on from its own answers, whether each turn is right.

    Where a turn has no answer the one before is carried on.
    """
    added = [values(turns, np.random.default_rng((seed, 1, which)), largest) for which in range(number)]
    histories: list[list[Turn]] = [[] for _ in range(number)]
    for turn in range(turns):
        questions = [shown(histories[which], added[which][turn], arm, which) for which in range(number)]
        for question, answer, history in zip(questions, answered(questions, k, reader), histories, strict=True):
            history.append(Turn(question.last, question.value, question.last if answer is None else answer))
    return [[turn.right for turn in history] for history in histories]
