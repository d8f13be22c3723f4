"""Long multiplication: two whole numbers of any size, one digit operation a step.

Column c collects the products of the digits x[i], y[j] with i + j = c, counted from the ones. Three kinds of
micro-step: a *product* of two digits; the *sum* of a column's total and the product just made (the
first product of a column is its total); and, once all column sums are there, for each column a *carry*:
its sum plus the carry so far, cut into the last digit and the rest. n by m digits take 2 n m steps.

Two designs of its steps. In `lines` these three, and the model cuts a column's sum into digit and carry itself. In
`questions` it is asked for one product ("What is 7 x 8?") or one sum in one sentence, a bare number as answer; a number
goes onto a total in four sums: of their ones ("What is 6 + 1?"), of their tens, of that and the carry, and of the
hundreds and the carry. So the model makes all products and sums, none but of a digit, in 5 n m steps; the code cuts
and joins digits. It takes a factor of at most 11 digits. (Sums of two numbers of two digits would take two questions
less, but small models have some of which the wrong answer is the usual one: see docs/proof.md.)

The plan is a DAG: columns need nothing from each other and run side by side, the carries are a chain behind
them. `done` compares the number that came out
with Python's exact product; nothing that judges a single reply knows it.

Not covered: negative numbers, fractions, numbers of more than 2,000 digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, islice
from typing import Any, ClassVar, Literal, NamedTuple

from maker import DEFAULT_SEGMENTS, Line, Plan, Segment, TaskError, View, bare

MOST_SHORT = 11  # digits of the shorter factor in the design `questions`: then no carry has three
MOST_DIGITS = 2000  # of a factor; Python prints no integer of more than 4,300 digits

_PRODUCT = """\
You carry out one small step of a long multiplication: the product of two digits.

Multiply the two numbers below. Answer with exactly one line and nothing else:
result = <the product>

{} * {}"""
_SUM = """\
You carry out one small step of a long multiplication: one addition.

Add the two numbers below. Answer with exactly one line and nothing else:
result = <the sum>

{} + {}"""
_CARRY = """\
You carry out one small step of a long multiplication: one column with its carry.

Add the two numbers below, the column's sum and the carry that comes into it. The last digit of what you
get is the digit of this column; what stands before it (0 if nothing does) is the carry that goes out.
For example 57 + 6 = 63 gives digit 3 and carry 6. Answer with exactly two lines and nothing else:
digit = <the last digit>
carry = <the number before it>

{} + {}"""

_WHAT = "What is {} {} {}? Answer with the number alone."

_RESULT, _DIGIT, _CARRIED = Line("result", Line.INTEGER), Line("digit", Line.DIGIT), Line("carry", Line.INTEGER)


class Carry(NamedTuple):
    """The answer of a carry step: the column's digit, and what goes on to the next column."""

    digit: int
    carry: int


Action = int | Carry


class MultiplicationState(NamedTuple):
    """All that a step needs.

    sums: of the finished columns that it knows of, from the ones up. column: the one being summed. taken: digit
    products in its `total`. product: one that is not in it yet, None when the next is to be made. digits: of the
    result, from the ones up. carry: into the next column.
    """

    sums: tuple[int, ...] = ()
    column: int = 0
    taken: int = 0
    total: int = 0
    product: int | None = None
    digits: str = ""
    carry: int = 0


class AskedState(NamedTuple):
    """The state of the design `questions`: as the other one, and half a sum.

    part: of the number that goes onto a total, what came so far: the sum of the ones, of the tens, and of that with the
    carry of the ones.
    """

    sums: tuple[int, ...] = ()
    column: int = 0
    taken: int = 0
    total: int = 0
    product: int | None = None
    part: tuple[int, ...] = ()
    digits: str = ""
    carry: int = 0


class _Columns:
    """Two factors and their columns, the same in every design."""

    name = "multiplication"
    designs: ClassVar = {
        "lines": "product, sum, and carry of a column; each answer on lines `result = N`",
        "questions": "products and sums of digits, each a short question with a bare number",
    }

    def __init__(self, x: int, y: int) -> None:
        for key, factor in (("x", x), ("y", y)):
            if not 0 <= factor < 10**MOST_DIGITS:
                shown = factor if abs(factor) < 10**20 else "a longer number"
                raise TaskError(f"multiplication: {key} = {shown}: give 0 or more, of at most 2,000 digits")
        self.x, self.y = x, y
        self._x, self._y = _digits(x), _digits(y)
        self.columns = len(self._x) + len(self._y) - 1
        self._most = 90 * min(len(self._x), len(self._y))  # no column's sum with its carry is larger

    def _pairs(self, column: int) -> range:
        """Return the places i in x that meet a digit of y in this column."""
        return range(max(0, column - len(self._y) + 1), min(column, len(self._x) - 1) + 1)

    def _factors(self, state: MultiplicationState | AskedState) -> tuple[int, int]:
        place = self._pairs(state.column)[state.taken]
        return self._x[place], self._y[state.column - place]

    def done(self, state: MultiplicationState | AskedState) -> bool:
        """Say whether all digits are there and are those of the exact product."""
        return len(state.digits) == self.columns and self.answer(state) == self.x * self.y

    def answer(self, state: MultiplicationState | AskedState) -> int:
        """Return the number that came out; the last carry stands in front of its digits."""
        return int(str(state.carry) + state.digits[::-1])


class Multiplication(_Columns):
    """The product of two whole numbers, by digits.

    x, y: the factors, 0 or more, of at most 2,000 digits. design: see `designs`.
    """

    def __new__(cls, x: int = 46048, y: int = 42098, design: str = "lines") -> Any:
        """Return a task of the design that is asked for."""
        return Asked(x, y) if design == "questions" else super().__new__(cls)

    def __init__(self, x: int = 46048, y: int = 42098, design: Literal["lines", "questions"] = "lines") -> None:
        super().__init__(x, y)
        self.parameters = {"x": x, "y": y}
        self.steps: int = 2 * len(self._x) * len(self._y)

    # -- the task ------------------------------------------------------------------------------

    def initial_state(self) -> MultiplicationState:
        """Return the state in which nothing is multiplied yet."""
        return MultiplicationState()

    def prompt(self, state: MultiplicationState, step: int) -> str:
        """Return one operation on two numbers; no step needs more."""
        return self._ask(state, swapped=False)

    def paraphrases(self, state: MultiplicationState, step: int) -> list[View]:
        """Return the question with its two numbers in either order."""
        return [View(self._ask(state, swapped=swapped), str) for swapped in (False, True)]

    def _ask(self, state: MultiplicationState, *, swapped: bool) -> str:
        if state.column == self.columns:
            form, pair = _CARRY, (state.sums[len(state.digits)], state.carry)
        elif state.product is None:
            form, pair = _PRODUCT, self._factors(state)
        else:
            form, pair = _SUM, (state.total, state.product)
        return form.format(*(pair[::-1] if swapped else pair))

    def parse(self, text: str) -> Action:
        """Read `result = N`, or `digit = D` and `carry = C`. Raises Ambiguous or ValueError for anything else."""
        if "digit" not in text:
            return _RESULT.number(text)
        return Carry(_DIGIT.number(text), _CARRIED.number(text))

    def legal(self, state: MultiplicationState, action: Action) -> bool:
        """Say whether the answer is of the step's kind and not larger than any such step gives."""
        if state.column == self.columns:
            return isinstance(action, Carry) and 0 <= action.carry <= self._most // 10
        most = 81 if state.product is None else self._most
        return not isinstance(action, Carry) and 0 <= action <= most

    def apply(self, state: MultiplicationState, action: Action) -> MultiplicationState:
        """Return the next state; a column whose products are all in goes to the finished ones."""
        if isinstance(action, Carry):
            return state._replace(digits=state.digits + str(action.digit), carry=action.carry)
        if state.product is None and state.taken:
            return state._replace(product=action)
        taken = state.taken + 1
        if taken < len(self._pairs(state.column)):
            return state._replace(taken=taken, total=action, product=None)
        return MultiplicationState((*state.sums, action), state.column + 1)

    # -- decomposition -------------------------------------------------------------------------

    def plan(self, segments: int = DEFAULT_SEGMENTS) -> Plan:
        """Return one branch a column, and the carries behind all of them; `segments` does not change that."""
        cuts = [0, *accumulate(2 * len(self._pairs(column)) - 1 for column in range(self.columns))]
        columns = [Segment(c, cuts[c], cuts[c + 1], self._column(c), after=()) for c in range(self.columns)]
        behind = tuple(range(self.columns))
        return Plan([*columns, Segment(self.columns, cuts[-1], self.steps, after=behind, join=self._summed)])

    @staticmethod
    def _column(column: int) -> Callable[[int], MultiplicationState]:
        return lambda _step: MultiplicationState(column=column)

    def _summed(self, exits: Sequence[MultiplicationState]) -> MultiplicationState:
        """Return the state before the first carry: the sums of all columns."""
        return MultiplicationState(tuple(state.sums[-1] for state in exits), self.columns)

    def check(self, actions: Iterable[Action]) -> str | None:
        """Recompute every step from the two numbers, a path of its own; return a complaint or None."""
        return check_steps(self.x, self.y, actions)

    # -- for simulated models and experiments; flags and votes never see these ----------------------

    def truth(self, state: MultiplicationState, step: int) -> Action:
        """Return the right answer to what the step asks, on or off the path."""
        if state.column == self.columns:
            carry, digit = divmod(state.sums[len(state.digits)] + state.carry, 10)
            return Carry(digit, carry)
        if state.product is None:
            one, other = self._factors(state)
            return one * other
        return state.total + state.product

    def render(self, answer: Action) -> str:
        """Write an answer as a model would."""
        if isinstance(answer, Carry):
            return f"digit = {answer.digit}\ncarry = {answer.carry}"
        return f"result = {answer}"

    def rivals(self, state: MultiplicationState, step: int) -> list[Action]:
        """Return slips of the kind people and models make; no flag can catch them."""
        right = self.truth(state, step)
        slips: list[Action]
        if isinstance(right, Carry):
            digit, carry = right
            forgotten, kept = divmod(state.sums[len(state.digits)], 10)  # the carry that came in, forgotten
            slips = [Carry((digit + 1) % 10, carry), Carry((digit - 1) % 10, carry), Carry(digit, carry + 1),
                     Carry(digit, carry - 1), Carry(kept, forgotten)]  # fmt: skip
        elif state.product is None:
            one, other = self._factors(state)
            slips = [one * (other + 1), one * (other - 1), (one + 1) * other, (one - 1) * other, right + 1, right - 1]
        else:
            slips = [right + 1, right - 1, right + 10, right - 10, state.total]
        return [slip for slip in dict.fromkeys(slips) if slip != right and self.legal(state, slip)]


class Asked(_Columns):
    """The design `questions`: one product or one sum a step, the answer a number."""

    def __init__(self, x: int, y: int, design: str = "questions") -> None:
        super().__init__(x, y)
        if min(len(self._x), len(self._y)) > MOST_SHORT:
            raise TaskError(
                "multiplication: the design questions takes a factor of at most 11 digits. Give design lines."
            )
        self.parameters = {"x": x, "y": y, "design": design}
        self.steps: int = 5 * len(self._x) * len(self._y)

    def initial_state(self) -> AskedState:
        """Return the state in which nothing is multiplied yet."""
        return AskedState()

    def _sum(self, state: AskedState) -> tuple[int, int]:
        """Return the total in hand, and the number that goes onto it."""
        if state.column == self.columns:
            return state.sums[len(state.digits)], state.carry
        return state.total, state.product or 0

    def _numbers(self, state: AskedState) -> tuple[int, str, int]:
        """Return what a step asks for: two numbers, and the sign between them."""
        if self.kind(state, 0) == "product":
            one, other = self._factors(state)
            return one, "x", other
        total, more = self._sum(state)
        match state.part:
            case ():
                return total % 10, "+", more % 10
            case (_,):
                return total // 10 % 10, "+", more // 10
            case (ones, tens):
                return tens, "+", ones // 10
            case _:
                return total // 100, "+", state.part[2] // 10

    def kind(self, state: AskedState, step: int) -> str:
        """Return whether two digits are multiplied, two digits added, or a carry."""
        if state.column < self.columns and state.product is None:
            return "product"
        return "digits" if len(state.part) < 2 else "carry"

    def prompt(self, state: AskedState, step: int) -> str:
        """Return one operation on two numbers; no step needs more."""
        return _WHAT.format(*self._numbers(state))

    def paraphrases(self, state: AskedState, step: int) -> list[View]:
        """Return the question with its two numbers in either order."""
        asked = self._numbers(state)
        return [View(_WHAT.format(*asked), str), View(_WHAT.format(*asked[::-1]), str)]

    def parse(self, text: str) -> int:
        """Read a bare whole number. Raises ValueError for anything else."""
        return int(bare(text))

    def legal(self, state: AskedState, action: int) -> bool:
        """Say whether the answer is not larger than any such step gives."""
        return 0 <= action <= {"product": 81, "digits": 18, "carry": 19}[self.kind(state, 0)]

    def apply(self, state: AskedState, action: int) -> AskedState:
        """Return the next state; a column whose products are all in goes to the finished ones."""
        if self.kind(state, 0) == "product":
            if state.taken:
                return state._replace(product=action)
            total = action
        elif len(state.part) < 3:
            return state._replace(part=(*state.part, action))
        else:
            total = 100 * action + 10 * (state.part[2] % 10) + state.part[0] % 10
        if state.column == self.columns:
            return state._replace(digits=state.digits + str(total % 10), carry=total // 10, part=())
        taken = state.taken + 1
        if taken < len(self._pairs(state.column)):
            return state._replace(taken=taken, total=total, product=None, part=())
        return AskedState((*state.sums, total), state.column + 1)

    def plan(self, segments: int = DEFAULT_SEGMENTS) -> Plan:
        """Return one branch a column, and the carries behind all of them; `segments` does not change that."""
        cuts = [0, *accumulate(5 * len(self._pairs(column)) - 4 for column in range(self.columns))]
        columns = [Segment(c, cuts[c], cuts[c + 1], self._column(c), after=()) for c in range(self.columns)]
        behind = tuple(range(self.columns))
        return Plan([*columns, Segment(self.columns, cuts[-1], self.steps, after=behind, join=self._summed)])

    @staticmethod
    def _column(column: int) -> Callable[[int], AskedState]:
        return lambda _step: AskedState(column=column)

    def _summed(self, exits: Sequence[AskedState]) -> AskedState:
        """Return the state before the first carry: the sums of all columns."""
        return AskedState(tuple(state.sums[-1] for state in exits), self.columns)

    def check(self, actions: Iterable[int]) -> str | None:
        """Recompute every step from the two numbers, a path of its own; return a complaint or None."""
        given = list(islice(actions, self.steps + 1))
        for count, (got, exact) in enumerate(zip(given, _questions(self.x, self.y), strict=False)):
            if got != exact:
                return f"answer {count} is {got}, its exact value is {exact}"
        return None if len(given) == self.steps else f"{len(given)} answers, not {self.steps}"

    def truth(self, state: AskedState, step: int) -> int:
        """Return the right answer to what the step asks, on or off the path."""
        one, sign, other = self._numbers(state)
        return one * other if sign == "x" else one + other

    def render(self, answer: int) -> str:
        """Write an answer as a model would."""
        return str(answer)

    def rivals(self, state: AskedState, step: int) -> list[int]:
        """Return slips of the kind people and models make; no flag can catch them."""
        right = self.truth(state, step)
        one, _, other = self._numbers(state)
        slips = [right + 1, right - 1, right + 10, right - 10, right + one, right + other]
        return [slip for slip in dict.fromkeys(slips) if slip != right and self.legal(state, slip)]


def check_steps(x: int, y: int, actions: Iterable[Action]) -> str | None:
    """Say what is wrong with the answers to all steps of x * y, or None if each is exact.

    Independent of `Multiplication`: it cuts the integers with powers of ten, builds the number from the carry
    steps, and compares that with x * y; it shares no code with the class.
    """
    given = iter(actions)
    number, place, carry = 0, 1, 0
    for count, (is_carry, value) in enumerate(_expected(x, y)):
        got = next(given, None)
        if got is None:
            return f"{count} answers are too few"
        if isinstance(got, tuple) != is_carry or (got[0] + 10 * got[1] if isinstance(got, tuple) else got) != value:
            return f"answer {count} is {got!r}, its exact value is {value}"
        if isinstance(got, tuple):
            number, place, carry = number + got[0] * place, place * 10, got[1]
    if next(given, None) is not None:
        return "there are answers after the last step"
    number += carry * place
    return None if number == x * y else f"{number} came out, {x} * {y} is {x * y}"


def _expected(x: int, y: int) -> Iterator[tuple[bool, int]]:
    """Yield for every step whether it is a carry, and its exact value; for a carry 10 * carry + digit."""
    wide, high = len(str(x)), len(str(y))
    sums = []
    for column in range(wide + high - 1):
        total, first = 0, True
        for i in range(wide):
            if 0 <= column - i < high:
                product = (x // 10**i % 10) * (y // 10 ** (column - i) % 10)
                total += product
                yield False, product
                if not first:
                    yield False, total
                first = False
        sums.append(total)
    low = 0
    for column, total in enumerate(sums):
        yield True, total + low // 10**column
        low += total * 10**column


def _questions(x: int, y: int) -> Iterator[int]:
    """Yield the exact answers to all questions, worked out with powers of ten."""
    sums = []
    for column in range(len(str(x)) + len(str(y)) - 1):
        total = None
        for i in range(max(0, column - len(str(y)) + 1), min(column, len(str(x)) - 1) + 1):
            product = (x // 10**i % 10) * (y // 10 ** (column - i) % 10)
            yield product
            if total is not None:
                yield from _summed(total, product)
            total = product + (total or 0)
        sums.append(total or 0)
    carry = 0
    for total in sums:
        yield from _summed(total, carry)
        carry = (total + carry) // 10


def _summed(total: int, more: int) -> Iterator[int]:
    """Yield the exact answers where a number of at most two digits goes onto a total."""
    yield total % 10 + more % 10
    yield total // 10 % 10 + more // 10
    yield (total % 100 + more) // 10
    yield (total + more) // 100


def _digits(number: int) -> tuple[int, ...]:
    """Return the decimal digits, from the ones up."""
    return tuple(map(int, reversed(str(number))))
