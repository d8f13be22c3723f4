"""A ledger edited there and back: exact inverses, forms that no value enters, joins that find a lost trip."""

import json
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import maker
from maker.task.lines import Ambiguous
from maker.testing import ScriptedModel

exactly = settings(derandomize=True, max_examples=100, deadline=None)
Relay = type(maker.load_task("relay", records=1))
module = sys.modules[Relay.__module__]
EDITS, State = module.EDITS, module.RelayState
PLAIN = {"id": 7, "date": "2024-03-05", "payee": "Ada Hill", "cents": 1205, "note": "tea and bread"}
EDITED = {
    "rename": {"id": 7, "booked": "2024-03-05", "to": "Ada Hill", "sum": 1205, "remark": "tea and bread"},
    "unit": {"id": 7, "date": "2024-03-05", "payee": "Ada Hill", "amount": "12.05", "note": "tea and bread"},
    "order": {"note": "tea and bread", "cents": 1205, "payee": "Ada Hill", "date": "2024-03-05", "id": 7},
    "nest": {
        "id": 7, "date": "2024-03-05", "details": {"payee": "Ada Hill", "cents": 1205, "note": "tea and bread"}
    },
    "split": {
        "id": 7, "year": 2024, "month": 3, "day": 5, "payee": "Ada Hill", "cents": 1205, "note": "tea and bread"
    },
}  # fmt: skip
_texts = st.text(min_size=1, max_size=20)
_records = st.builds(
    lambda number, y, m, d, payee, cents, note: {
        "id": number, "date": f"{y:04}-{m:02}-{d:02}", "payee": payee, "cents": cents, "note": note
    },
    st.integers(0, 10**9), st.integers(0, 9999), st.integers(0, 99), st.integers(0, 99), _texts,
    st.integers(0, 10**15 - 1), _texts,
)  # fmt: skip


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_each_edit_does_what_it_says(edit):
    """A record written out by hand, there and back, fields in order."""
    assert json.dumps(edit.do(PLAIN)) == json.dumps(EDITED[edit.name])
    assert json.dumps(edit.undo(EDITED[edit.name])) == json.dumps(PLAIN)
    assert edit.do(PLAIN) is not PLAIN


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
@exactly
@given(record=_records)
def test_inverses_are_exact(edit, record):
    """Any record of the plain form, however odd its values, has the edit's form and comes back to the character."""
    edited = edit.do(record)
    assert module._fits(edited, edit.form) and module._fits(record, module._PLAIN)
    assert json.dumps(edit.undo(edited)) == json.dumps(record)


def test_a_trip_restores_the_ledger():
    """After every two legs the ledger is the original one; between them every record differs."""
    task = Relay(records=4, trips=7)
    state = task.initial_state()
    for step in range(task.steps):
        if step % 8 == 0:
            assert state == State(task.original, step)
        if step % 8 == 4:
            assert not set(state.ledger) & set(task.original)
        state = task.apply(state, task.truth(state, step))
    assert task.done(state) and task.answer(state) == [json.loads(record) for record in task.original]


@pytest.mark.parametrize(("segments", "cuts"), [(1, 1), (3, 3), (7, 7), (1024, 7)])
def test_the_plan_knows_the_ledger_between_trips_only(segments, cuts):
    """Segments are whole trips that begin with the original ledger; the plan gives no state in the middle of one."""
    task = Relay(records=4, trips=7)
    plan = task.plan(segments)
    assert len(plan.segments) == cuts and plan.enter is None and plan.steps == task.steps
    for segment in plan.segments:
        assert segment.start % 8 == segment.stop % 8 == 0
        assert segment.entry == State(task.original, segment.start)


def test_a_trip_that_loses_something_is_a_join_that_does_not_hold():
    """One silent corruption ends a run in segments; with one segment it stays to the end and is found there."""
    task = Relay(records=2, trips=3)
    rights, state = [], task.initial_state()
    for step in range(task.steps):
        rights.append(task.render(task.truth(state, step)))
        state = task.apply(state, task.truth(state, step))
    spoilt = rights[5].replace('"note": "', '"note": "not ')

    def reply(request):
        record = request.prompt.rsplit("record = ", 1)[1]
        if request.address.step == 5:
            return spoilt
        return (
            task.render(task.truth(request.state, request.address.step))
            if "not " in record
            else rights[request.address.step]
        )

    in_segments = maker.run_sync(task, model=ScriptedModel(reply), k=2)
    assert (in_segments.solved, in_segments.stopped, in_segments.exit_code) == (False, "join_mismatch", 1)
    in_one = maker.run_sync(task, model=ScriptedModel(reply), k=2, segments=1)
    assert (in_one.solved, in_one.stopped, in_one.exit_code) == (False, None, 1)
    assert sum(one != other for one, other in zip(in_one.state.ledger, task.original, strict=True)) == 1


def test_rules_see_id_and_form_never_values():
    """Another id, a field lost, added, out of order or of another kind is illegal; any other value is legal."""
    task = Relay(records=1)
    state = State((json.dumps(PLAIN),), 0)
    good = EDITED["rename"]
    assert task.legal(state, json.dumps(good))
    for change in ({"sum": 1206}, {"to": "?"}, {"booked": "0000-00-00"}, {"remark": "x" * 200}):
        assert task.legal(state, json.dumps({**good, **change}))
    for change in ({"id": 8}, {"id": True}, {"sum": -1}, {"sum": "1205"}, {"to": ""}, {"booked": "March"}, {"new": 1}):
        assert not task.legal(state, json.dumps({**good, **change}))
    for bad in (PLAIN, dict(reversed(good.items())), {key: good[key] for key in list(good)[:4]}, {}):
        assert not task.legal(state, json.dumps(bad))


@pytest.mark.parametrize(
    "text",
    ["", "{}", 'record: {"id": 1}', "record = []", "record = 7", 'record = {"id": 1', 'record = {"id": 1.0}',
     'record = {"id": NaN}', "record = {'id': 1}", 'record = {"id": 1, "id": 2}', 'record = {"id": 1} or so',
     'record = {"id": 1}\nrecord = {"id"'],
)  # fmt: skip
def test_a_record_is_one_object_of_whole_numbers_and_texts(text):
    """Other brackets, floats, repeated fields, comments behind it and a second one broken off have no vote."""
    with pytest.raises(ValueError, match=r".") as caught:
        Relay().parse(text)
    assert not isinstance(caught.value, Ambiguous)


def test_spacing_does_not_count_and_order_does():
    """Two spellings of a record are one answer; two orders of its fields are two."""
    task = Relay()
    assert task.parse('record={"id":1,"note":"ä"}') == task.parse('record = { "id": 1, "note": "\\u00e4" }')
    assert task.parse('record = {"a": 1, "b": 2}') != task.parse('record = {"b": 2, "a": 1}')
    with pytest.raises(Ambiguous):
        task.parse('record = {"a": 1, "b": 2}\nrecord = {"b": 2, "a": 1}')


def test_the_ledger_is_what_it_was():
    """The same seed draws the same records in every design and version, or old journals would be of another ledger."""
    first = '{"id": 1, "date": "2024-11-22", "payee": "Emil Stone", "cents": 51176, "note": "tea and bread"}'
    for design in ("lines", "questions"):
        assert maker.load_task("relay", records=2, design=design).original[0] == first


def asked(step_of_five, returning):
    """Return the questions of an edit of PLAIN, put one after the other and rightly answered, and the record then."""
    edit = EDITS[step_of_five]
    record, told = json.loads(json.dumps(edit.do(PLAIN) if returning else PLAIN)), []
    for small in module.QUESTIONS[edit.name][returning]:
        told.append((small.asked(record)[-1]["content"], small.right(record)))
        record = small.put(record, small.right(record))
    return told, record


@pytest.mark.parametrize("place", range(5))
def test_the_questions_of_an_edit_make_it(place):
    """Rightly answered, they give what the edit gives in one step, fields in order, there and back."""
    assert json.dumps(asked(place, 0)[1]) == json.dumps(EDITED[EDITS[place].name])
    assert json.dumps(asked(place, 1)[1]) == json.dumps(PLAIN)


def test_what_is_asked():
    """The words of each kind of question, with the part of the record that it is about, and the answer."""
    assert asked(0, 0)[0][1] == ('Rename the key payee to to: {"payee": "Ada Hill"}', '{"to": "Ada Hill"}')
    assert asked(0, 1)[0][2] == ('Rename the key sum to cents: {"sum": 1205}', '{"cents": 1205}')
    last = "What is the last item in this list? "
    assert asked(1, 0)[0] == [(f"{last}1, 2, 0, 5", "5"), (f"{last}1, 2, 0", "0")]
    assert asked(1, 1)[0] == [("Write this amount in cents: 12.05", "1205")]
    assert asked(2, 0)[0][1] == ("What is the first item in this list? payee, cents, note", "payee")
    nested = '{"payee": "Ada Hill", "cents": 1205, "note": "tea and bread"}'
    assert asked(3, 0)[0] == [
        (f"Put this object into an object with the one key details: {nested}", f'{{"details": {nested}}}')
    ]
    assert asked(3, 1)[0][2] == (
        f'Give the field note of this object: {{"details": {nested}}}',
        '{"note": "tea and bread"}',
    )
    parts = '{"year": 2024, "month": 3, "day": 5}'
    assert asked(4, 0)[0] == [("Write this date as year, month and day: 2024-03-05", parts)]
    assert asked(4, 1)[0] == [(f"Write year, month and day as one date: {parts}", "2024-03-05")]


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_examples_are_right_and_are_read(edit):
    """What a question shows as answered is read as an answer is, and none of it is of the ledger."""
    task = maker.load_task("relay", design="questions")
    for small in (*module.QUESTIONS[edit.name][0], *module.QUESTIONS[edit.name][1]):
        assert small.examples
        for _, part, answer in small.examples:
            assert task.parse(answer) == answer
            assert small.kind != "last of a list" or part.endswith(answer)
            assert small.kind != "first of a list" or part.startswith(answer)


@pytest.mark.parametrize("cents", [0, 7, 10, 99, 100, 123456])
def test_an_amount_is_cut_digit_by_digit(cents):
    """Any number of cents becomes its amount by the two digits that stand last; a wrong digit makes another one."""
    first, second = module.QUESTIONS["unit"][0]
    record = {**PLAIN, "cents": cents}
    between = first.put(record, first.right(record))
    assert second.put(between, second.right(between)) == EDITS[1].do(record)
    assert EDITS[1].undo(second.put(first.put(record, "3"), "4"))["cents"] == cents // 100 * 100 + 43
    assert [first.fits(record, answer) for answer in ("3", "", "12", "x")] == [True, False, False, False]


@pytest.mark.parametrize(("segments", "cuts"), [(1, 1), (3, 3), (1024, 7)])
def test_questions_are_cut_between_trips(segments, cuts):
    """Each segment begins with the original ledger, where the one before it ends."""
    task = maker.load_task("relay", records=2, trips=7, design="questions")
    assert task.steps == 2 * (8 + 3 + 8 + 4 + 2 + 8 + 3)
    state, seen, plan = task.initial_state(), {}, task.plan(segments)
    for step in range(task.steps):
        seen[step], state = state, task.apply(state, task.truth(state, step))
    assert len(plan.segments) == cuts and plan.steps == task.steps
    assert all(segment.entry == seen[segment.start] for segment in plan.segments)
    assert task.done(state) and not task.done(seen[task.steps - 1])


def test_a_wrong_answer_of_the_right_form_is_legal():
    """No flag asks for values: another number, name or date passes; another field, form or item does not."""
    task = maker.load_task("relay", records=1, trips=5, design="questions")
    state, by_kind = task.initial_state(), {}
    for step in range(task.steps):
        by_kind.setdefault(task.kind(state, step), state)
        state = task.apply(state, task.truth(state, step))
    for kind, good, bad in (
        ("rename", '{"booked": "1999-01-01"}', '{"date": "1999-01-01"}'),
        ("amount to cents", "7", "7.00"), ("last of a list", "0", "10"),
        ("first of a list", "payee", "x"),
        ("nest", '{"details": {"payee": "x", "cents": 0, "note": "y"}}', '{"payee": "x", "cents": 0, "note": "y"}'),
        ("take out", '{"payee": "x"}', "x"), ("split a date", '{"year": 1, "month": 1, "day": 1}', "1-1-1"),
        ("join a date", "1999-01-01", "1999-1-1"),
    ):  # fmt: skip
        assert (task.legal(by_kind.pop(kind), good), task.legal(state_of(task, kind), bad)) == (True, False)
    assert not by_kind


def state_of(task, kind):
    """Return the first state of a kind."""
    state = task.initial_state()
    while task.kind(state, 0) != kind:
        state = task.apply(state, task.truth(state, 0))
    return state
