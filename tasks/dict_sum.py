"""A running total of looked-up values: the long, dull task on which errors of a running model pile up.

A dictionary gives 40 words values from -99 to 99. Each turn names some words; their values go onto a running
total. For every word there are two micro-steps: *look up* its value, and *add* it to the total. `coarse(task, 2)`
makes both in one answer. The state is the total and the value in hand: no history, hence no errors of one's own
to read again. Dictionary and turns are drawn from a seed.

`done` compares the total with Python's exact sum; nothing that judges a single reply knows it.

Not covered: prompts that hold the whole history (those are an experiment's, not the task's).
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

from maker import Line, TaskError, View

WORDS = 40
LARGEST = 99  # of a value, in either direction
MOST_WORDS = 1_000_000  # that all turns together may name

_LOOK_UP = """\
You carry out one small step of a long calculation: look one word up.

Give the value that the dictionary has for the word at the end. Answer with exactly one line and nothing else:
result = <the value>

{dictionary}

word: {word}"""
_ADD = """\
You carry out one small step of a long calculation: one addition.

Add the two numbers below. Answer with exactly one line and nothing else:
result = <the sum>

{one} + {other}"""

_RESULT = Line("result", Line.INTEGER)


class DictSumState(NamedTuple):
    """The running total, how many values are in it, and the value in hand, None when the next is to be looked up."""

    total: int = 0
    added: int = 0
    value: int | None = None


class DictSum:
    """The total of the values that all turns name.

    turns: how many. keys: words named in a turn. data_seed: of dictionary and turns.
    `dictionary` has the values, `asked` the words in order, keys of them a turn.
    """

    name = "dict-sum"

    def __init__(self, turns: int = 100, keys: int = 2, data_seed: int = 0) -> None:
        if turns < 1 or keys < 1 or turns * keys > MOST_WORDS:
            raise TaskError(f"dict-sum: turns = {turns}, keys = {keys}: give 1 or more, at most 1,000,000 words in all")
        self.turns, self.keys = turns, keys
        self.parameters = {"turns": turns, "keys": keys, "data_seed": data_seed}
        self.steps: int = 2 * turns * keys
        drawn = random.Random(data_seed)  # noqa: S311 -- data of an exercise, not a secret
        words = dict.fromkeys(_words(drawn))
        self.dictionary = {word: int(drawn.random() * (2 * LARGEST + 1)) - LARGEST for word in words}
        names = list(self.dictionary)
        self.asked = [names[int(drawn.random() * WORDS)] for _ in range(turns * keys)]
        self._exact = sum(self.dictionary[word] for word in self.asked)
        self._lists = [_listed(sorted(self.dictionary.items(), reverse=back)) for back in (False, True)]

    # -- the task ------------------------------------------------------------------------------

    def initial_state(self) -> DictSumState:
        """Return the state with nothing added."""
        return DictSumState()

    def prompt(self, state: DictSumState, step: int) -> str:
        """Return the dictionary with one word, or an addition; no step needs more."""
        return self._ask(state, turned=False)

    def paraphrases(self, state: DictSumState, step: int) -> list[View]:
        """Return the question as it is, and with the dictionary or the addition the other way round."""
        return [View(self._ask(state, turned=turned), str) for turned in (False, True)]

    def _ask(self, state: DictSumState, *, turned: bool) -> str:
        if state.value is None:
            return _LOOK_UP.format(dictionary=self._lists[turned], word=self.asked[state.added])
        one, other = (state.value, state.total) if turned else (state.total, state.value)
        return _ADD.format(one=one, other=f"({other})" if other < 0 else other)

    def parse(self, text: str) -> int:
        """Read `result = N`. Raises Ambiguous or ValueError for anything else."""
        return _RESULT.number(text)

    def legal(self, state: DictSumState, action: int) -> bool:
        """Say whether a value, or a total of so many values, can be that large."""
        return abs(action) <= LARGEST * (1 if state.value is None else state.added + 1)

    def apply(self, state: DictSumState, action: int) -> DictSumState:
        """Return the state with the value in hand, or added."""
        if state.value is None:
            return state._replace(value=action)
        return DictSumState(action, state.added + 1)

    def done(self, state: DictSumState) -> bool:
        """Say whether every value is added and the total is exact."""
        return state == DictSumState(self._exact, len(self.asked))

    def answer(self, state: DictSumState) -> int:
        """Return the total."""
        return state.total

    def check(self, actions: Iterable[int]) -> str | None:
        """Compare with the exact values and totals; return a complaint or None."""
        return check_results([self.dictionary[word] for word in self.asked], actions)

    # -- for simulated models and experiments; flags and votes never see these ----------------------

    def truth(self, state: DictSumState, step: int) -> int:
        """Return the value of the word, or the sum, on or off the path."""
        return self.dictionary[self.asked[state.added]] if state.value is None else state.total + state.value

    def render(self, answer: int) -> str:
        """Write an answer as a model would."""
        return f"result = {answer}"

    def rivals(self, state: DictSumState, step: int) -> list[int]:
        """Return the usual slips: a neighbour's value, a lost sign, one or ten off; no flag can catch them."""
        right = self.truth(state, step)
        slips = [right + 1, right - 1, right + 10, right - 10, -right]
        if state.value is None:
            names = sorted(self.dictionary)
            at = names.index(self.asked[state.added])
            slips += [self.dictionary[names[at - 1]], self.dictionary[names[(at + 1) % WORDS]]]
        else:
            slips += [state.total, state.total - state.value]
        return [slip for slip in dict.fromkeys(slips) if slip != right and self.legal(state, slip)]


def check_results(values: list[int], results: Iterable[int]) -> str | None:
    """Say what is wrong with the results, or None if they look up and add up these values.

    Independent of `DictSum`: each total is the sum of all values up to there, taken from the end backwards.
    """
    given = list(islice(results, 2 * len(values) + 1))
    if len(given) != 2 * len(values):
        return f"{'more than ' if len(given) > 2 * len(values) else ''}{min(len(given), 2 * len(values))} results"
    total = sum(values)
    for at in range(len(values) - 1, -1, -1):
        if given[2 * at + 1] != total:
            return f"result {2 * at + 1} is {given[2 * at + 1]}, the exact total is {total}"
        if given[2 * at] != values[at]:
            return f"result {2 * at} is {given[2 * at]}, the dictionary has {values[at]}"
        total -= values[at]
    return None


def _words(drawn: random.Random) -> list[str]:
    """Return distinct words of three syllables that mean nothing."""
    words: dict[str, None] = {}
    while len(words) < WORDS:
        words["".join("bdfgklmnprstvz"[int(drawn.random() * 14)] + "aeiou"[int(drawn.random() * 5)] for _ in "...")] = (
            None
        )
    return list(words)


def _listed(items: list[tuple[str, int]]) -> str:
    return "\n".join(f"{word}: {value}" for word, value in items)
