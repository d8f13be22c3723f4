"""A ledger edited there and back, record by record: a document on a long relay.

A trip is an edit of every record and then its exact inverse, so after each trip the ledger must be the first one
again, to the character. The edits take turns: rename fields by a map, change a unit exactly, reverse the
order of fields, nest some, split a field. A step sees one record and one instruction.

The plan knows the ledger at the start of each trip and nothing between; a trip that did not restore it is a join
that does not hold. With one segment the run goes on with what it has, and `done` says at the end whether the
ledger is still the first one.

Red flags may use what an edit does not change (the record's id) and the form it asks for (names, order and kinds
of fields), never values.

Not covered: edits of the whole ledger at once (splitting into groups, sorting).
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from maker import DEFAULT_SEGMENTS, Ambiguous, Plan, Segment, TaskError

MOST_RECORDS, MOST_STEPS = 1_000, 2_000_000

_RULES = """\
You make one small, exact edit of one record of a ledger.

Edit: {instruction}
Change nothing else; all other fields keep their names, values and order.
Answer with exactly one line and nothing else, the edited record as JSON:
record = {{...}}

record = """

_HERE = re.compile(r"\brecord[ \t]*=[ \t]*")
_TAIL = re.compile(r"[ \t]*(?:[.;`*]+[ \t]*)?(?:[\r\n]|\Z)")
_FIRST = ("Ada", "Ben", "Cleo", "Dora", "Emil", "Finn", "Gwen", "Hugo", "Iris", "Jon")
_LAST = ("Hill", "Marsh", "Stone", "Field", "Brook", "Wood", "Lake", "Ford", "Moor", "Dale")
_THINGS = ("paper", "two boxes", "repair of the roof", "tea and bread", "train fare", "seed", "lamp oil", "rent", "ink")

Record = dict[str, Any]
Form = Callable[[Any], bool] | dict[str, "Form"]


def _natural(value: Any) -> bool:
    return type(value) is int and 0 <= value < 10**15


def _text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 200


def _date(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", value) is not None


def _money(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"(?:0|[1-9][0-9]{0,12})\.[0-9]{2}", value) is not None


def _below(limit: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and 0 <= value < limit


_PLAIN: dict[str, Form] = {"id": _natural, "date": _date, "payee": _text, "cents": _natural, "note": _text}
_NEW_NAMES = {"date": "booked", "payee": "to", "cents": "sum", "note": "remark"}
_OLD_NAMES = {new: old for old, new in _NEW_NAMES.items()}


@dataclass(frozen=True)
class Edit:
    """An edit of a record and its exact inverse.

    forward, back: the instructions. do, undo: what they mean. form: of an edited record, field by field in order.
    """

    name: str
    forward: str
    back: str
    do: Callable[[Record], Record]
    undo: Callable[[Record], Record]
    form: dict[str, Form]


def _renamed(record: Record, names: dict[str, str]) -> Record:
    return {names.get(key, key): value for key, value in record.items()}


def _replaced(record: Record, old: str | tuple[str, ...], new: Record) -> Record:
    """Return the record with new fields in the place of old ones that stand together."""
    gone = (old,) if isinstance(old, str) else old
    made: Record = {}
    for key, value in record.items():
        made |= new if key == gone[0] else {} if key in gone else {key: value}
    return made


def _in_coins(record: Record) -> Record:
    whole, part = record["amount"].split(".")
    return _replaced(record, "amount", {"cents": int(whole) * 100 + int(part)})


def _merged(record: Record) -> Record:
    day = f"{record['year']:04}-{record['month']:02}-{record['day']:02}"
    return _replaced(record, ("year", "month", "day"), {"date": day})


EDITS = (
    Edit(
        "rename", "rename the fields date, payee, cents, note to booked, to, sum, remark.",
        "rename the fields booked, to, sum, remark to date, payee, cents, note.",
        lambda record: _renamed(record, _NEW_NAMES), lambda record: _renamed(record, _OLD_NAMES),
        {_NEW_NAMES.get(key, key): form for key, form in _PLAIN.items()},
    ),
    Edit(
        "unit", 'put in the place of the integer cents the text amount, a hundredth of it with two decimals ("12.05").',
        "put in the place of the text amount the integer cents, a hundred times as much.",
        lambda record: _replaced(
            record, "cents", {"amount": f"{record['cents'] // 100}.{record['cents'] % 100:02}"}
        ), _in_coins,
        {"id": _natural, "date": _date, "payee": _text, "amount": _money, "note": _text},
    ),
    Edit(
        "order", "reverse the order of the fields.", "reverse the order of the fields.",
        lambda record: dict(reversed(record.items())), lambda record: dict(reversed(record.items())),
        dict(reversed(_PLAIN.items())),
    ),
    Edit(
        "nest", "put the fields payee, cents, note, in this order, into one field details, an object, in their place.",
        "put the fields in the object details into the record itself, in its place.",
        lambda record: _replaced(
            record, ("payee", "cents", "note"), {"details": {key: record[key] for key in ("payee", "cents", "note")}}
        ), lambda record: _replaced(record, "details", record["details"]),
        {"id": _natural, "date": _date, "details": {"payee": _text, "cents": _natural, "note": _text}},
    ),
    Edit(
        "split", "put in the place of the text date the integers year, month, day.",
        'put in the place of the integers year, month, day the text date, as in "2024-03-05".',
        lambda record: _replaced(
            record, "date", dict(zip(("year", "month", "day"), map(int, record["date"].split("-")), strict=True))
        ), _merged,
        {"id": _natural, "year": _below(10_000), "month": _below(100), "day": _below(100), "payee": _text,
         "cents": _natural, "note": _text},
    ),
)  # fmt: skip


class RelayState(NamedTuple):
    """The records as JSON texts, and how many edits were made, there and back."""

    ledger: tuple[str, ...]
    edits: int


class Relay:
    """A ledger that goes through `trips` round trips.

    records: 1 to 1,000 of them. trips: edits with their inverses; at most 2,000,000 steps in all. data_seed: of the
    ledger. `original` is the ledger as it must be after every trip.
    """

    name = "relay"

    def __init__(self, records: int = 50, trips: int = 10, data_seed: int = 0) -> None:
        if not 1 <= records <= MOST_RECORDS or not 1 <= trips <= MOST_STEPS // (2 * records):
            raise TaskError(
                f"relay: records = {records}, trips = {trips}: give 1 to 1,000 records, at least one trip and "
                "at most 2,000,000 steps (2 records trips)"
            )
        self.records, self.trips = records, trips
        self.parameters = {"records": records, "trips": trips, "data_seed": data_seed}
        self.steps: int = 2 * records * trips
        drawn = random.Random(data_seed)  # noqa: S311 -- data of an exercise, not a secret
        self.original = tuple(json.dumps(_entry(drawn, number)) for number in range(1, records + 1))

    def _at(self, state: RelayState) -> tuple[Edit, bool, str]:
        """Return the edit a state is at, whether it is on its way back, and the record's text."""
        leg, place = divmod(state.edits, self.records)
        return EDITS[leg // 2 % len(EDITS)], leg % 2 == 1, state.ledger[place]

    # -- the task ------------------------------------------------------------------------------

    def initial_state(self) -> RelayState:
        """Return the original ledger, nothing edited."""
        return RelayState(self.original, 0)

    def prompt(self, state: RelayState, step: int) -> str:
        """Return one instruction and one record; no step needs more."""
        edit, returning, record = self._at(state)
        return _RULES.format(instruction=edit.back if returning else edit.forward) + record

    def parse(self, text: str) -> str:
        """Read `record = {...}`; return the record's JSON, its fields in their order.

        Raises Ambiguous for several distinct records, ValueError for none, for floats, repeated fields or what JSON
        does not allow. Each character is read once.
        """
        found = []
        place = _HERE.search(text)
        while place is not None:
            record, end = _decoder.raw_decode(text, place.end())
            if not isinstance(record, dict):
                raise ValueError("`record =` is not followed by an object")  # noqa: TRY004 -- a fault of the reply
            if not _TAIL.match(text, end):
                raise ValueError("the record is not alone on its line")
            found.append(json.dumps(record))
            place = _HERE.search(text, end)
        if not found:
            raise ValueError("no line `record = {...}` in the reply")
        if len(set(found)) > 1:
            raise Ambiguous(f"{len(found)} records, and not all the same")
        return found[0]

    def legal(self, state: RelayState, action: str) -> bool:
        """Say whether the record keeps its id and has the fields, in order and kind, that the edit asks for."""
        edit, returning, record = self._at(state)
        edited = json.loads(action)
        return _fits(edited, _PLAIN if returning else edit.form) and edited["id"] == json.loads(record)["id"]

    def apply(self, state: RelayState, action: str) -> RelayState:
        """Return the state with the record edited."""
        place = state.edits % self.records
        return RelayState((*state.ledger[:place], action, *state.ledger[place + 1 :]), state.edits + 1)

    def done(self, state: RelayState) -> bool:
        """Say whether all edits are made and the ledger is the original one, to the character."""
        return state == RelayState(self.original, self.steps)

    def answer(self, state: RelayState) -> list[Record]:
        """Return the ledger as a list of records."""
        return [json.loads(record) for record in state.ledger]

    # -- decomposition -------------------------------------------------------------------------

    def plan(self, segments: int = DEFAULT_SEGMENTS) -> Plan:
        """Cut the run between trips, where the ledger must be the original one."""
        count = min(segments, self.trips)
        cuts = [2 * self.records * (self.trips * i // count) for i in range(count + 1)]
        return Plan([Segment(i, cuts[i], cuts[i + 1], self._restored) for i in range(count)])

    def _restored(self, step: int) -> RelayState:
        return RelayState(self.original, step)

    def check(self, actions: Iterable[str]) -> str | None:
        """Compare every record with what its edit must give, written out by hand; return a complaint or None."""
        return check_records(self.original, self.trips, actions)

    # -- for simulated models and experiments; flags and votes never see these ----------------------

    def truth(self, state: RelayState, step: int) -> str:
        """Return the edited record, on or off the path."""
        edit, returning, record = self._at(state)
        return json.dumps((edit.undo if returning else edit.do)(json.loads(record)))

    def render(self, answer: str) -> str:
        """Write an answer as a model would."""
        return f"record = {answer}"

    def rivals(self, state: RelayState, step: int) -> list[str]:
        """Return silent corruptions of the right record: a value one off, digits exchanged, a text cut short."""
        edit, returning, record = self._at(state)
        finish = edit.undo if returning else edit.do
        plain = edit.undo(json.loads(record)) if returning else json.loads(record)
        spoilt: list[Record] = [
            {**plain, "cents": plain["cents"] + 1},
            {**plain, "cents": int(str(plain["cents"])[::-1])},
            {**plain, "note": plain["note"].split(" ")[0]},
            {**plain, "payee": plain["note"], "note": plain["payee"]},
        ]
        made = [json.dumps(record if returning else finish(record)) for record in spoilt]
        right = self.truth(state, step)
        return [text for text in dict.fromkeys(made) if text != right and self.legal(state, text)]


def check_records(original: tuple[str, ...], trips: int, records: Iterable[str]) -> str | None:
    """Say what is wrong with the edited records, or None if all are exact.

    Independent of `Relay`: every edit is a line of text filled in from the original record, none is computed from
    the record before.
    """
    given = iter(records)
    count = 0
    for trip in range(trips):
        for returning in (False, True):
            for plain in original:
                got = next(given, None)
                if got is None:
                    return f"{count} records are too few"
                wanted = plain if returning else _by_hand(trip % 5, **json.loads(plain))
                if got != wanted:
                    return f"record {count} is {got}, it must be {wanted}"
                count += 1
    return None if next(given, None) is None else f"there are records after the {count} of the relay"


def _by_hand(edit: int, id: int, date: str, payee: str, cents: int, note: str) -> str:  # noqa: A002 -- the field's name
    """Write an edited record's JSON; texts of the ledger need no escapes."""
    year, month, day = date[:4], date[5:7].lstrip("0"), date[8:].lstrip("0")
    head, spent = f'{{"id": {id}', f'"payee": "{payee}", "cents": {cents}, "note": "{note}"}}'
    return (
        f'{head}, "booked": "{date}", "to": "{payee}", "sum": {cents}, "remark": "{note}"}}',
        f'{head}, "date": "{date}", "payee": "{payee}", "amount": "{cents / 100:.2f}", "note": "{note}"}}',
        f'{{"note": "{note}", "cents": {cents}, "payee": "{payee}", "date": "{date}", "id": {id}}}',
        f'{head}, "date": "{date}", "details": {{{spent}}}',
        f'{head}, "year": {year}, "month": {month}, "day": {day}, {spent}',
    )[edit]


def _entry(drawn: random.Random, number: int) -> Record:
    """Draw a record of the original ledger."""

    def up_to(limit: int) -> int:
        return int(drawn.random() * limit)

    return {
        "id": number, "date": f"2024-{1 + up_to(12):02}-{1 + up_to(28):02}",
        "payee": f"{_FIRST[up_to(10)]} {_LAST[up_to(10)]}", "cents": 100 + up_to(99_900), "note": _THINGS[up_to(9)],
    }  # fmt: skip


def _fits(value: Any, form: Form) -> bool:
    """Say whether a value has a form: for an object these fields in this order, each of its form."""
    if not isinstance(form, dict):
        return form(value)
    return (
        isinstance(value, dict)
        and list(value) == list(form)
        and all(_fits(value[key], inner) for key, inner in form.items())
    )


def _whole(text: str) -> Any:
    raise ValueError(f"{text}: a record holds whole numbers and texts only")


def _once(pairs: list[tuple[str, Any]]) -> Record:
    """Make an object; JSON itself would let the last of several equal fields win."""
    record = dict(pairs)
    if len(record) < len(pairs):
        raise ValueError("a field stands twice in the record")
    return record


_decoder = json.JSONDecoder(parse_float=_whole, parse_constant=_whole, object_pairs_hook=_once)
