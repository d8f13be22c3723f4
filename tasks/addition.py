"""Column addition: two whole numbers of any size, one column a step.

Two designs of its steps. In `lines` a step adds two digits and the carry that comes in, and answers the column's
digit and the carry that goes out: the model adds, and writes its sum in columns. In `questions` a column is two
questions with a bare number as answer, "What is 8 + 7?" and "What is 15 + 1?": the model makes both additions, the
code cuts the last one into digit and carry.

`done` compares the number that came out with Python's exact sum; nothing that judges a single reply knows it.

Not covered: negative numbers, fractions, numbers of more than 4,000 digits.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice, permutations
from typing import Any, ClassVar, Literal, NamedTuple

from maker import Line, TaskError, View, bare

MOST_DIGITS = 4000  # of a summand; Python prints no integer of more than 4,300 digits

_RULES = """\
You carry out one column of a written addition.

Add the three numbers below: a digit of each number, and the carry that comes into the column. The last digit of
what you get is the digit of this column; the carry that goes out is 1 if you get 10 or more, else 0.
For example 7 + 8 + 1 = 16 gives digit 6 and carry 1. Answer with exactly two lines and nothing else:
digit = <the last digit>
carry = <0 or 1>

"""

_DIGIT, _CARRY = Line("digit", Line.DIGIT), Line("carry", r"[01]")


class Column(NamedTuple):
    """The answer of a step: the column's digit, and the carry into the next column."""

    digit: int
    carry: int


class AdditionState(NamedTuple):
    """The digits of the sum so far, from the ones up, and the carry into the next column."""

    digits: str = ""
    carry: int = 0


class AskedState(NamedTuple):
    """The state of the design `questions`: also the sum of the column's two digits, None before it is asked for."""

    digits: str = ""
    carry: int = 0
    pair: int | None = None


class _Sum:
    """Two summands, and what the columns of both designs need of them."""

    name = "addition"
    designs: ClassVar = {
        "lines": "a column a step, its digit and carry on two lines",
        "questions": "two short questions a column, bare numbers as answers",
    }

    def __init__(self, x: int, y: int) -> None:
        for key, summand in (("x", x), ("y", y)):
            if not 0 <= summand < 10**MOST_DIGITS:
                shown = summand if abs(summand) < 10**20 else "a longer number"
                raise TaskError(f"addition: {key} = {shown}: give 0 or more, of at most 4,000 digits")
        self.x, self.y = x, y
        self.columns = len(str(max(x, y)))
        texts = [str(number).zfill(self.columns)[::-1] for number in (x, y)]
        self._pairs = [(int(a), int(b)) for a, b in zip(*texts, strict=True)]

    def done(self, state: AdditionState | AskedState) -> bool:
        """Say whether all columns are added and gave the exact sum."""
        return len(state.digits) == self.columns and self.answer(state) == self.x + self.y

    def answer(self, state: AdditionState | AskedState) -> int:
        """Return the number that came out; the last carry stands in front of its digits."""
        return int(str(state.carry) + state.digits[::-1])


class Addition(_Sum):
    """The sum of two whole numbers, by columns.

    x, y: the summands, 0 or more, of at most 4,000 digits. design: see `designs`.
    """

    def __new__(cls, x: int = 46048, y: int = 42098, design: str = "lines") -> Any:
        """Return a task of the design that is asked for."""
        return Asked(x, y) if design == "questions" else super().__new__(cls)

    def __init__(self, x: int = 46048, y: int = 42098, design: Literal["lines", "questions"] = "lines") -> None:
        super().__init__(x, y)
        self.parameters = {"x": x, "y": y}
        self.steps: int = self.columns

    # -- the task ------------------------------------------------------------------------------

    def initial_state(self) -> AdditionState:
        """Return the state before the column of the ones."""
        return AdditionState()

    def prompt(self, state: AdditionState, step: int) -> str:
        """Return the column's two digits and its carry; no step needs more."""
        return _asked(*self._column(state))

    def paraphrases(self, state: AdditionState, step: int) -> list[View]:
        """Return the question with its three numbers in every order."""
        return [View(_asked(*numbers), str) for numbers in permutations(self._column(state))]

    def _column(self, state: AdditionState) -> tuple[int, int, int]:
        return (*self._pairs[len(state.digits)], state.carry)

    def parse(self, text: str) -> Column:
        """Read `digit = D` and `carry = C`. Raises Ambiguous or ValueError for anything else."""
        return Column(_DIGIT.number(text), _CARRY.number(text))

    def legal(self, state: AdditionState, action: Column) -> bool:
        """Say whether a column is left; which digits there are, the parser knows."""
        return len(state.digits) < self.steps

    def apply(self, state: AdditionState, action: Column) -> AdditionState:
        """Return the state with one more digit."""
        return AdditionState(state.digits + str(action.digit), action.carry)

    def check(self, actions: Iterable[Column]) -> str | None:
        """Compare every column with the exact sum of the numbers' tails; return a complaint or None."""
        return check_columns(self.x, self.y, actions)

    # -- for simulated models and experiments; flags and votes never see these ----------------------

    def truth(self, state: AdditionState, step: int) -> Column:
        """Return the column's right digit and carry, on or off the path."""
        carry, digit = divmod(sum(self._column(state)), 10)
        return Column(digit, carry)

    def render(self, answer: Column) -> str:
        """Write an answer as a model would."""
        return f"digit = {answer.digit}\ncarry = {answer.carry}"

    def rivals(self, state: AdditionState, step: int) -> list[Column]:
        """Return the usual slips: one off, the carry forgotten on its way in or out; no flag can catch them."""
        digit, carry = self.truth(state, step)
        forgotten = (digit - state.carry) % 10
        slips = [Column((digit + 1) % 10, carry), Column((digit - 1) % 10, carry), Column(digit, 1 - carry),
                 Column(forgotten, carry)]  # fmt: skip
        return [slip for slip in dict.fromkeys(slips) if slip != (digit, carry)]


class Asked(_Sum):
    """The design `questions`: the digits of a column are added, then the carry; the answer of a step is a sum."""

    def __init__(self, x: int, y: int, design: str = "questions") -> None:
        super().__init__(x, y)
        self.parameters = {"x": x, "y": y, "design": design}
        self.steps: int = 2 * self.columns

    def initial_state(self) -> AskedState:
        """Return the state before the column of the ones."""
        return AskedState()

    def kind(self, state: AskedState, step: int) -> str:
        """Return whether the step adds the column's digits, or the carry to their sum."""
        return "digits" if state.pair is None else "carry"

    def _summands(self, state: AskedState) -> tuple[int, int]:
        return self._pairs[len(state.digits)] if state.pair is None else (state.pair, state.carry)

    def prompt(self, state: AskedState, step: int) -> str:
        """Return one addition of two numbers; no step needs more."""
        return _question(*self._summands(state))

    def paraphrases(self, state: AskedState, step: int) -> list[View]:
        """Return the question with its two numbers in either order."""
        one, other = self._summands(state)
        return [View(_question(one, other), str), View(_question(other, one), str)]

    def parse(self, text: str) -> int:
        """Read a bare whole number. Raises ValueError for anything else."""
        return int(bare(text, "1?[0-9]"))

    def legal(self, state: AskedState, action: int) -> bool:
        """Say whether two digits, or they and a carry, can give such a sum."""
        return len(state.digits) < self.columns and action <= 18 + (state.pair is not None)

    def apply(self, state: AskedState, action: int) -> AskedState:
        """Return the state with the pair's sum, or with one more digit."""
        if state.pair is None:
            return state._replace(pair=action)
        carry, digit = divmod(action, 10)
        return AskedState(state.digits + str(digit), carry)

    def check(self, actions: Iterable[int]) -> str | None:
        """Compare every sum of digits with the digits, and the columns with the exact sum; a complaint or None."""
        given = list(islice(actions, self.steps + 1))
        for column, pair in enumerate(given[::2]):
            exact = self.x // 10**column % 10 + self.y // 10**column % 10
            if pair != exact:
                return f"column {column}: its digits are said to give {pair}, not {exact}"
        complaint = check_columns(self.x, self.y, (Column(total % 10, total // 10) for total in given[1::2]))
        return complaint or (None if len(given) == self.steps else f"{len(given)} answers, not {self.steps}")

    def truth(self, state: AskedState, step: int) -> int:
        """Return the right sum, on or off the path."""
        return sum(self._summands(state))

    def render(self, answer: int) -> str:
        """Write an answer as a model would."""
        return str(answer)

    def rivals(self, state: AskedState, step: int) -> list[int]:
        """Return the usual slips: one or ten off, the carry forgotten; no flag can catch them."""
        one, other = self._summands(state)
        slips = [one + other + 1, one + other - 1, one + other - 10, one, other]
        return [slip for slip in dict.fromkeys(slips) if slip >= 0 and slip != one + other and self.legal(state, slip)]


def check_columns(x: int, y: int, columns: Iterable[Column]) -> str | None:
    """Say what is wrong with the columns of x + y, or None if they are exact.

    Independent of `Addition`: column i must close the exact sum of both numbers' last i + 1 digits.
    """
    number, place, carry = 0, 1, 0
    for count, (digit, carry) in enumerate(columns):
        number, place = number + digit * place, place * 10
        if number + carry * place != x % place + y % place:
            return f"column {count} gives digit {digit} and carry {carry}, which is not exact"
    if number + carry * place != x + y or len(str(place)) - 1 != max(len(str(x)), len(str(y))):
        return f"{number + carry * place} came out in {len(str(place)) - 1} columns, {x} + {y} is {x + y}"
    return None


def _question(one: int, other: int) -> str:
    return f"What is {one} + {other}? Answer with the number alone."


def _asked(one: int, two: int, three: int) -> str:
    return f"{_RULES}{one} + {two} + {three}"
