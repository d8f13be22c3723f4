"""The step as judges see it: the wall before the truth, and each text read once."""

import dataclasses
import json

import pytest

from counted import Counted
from maker.decision.flags import DEFAULT, judge
from maker.decision.sample import Sample
from maker.decision.step import MAX_CHARS_PER_TOKEN, Rules, Step
from maker.errors import TaskError
from maker.task.canonical import canonical
from maker.task.load import load_task

HANOI = load_task("hanoi", disks=3)
GOOD = "move = [1, 0, 2]\nnext_state = [[3, 2], [], [1]]"
ILLEGAL = "move = [2, 0, 2]\nnext_state = [[3, 1], [], [2]]"
WRONG_CLAIM = "move = [1, 0, 2]\nnext_state = [[3, 2], [1], []]"


# -- the wall ----------------------------------------------------------------------------------------


def test_rules_hold_four_functions_and_nothing_else():
    """Rules of a task are parse, legal, apply and agrees; truth, rivals and render have no place in them."""
    rules = Rules.of(HANOI)
    assert [field.name for field in dataclasses.fields(rules)] == ["parse", "legal", "apply", "agrees"]
    assert rules == Rules(HANOI.parse, HANOI.legal, HANOI.apply, HANOI.agrees)
    assert not hasattr(rules, "__dict__")
    with pytest.raises(AttributeError):
        rules.parse = str


def test_agrees_is_optional():
    """A task without `agrees` has rules without it, and then no answer is inconsistent."""

    class Silent(Counted):
        agrees = None

    step = Step(0, 0, Rules.of(Silent()))
    assert step.rules.agrees is None
    assert step.consistent("7")


# -- reading -----------------------------------------------------------------------------------------


def test_each_distinct_text_is_parsed_once():
    """However often a text comes and whatever asks, parse, legal, apply and agrees are each called once for it."""
    task = Counted()
    step = Step(0, 0, Rules.of(task))
    earlier = []
    for text in ["1", "2", "1", "1", "x", "2", "x", "-1", "-1"]:
        sample = Sample(text)
        judge(sample, step, earlier, DEFAULT)
        earlier.append(sample)
        step.read(text), step.legal(text), step.consistent(text)
    assert sorted(task.calls) == sorted([
        ("parse", "1"), ("legal", 1), ("apply", 1), ("agrees", 1),
        ("parse", "2"), ("legal", 2), ("apply", 2), ("agrees", 2),
        ("parse", "x"),
        ("parse", "-1"), ("legal", -1),
    ])  # fmt: skip


def test_a_wrong_judgement_is_remembered_as_well():
    """An illegal answer is asked about once, though the stored judgement is False."""
    task = Counted()
    step = Step(0, 0, Rules.of(task))
    assert [step.legal("-1"), step.legal("-1"), step.consistent("7"), step.consistent("7")] == [False] * 2 + [False] * 2
    assert task.calls.count(("legal", -1)) == task.calls.count(("agrees", 7)) == 1


def test_a_reading_is_an_answer_with_its_key_or_a_fault():
    """What parses has the canonical bytes of the answer as its key; what does not has the parser's own exception."""
    step = Step(0, HANOI.initial_state(), Rules.of(HANOI))
    good, bad = step.read(GOOD), step.read("nonsense")
    assert (good.answer.move, good.key, good.fault) == ((1, 0, 2), canonical(good.answer), None)
    assert (bad.answer, bad.key, type(bad.fault)) == (None, None, ValueError)
    assert step.read(GOOD) is good
    assert step.read(None).key is None


def test_the_key_is_that_of_the_whole_answer():
    """The same move with another next state is another candidate (the vote key is never the action alone)."""
    step = Step(0, HANOI.initial_state(), Rules.of(HANOI))
    assert step.read(GOOD).key != step.read(WRONG_CLAIM).key
    assert step.read(GOOD).key == step.read(GOOD.replace(", ", " ,\n")).key


def test_legal_and_consistent_of_an_answer():
    """Legality is the task's, an illegal answer is not also inconsistent, and text without an answer is neither."""
    step = Step(0, HANOI.initial_state(), Rules.of(HANOI))
    table = {GOOD: (True, True), ILLEGAL: (False, True), WRONG_CLAIM: (True, False), "none": (True, True)}
    assert {text: (step.legal(text), step.consistent(text)) for text in table} == table


def test_the_next_state_is_the_engines():
    """`after` is what the task's own apply gives, whatever the answer claims."""
    step = Step(0, HANOI.initial_state(), Rules.of(HANOI))
    assert step.after(step.read(WRONG_CLAIM)).stacks == ((3, 2), (), (1,))
    assert step.state == HANOI.initial_state()


def test_a_state_of_none_is_applied_once():
    """A task whose next state is None or False is still asked only once."""
    calls = []
    step = Step(0, None, Rules(str, apply=lambda state, action: calls.append(action)))
    assert step.after(step.read("a")) is None
    assert step.after(step.read("a")) is None
    assert calls == ["a"]


def test_an_answer_that_cannot_be_counted_is_the_tasks_fault():
    """A parser that returns an object without canonical form is a TaskError naming step and type."""
    step = Step(9, None, Rules(lambda text: object()))
    with pytest.raises(TaskError, match=r"step 9: parse returned an answer.*object"):
        step.read("x")


@pytest.mark.parametrize("token_cap", [1, 16, 1024])
def test_a_text_no_tokenizer_could_have_written_is_not_parsed(token_cap):
    """Texts of more than 64 characters a token are faults without a call of the parser; one less is parsed."""
    calls = []
    step = Step(0, None, Rules(lambda text: calls.append(len(text)) or "ok"), token_cap=token_cap)
    most = MAX_CHARS_PER_TOKEN * token_cap
    assert step.read("x" * (most + 1)).key is None
    assert calls == []
    assert step.read("x" * most).key == canonical("ok")
    assert calls == [most]


def test_a_bottomless_answer_is_a_fault():
    """An answer nested too deeply for its canonical bytes is the reply's fault, and raises nothing."""

    def parse(text):
        value = []
        for _ in range(100_000):
            value = [value]
        return value

    assert isinstance(Step(0, None, Rules(parse)).read("x").fault, RecursionError)
    assert isinstance(Step(0, None, Rules(json.loads)).read("[" * 50_000).fault, RecursionError)
