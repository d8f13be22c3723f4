"""Red flags: each on its case and on nothing else, in order, and never with a view of the right answer."""

import dataclasses
import json
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from maker.decision import flags
from maker.decision.flags import (
    DEFAULT,
    PAPER,
    RedFlag,
    chain,
    comparing,
    cut_in_thought,
    flag_name,
    judge,
    thoughtful,
)
from maker.decision.sample import Sample
from maker.decision.step import Rules, Step
from maker.errors import TaskError
from maker.task.lines import Ambiguous
from maker.task.load import load_task

exactly = settings(derandomize=True, max_examples=200, deadline=None)
HANOI = load_task("hanoi", disks=3)
GOOD = "move = [1, 0, 2]\nnext_state = [[3, 2], [], [1]]"
RIVAL = "move = [1, 0, 1]\nnext_state = [[3, 2], [1], []]"
BY_NAME = {flag_name(flag): flag for flag in DEFAULT}


def _step(parse=None, **settings):
    """Return the first step of three disks, or one with a parser of the test's own."""
    rules = Rules.of(HANOI) if parse is None else Rules(parse)
    return Step(0, HANOI.initial_state(), rules, **settings)


def _raising(error):
    def parse(text):
        raise error

    return parse


# -- the table: each flag, its cases, and that no other flag of the chain speaks ------------------------

_CASES = [
    ("empty", Sample(None)),
    ("empty", Sample("")),
    ("empty", Sample(" \n\t ")),
    ("truncated", Sample(GOOD, finish_reason="length")),
    ("truncated", Sample(GOOD, finish_reason="max_tokens")),
    ("truncated", Sample(None, finish_reason="length", reasoning="The disk")),
    ("truncated", Sample("", finish_reason="length", tokens_reasoning=90)),
    ("empty", Sample("", finish_reason="length")),
    ("truncated", Sample(GOOD, tokens_out=1024, finish_reason="stop")),
    ("truncated", Sample(GOOD, tokens_out=1500, finish_reason=None)),
    ("over_long", Sample(GOOD, tokens_out=751)),
    ("over_long", Sample("so, " * 800 + GOOD)),
    ("refused", Sample(GOOD, finish_reason="content_filter")),
    ("refused", Sample("I'm sorry, but I can't help with that.")),
    ("refused", Sample("I cannot do this.")),
    ("refused", Sample("  As an AI language model, no.")),
    ("ambiguous", Sample(f"{GOOD}\nWait, no:\n{RIVAL}")),
    ("ambiguous", Sample("move = [1, 0, 1]\nRather:\n" + GOOD)),
    ("malformed", Sample("disk 1 to peg 2")),
    ("malformed", Sample(GOOD.replace("=", ":"))),
    ("malformed", Sample("move = [True, 0, 1]\nnext_state = [[3, 2], [1], []]")),
    ("malformed", Sample("move = [1, 0, -1]\nnext_state = [[3, 2], [], [1]]")),
    ("illegal", Sample("move = [2, 0, 1]\nnext_state = [[3, 1], [2], []]")),
    ("illegal", Sample("move = [1, 1, 2]\nnext_state = [[3, 2], [], [1]]")),
    ("illegal", Sample("move = [1, 0, 3]\nnext_state = [[3, 2], [], [1]]")),
    ("illegal", Sample("move = [1, 0, 0]\nnext_state = [[3, 2, 1], [], []]")),
    ("illegal", Sample("move = [0, 0, 1]\nnext_state = [[3, 2, 1], [0], []]")),
    ("inconsistent", Sample("move = [1, 0, 2]\nnext_state = [[3, 2], [1], []]")),
    ("inconsistent", Sample("move = [1, 0, 2]\nnext_state = [[3, 2, 1], [], []]")),
    ("inconsistent", Sample("move = [1, 0, 2]\nnext_state = [[2, 3], [], [1]]")),
]


@pytest.mark.parametrize(("kind", "sample"), _CASES)
def test_each_flag_fires_on_its_case(kind, sample):
    """A defective sample is flagged by its own flag, asked alone, and the chain reports that kind."""
    red = BY_NAME[kind](sample, _step(), [])
    assert red is not None
    assert red.kind == kind
    assert red.detail
    assert judge(sample, _step(), [], DEFAULT).kind == kind


@pytest.mark.parametrize("flag", DEFAULT, ids=flag_name)
@pytest.mark.parametrize(
    "sample",
    [
        Sample(GOOD),
        Sample(RIVAL),
        Sample(GOOD, tokens_out=750, response_id="a", logprob=-0.1),
        Sample(GOOD, finish_reason=None),
        Sample("I can't be sure, but:\n" + GOOD),
        Sample(f"{GOOD}\nTo repeat: move=[1,0,2]"),
        Sample("Sorry, thinking aloud. " + GOOD),
    ],
)
def test_no_flag_fires_on_a_clean_sample(flag, sample):
    """A well-formed, legal, consistent reply passes every default flag, right or wrong."""
    others = [Sample(RIVAL, response_id="b"), Sample("nonsense")]
    assert flag(sample, _step(), others) is None
    assert judge(sample, _step(), others, DEFAULT) is None


def test_every_default_flag_has_a_case():
    """The table above covers the whole default chain; `copied` has tests of its own."""
    assert {kind for kind, _ in _CASES} | {"copied"} == set(BY_NAME)
    assert list(BY_NAME) == [
        "refused", "empty", "truncated", "over_long", "ambiguous", "malformed", "illegal", "inconsistent", "copied",
    ]  # fmt: skip


@pytest.mark.parametrize(("tokens", "kind"), [(749, None), (750, None), (751, "over_long"), (1023, "over_long")])
def test_over_long_uses_real_tokens(tokens, kind):
    """Reported tokens decide, whatever the length of the text, and the limit itself is still allowed."""
    for text in (GOOD, "so, " * 5000):
        red = flags.over_long(Sample(text, tokens_out=tokens), _step(), [])
        assert (red and red.kind) == kind


def test_over_long_counts_characters_where_no_tokens_are_reported():
    """Without reported tokens four characters are one token, and `long_answer` of the step is the limit."""
    step = _step(long_answer=10)
    assert flags.over_long(Sample("x" * 43), step, []) is None
    assert flags.over_long(Sample("x" * 44), step, []).kind == "over_long"
    assert flags.over_long(Sample(None), step, []) is None


@pytest.mark.parametrize(("tokens", "kind"), [(99, None), (100, "truncated"), (101, "truncated"), (None, None)])
def test_tokens_at_the_cap_are_a_truncation(tokens, kind):
    """A reply that used up the cap was cut off even where the server says "stop"."""
    red = flags.truncated(Sample(GOOD, tokens_out=tokens, finish_reason="stop"), _step(token_cap=100), [])
    assert (red and red.kind) == kind


def test_a_refusal_that_holds_an_answer_is_an_answer():
    """An apology is a refusal only where no answer can be read."""
    assert flags.refused(Sample(f"I'm sorry for the wait.\n{GOOD}"), _step(), []) is None
    assert flags.refused(Sample("I'm sorry, no."), _step(), []).kind == "refused"
    assert flags.refused(Sample("Disk 1 moves. I can't say where."), _step(), []) is None


# -- copies --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sample", "earlier", "copied"),
    [
        (Sample(GOOD), [Sample(GOOD)] * 5, False),
        (Sample(GOOD, response_id="a"), [Sample(GOOD, response_id="b")], False),
        (Sample(GOOD, response_id="a"), [Sample(GOOD)], False),
        (Sample(GOOD, response_id="a"), [Sample(RIVAL, response_id="a")], True),
        (Sample(GOOD, response_id="a"), [Sample(RIVAL, response_id="b"), Sample(None, response_id="a")], True),
        (Sample(GOOD, response_id=""), [Sample(GOOD, response_id="")], True),
        (Sample(GOOD, logprob=-20.5), [Sample(GOOD)], True),
        (Sample(GOOD, logprob=-20.5), [Sample(GOOD, logprob=-20.5)], True),
        (Sample(GOOD, logprob=-20.5), [Sample(RIVAL, logprob=-20.5)], False),
        (Sample(GOOD, logprob=-20.0), [Sample(GOOD, logprob=-20.0)], False),
        (Sample(GOOD, logprob=-0.3), [Sample(GOOD, logprob=-0.3)] * 9, False),
        (Sample(GOOD, logprob=float("-inf")), [Sample(GOOD)], True),
        (Sample(GOOD, response_id="a", logprob=-50.0), [], False),
    ],
)
def test_copies_are_told_by_id_or_by_improbable_text(sample, earlier, copied):
    """The same response id, or the same text of more than 20 nats, is a copy; short equal answers are not."""
    red = flags.copied(sample, _step(), earlier)
    assert (red is not None) == copied
    assert not copied or red.kind == "copied"


# -- the chain -----------------------------------------------------------------------------------------


def test_the_first_flag_names_the_reason():
    """Of several flags that would fire the first one in the chain is reported, and later ones are not asked."""
    asked = []

    def one(sample, step, earlier):
        asked.append("one")

    def two(sample, step, earlier):
        asked.append("two")
        return RedFlag("two", "second")

    def three(sample, step, earlier):
        asked.append("three")
        return RedFlag("three", "third")

    assert judge(Sample(GOOD), _step(), [], [one, two, three]) == RedFlag("two", "second")
    assert asked == ["one", "two"]
    both = Sample("move = [2, 0, 1]", tokens_out=900, finish_reason="length")
    assert judge(both, _step(), [], DEFAULT).kind == "truncated"
    assert judge(both, _step(), [], PAPER).kind == "over_long"


def test_the_paper_preset_is_over_long_and_malformed():
    """The published rule is these two flags and nothing else: illegal, cut-off and copied replies vote."""
    assert chain("paper") == PAPER == (flags.over_long, flags.malformed)
    for sample in (
        Sample("move = [2, 0, 1]\nnext_state = [[3, 1], [2], []]"),
        Sample(GOOD, finish_reason="length"),
        Sample("move = [1, 0, 2]\nnext_state = [[3, 2], [1], []]"),
    ):
        assert judge(sample, _step(), [sample], PAPER) is None
    assert judge(Sample("nonsense"), _step(), [], PAPER).kind == "malformed"
    assert judge(Sample(GOOD, tokens_out=800), _step(), [], PAPER).kind == "over_long"


@pytest.mark.parametrize(
    ("sample", "kind"),
    [
        (Sample(GOOD, tokens_out=5000, finish_reason="length"), None),
        (Sample("move = [2, 0, 1]\nnext_state = [[], [], []]"), None),
        (Sample("nonsense"), "malformed"),
        (Sample(None), "malformed"),
        (Sample(f"{GOOD}{RIVAL}"), "malformed"),
        (Sample("I'm sorry, no."), "malformed"),
    ],
)
def test_an_empty_list_flags_only_what_cannot_be_parsed(sample, kind):
    """Without flags everything that has an answer votes; what has none is `malformed`, whatever else it is."""
    red = judge(sample, _step(), [], chain([]))
    assert (red and red.kind) == kind


def test_chain_takes_none_a_preset_or_a_list():
    """None is the default chain, a list is itself in its order, a tuple as well."""
    own = [flags.malformed, lambda sample, step, earlier: None]
    assert chain(None) == DEFAULT
    assert chain(own) == tuple(own) == chain(tuple(own))
    assert chain([]) == ()


@pytest.mark.parametrize("bad", ["strict", "", "empty", ["empty"], [flags.empty, 3], [None]])
def test_chain_refuses_what_is_no_chain(bad):
    """Unknown preset names and lists of anything but callables are a TaskError that says what to give."""
    with pytest.raises(TaskError, match="paper"):
        chain(bad)


class _Custom(Exception):
    pass


class _Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"), KeyError("k"), IndexError(), TypeError(), AttributeError("a"), RecursionError(), MemoryError(),
        ZeroDivisionError(), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), StopIteration(), AssertionError(),
        OSError("disk"), TimeoutError(), json.JSONDecodeError("m", "d", 0), TaskError("mine"), _Custom(),
        _Unprintable(), NotImplementedError(), RuntimeError("x" * 100_000),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
@pytest.mark.parametrize("which", [None, "paper", []], ids=str)
def test_whatever_a_parser_raises_is_malformed(error, which):
    """Any exception of a parser becomes the one flag `malformed`, under every chain; it never leaves."""
    red = judge(Sample("text"), _step(_raising(error)), [], chain(which))
    assert red.kind == "malformed"
    assert len(red.detail) <= 200


def test_an_ambiguous_reply_is_a_flag_of_its_own():
    """A parser that raises Ambiguous is heard as `ambiguous` in the default chain, as `malformed` in others."""
    step = _step(_raising(Ambiguous("two answers")))
    assert judge(Sample("a or b"), step, [], DEFAULT) == RedFlag("ambiguous", "two answers")
    assert judge(Sample("a or b"), step, [], []).kind == "malformed"
    assert issubclass(Ambiguous, ValueError)


@pytest.mark.parametrize("answer", [float("nan"), [float("inf")], {"a": float("-inf")}])
def test_an_answer_without_a_vote_key_is_malformed(answer):
    """A parsed answer that cannot be counted because it is not a finite number is flagged, not raised."""
    assert judge(Sample("NaN"), _step(lambda text: answer), [], DEFAULT).kind == "malformed"


def test_a_flag_that_raises_is_a_bug_with_a_name():
    """What a flag raises is a TaskError naming the flag, the step and the exception; never a red flag."""

    def shaky(sample, step, earlier):
        return 1 / 0

    class Shaky:
        def __call__(self, sample, step, earlier):
            raise LookupError("gone")

    step = Step(41, None, Rules(str))
    with pytest.raises(TaskError, match="step 41: flag shaky raised ZeroDivisionError"):
        judge(Sample("x"), step, [], [flags.empty, shaky])
    with pytest.raises(TaskError, match="step 41: flag Shaky raised LookupError: gone"):
        judge(Sample("x"), step, [], [Shaky()])


@pytest.mark.parametrize("method", ["legal", "apply", "agrees"])
def test_a_task_that_raises_while_judged_is_a_task_error(method):
    """A rule of the task that raises is named with its step; the reply is not blamed for it."""

    def broken(*args):
        raise KeyError("lost")

    rules = dataclasses.replace(Rules.of(HANOI), **{method: broken})
    step = Step(5, HANOI.initial_state(), rules)
    with pytest.raises(TaskError, match=f"step 5: {method} raised KeyError"):
        judge(Sample(GOOD), step, [], DEFAULT)


def test_comparing_leaves_the_flags_that_look_at_earlier_samples():
    """Of the very same sample only `copied` and the user's own flags can say otherwise when it comes again."""

    def own(sample, step, earlier):
        return None

    assert comparing((*DEFAULT, own)) == (flags.copied, own)
    assert comparing(PAPER) == ()


def test_flags_have_names():
    """A flag's name is that of the function, or of the class of a callable object."""

    class Own:
        def __call__(self, sample, step, earlier):
            return None

    assert flag_name(flags.over_long) == "over_long"
    assert flag_name(Own()) == "Own"


# -- any answer at all ---------------------------------------------------------------------------------

_CORPUS = {
    "none": None,
    "nothing": "",
    "10 MB": "x" * 10_000_000,
    "10 MB of spaces": " " * 10_000_000,
    "10 MB answer": GOOD + " " * 10_000_000,
    "lone surrogate": "\ud800" + GOOD,
    "NUL": "\x00" + GOOD + "\x00",
    "ANSI": "\x1b[31m" + GOOD + "\x1b[0m",
    "200k brackets": "[" * 200_000,
    "60k brackets": "move = " + "[" * 60_000,
    "4,301-digit int": f"move = [{'9' * 4301}, 0, 2]\nnext_state = [[3, 2], [], [1]]",
    "4,301-digit disk": f"move = [1, 0, 2]\nnext_state = [[{'9' * 4301}], [], [1]]",
    "NaN": "move = [NaN, 0, 2]\nnext_state = [[3, 2], [], [1]]",
    "Infinity": "move = [1, 0, 2]\nnext_state = [[Infinity], [], [1]]",
    "duplicate keys": '{"move": [1, 0, 2], "move": [1, 0, 1]}',
    "other digits": "move = [١, ٠, ٢]\nnext_state = [[3, 2], [], [1]]",
    "no-break space": "move = [1,\u00a00, 2]\nnext_state = [[3, 2], [], [1]]",
    "bidi": "\u202e" + GOOD,
    "html": "<script>alert(1)</script>" + GOOD,
}


@pytest.mark.parametrize("which", [None, "paper", []], ids=str)
@pytest.mark.parametrize("text", _CORPUS.values(), ids=_CORPUS.keys())
def test_any_answer_at_all_is_a_vote_or_a_flag_at_once(text, which):
    """Whatever a model writes is read and judged without an exception, in less than 50 ms."""
    best = float("inf")
    for _ in range(3):  # the best of three: a busy machine is no fault of the parser
        step = _step()
        start = time.perf_counter()
        red = judge(Sample(text), step, [], chain(which))
        best = min(best, time.perf_counter() - start)
    assert red is None or isinstance(red, RedFlag)
    assert (red is None) == (step.read(text).key is not None) or which is None
    assert best < 0.05


_pieces = st.sampled_from([
    "move", "next_state", " = ", "=", "[", "]", ", ", "1", "0", "2", "-1", "1.0", "True", "\n", " ",
    "[[3, 2], [], [1]]", "[1, 0, 2]", "\ud800", "\x00", "9" * 50, "null", "I'm sorry", "{", '"', "01", "１",
])  # fmt: skip


@exactly
@given(st.lists(_pieces, max_size=25).map("".join) | st.text(st.characters(exclude_categories=()), max_size=50))
@example(GOOD)
def test_no_text_makes_judging_raise(text):
    """Random text and random pieces of answers are judged without an exception; what votes is strictly typed."""
    step = _step()
    assert isinstance(judge(Sample(text), step, [], DEFAULT), (RedFlag, type(None)))
    reading = step.read(text)
    assert (reading.key is None) == (reading.fault is not None)
    if reading.key is not None:
        move, stacks = reading.answer
        assert all(type(number) is int for number in (*move, *(disk for peg in stacks for disk in peg)))
        assert (len(move), len(stacks)) == (3, 3)


# -- no ground truth -----------------------------------------------------------------------------------


def test_no_truth_is_reachable_from_what_a_flag_sees():
    """Of all that hangs on Step and Sample only Rules' own functions belong to the task, and no name is `truth`."""
    step = _step()
    step.read(GOOD)
    seen, waiting = [], [step, Sample(GOOD)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, (str, bytes, int, float, type(None), Exception)):
            continue
        if isinstance(value, Rules):
            assert [field.name for field in dataclasses.fields(value)] == ["parse", "legal", "apply", "agrees"]
            continue
        seen.append(type(value).__name__)
        for hidden in ("truth", "rivals", "render", "task"):
            assert not hasattr(value, hidden)
        if dataclasses.is_dataclass(value):
            waiting += [getattr(value, field.name) for field in dataclasses.fields(value)]
        elif isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, (tuple, list)):
            waiting += value
        else:
            pytest.fail(f"a flag can reach {value!r}")
    assert {"Step", "Sample", "HanoiState", "Reading"} <= set(seen)


@pytest.mark.parametrize(
    ("sample", "thinks", "cut"),
    [
        (Sample("42"), False, False), (Sample("42", finish_reason="length"), False, False),
        (Sample("", finish_reason="stop"), False, False), (Sample("", finish_reason="length"), True, True),
        (Sample(None, finish_reason="max_output_tokens"), True, True),
        (Sample("\n", finish_reason="length"), False, False),
        (Sample("42", reasoning="6*7"), True, False), (Sample("42", tokens_reasoning=9), True, False),
        (Sample("42", tokens_reasoning=0), False, False),
    ],
)  # fmt: skip
def test_a_model_that_thinks_is_known_by_its_replies(sample, thinks, cut):
    """By a thought, by tokens of thought, or by a reply that was cut off before any answer."""
    assert (thoughtful(sample), cut_in_thought(sample)) == (thinks, cut)


@pytest.mark.parametrize(
    ("flag", "speaks", "silent"),
    [
        (flags.switch_words, ["Wait, no.", "Alternatively: 5", "Let me recheck."], ["I await 5", "the waiter"]),
        (flags.several_finals, ["Answer: 5\nAnswer: 6", r"\boxed{1,000} or \boxed{2}", "the answer is 4. Answer: 5"],
         ["Answer: 5\nAnswer: 5.", r"answer = 1,000 and \boxed{1000}", "5 or 6"]),
        (flags.impossible, ["This is impossible.", "no valid solution", "it cannot be done"], ["possible", "solution"]),
    ],
)  # fmt: skip
def test_smells_speak_on_their_words_alone(flag, speaks, silent):
    """Each on its words, whatever the task is; a reply without text has none."""
    assert {flag(Sample(text), _step(), []).kind for text in speaks} == {flag_name(flag)}
    assert [flag(Sample(text), _step(), []) for text in [*silent, None, ""]] == [None] * (len(silent) + 2)


def test_flags_are_named_in_a_list_or_a_text():
    """Names stand for their flags in order, callables for themselves; no smell is in a chain that has other names."""
    named = (*DEFAULT, flags.several_finals)
    assert chain(["default", "several-finals"]) == chain("default,several-finals") == named
    assert chain([flags.empty, "switch-words"]) == (flags.empty, flags.switch_words)
    assert chain("paper,impossible") == (*PAPER, flags.impossible)
    assert not {*flags.SMELLS.values()} & {*DEFAULT, *PAPER}
    assert all(flags.BUILT_IN[flag_name(flag)] is flag for flag in flags.SMELLS.values())
    with pytest.raises(TaskError, match="several-finals"):
        chain("default,several")
