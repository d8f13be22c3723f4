"""Long multiplication: exact at any size, 2 n m micro-steps, graded by integers alone."""

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import maker
from maker import theory
from maker.review.checking.verify import verify
from maker.testing import ScriptedModel

exactly = settings(derandomize=True, max_examples=60, deadline=None)
Multiplication = type(maker.load_task("multiplication"))
module = sys.modules[Multiplication.__module__]
Carry, State = module.Carry, module.MultiplicationState


def solve(task):
    """Return the right answers and the state they lead to."""
    state, actions = task.initial_state(), []
    for step in range(task.steps):
        actions.append(task.truth(state, step))
        state = task.apply(state, actions[-1])
    return actions, state


@exactly
@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_right_steps_give_the_exact_product(x, y):
    """For factors of any length, 0 too, 2 n m right micro-steps end in x * y, and the checker agrees."""
    task = Multiplication(x, y)
    actions, state = solve(task)
    assert task.steps == 2 * len(str(x)) * len(str(y)) == len(actions)
    assert task.done(state) and task.answer(state) == x * y
    assert type(task.answer(state)) is int
    assert task.check(actions) is None


def test_a_hundred_digits_are_exact():
    """20,000 micro-steps multiply two numbers of 100 digits; nothing passes through a float."""
    task = Multiplication(10**100 - 3, 10**99 + 7)
    actions, state = solve(task)
    assert task.answer(state) == (10**100 - 3) * (10**99 + 7)
    assert task.check(actions) is None


def test_the_steps_of_a_small_product():
    """12 * 34 by hand: column by column products and sums, then the carries."""
    actions, state = solve(Multiplication(12, 34))
    assert actions == [8, 6, 4, 10, 3, Carry(8, 0), Carry(0, 1), Carry(4, 0)]
    assert state == State((8, 10, 3), 3, digits="804")


@pytest.mark.parametrize(
    ("actions", "complaint"),
    [
        ([12, Carry(2, 1), 12], "after the last"),
        ([12], "1 answers are too few"), ([13, Carry(3, 1)], "answer 0 is 13"),
        ([12, Carry(1, 1)], "answer 1 is"), ([12, 12], "answer 1 is 12"), ([Carry(2, 1), 12], "answer 0 is"),
    ],
)  # fmt: skip
def test_the_checker_says_what_is_wrong(actions, complaint):
    """The complaint about 3 * 4 names the answer and its fault."""
    assert complaint in module.check_steps(3, 4, actions)


def test_prompts_ask_for_one_operation():
    """Each kind of step shows its two numbers last and nothing of the factors beside them."""
    task = Multiplication(12, 34)
    state, tails = task.initial_state(), []
    for step in range(task.steps):
        prompt = task.prompt(state, step)
        assert "34" not in prompt
        tails.append(prompt.rsplit("\n", 1)[1])
        state = task.apply(state, task.truth(state, step))
    assert tails == ["2 * 4", "2 * 3", "1 * 4", "6 + 4", "1 * 3", "8 + 0", "10 + 0", "3 + 1"]


def test_columns_are_branches_and_carries_follow_them():
    """In the plan no column waits for another, the carries wait for all, and the joined sums are the path's."""
    task = Multiplication(123, 45)
    plan = task.plan()
    assert [segment.predecessors for segment in plan.segments] == [(), (), (), (), (0, 1, 2, 3)]
    assert [segment.stop - segment.start for segment in plan.segments] == [1, 3, 3, 1, 4]
    exits = []
    for column in plan.segments[:-1]:
        state = column.entry
        for step in range(column.start, column.stop):
            state = task.apply(state, task.truth(state, step))
        exits.append(state)
    joined = plan.segments[-1].joined(exits)
    assert joined.sums == (15, 22, 13, 4) and (joined.digits, joined.carry) == ("", 0)
    assert maker.run_sync(task, model="oracle:p=0.9", k=5).answer == 123 * 45
    assert maker.run_sync(task, model="oracle:p=0.9", k=5, segments=1).answer == 123 * 45


def test_legality_knows_the_kind_not_the_value():
    """A carry where a product is due, a negative or an impossible number are illegal; any wrong product is legal."""
    task = Multiplication(99, 99)
    state = task.initial_state()
    assert all(task.legal(state, value) for value in range(82))
    assert not any(task.legal(state, value) for value in (-1, 82, 10**9, Carry(1, 8)))
    *_, last = solve(task)
    ending = last._replace(digits="", carry=0)
    assert task.legal(ending, Carry(0, 0)) and task.legal(ending, Carry(9, 18))
    assert not task.legal(ending, 81) and not task.legal(ending, Carry(1, 19)) and not task.legal(ending, Carry(1, -1))


@pytest.mark.parametrize("off", [1, -1, 10, -(10**19)])
def test_an_off_by_one_product_of_20_digits_is_wrong(off):
    """A result that differs in the last of 20 digits, which a float cannot tell, is no solution and has no answer."""
    x, y = 9_876_543_211, 9_123_456_787
    task = Multiplication(x, y)
    assert len(str(x * y)) == 20
    assert abs(off) > 1000 or float(x * y + off) == float(x * y)
    _, state = solve(task)
    wrong = str(x * y + off).zfill(20)
    spoilt = state._replace(digits=wrong[1:][::-1], carry=int(wrong[0]))
    assert task.answer(spoilt) == x * y + off
    assert task.done(state) and not task.done(spoilt)


def test_a_run_that_is_off_by_one_is_not_solved(tmp_path):
    """A model that gets only the last digit of a 20-digit product wrong loses the run: exit 1, no answer."""
    task = Multiplication(9_876_543_211, 9_123_456_787)
    actions, _ = solve(task)
    first_carry = next(step for step, action in enumerate(actions) if isinstance(action, Carry))

    def reply(request):
        action = actions[request.address.step]
        return task.render(Carry((action[0] + 1) % 10, action[1]) if request.address.step == first_carry else action)

    result = maker.run_sync(task, model=ScriptedModel(reply), k=2, journal=tmp_path / "run.db")
    assert (result.solved, result.answer, result.wrong, result.exit_code) == (False, None, 1, 1)
    audit = verify(tmp_path / "run.db", task)
    assert not audit.solved and "exact value" in audit.checked[-1]
    right = maker.run_sync(task, model=ScriptedModel(lambda r: task.render(actions[r.address.step])), k=2)
    assert right.as_json()["answer"] == str(9_876_543_211 * 9_123_456_787)


@pytest.mark.parametrize("digits", [5, 6, 10])
def test_problems_at_p_97_are_exact_at_the_planned_cost(digits):
    """A few problems of each size at p = .97 and target .9999 (200 in the benchmark): all exact, samples as planned."""
    samples = steps = expected = 0
    for seed in range(4):
        x, y = 10**digits - 1 - 7**seed, 8 * 10 ** (digits - 1) + 13**seed
        task = Multiplication(x, y)
        result = maker.run_sync(task, model="oracle:p=0.97", target=0.9999, seed=seed)
        assert result.solved and result.answer == x * y and result.wrong == 0
        steps += result.steps
        samples += result.samples - result.calibration["draws"]
        expected += result.steps * theory.expected_votes(0.97, result.k)
    assert samples == pytest.approx(expected, rel=0.08)


@exactly
@given(st.integers(0, 10**12), st.integers(0, 10**11 - 1))
def test_questions_give_the_exact_product(x, y):
    """Products and sums of digits, 5 n m of them, end in x * y."""
    task = Multiplication(x, y, "questions")
    actions, state = solve(task)
    assert task.steps == 5 * len(str(x)) * len(str(y)) == len(actions)
    assert task.done(state) and task.answer(state) == x * y
    assert task.check(actions) is None


def test_the_questions_of_a_small_product():
    """99 * 98 by hand: products, their sums column by column, then the carries; the code cuts them."""
    task = Multiplication(99, 98, "questions")
    state, asked = task.initial_state(), []
    for step in range(task.steps):
        asked.append(task.prompt(state, step)[8:].split("?")[0])
        state = task.apply(state, task.truth(state, step))
    assert asked == ["9 x 8", "9 x 9", "9 x 8", "1 + 2", "8 + 7", "15 + 0", "0 + 1", "9 x 9",
                     "2 + 0", "7 + 0", "7 + 0", "0 + 0", "3 + 7", "5 + 0", "5 + 1", "1 + 0",
                     "1 + 6", "8 + 1", "9 + 0", "0 + 0"]  # fmt: skip
    assert task.answer(state) == 9702


def test_questions_take_a_factor_whose_carries_have_two_digits():
    """A longer shorter factor would need carries of three: it is refused, with the design that takes it."""
    Multiplication(10**500, 10**10, "questions")
    with pytest.raises(maker.TaskError, match=r"at most 11 digits\. Give design lines"):
        Multiplication(10**11, 10**11, "questions")
