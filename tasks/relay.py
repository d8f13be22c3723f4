"""A ledger edited there and back, record by record: a document on a long relay.

A trip is an edit of every record and then its exact inverse, so after each trip the ledger must be the first one
again, to the character. The edits take turns: rename fields by a map, change a unit exactly, reverse the
order of fields, nest some, split a field. A step sees one record and one instruction.

The plan knows the ledger at the start of each trip and nothing between; a trip that did not restore it is a join
that does not hold. With one segment the run goes on with what it has, and `done` says at the end whether the
ledger is still the first one.

Two designs of its steps. In `lines` a step is a whole edit of a record, answered with the record. In `questions` an
edit is a few small ones, each of a part of the record: rename one field, say which field comes first or which digit
last, write an amount in cents, nest three fields, take one out again, take a date apart. The model makes each of these
edits and writes what comes out, the code cuts the part out of the record and puts the answer in its place.

Red flags may use what an edit does not change (the record's id) and the form it asks for (names, order and kinds
of fields), never values.

Not covered: edits of the whole ledger at once (splitting into groups, sorting).
"""

from __future__ import annotations

import json
import random
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, cycle, islice
from typing import Any, ClassVar, Literal, NamedTuple

from maker import DEFAULT_SEGMENTS, Ambiguous, Plan, Segment, TaskError, bare

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
_FENCE = re.compile(r"\A```[a-z]*\n(.*)\n```\Z", re.DOTALL)
_WORD = r"[a-z]{2,20}|[0-9.-]{1,20}"
_WHICH_FIRST, _WHICH_LAST = "What is the first item in this list? ", "What is the last item in this list? "
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


@dataclass(frozen=True)
class Small:
    """A question of the design `questions`: a small edit of a part of a record.

    kind: of edit. words: what is asked, before the part. part: of the record, as it is shown. right: the answer to it.
    put: the record with an answer in the part's place. fits: whether an answer has the form asked for. examples: parts
    with their answers, shown before the question.
    """

    kind: str
    words: str
    part: Callable[[Record], str]
    right: Callable[[Record], str]
    put: Callable[[Record, str], Record]
    fits: Callable[[Record, str], bool]
    examples: tuple[tuple[str, str, str], ...] = ()

    def asked(self, record: Record) -> list[dict[str, str]]:
        """Return the question, after its examples."""
        told = [turn for words, part, answer in self.examples for turn in ((words + part), answer)]
        turns = [*told, self.words + self.part(record)]
        return [{"role": ("user", "assistant")[i % 2], "content": turn} for i, turn in enumerate(turns)]


def _part(
    kind: str, words: str, taken: tuple[str, ...], right: Callable[[Record], str], form: dict[str, Form],
    examples: tuple[tuple[str, str], ...], read: Callable[[str], Record] = json.loads,
    part: Callable[[Record], str] | None = None,
) -> Small:  # fmt: skip
    """Return a question about the fields `taken`, whose answer is read as the fields that take their place."""

    def fits(_record: Record, answer: str) -> bool:
        try:
            return _fits(read(answer), form)
        except ValueError:
            return False

    return Small(
        kind, words, part or (lambda record: json.dumps({key: record[key] for key in taken})), right,
        lambda record, answer: _replaced(record, taken, read(answer)), fits,
        tuple((words, *example) for example in examples),
    )  # fmt: skip


def _renaming(old: str, new: str, form: Form) -> Small:
    """Return the question for a field that gets another name."""
    asked = _part(
        "rename", f"Rename the key {old} to {new}: ", (old,), lambda record: json.dumps({new: record[old]}),
        {new: form}, (),
    )  # fmt: skip
    told = (("size", "width", "12"), ("town", "place", '"Old Bath"'))
    return replace(asked, examples=tuple(
        (f"Rename the key {one} to {other}: ", f'{{"{one}": {value}}}', f'{{"{other}": {value}}}')
        for one, other, value in told
    ))  # fmt: skip


def _ordering(place: int) -> Small:
    """Return the question which of the fields from a place on comes first; that field is moved to the front.

    Asked which comes last, to move it to the place, small models err on some of these very lists, always alike.
    """

    def put(record: Record, answer: str) -> Record:
        return {answer: record[answer], **record}

    return Small(
        "first of a list", _WHICH_FIRST, lambda record: ", ".join([*record][place:]),
        lambda record: [*record][place], put, lambda record, answer: answer in record,
        tuple((_WHICH_FIRST, shown, shown.split(", ")[0]) for shown in ("red, blue, green", "town, size", "plum")),
    )  # fmt: skip


def _cutting(second: bool) -> Small:
    """Return the question for a digit behind the point of an amount: the last of the cents, then the last of the rest.

    As one step, or as the last two digits, small models err. Between the two the first one stands in `tail`.
    """

    def digits(record: Record) -> str:
        return str(record["cents"]).zfill(2 if second else 3)

    def put(record: Record, answer: str) -> Record:
        rest = digits(record)[:-1]
        if second:
            return _replaced(record, ("cents", "tail"), {"amount": f"{rest}.{answer}{record['tail']}"})
        return _replaced(record, "cents", {"cents": int(rest), "tail": answer})

    return Small(
        "last of a list", _WHICH_LAST, lambda record: ", ".join(digits(record)), lambda record: digits(record)[-1], put,
        lambda _record, answer: len(answer) == 1 and answer.isdigit(),
        tuple((_WHICH_LAST, digits, digits[-1]) for digits in ("4, 0, 7", "2, 6, 6, 1, 0", "3, 8, 3, 5, 8", "7, 2")),
    )  # fmt: skip


def _taking(key: str, last: bool) -> Small:
    """Return the question for a field of the object details; after the last one that object goes."""
    words, shown = "Give the field {} of this object: ", '{"place": {"size": 12, "town": "Old Bath"}}'

    def put(record: Record, answer: str) -> Record:
        rest = {name: value for name, value in record.items() if name != "details" or not last}
        return {**rest, **json.loads(answer)}

    whole = _part("take out", words.format(key), ("details",),
                  lambda record: json.dumps({key: record["details"][key]}), {key: _PLAIN[key]}, ())  # fmt: skip
    return replace(whole, put=put, examples=(
        (words.format("town"), shown, '{"town": "Old Bath"}'), (words.format("size"), shown, '{"size": 12}'),
    ))  # fmt: skip


_NESTED = ("payee", "cents", "note")
_DAY: dict[str, Form] = {"year": _below(10_000), "month": _below(100), "day": _below(100)}
_DAYS = (
    ("1987-02-14", '{"year": 1987, "month": 2, "day": 14}'),
    ("2011-11-08", '{"year": 2011, "month": 11, "day": 8}'),
    ("1999-07-30", '{"year": 1999, "month": 7, "day": 30}'),
)
_AMOUNTS = (("1205", "12.05"), ("50013", "500.13"), ("307", "3.07"), ("98760", "987.60"))

# By edit: the questions there, and those back.
QUESTIONS: dict[str, tuple[tuple[Small, ...], tuple[Small, ...]]] = {
    "rename": (
        tuple(_renaming(old, new, _PLAIN[old]) for old, new in _NEW_NAMES.items()),
        tuple(_renaming(new, old, _PLAIN[old]) for old, new in _NEW_NAMES.items()),
    ),
    "unit": (
        (_cutting(False), _cutting(True)),
        (_part("amount to cents", "Write this amount in cents: ", ("amount",),
               lambda record: str(_in_coins(record)["cents"]), {"cents": _natural},
               tuple((amount, cents) for cents, amount in _AMOUNTS),
               lambda answer: {"cents": int(answer)}, lambda record: str(record["amount"])),),
    ),
    "order": (tuple(map(_ordering, range(1, 5))),) * 2,
    "nest": (
        (_part("nest", "Put this object into an object with the one key details: ", _NESTED,
               lambda record: json.dumps({"details": {key: record[key] for key in _NESTED}}),
               {"details": {key: _PLAIN[key] for key in _NESTED}},
               (('{"size": 12, "town": "Bath"}', '{"details": {"size": 12, "town": "Bath"}}'),)),),
        tuple(_taking(key, key == _NESTED[-1]) for key in _NESTED),
    ),
    "split": (
        (_part("split a date", "Write this date as year, month and day: ", ("date",),
               lambda record: json.dumps(dict(zip(_DAY, map(int, record["date"].split("-")), strict=True))), _DAY,
               _DAYS, part=lambda record: str(record["date"])),),
        (_part("join a date", "Write year, month and day as one date: ", tuple(_DAY),
               lambda record: str(_merged(record)["date"]), {"date": _date},
               tuple((parts, date) for date, parts in _DAYS), lambda answer: {"date": answer}),),
    ),
}  # fmt: skip


class RelayState(NamedTuple):
    """The records as JSON texts, and how many edits were made, there and back."""

    ledger: tuple[str, ...]
    edits: int


class AskedState(NamedTuple):
    """The state of the design `questions`: also how many questions of the record's edit are answered."""

    ledger: tuple[str, ...]
    edits: int
    answered: int = 0


class _Ledger:
    """The ledger and its trips, the same in both designs."""

    name = "relay"
    designs: ClassVar = {
        "lines": "a whole edit of a record a step, answered with the record",
        "questions": "an edit in small ones, each of a part of the record, answered with that part",
    }

    def __init__(self, records: int, trips: int, data_seed: int) -> None:
        if not 1 <= records <= MOST_RECORDS or not 1 <= trips <= MOST_STEPS // (2 * records):
            raise TaskError(
                f"relay: records = {records}, trips = {trips}: give 1 to 1,000 records, at least one trip and "
                "at most 2,000,000 steps (2 records trips)"
            )
        self.records, self.trips = records, trips
        self.parameters: dict[str, Any] = {"records": records, "trips": trips, "data_seed": data_seed}
        drawn = random.Random(data_seed)  # noqa: S311 -- data of an exercise, not a secret
        self.original = tuple(json.dumps(_entry(drawn, number)) for number in range(1, records + 1))

    def _at(self, state: RelayState | AskedState) -> tuple[Edit, bool, str]:
        """Return the edit a state is at, whether it is on its way back, and the record's text."""
        leg, place = divmod(state.edits, self.records)
        return EDITS[leg // 2 % len(EDITS)], leg % 2 == 1, state.ledger[place]

    def answer(self, state: RelayState | AskedState) -> list[Record]:
        """Return the ledger as a list of records."""
        return [json.loads(record) for record in state.ledger]


class Relay(_Ledger):
    """A ledger that goes through `trips` round trips.

    records: 1 to 1,000 of them. trips: edits with their inverses; at most 2,000,000 edits in all. data_seed: of the
    ledger. design: see `designs`. `original` is the ledger as it must be after every trip.
    """

    def __new__(cls, records: int = 50, trips: int = 10, data_seed: int = 0, design: str = "lines") -> Any:
        """Return a task of the design that is asked for."""
        return Asked(records, trips, data_seed) if design == "questions" else super().__new__(cls)

    def __init__(
        self, records: int = 50, trips: int = 10, data_seed: int = 0, design: Literal["lines", "questions"] = "lines"
    ) -> None:
        super().__init__(records, trips, data_seed)
        self.steps: int = 2 * records * trips

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


class Asked(_Ledger):
    """The design `questions`: the answer of a step is a part of a record, edited."""

    def __init__(self, records: int, trips: int, data_seed: int, design: str = "questions") -> None:
        super().__init__(records, trips, data_seed)
        self.parameters["design"] = design
        counts = [sum(map(len, QUESTIONS[edit.name])) for edit in EDITS]
        self._starts = [0, *(records * count for count in accumulate(islice(cycle(counts), trips)))]  # of the trips
        self.steps: int = self._starts[-1]

    def initial_state(self) -> AskedState:
        """Return the original ledger, nothing edited."""
        return AskedState(self.original, 0)

    def _small(self, state: AskedState) -> tuple[tuple[Small, ...], Small, Record]:
        """Return the questions of the edit a state is at, the one that is next, and the record."""
        edit, returning, record = self._at(state)
        asked = QUESTIONS[edit.name][returning]
        return asked, asked[state.answered], json.loads(record)

    def kind(self, state: AskedState, step: int) -> str:
        """Return the kind of small edit."""
        return self._small(state)[1].kind

    def prompt(self, state: AskedState, step: int) -> Any:
        """Return what to do and the part of the record to do it to, after examples; no step needs more."""
        _, small, record = self._small(state)
        return small.asked(record)

    def parse(self, text: str) -> str:
        """Read a bare word or number, or an object as JSON; return it, the object in JSON's usual spacing.

        Raises ValueError for anything beside it, and for floats, repeated fields or what JSON does not allow.
        """
        found = _FENCE.sub(r"\1", text.strip()).strip("*` \n")
        return json.dumps(_decoder.decode(found)) if found.startswith("{") else bare(text, _WORD)

    def legal(self, state: AskedState, action: str) -> bool:
        """Say whether the answer has the names, order and kinds of fields that the question asks for."""
        _, small, record = self._small(state)
        return small.fits(record, action)

    def apply(self, state: AskedState, action: str) -> AskedState:
        """Return the state with the answer in its place in the record."""
        asked, small, record = self._small(state)
        place, edits = state.edits % self.records, state.edits + (state.answered + 1 == len(asked))
        edited = json.dumps(small.put(record, action))
        return AskedState(
            (*state.ledger[:place], edited, *state.ledger[place + 1 :]), edits, (state.answered + 1) % len(asked)
        )

    def done(self, state: AskedState) -> bool:
        """Say whether all edits are made and the ledger is the original one, to the character."""
        return state == AskedState(self.original, 2 * self.records * self.trips)

    def plan(self, segments: int = DEFAULT_SEGMENTS) -> Plan:
        """Cut the run between trips, where the ledger must be the original one."""
        count = min(segments, self.trips)
        cuts = [self._starts[self.trips * i // count] for i in range(count + 1)]
        return Plan([Segment(i, cuts[i], cuts[i + 1], self._restored) for i in range(count)])

    def _restored(self, step: int) -> AskedState:
        return AskedState(self.original, 2 * self.records * bisect_right(self._starts, step - 1))

    def check(self, actions: Iterable[str]) -> str | None:
        """Compare every answer with what its question must give, written out by hand; a complaint or None."""
        return check_answers(self.original, self.trips, actions)

    def truth(self, state: AskedState, step: int) -> str:
        """Return the right answer, on or off the path."""
        _, small, record = self._small(state)
        return small.right(record)

    def render(self, answer: str) -> str:
        """Write an answer as a model would."""
        return answer

    def rivals(self, state: AskedState, step: int) -> list[str]:
        """Return a silent corruption of the right answer: a number one off, a letter more, the last field."""
        _, small, record = self._small(state)
        right = small.right(record)
        if right in record:  # the name of a field
            first, *_, last = record
            return [first if right == last else last]
        return [json.dumps(_slip(json.loads(right))) if right.startswith("{") else _slip(right)]


def _slip(value: Any) -> Any:
    """Return a value a little wrong; of an object the last one is."""
    if isinstance(value, dict):
        key = [*value][-1]
        return {**value, key: _slip(value[key])}
    if isinstance(value, int):
        return value + 1
    return value[:-1] + str((int(value[-1]) + 1) % 10) if value[-1].isdigit() else value + "s"


def check_answers(original: tuple[str, ...], trips: int, answers: Iterable[str]) -> str | None:
    """Say what is wrong with the answers to the questions, or None if all are exact.

    Independent of `Asked`: every answer is a text filled in from the original record.
    """
    given = iter(answers)
    wanted = _answers_by_hand(original, trips)
    for count, right in enumerate(wanted):
        got = next(given, None)
        if got is None:
            return f"{count} answers are too few"
        if got != right:
            return f"answer {count} is {got}, it must be {right}"
    return None if next(given, None) is None else "there are answers after the last question"


def _answers_by_hand(original: tuple[str, ...], trips: int) -> Iterator[str]:
    """Yield the right answers, trip by trip, of all records there and then of all back."""
    for trip in range(trips):
        for returning in (0, 1):
            for plain in original:
                yield from _small_by_hand(**json.loads(plain))[trip % 5][returning]


def _small_by_hand(id: int, date: str, payee: str, cents: int, note: str) -> tuple[tuple[tuple[str, ...], ...], ...]:  # noqa: A002 -- the field's name
    """Write the right answers about a record, by edit, there and back."""
    year, month, day = date[:4], date[5:7].lstrip("0"), date[8:].lstrip("0")
    fields = f'"payee": "{payee}"', f'"cents": {cents}', f'"note": "{note}"'
    return (
        ((f'{{"booked": "{date}"}}', f'{{"to": "{payee}"}}', f'{{"sum": {cents}}}', f'{{"remark": "{note}"}}'),
         (f'{{"date": "{date}"}}', *(f"{{{field}}}" for field in fields))),
        ((str(cents)[-1], str(cents)[-2]), (str(cents),)),
        (("date", "payee", "cents", "note"), ("cents", "payee", "date", "id")),
        ((f'{{"details": {{{", ".join(fields)}}}}}',), tuple(f"{{{field}}}" for field in fields)),
        ((f'{{"year": {year}, "month": {month}, "day": {day}}}',), (date,)),
    )  # fmt: skip


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
