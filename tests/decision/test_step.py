"""The step as judges see it, the addresses of draws and their seeds, and whose fault an exception is."""

import dataclasses
import hashlib
import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maker.decision.address import SEED_BLOCK, Address, draw_seeds, seed_key
from maker.decision.flags import DEFAULT, judge
from maker.decision.sample import Sample
from maker.decision.step import MAX_CHARS_PER_TOKEN, Rules, Step
from maker.errors import TaskError
from maker.task.canonical import canonical
from maker.task.load import load_task
from maker.task.prompt import fingerprint, render
from maker.task.task import Task, guarded, task_name

exactly = settings(derandomize=True, max_examples=100, deadline=None)
HANOI = load_task("hanoi", disks=3)
GOOD = "move = [1, 0, 2]\nnext_state = [[3, 2], [], [1]]"
ILLEGAL = "move = [2, 0, 2]\nnext_state = [[3, 1], [], [2]]"
WRONG_CLAIM = "move = [1, 0, 2]\nnext_state = [[3, 2], [1], []]"
_u64 = st.integers(0, 2**64 - 1)


class _Counted:
    """A number to guess: every method counts its calls."""

    steps = 3

    def __init__(self):
        self.calls = []

    def initial_state(self):
        return 0

    def prompt(self, state, step):
        return "add"

    def parse(self, text):
        self.calls.append(("parse", text))
        return int(text)

    def legal(self, state, action):
        self.calls.append(("legal", action))
        return action > 0

    def apply(self, state, action):
        self.calls.append(("apply", action))
        return state + action

    def agrees(self, action, next_state):
        self.calls.append(("agrees", action))
        return action != 7

    def done(self, state):
        return state >= 3

    def answer(self, state):
        return state


# -- seeds -----------------------------------------------------------------------------------------


@exactly
@given(_u64, st.integers(0, 2**32), st.integers(0, 2**32), _u64, st.integers(0, 2**40))
def test_seeds_are_a_keyed_hash_of_their_address(seed, epoch, branch, step, block):
    """Seeds are eight little-endian words of BLAKE2b over (step, block), keyed by (seed, epoch, branch): no stream."""
    key = hashlib.blake2b(struct.pack("<QQQ", seed, epoch, branch), digest_size=32).digest()
    raw = hashlib.blake2b(struct.pack("<QQ", step, block), key=key).digest()
    words = tuple(int.from_bytes(raw[i : i + 8], "little") for i in range(0, 64, 8))
    assert draw_seeds(seed_key(seed, epoch, branch), step, block) == words
    assert len(words) == SEED_BLOCK


def test_no_two_draws_share_a_seed():
    """Runs, epochs, branches, steps and draws all have seeds of their own."""
    keys = [seed_key(seed, epoch, branch) for seed in range(3) for epoch in range(3) for branch in range(3)]
    seeds = [seed for key in keys for step in range(20) for block in range(3) for seed in draw_seeds(key, step, block)]
    assert len(set(keys)) == 27
    assert len(set(seeds)) == len(seeds) == 27 * 20 * 3 * 8
    assert all(0 <= seed < 2**64 for seed in seeds)


def test_seeds_do_not_change_between_versions():
    """The seed of a known address is this number for ever: a resumed run must not redraw."""
    assert draw_seeds(seed_key(0), 0, 0)[0] == int.from_bytes(
        hashlib.blake2b(bytes(16), key=hashlib.blake2b(bytes(24), digest_size=32).digest()).digest()[:8], "little"
    )
    assert seed_key(0) == seed_key(0, 0, 0) == seed_key(0, epoch=0, branch=0)


def test_addresses_compare_by_content():
    """Two addresses are equal, and have equal hashes, when run, step and draw are."""
    assert Address("r", 1, 2) == Address("r", 1, 2)
    assert len({Address("r", 1, 2), Address("r", 1, 2), Address("r", 2, 1), Address("s", 1, 2)}) == 3


# -- whose fault it is -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [ValueError("v"), KeyError("k"), RecursionError("deep"), StopIteration(), OSError(5, "x")]
)
def test_what_task_code_raises_names_step_and_method(error):
    """Any exception of the user's code is a TaskError with step, method and cause; the cause is chained."""

    def broken(*args):
        raise error

    with pytest.raises(TaskError, match=f"step 7: apply raised {type(error).__name__}") as caught:
        guarded(broken, 7, "apply", 1, 2)
    assert caught.value.__cause__ is error
    with pytest.raises(TaskError, match=r"^initial_state raised"):
        guarded(broken, None, "initial_state")


def test_a_task_error_of_the_task_is_passed_on():
    """A TaskError that the task raises itself keeps its own words."""
    mine = TaskError("my own words")

    def broken():
        raise mine

    with pytest.raises(TaskError) as caught:
        guarded(broken, 1, "legal")
    assert caught.value is mine


def test_an_interrupt_is_not_a_task_error():
    """KeyboardInterrupt and SystemExit pass through: they are not the task's fault."""
    for leave in (KeyboardInterrupt, SystemExit):

        def stop(leave=leave):
            raise leave

        with pytest.raises(leave):
            guarded(stop, 1, "legal")


def test_guarded_passes_arguments_and_result():
    """A call that raises nothing is just that call."""
    assert guarded(max, 0, "prompt", 3, 5) == 5


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

    class Silent(_Counted):
        agrees = None

    step = Step(0, 0, Rules.of(Silent()))
    assert step.rules.agrees is None
    assert step.consistent("7")


def test_a_task_has_the_seven_methods_and_steps():
    """The protocol recognises a complete task and misses any one of its members."""
    assert isinstance(HANOI, Task)
    assert isinstance(_Counted(), Task)
    for name in ("initial_state", "prompt", "parse", "legal", "apply", "done", "answer", "steps"):
        parts = {key: value for key, value in vars(_Counted).items() if key != name and not key.startswith("__")}
        assert not isinstance(type("Part", (), parts)(), Task), name


def test_a_task_is_called_by_its_name_or_its_class():
    """`name` wins; a task without one is called by its class."""
    assert task_name(HANOI) == "hanoi"
    assert task_name(_Counted()) == "_Counted"


# -- reading -----------------------------------------------------------------------------------------


def test_each_distinct_text_is_parsed_once():
    """However often a text comes and whatever asks, parse, legal, apply and agrees are each called once for it."""
    task = _Counted()
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
    task = _Counted()
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


# -- the prompt --------------------------------------------------------------------------------------


def test_the_prompt_is_the_tasks_text():
    """The engine asks with exactly what the task wrote."""
    state = HANOI.initial_state()
    assert render(HANOI, state, 0) == HANOI.prompt(state, 0)


@pytest.mark.parametrize("given", [None, "", b"bytes", 3, ["text"]])
def test_a_prompt_that_is_no_text_is_refused(given):
    """Nothing, bytes and other objects are a TaskError with step and type."""

    class Bad(_Counted):
        def prompt(self, state, step):
            return given

    with pytest.raises(TaskError, match=f"step 4: prompt returned {type(given).__name__}"):
        render(Bad(), 0, 4)


def test_a_prompt_that_raises_is_named():
    """An exception of prompt() is a TaskError with step and method."""

    class Bad(_Counted):
        def prompt(self, state, step):
            return state["missing"]

    with pytest.raises(TaskError, match="step 4: prompt raised TypeError"):
        render(Bad(), 0, 4)


def test_a_fingerprint_stands_for_every_character():
    """32 hex digits that differ for texts one character apart, lone surrogates included."""
    texts = ["", "a", "b", "a ", "\ud800", "\ud801", "\U0001f600", "\ud83d\ude00"]
    prints = [fingerprint(text) for text in texts]
    assert len(set(prints)) == len(texts)
    assert all(len(mark) == 32 and int(mark, 16) >= 0 for mark in prints)
    assert fingerprint("a") == fingerprint("a")
