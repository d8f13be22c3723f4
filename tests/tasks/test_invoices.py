"""Invoices as text: what is drawn can be read, what is read is one value, flags use copies and sums, never a record."""

import random
import re
import sys

import pytest

import maker
from maker.task.lines import Ambiguous

Invoices = type(maker.load_task("invoices", invoices=1))
module = sys.modules[Invoices.__module__]
FIELDS, State = module.FIELDS, module.InvoicesState


def asked(invoices=40, data_seed=0):
    """Return a pile in the design of questions."""
    return maker.load_task("invoices", invoices=invoices, data_seed=data_seed, design="questions")


def test_every_field_stands_in_the_text():
    """In 300 invoices each field can be copied: texts to the letter, dates and amounts as one of the ways has them."""
    for one in asked(300, 7).drawn:
        number, issued, buyer, *amounts = one.fields
        assert number in one.text and buyer in one.text
        assert any(module._dated(issued, style) in one.text for style in range(4))
        for cents in amounts:
            assert any(module._money(cents, notation) in one.text for notation in range(3))
            assert module._stands(cents, one.text)
        assert sum(amounts[:4]) == amounts[4]


def test_piles_differ_in_layout_dates_and_amounts():
    """Forty invoices have all layouts, ways to write a date and an amount, and thousands with separators."""
    texts = [one.text for one in asked().drawn]
    assert len(set(texts)) == 40
    for found in ("INVOICE ", r"\| item \|", "Dear ", "TOTAL ", "2024-",
                  r"\d\d\.\d\d\.2024", r"[a-z] 2024", r"\d, 2024",
                  r"\d,\d{3}\.\d\d", r"\d\.\d{3},\d\d EUR", r"EUR \d+ \d{3}\.\d\d"):  # fmt: skip
        assert 2 < sum(re.search(found, text) is not None for text in texts) < 38, found
    assert [one.text for one in asked(data_seed=1).drawn] != texts
    assert [one.text for one in Invoices(3).drawn] == texts[:3]


@pytest.mark.parametrize("style", range(4))
def test_a_day_is_read_as_it_was_written(style):
    """All four ways to write a date are read back; a day or a month that no calendar has is refused."""
    rng = random.Random(style)
    for _ in range(50):
        day = f"2024-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"
        assert asked(1).parse(module._dated(day, style)) == day
    for odd in ("2024-02-31", "31.02.2024", "31 February 2024", "May 0, 2024", "3 Mai 2024", "2024-1-1"):
        with pytest.raises(ValueError, match=r"."):
            asked(1).parse(odd)


@pytest.mark.parametrize("notation", range(3))
def test_an_amount_is_read_as_it_was_written(notation):
    """All three ways to write an amount are read back in cents, from a cent to millions, also with EUR as a word."""
    for cents in (1, 99, 100, 123_456, 100_000, 99_999_999, 123_456_789):
        assert asked(1).parse(module._money(cents, notation)) == cents
        assert asked(1).parse(module._money(cents, notation).replace("EUR", "Eur")) == cents
        assert asked(1).parse(module._written(cents)) == cents


@pytest.mark.parametrize("text", ["12", "1.234", "12.5", "12.345,6", "$ 12.50", "12.50 + 3.10", "-3.00", "1,,234.50"])
def test_other_amounts_have_no_vote(text):
    """What could be two amounts, or is none, is refused."""
    with pytest.raises(ValueError, match=r"."):
        asked(1).parse(text)


def test_what_is_asked():
    """The text of one invoice, and one question of a line; the whole invoice in the other design."""
    task, whole = asked(2), Invoices(2)
    state = task.initial_state()
    for name, question in module._QUESTIONS.items():
        assert task.kind(state, 0) == name
        *told, now = task.prompt(state, 0)
        assert (*told,) == module.examples() and now["content"] == f"{task.drawn[0].text}\n\n{question}"
        state = task.apply(state, task.truth(state, 0))
    assert state == State((task.drawn[0].fields,)) and task.prompt(state, 0)[-1]["content"].startswith(
        task.drawn[1].text
    )
    assert task.drawn[0].text in whole.prompt(State(), 0)
    assert all(f"\n{name} = <" in whole.prompt(State(), 0) for name in FIELDS)


def test_examples_show_each_layout_and_are_right():
    """Four invoices of no pile among the first hundred, each with eight questions, and answers that add up."""
    told = module.examples()
    texts = [turn["content"] for turn in told[::16]]
    assert len(told) == 64 and [turn["role"] for turn in told] == ["user", "assistant"] * 32
    for at, mark in enumerate(("INVOICE ", "| item |", "Dear ", "TOTAL ")):
        assert mark in texts[at]
    assert not {one.text for seed in range(100) for one in asked(40, seed).drawn} & {
        t.split("\n\nWhat is the inv")[0] for t in texts
    }
    task = asked(1)
    for at in range(0, 64, 16):
        *amounts, total = (task.parse(told[at + i]["content"]) for i in (7, 9, 11, 13, 15))
        assert sum(amounts) == total


def test_a_flag_knows_copies_and_sums_and_no_more():
    """Any value of its kind that stands in the text is legal; one that does not, or a total that is no sum, is not."""
    task = asked(1)
    one, state = task.drawn[0], State()
    for right, other, name in zip(one.fields, one.others, FIELDS, strict=True):
        assert task.legal(state, right)
        assert task.legal(state, other) == (name != "total"), name
        assert not task.legal(state, 7 if isinstance(right, int) else "INV-0000")
        state = state if name == "total" else task.apply(state, right)
    misread = state._replace(fields=(*state.fields[:3], one.others[3], *state.fields[4:]))
    assert task.legal(misread, one.fields[-1]) and task.legal(misread, one.others[-1])


def test_a_whole_invoice_must_add_up():
    """In one answer, an item that was misread is a flag; a wrong name that stands in the text is none."""
    task = Invoices(1)
    one = task.drawn[0]
    assert task.legal(State(), one.fields) and task.legal(State(), (one.others[0], *one.fields[1:]))
    for place in range(3, 8):
        assert not task.legal(State(), (*one.fields[:place], one.others[place], *one.fields[place + 1 :]))
    assert not task.legal(State(), ("R-1", *one.fields[1:]))
    with pytest.raises(Ambiguous):
        task.parse(task.render(one.fields) + "\ntax = 0.01")


def test_records_are_what_was_read():
    """The answer holds a record an invoice; the right fields are counted one by one, a missing record as none."""
    task = asked(3)
    state = task.initial_state()
    for step in range(task.steps):
        state = task.apply(state, task.truth(state, step))
    first = module.records(state)[0]
    assert (first.number, first.date.isoformat(), first.buyer) == task.drawn[0].fields[:3]
    assert (*first.items, first.tax, first.total) == task.drawn[0].fields[3:]
    assert task.done(state) and task.answer(state)[0]["date"] == task.drawn[0].fields[1]
    read = [state.invoices[0], None, ("X-1", *state.invoices[2][1:])]
    assert module.right_fields(read, task.drawn) == {**dict.fromkeys(FIELDS, 2), "number": 1}


def test_a_list_that_is_too_short_or_of_other_types_is_a_complaint():
    """The checker wants every value, of its own type."""
    task = asked(1)
    right = list(task.drawn[0].fields)
    assert task.check(right) is None and Invoices(1).check([tuple(right)]) is None
    assert "is said to be None" in task.check(right[:-1])
    assert "after the 1 invoices" in task.check([*right, 1])
    assert task.check([*right[:-1], float(right[-1])])
