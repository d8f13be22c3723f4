"""What every built-in task promises: right when the model mostly is, wrong only in the open, strict."""

import json
import random

import pytest

import maker
from maker.decision.flags import DEFAULT, judge
from maker.decision.sample import Sample
from maker.decision.step import Rules, Step
from maker.task.canonical import canonical
from maker.task.load import builtin_tasks
from maker.testing import check_journal, check_task

SMALL = {
    "addition": {"x": 9075, "y": 947},
    "blocks": {"n": 6},
    "checkers": {"n": 4},
    "dict-sum": {"turns": 4, "keys": 3},
    "hanoi": {"disks": 4},
    "invoices": {"invoices": 8},
    "multiplication": {"x": 907, "y": 46},
    "relay": {"records": 3, "trips": 6},
    "river": {"pairs": 3},
    "sorting": {"numbers": [5, -3, 5, 0, 12]},
    "template": {"text": "abc xyz abc xyz"},
}
DESIGNED = (
    "addition",
    "blocks",
    "checkers",
    "dict-sum",
    "invoices",
    "multiplication",
    "relay",
    "river",
    "sorting",
)  # tasks with a design "questions", whose replies are bare values
SMALL |= {f"{name} questions": {**SMALL[name], "design": "questions"} for name in DESIGNED}
ANSWERS = {
    "addition": "10022", "blocks": [[6, 3, 5, 2, 4, 1], [], []], "checkers": "BBBB_RRRR", "dict-sum": None,
    "hanoi": [[], [], [4, 3, 2, 1]], "invoices": None, "multiplication": "41722", "relay": None,
    "river": ["a1", "a2", "a3", "A1", "A2", "A3"], "sorting": [-3, 0, 5, 5, 12], "template": "def abc def abc",
}  # fmt: skip
OURS = sorted(set(SMALL) - {"hanoi"})
BARE = [name for name in OURS if "questions" in name]
WITH_LINES = sorted(set(OURS) - set(BARE))


def small(name):
    """Return the small task of that name, in the design that stands behind it."""
    return maker.load_task(name.split()[0], **SMALL[name])


def walk(task):
    """Yield (state, step, truth) along the right path."""
    state = task.initial_state()
    for step in range(task.steps):
        action = task.truth(state, step)
        yield state, step, action
        state = task.apply(state, action)


def test_every_built_in_task_is_here():
    """A task that is added gets these tests too."""
    assert builtin_tasks() == sorted({name.split()[0] for name in SMALL})


@pytest.mark.parametrize("name", SMALL)
def test_the_conformance_check_passes(name):
    """Pure, canonical, read back what was rendered, and done after all right steps."""
    check_task(small(name), steps=10_000)


@pytest.mark.parametrize("name", SMALL)
def test_a_noisy_model_is_voted_right(name, tmp_path):
    """With one answer in eight wrong and some unreadable, k = 8 gives the exact answer, and the journal verifies."""
    task = small(name)
    result = maker.run_sync(task, model="oracle:p=0.88,v=0.9,confusion=0.05", k=8, journal=tmp_path / "run.db")
    assert (result.solved, result.wrong, result.exit_code) == (True, 0, 0)
    if ANSWERS[name.split()[0]] is not None:
        assert result.as_json()["answer"] == ANSWERS[name.split()[0]]
    audit = check_journal(tmp_path / "run.db")
    assert audit.solved
    assert "independent checker" in audit.checked or name == "template"


@pytest.mark.parametrize("segments", [1, None])
@pytest.mark.parametrize("name", OURS)
def test_a_wrong_run_ends_in_the_open(name, segments, tmp_path):
    """At k = 1 with half the answers wrong every task still comes to an end: no exception, and the goal not reached."""
    path = tmp_path / "run.db"
    result = maker.run_sync(small(name), model="oracle:p=0.5,v=0.8,rivals=3", k=1, segments=segments, journal=path)
    assert result.wrong
    assert (result.solved, result.exit_code) == (False, 1)
    if result.stopped is None:  # a join that does not hold ends a run before its journal is whole
        assert check_journal(path).wrong == result.wrong


@pytest.mark.parametrize("name", OURS)
def test_the_checker_sees_every_single_wrong_answer(name):
    """Any one answer replaced by a rival, left out or doubled is a complaint; the right sequence is none."""
    task = small(name)
    if not hasattr(task, "check"):
        return
    steps = list(walk(task))
    right = [action for _, _, action in steps]
    assert task.check(iter(right)) is None
    for state, step, action in steps:
        for rival in task.rivals(state, step):
            if not hasattr(rival, "move") or rival.move != action.move:  # a forced move has no wrong one
                assert task.check([*right[:step], rival, *right[step + 1 :]]), (step, rival)
        assert task.check([*right[:step], *right[step + 1 :]])
        assert task.check([*right[:step], action, *right[step:]])


@pytest.mark.parametrize("name", OURS)
def test_rivals_are_wrong_and_hardly_ever_flagged(name):
    """A rival never equals the truth and passes every flag, except where the rules leave a single answer."""
    task = small(name)
    for state, index, action in walk(task):
        step = Step(index, state, Rules.of(task))
        assert judge(Sample(task.render(action)), step, [], DEFAULT) is None
        rivals = task.rivals(state, index)
        passed = [rival for rival in rivals if judge(Sample(task.render(rival)), step, [], DEFAULT) is None]
        assert rivals and canonical(action) not in map(canonical, rivals)
        assert passed == rivals or (
            len(rivals) == 1 and name.split()[0] in ("blocks", "checkers", "hanoi", "invoices", "sorting", "template")
        )


@pytest.mark.parametrize("name", OURS)
def test_every_step_survives_being_off_the_path(name):
    """After any sequence of legal answers, right or wrong, truth, prompt and rivals still have something to say."""
    task, rng = small(name), random.Random(7)
    for _ in range(20):
        state = task.initial_state()
        for step in range(task.steps):
            action = task.truth(state, step)
            assert task.legal(state, action)
            assert task.parse(task.render(action)) == action
            assert task.prompt(state, step)
            choices = [action, *(rival for rival in task.rivals(state, step) if task.legal(state, rival))]
            state = task.apply(state, rng.choice(choices))
        task.done(state)
        task.answer(state)


@pytest.mark.parametrize("name", OURS)
def test_views_ask_the_same(name):
    """The right answer to every view, turned back, is the right answer to the task's own prompt, which comes first."""
    task = small(name)
    if not hasattr(task, "paraphrases"):
        return
    differing = 0
    for state, step, action in walk(task):
        first, *others = task.paraphrases(state, step)
        assert first.prompt == task.prompt(state, step)
        assert task.parse(first.back(task.render(action))) == action
        differing += any(view.prompt != first.prompt for view in others)
    assert differing > task.steps / 3


@pytest.mark.parametrize("name", SMALL)
def test_a_task_is_made_again_from_its_parameters(name):
    """Name and parameters, through JSON as in a journal's header, give the same task: prompt, steps and answer."""
    task = small(name)
    again = maker.load_task(task.name, **json.loads(json.dumps(task.parameters)))
    assert (task.name, again.parameters, again.steps) == (name.split()[0], task.parameters, task.steps)
    assert again.prompt(again.initial_state(), 0) == task.prompt(task.initial_state(), 0)
    for state, step, action in walk(task):
        assert again.truth(state, step) == action


@pytest.mark.parametrize("name", BARE)
def test_bare_answers_are_all_of_a_reply(name):
    """A bare value is read at every step, marks around it or not; words, a calculation or two values have no vote."""
    task = small(name)
    for state, step, action in walk(task):
        text, other = task.render(action), task.render(task.rivals(state, step)[0])
        assert task.parse(f"```\n{text}\n```") == task.parse(f"**{text}**") == action
        for bad in (
            "",
            "I cannot say.",
            f"The answer is {text}.",
            f"{text}\n{other}",
            f"{text} or {other}",
            f"1 + 1 = {text}",
        ):
            with pytest.raises(ValueError, match=r"."):
                task.parse(bad)


@pytest.mark.parametrize("name", BARE)
def test_every_design_and_kind_is_named(name):
    """A design stands in the task's table and in its parameters, not so the default; each step has a kind."""
    task, usual = small(name), small(name.split()[0])
    named = "style" if usual.name == "hanoi" else "design"  # the older name of the choice
    assert task.parameters == {**usual.parameters, named: "questions"}
    assert "design" not in usual.parameters
    assert "questions" in usual.designs and task.designs == usual.designs
    assert len({task.kind(state, step) for state, step, _ in walk(task)}) > 1


@pytest.mark.parametrize("name", WITH_LINES)
def test_readers_are_strict(name):
    """Half an answer, two different answers, none at all, or prose where the answer should be have no vote."""
    task = small(name)
    state, step, action = next(walk(task))
    text, other = task.render(action), task.render(task.rivals(state, step)[0])
    assert task.parse(f"I work it out first.\n{text}\nDone.") == action
    assert task.parse(f"{text}\n{text}") == action
    key = text.split("=")[0]
    for bad in ("", "I cannot say.", text[: len(text) // 2], f"{text}\nNo, rather:\n{other}", f"{text}\n{key}= ",
                f"{key}= ?", text.replace("=", ":"), text.replace("= ", "= True and "), f"{text} or more"):  # fmt: skip
        with pytest.raises(ValueError, match=r"."):
            task.parse(bad)


@pytest.mark.timeout(30)  # a reader that is quadratic in these texts takes minutes
@pytest.mark.parametrize("name", OURS)
def test_readers_are_linear(name):
    """Adversarial replies of 300,000 characters are refused without a search."""
    task = small(name)
    text = task.render(next(walk(task))[2])
    key = text.split("=")[0].strip()
    pieces = [" = ", "", " = {", ' = {"a": ', ' = "', " = [", " = 1", " =   ", " = -", ' = {"id": 1}\t', ' = "x" ']
    for piece in [*(key + tail for tail in pieces), "[", '{"a":', " ", f"{text} ", f"{text}...."]:
        evil = (piece * (300_000 // len(piece)))[:300_000] + "x"
        with pytest.raises((ValueError, RecursionError)):
            task.parse(evil)


@pytest.mark.parametrize("name", OURS)
def test_no_prompt_holds_its_answer_because_of_the_run(name):
    """A prompt depends on state and step alone: two runs in the same state ask the same, whatever went before."""
    task, twin = small(name), small(name)
    for state, step, _ in walk(task):
        assert task.prompt(state, step) == twin.prompt(state, step)
        assert len(task.prompt(state, step)) < 2000


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("addition", {"x": -1}, "x = -1: give 0 or more"),
        ("addition", {"y": 10**4000}, "y = a longer number"),
        ("addition", {"x": "1.5"}, "x = '1.5'"),
        ("multiplication", {"x": "-3"}, "x = -3: give 0 or more"),
        ("multiplication", {"y": 10**2000}, "y = a longer number: give 0 or more, of at most 2,000 digits"),
        ("multiplication", {"x": "twelve"}, "x = 'twelve'"),
        ("multiplication", {"x": True}, "x = True"),
        ("sorting", {"numbers": "3"}, "1 numbers: give 2 to 10,000"),
        ("sorting", {"numbers": "3,x"}, "numbers = '3,x'"),
        ("sorting", {"numbers": [1, 2.5]}, "numbers"),
        ("sorting", {"numbers": [1, 10**100]}, "at most 100 digits"),
        ("sorting", {"size": 1}, "size = 1"),
        ("sorting", {"size": 10_001}, "size = 10001"),
        ("sorting", {"numbers": [2, 1], "size": 2}, "not both"),
        ("sorting", {"numbers": [2, 1], "data_seed": 0}, "not both"),
        ("blocks", {"n": 7}, "n = 7: give an even number from 2 to 1,000"),
        ("blocks", {"n": 0}, "n = 0"),
        ("blocks", {"n": 1002, "design": "questions"}, "n = 1002"),
        ("checkers", {"n": 0}, "n = 0: give 1 to 10,000"),
        ("checkers", {"n": 10_001}, "n = 10001"),
        ("checkers", {"n": None}, "n = None"),
        ("checkers", {"n": 0, "design": "questions"}, "n = 0"),
        ("checkers", {"design": "odd"}, "no design 'odd'. It has: lines: a move"),
        ("dict-sum", {"turns": 0}, "turns = 0"),
        ("dict-sum", {"keys": 0}, "keys = 0"),
        ("dict-sum", {"turns": 10**6, "keys": 2}, "at most 1,000,000 words"),
        ("invoices", {"invoices": 0}, "invoices = 0: give 1 to 1,000"),
        ("invoices", {"invoices": 1001, "design": "questions"}, "invoices = 1001"),
        ("invoices", {"invoices": "many"}, "invoices = 'many'"),
        ("invoices", {"design": "odd"}, "no design 'odd'. It has: lines: a whole invoice"),
        ("relay", {"records": 0}, "records = 0"),
        ("relay", {"records": 1001}, "records = 1001"),
        ("relay", {"trips": 0}, "trips = 0"),
        ("relay", {"trips": 10**9}, "at most 2,000,000 steps"),
        ("relay", {"records": 0, "design": "questions"}, "records = 0"),
        ("relay", {"design": "odd"}, "no design 'odd'. It has: lines: a whole edit"),
        ("river", {"pairs": 0}, "pairs = 0: give 1 or more"),
        (
            "river",
            {"pairs": 4, "boat": 2},
            "no way across for more than 3 pairs in a boat for 2. Give at most 3 pairs, or",
        ),
        ("river", {"pairs": 6}, "pairs = 6, boat = 3: there is no way across for more than 5 pairs"),
        ("river", {"pairs": 6, "design": "questions"}, "no way across"),
        ("river", {"boat": 4}, "boat = 4: give 2 or 3"),
        ("template", {"text": ""}, "text = ''"),
        ("template", {"text": "A"}, "text = 'A'"),
        ("template", {"by": 26}, "by = 26"),
        ("template", {"shift": 3}, "no parameter 'shift'"),
        ("template", {"design": "questions"}, "no parameter 'design'"),
        ("addition", {"design": "odd"}, "no design 'odd'. It has: lines: a column"),
        ("addition", {"design": ["lines"]}, "no design ['lines']"),
    ],
)
def test_bad_parameters_are_refused_by_name(name, parameters, words):
    """A parameter that does not fit is one line of TaskError with task, parameter and remedy."""
    with pytest.raises(maker.TaskError) as caught:
        maker.load_task(name, **parameters)
    assert words in str(caught.value) and name in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
