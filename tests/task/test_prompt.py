"""What is asked: the prompt, its fingerprint, and equivalent views of it."""

from __future__ import annotations

import json

import pytest

import maker
from counted import Counted
from maker.errors import TaskError
from maker.task.load import load_task
from maker.task.prompt import View, fingerprint, messages_of, prompt_of, render, under, views, words_in
from maker.testing import ScriptedModel


def view_of(prompt: str):
    """Read a full-style prompt: direction, previous move, stacks."""
    before, state = prompt.splitlines()[-2:]
    previous = json.loads(before.partition("=")[2])
    return "counter-clockwise" not in prompt, previous, json.loads(state.partition("=")[2])


def solver(request: maker.Request) -> str:
    """Answer a prompt by what it says alone, as a model does that knows the strategy."""
    clockwise, previous, stacks = view_of(request.prompt)
    small = next(i for i, peg in enumerate(stacks) if peg and peg[-1] == 1)
    if not previous or previous[0] != 1:
        move = [1, small, (small + (1 if clockwise else 2)) % 3]
    else:
        a, b = ((small + 1) % 3, (small + 2) % 3)
        if not stacks[a] or (stacks[b] and stacks[b][-1] < stacks[a][-1]):
            a, b = b, a
        move = [stacks[a][-1], a, b]
    stacks[move[2]].append(stacks[move[1]].pop())
    return f"move = {move}\nnext_state = {stacks}"


@pytest.mark.parametrize("disks", [3, 4])
def test_every_view_of_hanoi_is_the_same_question(disks):
    """Six different prompts; the right answer to each, mapped back, is the right answer."""
    task = maker.load_task("hanoi", disks=disks)
    state = task.initial_state()
    for step in range(task.steps):
        asked = task.paraphrases(state, step)
        assert len({view.prompt for view in asked}) == 6
        assert asked[0].prompt == task.prompt(state, step)
        for view in asked:
            reply = solver(maker.Request(maker.Address("r", step, 0), view.prompt, 0))
            assert task.parse(view.back(reply)) == task.truth(state, step)
        state = task.apply(state, task.truth(state, step))
    assert task.done(state)


def test_a_paraphrased_run_asks_in_turn_and_reaches_the_same_end(tmp_path):
    """Draw d asks in view d mod 6; verdicts, states and chain are those of the plain run; a resume holds too."""
    task = maker.load_task("hanoi", disks=4)
    model = ScriptedModel(solver)
    plain = maker.run_sync(task, model=ScriptedModel(solver), k=3)
    path = tmp_path / "views.db"
    first = maker.run_sync(task, model=model, k=3, paraphrase=True, journal=path, limits={"max_steps": 7})
    second = maker.run_sync(task, model=model, k=3, paraphrase=True, journal=path)
    assert first.stopped == "max_steps" and second.solved
    assert (second.chain, second.state_digest) == (plain.chain, plain.state_digest)
    prompts = {request.address.draw: request.prompt for request in model.requests if request.address.step == 0}
    assert [prompts[draw] for draw in range(3)] == [
        view.prompt for view in task.paraphrases(task.initial_state(), 0)[:3]
    ]


def test_what_a_view_cannot_map_back_is_flagged_as_it_was_written():
    """A malformed reply to a view stays malformed; it is never repaired and never an error."""
    task = maker.load_task("hanoi", disks=3)
    model = ScriptedModel(lambda request: "no idea" if request.address.draw == 1 else solver(request))
    result = maker.run_sync(task, model=model, k=2, paraphrase=True)
    assert result.solved and result.flags == {"malformed": 7}


def test_a_view_breaks_an_error_that_one_wording_makes_systematic():
    """A model that errs on one wording alone loses the step without views and wins it with them."""
    task = maker.load_task("hanoi", disks=3)
    hard = task.prompt(task.state_at(2), 2)
    wrong = task.render(task.rivals(task.state_at(2), 2)[0])
    model = ScriptedModel(lambda request: wrong if request.prompt == hard else solver(request))
    assert maker.run_sync(task, model=model, k=2, segments=1).wrong > 0
    assert maker.run_sync(task, model=model, k=2, segments=1, paraphrase=True).wrong == 0


def test_views_are_refused_where_there_are_none():
    """A task without views, views that are none, and a simulated model are told apart by clear errors."""

    class Plain:
        name = "plain"

    class Odd(Plain):
        def paraphrases(self, state, step):
            return ["not a view"]

    with pytest.raises(maker.TaskError, match="has no paraphrases"):
        views(Plain(), 0, 0)
    with pytest.raises(maker.TaskError, match=r"must return a list of maker\.View"):
        views(Odd(), 0, 0)
    with pytest.raises(maker.TaskError, match="simulated model"):
        maker.run_sync("hanoi", model="oracle:p=0.9", k=2, paraphrase=True)
    assert View("a", str).back("b") == "b"


SHOTS = (("What is 2 + 2?", "4"), ("What is 3 + 5?", "8"))


def test_examples_are_turns_before_the_question():
    """A chat is sent them as turns, after what instructs it; plain completions as Q and A, ending where A begins."""
    shown = under(None, "What is 7 + 8?", SHOTS)
    assert [(m["role"], m["content"]) for m in messages_of(shown)] == [
        ("user", "What is 2 + 2?"), ("assistant", "4"), ("user", "What is 3 + 5?"), ("assistant", "8"),
        ("user", "What is 7 + 8?"),
    ]  # fmt: skip
    assert words_in(shown) == "Q: What is 2 + 2?\nA: 4\nQ: What is 3 + 5?\nA: 8\nQ: What is 7 + 8?\nA:"
    ruled = under("Be brief.", "What is 7 + 8?", SHOTS)
    own = prompt_of([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 7 + 8?"}], "")
    assert under(None, own, SHOTS) == ruled
    assert words_in(ruled) == "Be brief.\n" + words_in(shown)
    assert under(None, "What is 7 + 8?") == "What is 7 + 8?"
    with pytest.raises(maker.TaskError, match="begin with one of 'system' already"):
        under("Be long.", own, SHOTS)


def test_examples_make_a_base_model_answer():
    """Every question of a run has them before it, those of its views too; they are in its journal's settings."""

    def base(request):
        words = words_in(request.prompt)
        return "4" if words.startswith("Q: ") and words.endswith("A:") else "well"

    for ask in ("What is 2 + 2?", "And 1 + 3?"):
        model = ScriptedModel(base)
        found = maker.vote_sync(ask, model=model, k=2, answer=int, examples=SHOTS, paraphrases=[f"Again: {ask}"])
        assert (found.answer, found.flagged) == (4, 0)
    with pytest.raises(maker.Undecided):
        maker.vote_sync("What is 2 + 2?", model=ScriptedModel(base), k=2, answer=int)


def test_prompts_are_text_and_have_fingerprints():
    """A prompt that is no text is a TaskError naming the step; equal texts have equal fingerprints."""

    class Silent:
        def prompt(self, state, step):
            return None

    with pytest.raises(maker.TaskError, match="step 4: prompt returned NoneType"):
        render(Silent(), 0, 4)
    assert fingerprint("a") == fingerprint("a") != fingerprint("b") and len(fingerprint("\ud800")) == 32


HANOI = load_task("hanoi", disks=3)


def test_the_prompt_is_the_tasks_text():
    """The engine asks with exactly what the task wrote."""
    state = HANOI.initial_state()
    assert render(HANOI, state, 0) == HANOI.prompt(state, 0)


@pytest.mark.parametrize(
    ("given", "said"), [(None, "NoneType"), ("", "empty text"), (b"bytes", "bytes"), (3, "int"), (["text"], "a list")]
)
def test_a_prompt_that_is_no_text_is_refused(given, said):
    """Nothing, bytes and other objects are a TaskError with step and type."""

    class Bad(Counted):
        def prompt(self, state, step):
            return given

    with pytest.raises(TaskError, match=f"step 4: prompt returned {said}"):
        render(Bad(), 0, 4)


def test_a_prompt_that_raises_is_named():
    """An exception of prompt() is a TaskError with step and method."""

    class Bad(Counted):
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


def test_messages_are_a_prompt() -> None:
    """Messages travel as their canonical JSON, and come out at the edge as they went in, extra fields included."""
    given = [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "6 x 7?"}, {"type": "image_url", "image_url": {"url": "x"}}],
        },
        {"content": "é", "role": "user", "name": "ann"},
    ]
    prompt = prompt_of(given, "vote: the prompt is")
    assert prompt == json.dumps(given, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert list(messages_of(prompt)) == given
    assert words_in(prompt) == "Be brief.\n\n6 x 7?\n\né"
    assert list(messages_of("plain")) == [{"role": "user", "content": "plain"}]


@pytest.mark.parametrize(
    "given",
    [
        [],
        [{}],
        [{"role": "user"}],
        [{"role": "", "content": "x"}],
        [{"role": "user", "content": 3}],
        ["x"],
        "",
        None,
        7,
    ],
)
def test_what_is_no_prompt(given: object) -> None:
    """Neither text nor messages: a TaskError that says whose it was."""
    with pytest.raises(TaskError, match="vote: the prompt is"):
        prompt_of(given, "vote: the prompt is")
