"""Coarser steps: m actions in one answer make the run that m = 1 makes, with fewer and less certain votes."""

import pytest

import maker
from maker import theory
from maker.decision.flags import DEFAULT, judge
from maker.decision.sample import Sample
from maker.decision.step import Rules, Step
from maker.review.checking.verify import verify
from maker.testing import ScriptedModel, check_task


class Countdown:
    """Counts down from a number; only `done` knows when it is over."""

    name = "countdown"
    steps = None

    def initial_state(self):
        return 7

    def prompt(self, state, step):
        return f"What is {state} - 1? Answer with the number alone."

    def parse(self, text):
        return int(text)

    def legal(self, state, action):
        return 0 <= action <= state

    def apply(self, state, action):
        return action

    def done(self, state):
        return state == 0

    def answer(self, state):
        return state

    def truth(self, state, step):
        return state - 1

    def render(self, answer):
        return str(answer)

    def rivals(self, state, step):
        return [state]


@pytest.mark.parametrize("m", [1, 2, 3, 7, 100])
def test_coarse_steps_make_the_same_moves(m):
    """For every m the coarse task is a task by all checks, with ceil(steps / m) steps and the same last state."""
    fine = maker.load_task("hanoi", disks=4)
    task = maker.coarse(fine, m)
    check_task(task)
    assert task.steps == -(-15 // m)
    result = maker.run_sync(task, model="oracle:p=0.9,v=0.9,confusion=0.05", k=5)
    assert (result.solved, result.steps, result.wrong) == (True, task.steps, 0)
    assert result.answer == [[], [], [4, 3, 2, 1]]
    assert result.state[1] == 15


def test_one_action_a_step_is_the_task_itself():
    """With m = 1 every winning action is the one that the task alone gives."""
    fine = maker.load_task("hanoi", disks=3)
    one = maker.run_sync(maker.coarse(fine, 1), model="oracle:p=0.9", k=4)
    alone = maker.run_sync(fine, model="oracle:p=0.9", k=4)
    assert [verdict.answer[0].move for verdict in one.verdicts()] == [
        verdict.answer.move for verdict in alone.verdicts()
    ]


def test_segments_are_known_where_the_task_knows_its_states():
    """The plan cuts between answers, with the task's own entry states; one that knows few gets one segment."""
    fine = maker.load_task("hanoi", disks=5)
    plan = maker.coarse(fine, 3).plan(4)
    assert [segment.start for segment in plan.segments] == [0, 2, 5, 8] and plan.steps == 11
    assert plan.segments[2].entry == (fine.state_at(15), 15)
    relay = maker.coarse(maker.load_task("relay", records=2, trips=2), 3)
    assert len(relay.plan(1024).segments) == 1
    with pytest.raises(maker.TaskError, match="relay by 3"):
        relay.plan(2)
    assert not hasattr(maker.coarse(maker.load_task("addition"), 2), "plan")


def test_a_task_of_unknown_length_may_stop_in_the_middle_of_an_answer():
    """The answer that reaches the goal is shorter; one that goes on after it, or stops before it, is illegal."""
    task = maker.coarse(Countdown(), 3)
    assert task.steps is None
    assert maker.run_sync(task, model="oracle:p=0.9", k=4).solved
    assert task.truth((7, 0), 0) == (6, 5, 4) and task.truth((2, 5), 1) == (1, 0)
    assert task.legal((2, 5), (1, 0)) and task.legal((7, 0), (6, 5, 4))
    for actions in ((), (1,), (1, 0, 0), (1, 1), (0, 0), (1, 0, 0, 0)):
        assert not task.legal((2, 5), actions)


def test_actions_beyond_the_last_step_are_illegal():
    """An answer with more actions than are left is refused before the task is asked about a state it does not have."""
    task = maker.coarse(maker.load_task("template", text="abcd"), 3)
    assert task.legal(("def", 3), ("g",))
    assert not task.legal(("def", 3), ("g", "h")) and not task.legal(("", 0), ("d", "e", "f", "g"))


@pytest.mark.parametrize("m", [2, 5])
def test_rivals_have_one_slip_and_no_flag_sees_them(m):
    """A rival is right up to its slip, goes on rightly from there, and passes every flag."""
    fine = maker.load_task("hanoi", disks=4)
    task = maker.coarse(fine, m)
    state = task.initial_state()
    for index in range(task.steps):
        truth, step = task.truth(state, index), Step(index, state, Rules.of(task))
        rivals = task.rivals(state, index)
        assert len(rivals) >= len(truth) and truth not in rivals
        assert {next(i for i in range(len(truth)) if rival[i] != truth[i]) for rival in rivals} == set(
            range(len(truth))
        )
        for rival in rivals:
            assert judge(Sample(task.render(rival)), step, [], DEFAULT) is None
        state = task.apply(state, truth)


def test_a_claim_that_does_not_fit_is_flagged_wherever_it_stands():
    """A false `next_state` beside the last action is inconsistent; beside an earlier one the answer is illegal."""
    task = maker.coarse(maker.load_task("hanoi", disks=3), 2)
    state = task.initial_state()
    first, last = task.truth(state, 0)
    step = Step(0, state, Rules.of(task))
    lie = last._replace(next_state=((), (), ()))
    assert judge(Sample(task.render((first, lie))), step, [], DEFAULT).kind == "inconsistent"
    lie = first._replace(next_state=((), (), ()))
    assert judge(Sample(task.render((lie, last))), step, [], DEFAULT).kind == "illegal"


@pytest.mark.parametrize(
    "text",
    ["", "1", "# action 1\n", "# action 2\n6", "# action 1\n6\n# action 1\n5", "# action 1\n6\n# action 3\n5",
     "# action 2\n6\n# action 1\n5", "# action 1\n6\n# action 2\n", "# action 1 6\n", "action 1\n6"],
)  # fmt: skip
def test_answers_must_be_numbered_from_one(text):
    """A missing, repeated, swapped or empty part has no vote: parts are never guessed."""
    with pytest.raises(ValueError, match=r"."):
        maker.coarse(Countdown(), 3).parse(text)
    assert maker.coarse(Countdown(), 3).parse("So:\n# action 1\n6\n # action 2 \n5") == (6, 5)


def test_the_prompt_asks_for_as_many_answers_as_are_due():
    """The last answer of a run has what is left over."""
    fine = maker.load_task("hanoi", disks=3)
    task = maker.coarse(fine, 4)
    assert task.prompt(task.initial_state(), 0).startswith(fine.prompt(fine.initial_state(), 0))
    assert "first of 4 actions" in task.prompt(task.initial_state(), 0)
    assert "first of 3 actions" in task.prompt((fine.state_at(4), 4), 1)


def test_a_coarse_run_verifies(tmp_path):
    """The journal of a coarse run is checked with the coarse task, by the fine task's independent checker too."""
    task = maker.coarse(maker.load_task("multiplication", x=907, y=46), 5)
    result = maker.run_sync(task, model="oracle:p=0.9", k=5, journal=tmp_path / "run.db")
    assert result.answer == 907 * 46
    audit = verify(tmp_path / "run.db", task)
    assert audit.solved and "independent checker" in audit.checked


@pytest.mark.parametrize(("m", "tolerance"), [(1, 0.08), (8, 0.12)])
def test_coarse_votes_cost_what_theory_says(m, tolerance):
    """When each action errs by itself, an answer of m actions takes expected_votes / p^(m-1) samples (simulated)."""
    p, k, fine = 0.9, 3, maker.load_task("hanoi", disks=9)
    task = maker.coarse(fine, m)

    def reply(request):
        """Go wrong at the first action for which the seed says so."""
        seed, actions = request.seed, task.truth(request.state, 0)
        for at in range(len(actions)):
            seed, chance = divmod(seed, 1000)
            if chance >= 1000 * p:
                rivals = task.rivals(request.state, 0)
                return task.render(next(r for r in rivals if r[:at] == actions[:at] and r[at] != actions[at]))
        return task.render(actions)

    result = maker.run_sync(task, model=ScriptedModel(reply), k=k, segments=1)
    expected = theory.expected_cost(p, k, fine.steps, m=m) / (fine.steps / m)
    assert result.samples / result.steps == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("m", [0, -1, 1.0, True, None, "2", 10_001])
def test_a_bad_m_is_refused(m):
    """Anything but a whole number from 1 to 10,000 is a TaskError."""
    with pytest.raises(maker.TaskError, match="coarse: m = "):
        maker.coarse(Countdown(), m)
