"""A running total of looked-up values: the long, dull task on which errors of a running model pile up.

A dictionary gives 40 words values from -99 to 99. Each turn names some words; their values go onto a running
total. For every word there are two micro-steps: *look up* its value, and *add* it to the total. `coarse(task, 2)`
makes both in one answer. The state is the total and the value in hand: no history, hence no errors of one's own
to read again. Dictionary and turns are drawn from a seed.

Two designs of its steps. In `lines` these two, with `result = N` as answer. In `questions` each is asked for in one
sentence, with a bare number as answer, and an addition is four: of the ones of total and value ("What is 7 + 5?", or
"What is 17 - 5?" for a negative one), of their tens, of that and the carry ("What is 12 + 1?"), and of the total's
hundreds and the carry. The model looks up, adds, subtracts and carries; the code cuts numbers into digits, and puts
them together.

With a `window` each prompt begins with the last so many steps, a line each: that much history, and no more.

`done` compares the total with Python's exact sum; nothing that judges a single reply knows it.

Not covered: histories with errors (those are an experiment's, `self-conditioning`).
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import islice
from typing import Any, ClassVar, Literal, NamedTuple

from maker import Line, TaskError, View, bare, windowed

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

_WHICH = "{dictionary}\n\nWhat number stands behind {word} in this list? Answer with the number alone."
_WHAT = "What is {}? Answer with the number alone."

_RESULT = Line("result", Line.INTEGER)


class DictSumState(NamedTuple):
    """The running total, how many values are in it, and the value in hand, None when the next is to be looked up."""

    total: int = 0
    added: int = 0
    value: int | None = None


class AskedState(NamedTuple):
    """The state of the design `questions`: the total is 100 hundreds + rest, the rest from 0 to 99.

    added: values in the total. value: the one in hand, None when the next is to be looked up. part: what came so far of
    adding it: the ones, the tens, and these with the carry, of a negative value each 10 more than the difference is.
    """

    hundreds: int = 0
    rest: int = 0
    added: int = 0
    value: int | None = None
    part: tuple[int, ...] = ()


class _Turns:
    """Dictionary and turns, the same in every design."""

    name = "dict-sum"
    designs: ClassVar = {
        "lines": "look a word up, add its value; each answer on a line `result = N`",
        "questions": "look a word up, add its digits, carry; a short question and a bare number each",
    }

    def __init__(self, turns: int, keys: int, data_seed: int) -> None:
        if turns < 1 or keys < 1 or turns * keys > MOST_WORDS:
            raise TaskError(f"dict-sum: turns = {turns}, keys = {keys}: give 1 or more, at most 1,000,000 words in all")
        self.turns, self.keys = turns, keys
        self.parameters: dict[str, Any] = {"turns": turns, "keys": keys, "data_seed": data_seed}
        drawn = random.Random(data_seed)  # noqa: S311 -- data of an exercise, not a secret
        words = dict.fromkeys(_words(drawn))
        self.dictionary = {word: int(drawn.random() * (2 * LARGEST + 1)) - LARGEST for word in words}
        names = list(self.dictionary)
        self.asked = [names[int(drawn.random() * WORDS)] for _ in range(turns * keys)]
        self._exact = sum(self.dictionary[word] for word in self.asked)
        self._lists = [_listed(sorted(self.dictionary.items(), reverse=back)) for back in (False, True)]

    def told(self, state: Any, action: int) -> str:
        """Return the line about a step that a history shows."""
        if state.value is None:
            return f"{self.asked[state.added]}: {action}"
        one, other = self._numbers(state)
        return f"{one} {'-' if other < 0 else '+'} {abs(other)} = {action}"

    def _numbers(self, state: Any) -> tuple[int, int]:
        """Return what is added in a step that adds: in `lines` the total and the value in hand."""
        return state.total, state.value


class DictSum(_Turns):
    """The total of the values that all turns name.

    turns: how many. keys: words named in a turn. data_seed: of dictionary and turns. design: see `designs`. window:
    steps that a prompt shows of those before, or "all". `dictionary` has the values, `asked` the words in order, keys
    of them a turn.
    """

    def __new__(
        cls, turns: int = 100, keys: int = 2, data_seed: int = 0, design: Any = "lines", window: Any = 0
    ) -> Any:
        """Return a task of the design that is asked for, with a history where one is."""
        if window != 0:
            plain: Any = cls(turns, keys, data_seed, design)
            return windowed(plain, window)
        return Asked(turns, keys, data_seed) if design == "questions" else super().__new__(cls)

    def __init__(
        self, turns: int = 100, keys: int = 2, data_seed: int = 0, design: Literal["lines", "questions"] = "lines",
        window: int | Literal["all"] = 0,
    ) -> None:  # fmt: skip
        super().__init__(turns, keys, data_seed)
        self.steps: int = 2 * turns * keys

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


class Asked(_Turns):
    """The design `questions`: five short questions a word, the answer of each a number."""

    def __init__(self, turns: int, keys: int, data_seed: int, design: str = "questions") -> None:
        super().__init__(turns, keys, data_seed)
        self.parameters["design"] = design
        self.steps: int = 5 * turns * keys

    def initial_state(self) -> AskedState:
        """Return the state with nothing added."""
        return AskedState()

    def kind(self, state: AskedState, step: int) -> str:
        """Return whether a word is looked up, digits of its value are added or subtracted, or a carry."""
        if state.value is None:
            return "look-up"
        return "carry" if len(state.part) >= 2 else "add" if state.value >= 0 else "subtract"

    def _numbers(self, state: AskedState) -> tuple[int, int]:
        """Return what is added in a step that adds: the second number is negative where it is taken away."""
        assert state.value is not None, "a word is looked up before its value is added"
        sign = 1 if state.value >= 0 else -1
        match state.part:
            case ():
                return state.rest % 10 + (10 if sign < 0 else 0), sign * (abs(state.value) % 10)
            case (_,):
                return state.rest // 10 + (10 if sign < 0 else 0), sign * (abs(state.value) // 10)
            case (ones, tens):
                return tens, ones // 10 - (sign < 0)
            case _:
                return state.hundreds, state.part[2] // 10 - (sign < 0)

    def prompt(self, state: AskedState, step: int) -> str:
        """Return the dictionary with one word, or an addition; no step needs more."""
        return self._ask(state, turned=False)

    def paraphrases(self, state: AskedState, step: int) -> list[View]:
        """Return the question as it is, and with the dictionary or the addition the other way round."""
        return [View(self._ask(state, turned=turned), str) for turned in (False, True)]

    def _ask(self, state: AskedState, *, turned: bool) -> str:
        if state.value is None:
            return _WHICH.format(dictionary=self._lists[turned], word=self.asked[state.added])
        one, other = self._numbers(state)
        if other < 0 or self.kind(state, 0) == "subtract":
            return _WHAT.format(f"{one} - {-other}")
        return _WHAT.format(f"{other} + {one}" if turned else f"{one} + {other}")

    def parse(self, text: str) -> int:
        """Read a bare whole number. Raises ValueError for anything else."""
        return int(bare(text))

    def legal(self, state: AskedState, action: int) -> bool:
        """Say whether a value, a sum of digits or so many hundreds can be that large."""
        if state.value is None:
            return abs(action) <= LARGEST
        if len(state.part) == 3:
            return abs(action) <= state.added + 1
        least, most = {"add": (0, 18), "subtract": (1, 19), "carry": (0, 19)}[self.kind(state, 0)]
        return least <= action <= most

    def apply(self, state: AskedState, action: int) -> AskedState:
        """Return the state with the value in hand, with a part of its sum, or with both in the total."""
        if state.value is None:
            return state._replace(value=action)
        if len(state.part) < 3:
            return state._replace(part=(*state.part, action))
        return AskedState(action, 10 * (state.part[2] % 10) + state.part[0] % 10, state.added + 1)

    def done(self, state: AskedState) -> bool:
        """Say whether every value is added and the total is exact."""
        return state == AskedState(*divmod(self._exact, 100), len(self.asked))

    def answer(self, state: AskedState) -> int:
        """Return the total."""
        return 100 * state.hundreds + state.rest

    def check(self, actions: Iterable[int]) -> str | None:
        """Compare with the exact values and totals, from the end backwards; return a complaint or None."""
        given = list(islice(actions, self.steps + 1))
        if len(given) != self.steps:
            return f"{len(given)} answers, not {self.steps}"
        total = self._exact
        for at in range(len(self.asked) - 1, -1, -1):
            value = self.dictionary[self.asked[at]]
            exact = [value, *_exact_parts((total - value) % 100, value), total // 100]
            if given[5 * at : 5 * at + 5] != exact:
                return f"word {at}: {given[5 * at : 5 * at + 5]}, not {exact}"
            total -= value
        return None

    def truth(self, state: AskedState, step: int) -> int:
        """Return the value of the word, or the sum, on or off the path."""
        return self.dictionary[self.asked[state.added]] if state.value is None else sum(self._numbers(state))

    def render(self, answer: int) -> str:
        """Write an answer as a model would."""
        return str(answer)

    def rivals(self, state: AskedState, step: int) -> list[int]:
        """Return the usual slips: one or ten off, a lost sign; no flag can catch them."""
        right = self.truth(state, step)
        slips = [right + 1, right - 1, right + 10, right - 10, -right]
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


def _exact_parts(rest: int, value: int) -> tuple[int, int, int]:
    """Return the ones, the tens, and these with the carry, of a value that goes onto the last two digits of a total."""
    if value >= 0:
        return rest % 10 + value % 10, rest // 10 + value // 10, (rest + value) // 10
    less = -value
    return 10 + rest % 10 - less % 10, 10 + rest // 10 - less // 10, (100 + rest - less) // 10


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
