"""Invoices as text, read into records: eight fields of each, in many layouts and wordings.

The invoices are drawn: four layouts, four ways to write a date, three to write an amount, other dates, numbers, names
and amounts beside those that are asked for. An amount of money is kept in cents.

Two designs of its steps. In `lines` a step is a whole invoice, answered with a line for each field. In `questions` it
is one field, "Who is the customer of this invoice?", with a bare value as answer, asked after an example of each layout
with all questions and answers: the rest of the talk is the same at each step, so a server has read it before. The model
finds the value and copies it as it stands in the text; the code reads the ways to write a date or an amount.

A red flag may use that numbers, names and amounts are copied, so they stand in the text, and that the total is the sum
of the items and the tax. In `questions` the total comes last, and is flagged only where that sum stands in the text:
else a part was misread before, and no total is better than another. The record itself no flag knows.

`done` compares all records with what was drawn; nothing that judges a single reply knows it. `right_fields` counts how
many fields of some records are right.

Not covered: invoices with other than three items, and currencies.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from datetime import date
from functools import cache
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from maker import Line, TaskError, bare

MOST = 1_000

_RULES = """\
{text}

Read this invoice. Answer with exactly these eight lines and nothing else, values as they stand in the text:
number = <the invoice number>
date = <the date of the invoice>
buyer = <who has to pay>
first = <the amount of the first item>
second = <the amount of the second item>
third = <the amount of the third item>
tax = <the amount of the tax>
total = <the total to pay>"""

_QUESTIONS = {
    "number": "What is the invoice number, with its letters? Answer with the number alone.",
    "date": "What is the full date of the invoice? Answer with the date alone.",
    "buyer": "Who is the customer of this invoice? Answer with the name alone.",
    "first": "What is the amount of the first item? Answer with the amount alone.",
    "second": "What is the amount of the second item? Answer with the amount alone.",
    "third": "What is the amount of the third item? Answer with the amount alone.",
    "tax": "What is the amount of the VAT? Answer with the amount alone.",
    "total": "What is the total to pay, with VAT? Answer with the amount alone.",
}
FIELDS = tuple(_QUESTIONS)
_ITEMS = slice(3, 6)  # of the fields

_NUMBER, _NAME = r"[A-Z]{1,3}-[0-9]{3,6}(?:/[0-9]{2})?", r"[A-Z][a-z]+(?: (?:&|[A-Z][a-z]+))*"
_AMOUNT = r"(?:[Ee][Uu][Rr] )?[0-9]{1,3}(?:[,. ]?[0-9]{3})*[.,][0-9]{2}(?: [Ee][Uu][Rr])?"
_DATE = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{2}\.[0-9]{2}\.[0-9]{4}"
    "|[0-9]{1,2} [A-Z][a-z]+ [0-9]{4}|[A-Z][a-z]+ [0-9]{1,2}, [0-9]{4}"
)
_FORMS = (_NUMBER, _DATE, _NAME, *(_AMOUNT,) * 5)
_LINES = [Line(name, form) for name, form in zip(FIELDS, _FORMS, strict=True)]
_COPIED = re.compile(rf"(?<![0-9.,]){_AMOUNT}(?![0-9])")
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip

_PLACES = ("Hill", "Marsh", "Stone", "Field", "Brook", "Wood", "Lake", "Ford", "Moor", "Dale")
_TRADES = ("Bakery", "Works", "& Sons", "Press", "Garage", "Farms", "Yard", "Print Shop", "& Daughters", "Tools")
_GOODS = ("oak desks", "paper A4", "roof repair", "lamp oil", "seed drills", "ink, black", "tea chests", "door locks",
          "glass panes", "floor wax", "copper wire", "train freight")  # fmt: skip

# A layout: the text, and how an item stands in it. What is drawn goes in by name.
_LAYOUTS = (
    (
        (
            "{seller}\nINVOICE {number}\nDate: {date}    Order: {order}\nBill to: {buyer}\n\n{items}\n\n"
            "Subtotal: {net}\nVAT {rate}%: {tax}\nTotal due: {total}\nPayable by {due}"
        ),
        "{place}. {what}, {count} x {unit}: {amount}",
    ),
    (
        (
            "Amount due: {total}\nof which VAT ({rate} %): {tax}\n\nInvoice no. {number} of {date}\nfrom {seller}\n"
            "to {buyer}\nYour order {order}, to be paid until {due}\n\n| item | pieces | each | amount |\n{items}\n"
            "| net | | | {net} |"
        ),
        "| {what} | {count} | {unit} | {amount} |",
    ),
    (
        (
            "Dear {buyer},\n\nthank you for your order {order}. We charge you with our invoice {number}, issued on "
            "{date}:\n{items}\nThat makes {net} net; with {rate}% VAT ({tax}) the sum to pay is {total}. Please pay by "
            "{due}.\n\nKind regards\n{seller}"
        ),
        "- {count} {what} at {unit} each, {amount}",
    ),
    (
        (
            "Customer      {buyer}\nOrder         {order}\nInvoice       {number}\nInvoice date  {date}\n"
            "Due date      {due}\n\n{items}\n\nNet           {net}\nVAT {rate} %      {tax}\nTOTAL         {total}\n\n"
            "{seller}, all goods as ordered"
        ),
        "Item {place}: {what} ({count} at {unit})   {amount}",
    ),
)


class Invoice(BaseModel):
    """The record of an invoice; amounts in cents."""

    model_config = ConfigDict(frozen=True)

    number: str
    date: date
    buyer: str
    items: tuple[int, int, int]
    tax: int
    total: int


Value = str | int
Fields = tuple[Value, ...]  # of one invoice, in the order of FIELDS; a date as YYYY-MM-DD


class Drawn(NamedTuple):
    """An invoice: its text, what stands in it, and for each field another value of the text that it is not."""

    text: str
    fields: Fields
    others: Fields


class InvoicesState(NamedTuple):
    """The fields of the invoices read so far, and those of the next one as far as they are."""

    invoices: tuple[Fields, ...] = ()
    fields: Fields = ()


class _Pile:
    """The invoices, the same in both designs."""

    name = "invoices"
    designs: ClassVar = {
        "lines": "a whole invoice a step, a line for each field",
        "questions": "a short question for each field, a bare value as answer",
    }

    def __init__(self, invoices: int, data_seed: int) -> None:
        if not 1 <= invoices <= MOST:
            raise TaskError(f"invoices: invoices = {invoices}: give 1 to 1,000")
        self.parameters: dict[str, Any] = {"invoices": invoices, "data_seed": data_seed}
        drawn = random.Random(data_seed)  # noqa: S311 -- data of an exercise, not a secret
        self.drawn = tuple(_draw(drawn) for _ in range(invoices))

    def initial_state(self) -> InvoicesState:
        """Return the state before the first invoice."""
        return InvoicesState()

    def _next(self, state: InvoicesState) -> Drawn:
        return self.drawn[len(state.invoices)]

    def done(self, state: InvoicesState) -> bool:
        """Say whether every field of every invoice is read as it was drawn."""
        return state == InvoicesState(tuple(drawn.fields for drawn in self.drawn))

    def answer(self, state: InvoicesState) -> list[dict[str, Any]]:
        """Return the records as JSON holds them."""
        return [record.model_dump(mode="json") for record in records(state)]


class Invoices(_Pile):
    """A pile of invoices, read one after the other.

    invoices: 1 to 1,000 of them. data_seed: of what stands in them. design: see `designs`.
    """

    def __new__(cls, invoices: int = 40, data_seed: int = 0, design: str = "lines") -> Any:
        """Return a task of the design that is asked for."""
        return Asked(invoices, data_seed) if design == "questions" else super().__new__(cls)

    def __init__(self, invoices: int = 40, data_seed: int = 0, design: Literal["lines", "questions"] = "lines") -> None:
        super().__init__(invoices, data_seed)
        self.steps: int = invoices

    # -- the task ------------------------------------------------------------------------------

    def prompt(self, state: InvoicesState, step: int) -> str:
        """Return one invoice, and the lines that are asked for."""
        return _RULES.format(text=self._next(state).text)

    def parse(self, text: str) -> Fields:
        """Read the eight lines. Raises Ambiguous or ValueError for anything else."""
        return tuple(_value(name, line.read(text)) for name, line in zip(FIELDS, _LINES, strict=True))

    def legal(self, state: InvoicesState, action: Fields) -> bool:
        """Say whether the values stand in the text and the amounts add up."""
        text = self._next(state).text
        adds_up = sum(map(int, (*action[_ITEMS], action[-2]))) == action[-1]
        return adds_up and all(_stands(value, text) for value in action)

    def apply(self, state: InvoicesState, action: Fields) -> InvoicesState:
        """Return the state with one more invoice read."""
        return InvoicesState((*state.invoices, action))

    def check(self, actions: Iterable[Fields]) -> str | None:
        """Compare all fields with those drawn; return a complaint or None."""
        return check_values(self.drawn, (value for fields in actions for value in fields))

    # -- for simulated models and experiments; flags and votes never see these ----------------------

    def truth(self, state: InvoicesState, step: int) -> Fields:
        """Return the right fields of the invoice."""
        return self._next(state).fields

    def render(self, answer: Fields) -> str:
        """Write an answer as a model would."""
        return "\n".join(f"{name} = {_written(value)}" for name, value in zip(FIELDS, answer, strict=True))

    def rivals(self, state: InvoicesState, step: int) -> list[Fields]:
        """Return the usual mistakes that add up: the order's number, the due date, the seller, two items exchanged."""
        _, right, others = self._next(state)
        wrong = [(*right[:i], others[i], *right[i + 1 :]) for i in range(3)]
        swapped = (*right[:3], right[4], right[3], *right[5:])
        return [*wrong, swapped] if swapped != right else wrong


class Asked(_Pile):
    """The design `questions`: the answer of a step is the value of one field."""

    def __init__(self, invoices: int, data_seed: int, design: str = "questions") -> None:
        super().__init__(invoices, data_seed)
        self.parameters["design"] = design
        self.steps: int = len(FIELDS) * invoices

    def kind(self, state: InvoicesState, step: int) -> str:
        """Return the field's name."""
        return FIELDS[len(state.fields)]

    def prompt(self, state: InvoicesState, step: int) -> Any:
        """Return one invoice and one question, after the examples."""
        asked = f"{self._next(state).text}\n\n{_QUESTIONS[self.kind(state, step)]}"
        return [*examples(), {"role": "user", "content": asked}]

    def parse(self, text: str) -> Value:
        """Read a bare number, date, name or amount. Raises ValueError for anything else."""
        found = bare(text, "|".join(_FORMS[:4]))
        return next(_value(name, found) for name, form in zip(FIELDS, _FORMS, strict=True) if re.fullmatch(form, found))

    def legal(self, state: InvoicesState, action: Value) -> bool:
        """Say whether the value is of the field's kind and stands in the text, and if it is the total, the sum."""
        place, text = len(state.fields), self._next(state).text
        if re.fullmatch(_FORMS[place], _written(action)) is None or not _stands(action, text):
            return False
        parts = sum(map(int, (*state.fields[_ITEMS], state.fields[-1]))) if FIELDS[place] == "total" else action
        return parts == action or not _stands(parts, text)

    def apply(self, state: InvoicesState, action: Value) -> InvoicesState:
        """Return the state with one more field read."""
        fields = (*state.fields, action)
        if len(fields) < len(FIELDS):
            return state._replace(fields=fields)
        return InvoicesState((*state.invoices, fields))

    def check(self, actions: Iterable[Value]) -> str | None:
        """Compare all fields with those drawn; return a complaint or None."""
        return check_values(self.drawn, actions)

    def truth(self, state: InvoicesState, step: int) -> Value:
        """Return the right value of the field."""
        return self._next(state).fields[len(state.fields)]

    def render(self, answer: Value) -> str:
        """Write an answer as a model would."""
        return _written(answer)

    def rivals(self, state: InvoicesState, step: int) -> list[Value]:
        """Return the usual mistake: the order's number, the due date, the seller, another amount of the text."""
        return [self._next(state).others[len(state.fields)]]


@cache
def examples() -> tuple[dict[str, str], ...]:
    """Return a talk on four invoices, one of each layout and way to write a date, with each question and its answer."""
    drawn = random.Random("examples 13")  # noqa: S311 -- data of an exercise, not a secret
    told: list[str] = []
    for layout in _LAYOUTS:
        text, fields, _ = _draw(drawn, layout)
        buyer = str(fields[FIELDS.index("buyer")])
        for place, (name, question) in enumerate(_QUESTIONS.items()):
            found = re.finditer({"number": _NUMBER, "date": _DATE, "buyer": re.escape(buyer)}.get(name, _COPIED), text)
            told += [f"{text}\n\n{question}" if place == 0 else question]
            told += [next(copy[0] for copy in found if _value(name, copy[0]) == fields[place])]
    return tuple({"role": ("user", "assistant")[i % 2], "content": said} for i, said in enumerate(told))


def records(state: InvoicesState) -> list[Invoice]:
    """Return the records of the invoices that are read."""
    return [
        Invoice.model_validate(
            {
                **dict(zip(FIELDS[:3], fields, strict=False)),
                "items": fields[_ITEMS],
                "tax": fields[6],
                "total": fields[7],
            }
        )
        for fields in state.invoices
    ]


def right_fields(found: Sequence[Fields | None], drawn: Sequence[Drawn]) -> dict[str, int]:
    """Return how many invoices have each field right; None is an invoice that could not be read."""
    return {
        name: sum(fields is not None and fields[i] == one.fields[i] for fields, one in zip(found, drawn, strict=True))
        for i, name in enumerate(FIELDS)
    }


def check_values(drawn: Sequence[Drawn], values: Iterable[Value]) -> str | None:
    """Say which value is not the one drawn, or None if all are right and none is missing."""
    given = iter(values)
    for count, one in enumerate(drawn):
        for name, right in zip(FIELDS, one.fields, strict=True):
            value = next(given, None)
            if value != right or type(value) is not type(right):
                return f"invoice {count}: its {name} is said to be {value!r}, it is {right!r}"
    return None if next(given, None) is None else f"there are values after the {len(drawn)} invoices"


def _value(name: str, written: str) -> Value:
    """Return a value as a record holds it. Raises ValueError for a day that no calendar has."""
    if name == "date":
        return _day(written).isoformat()
    return written if name in ("number", "buyer") else _cents(written)


def _written(value: Value) -> str:
    return value if isinstance(value, str) else f"{value // 100}.{value % 100:02}"


def _cents(written: str) -> int:
    """Return an amount in cents, whatever its separators are: two digits stand behind the last one."""
    return int(re.sub("[^0-9]", "", written))


def _day(written: str) -> date:
    """Return a date written in one of the four ways."""
    numbers = [int(number) for number in re.findall("[0-9]+", written)]
    if len(numbers) == 3:
        year, month, day = numbers if "-" in written else reversed(numbers)
        return date(year, month, day)
    name = re.findall("[A-Za-z]+", written)[0]
    if name not in _MONTHS:
        raise ValueError(f"{name} is no month")
    return date(max(numbers), 1 + _MONTHS.index(name), min(numbers))


def _stands(value: Value, text: str) -> bool:
    """Say whether a value can have been copied from the text; dates are written in ways of their own."""
    if isinstance(value, int):
        return value in map(_cents, _COPIED.findall(text))
    return re.fullmatch(_DATE, value) is not None or value in text


def _draw(drawn: random.Random, layout: tuple[str, str] | None = None) -> Drawn:
    """Draw an invoice, in that layout if one is given."""

    def up_to(limit: int) -> int:
        return int(drawn.random() * limit)

    def day() -> str:
        return f"2024-{1 + up_to(12):02}-{1 + up_to(28):02}"

    def firm() -> str:
        return f"{_PLACES[up_to(10)]} {_TRADES[up_to(10)]}"

    text, item = layout or _LAYOUTS[up_to(4)]
    style, notation, rate = up_to(4), up_to(3), (7, 19, 20, 25)[up_to(4)]
    number, order = (
        f"{('R', 'INV', 'RE')[up_to(3)]}-{1000 + up_to(9000)}",
        f"{('A', 'PO')[up_to(2)]}-{100 + up_to(900)}",
    )
    buyer, seller, issued, due = firm(), firm(), day(), day()
    while seller == buyer or due <= issued:
        seller, due, issued = firm(), day(), day()
    bought = [(_GOODS[up_to(12)], 2 + up_to(30), 100 + up_to(20_000)) for _ in range(3)]
    amounts = [count * unit for _, count, unit in bought]
    net = sum(amounts)
    tax = (net * rate + 50) // 100
    items = "\n".join(
        item.format(
            place=i + 1, what=what, count=count, unit=_money(unit, notation), amount=_money(count * unit, notation)
        )
        for i, (what, count, unit) in enumerate(bought)
    )
    text = text.format(
        seller=seller, buyer=buyer, number=number, order=order, date=_dated(issued, style), due=_dated(due, style),
        items=items, rate=rate, net=_money(net, notation), tax=_money(tax, notation),
        total=_money(net + tax, notation),
    )  # fmt: skip
    units = [unit for _, _, unit in bought]
    return Drawn(text, (number, issued, buyer, *amounts, tax, net + tax), (order, due, seller, *units, net, net))


def _dated(day: str, style: int) -> str:
    """Write a date in one of four ways."""
    year, month, number = day.split("-")
    name = _MONTHS[int(month) - 1]
    return (day, f"{number}.{month}.{year}", f"{int(number)} {name} {year}", f"{name} {int(number)}, {year}")[style]


def _money(cents: int, notation: int) -> str:
    """Write an amount in one of three ways, with thousands separated."""
    whole, part = f"{cents // 100:,}", f"{cents % 100:02}"
    return (f"{whole}.{part}", f"{whole.replace(',', '.')},{part} EUR", f"EUR {whole.replace(',', ' ')}.{part}")[
        notation
    ]
