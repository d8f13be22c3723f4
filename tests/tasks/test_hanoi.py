"""Towers of Hanoi: the path in closed form and by simulation, the strict parser, rules, prompt and rivals."""

import json
import random
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maker.decision.flags import DEFAULT, judge
from maker.decision.sample import Sample
from maker.decision.step import Rules, Step
from maker.errors import TaskError
from maker.task.lines import Ambiguous
from maker.task.load import load_task

exactly = settings(derandomize=True, max_examples=100, deadline=None)
Hanoi = type(load_task("hanoi", disks=3))
module = sys.modules[Hanoi.__module__]
HanoiState, HanoiAnswer, check_moves = module.HanoiState, module.HanoiAnswer, module.check_moves
EVERY = range(1, 11)


def _solution(task):
    """Return the moves that the strategy makes from the start until the goal, at most 2^D of them."""
    state, moves = task.initial_state(), []
    while not task.done(state) and len(moves) <= task.steps:
        action = task.truth(state, len(moves))
        moves.append(action.move)
        state = task.apply(state, action)
    return moves, state


def _recursive(disks, source, target):
    """Return the shortest solution the textbook way."""
    if not disks:
        return []
    other = 3 - source - target
    return [*_recursive(disks - 1, source, other), (disks, source, target), *_recursive(disks - 1, other, target)]


@st.composite
def _positions(draw, most=8):
    """Draw any legal state, on or off the path, with a previous move that fits it or none."""
    disks = draw(st.integers(1, most))
    pegs = draw(st.lists(st.integers(0, 2), min_size=disks, max_size=disks))
    stacks = tuple(tuple(d for d in range(disks, 0, -1) if pegs[d - 1] == peg) for peg in range(3))
    arrivals = [
        (stacks[target][-1], source, target)
        for target in range(3)
        for source in range(3)
        if stacks[target]
        and source != target
        and (not stacks[source] or stacks[source][-1] > stacks[target][-1])
    ]  # fmt: skip
    return Hanoi(disks), HanoiState(stacks, draw(st.none() | st.sampled_from(arrivals)))


# -- the path ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("disks", EVERY)
def test_the_strategy_solves_every_tower_in_the_fewest_moves(disks):
    """For odd and even towers the truth makes exactly the moves of the recursive solution, and ends on peg 2."""
    task = Hanoi(disks)
    moves, state = _solution(task)
    assert moves == _recursive(disks, 0, 2)
    assert len(moves) == task.steps == 2**disks - 1
    assert state.stacks == ((), (), tuple(range(disks, 0, -1)))
    assert task.done(state)
    assert task.answer(state) == [[], [], list(range(disks, 0, -1))]


@pytest.mark.parametrize("disks", range(1, 9))
def test_the_closed_form_is_the_simulated_path(disks):
    """`state_at(i)` is the state that the recursive solution has before move i, for every i up to the end."""
    task = Hanoi(disks)
    state = task.initial_state()
    for index, move in enumerate(_recursive(disks, 0, 2)):
        assert task.state_at(index) == state
        assert task.truth(state, index).move == move
        state = task.apply(state, move)
    assert task.state_at(task.steps) == state
    assert task.done(state)


@pytest.mark.parametrize("disks", [20, 21, 63, 64])
def test_the_closed_form_holds_for_tall_towers(disks):
    """At random steps of towers up to 64 disks the truth leads from one closed-form state to the next."""
    task, rng = Hanoi(disks), random.Random(disks)
    assert task.state_at(0) == task.initial_state()
    assert task.done(task.state_at(task.steps))
    for index in [0, 1, task.steps // 2, task.steps - 1, *(rng.randrange(task.steps) for _ in range(30))]:
        state = task.state_at(index)
        assert sorted(sum(state.stacks, ())) == list(range(1, disks + 1))
        action = task.truth(state, index)
        assert task.legal(state, action)
        assert task.apply(state, action) == task.state_at(index + 1)
        assert not task.done(state)


@pytest.mark.parametrize("segments", [1, 2, 16, 1024])
def test_the_plan_joins(segments):
    """Walking each segment from its entry state ends in the entry state of the next, and the last one in the goal."""
    task = Hanoi(7)
    plan = task.plan(segments)
    assert len(plan.segments) == min(segments, 127)
    for segment in plan.segments:
        state = segment.entry
        for index in range(segment.start, segment.stop):
            state = task.apply(state, task.truth(state, index))
        assert state == plan.enter(segment.stop)
    assert task.done(state)


# -- the independent checker -----------------------------------------------------------------------------


@pytest.mark.parametrize("disks", EVERY)
def test_the_checker_accepts_the_solution(disks):
    """The shortest solution, written by recursion, has no fault; as answers neither."""
    moves = _recursive(disks, 0, 2)
    assert check_moves(disks, moves) is None
    assert check_moves(disks, iter(moves)) is None
    assert Hanoi(disks).check(HanoiAnswer(move, ((), (), ())) for move in moves) is None


@exactly
@given(st.integers(2, 6), st.data())
def test_the_checker_refuses_every_mutation(disks, data):
    """A dropped, doubled, swapped or altered move anywhere in the solution is a complaint."""
    good = _recursive(disks, 0, 2)
    at = data.draw(st.integers(0, len(good) - 1))
    moves = list(good)
    kind = data.draw(st.sampled_from(["drop", "double", "swap", "alter", "cut", "detour"]))
    if kind == "drop":
        del moves[at]
    elif kind == "double":
        moves.insert(at, moves[at])
    elif kind == "swap":
        moves[at], moves[at - 1] = moves[at - 1], moves[at]
    elif kind == "alter":
        moves[at] = data.draw(st.tuples(st.integers(-1, disks + 1), st.integers(-1, 3), st.integers(-1, 3)))
    elif kind == "cut":
        del moves[at:]
    else:
        disk, source, target = moves[at]
        moves[at : at + 1] = [(disk, source, 3 - source - target), (disk, 3 - source - target, target)]
    assert (check_moves(disks, moves) is None) == (moves == good)


@pytest.mark.parametrize(
    ("moves", "complaint"),
    [
        ([], "0 moves"),
        ([(1, 0, 1)], "move|moves"),
        ([(2, 0, 1)], "move 0: a smaller disk"),
        ([(1, 0, 2), (2, 0, 2)], "move 1: a smaller disk"),
        ([(1, 0, 0)], "move 0: disk 1 cannot go"),
        ([(1, 1, 2)], "move 0: disk 1 cannot go"),
        ([(1, 0, 3)], "move 0: disk 1 cannot go"),
        ([(1, 0, -1)], "move 0: disk 1 cannot go"),
        ([(0, 0, 1)], "move 0: disk 0 cannot go"),
        ([(3, 0, 1)], "move 0: disk 3 cannot go"),
        ([(-1, 0, 1)], "move 0: disk -1 cannot go"),
        ([(1, 0, 2), (2, 0, 1), (1, 2, 1)], "does not stand on peg 2"),
    ],
)
def test_the_checker_says_what_is_wrong(moves, complaint):
    """The complaint about two disks names the move and its fault."""
    import re

    assert re.search(complaint, check_moves(2, moves))


# -- the rules -----------------------------------------------------------------------------------------


@exactly
@given(_positions())
def test_legal_is_the_rule_of_the_game(position):
    """Of all disks, sources and targets those are legal that put a top disk on an empty peg or a larger disk."""
    task, state = position
    for disk in range(-1, task.disks + 2):
        for source in range(-2, 5):
            for target in range(-2, 5):
                allowed = (
                    source in (0, 1, 2) and target in (0, 1, 2) and source != target
                    and state.stacks[source][-1:] == (disk,)
                    and all(other > disk for other in state.stacks[target])
                )  # fmt: skip
                assert task.legal(state, (disk, source, target)) == allowed
                assert task.legal(state, HanoiAnswer((disk, source, target), ((), (), ()))) == allowed


@exactly
@given(_positions())
def test_apply_moves_one_disk_and_leaves_the_old_state(position):
    """The next state differs by the one disk, remembers the move, and the state it came from is unchanged."""
    task, state = position
    before = repr(state)
    for action in [task.truth(state, 0), *task.rivals(state, 0)]:
        disk, source, target = action.move
        after = task.apply(state, action)
        assert after.previous == action.move
        assert after.stacks[source] == state.stacks[source][:-1]
        assert after.stacks[target] == (*state.stacks[target], disk)
        assert after.stacks[3 - source - target] == state.stacks[3 - source - target]
        assert task.agrees(action, after)
        assert task.apply(state, action.move) == after
    assert repr(state) == before


def test_only_the_move_is_applied():
    """A claimed next state is never trusted: the engine's own follows from the move."""
    task = Hanoi(2)
    lie = HanoiAnswer((1, 0, 1), ((), (), (2, 1)))
    after = task.apply(task.initial_state(), lie)
    assert after.stacks == ((2,), (1,), ())
    assert not task.agrees(lie, after)
    assert not task.done(after)


@exactly
@given(_positions())
def test_the_truth_is_defined_at_every_legal_state(position):
    """On and off the path, with all disks on one peg too, the truth is a legal move with its true consequence."""
    task, state = position
    action = task.truth(state, 0)
    assert task.legal(state, action)
    assert action.next_state == task.apply(state, action).stacks
    assert task.truth(state, 5) == action
    if state.previous is None or state.previous[0] != 1:
        small = next(peg for peg in range(3) if state.stacks[peg][-1:] == (1,))
        assert action.move == (1, small, (small + (1 if task.disks % 2 == 0 else 2)) % 3)
    elif max(map(len, state.stacks)) < task.disks:
        assert action.move[0] != 1


@exactly
@given(_positions())
def test_rivals_pass_every_flag_and_are_never_the_truth(position):
    """Rivals are the other legal moves with their true consequence: each passes the default flags, none is right."""
    task, state = position
    rivals = task.rivals(state, 0)
    truth = task.truth(state, 0)
    legal = sum(task.legal(state, (d, a, b)) for d in range(1, task.disks + 1) for a in range(3) for b in range(3))
    assert len(rivals) == legal - 1 >= 1
    assert truth not in rivals
    assert len({rival.move for rival in rivals} | {truth.move}) == legal
    step = Step(0, state, Rules.of(task))
    for answer in (truth, *rivals):
        assert judge(Sample(task.render(answer)), step, [], DEFAULT) is None


# -- the parser ------------------------------------------------------------------------------------------

GOOD = "move = [1, 0, 2]\nnext_state = [[3, 2], [], [1]]"
ANSWER = HanoiAnswer((1, 0, 2), ((3, 2), (), (1,)))


@exactly
@given(_positions())
def test_render_and_parse_are_inverse(position):
    """What a model writes of an answer reads back as that answer, for the truth and every rival."""
    task, state = position
    for answer in (task.truth(state, 0), *task.rivals(state, 0)):
        assert task.parse(task.render(answer)) == answer


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "move=[1,0,2]next_state=[[3,2],[],[1]]",
        "next_state = [[3, 2], [], [1]]\nmove = [1, 0, 2]",
        "move  =  [ 1 ,\n0 , 2 ]\n\nnext_state\t=\t[ [ 3 , 2 ] , [ ] , [ 1 ] ]",
        f"The smallest disk moves.\n{GOOD}\nThat is all.",
        f"{GOOD}\n{GOOD}",
        f"{GOOD}\nOnce more: move=[1,0,2], next_state=[[3,2],[],[1]]",
        f"```\n{GOOD}\n```",
    ],
)
def test_an_answer_is_read_however_it_is_spaced_or_repeated(text):
    """Spacing, order, words around it and equal repetitions do not change the answer."""
    answer = Hanoi(3).parse(text)
    assert answer == ANSWER
    assert all(type(number) is int for number in answer.move)


@pytest.mark.parametrize(
    "move",
    [
        "[True, 0, 1]", "[true, 0, 1]", "[1, 0, -1]", "[-1, 0, 2]", "[1.0, 0, 2]", "[1, 0, 2.5]", "[1e0, 0, 2]",
        '["1", 0, 2]', "['1', 0, 2]", "[01, 0, 2]", "[1, 00, 2]", "[1, 0]", "[1, 0, 2, 0]", "[]", "[1, 0, 2", "1, 0, 2",
        "(1, 0, 2)", "[1 0 2]", "[1, 0, 2,]", "[, 1, 0, 2]", "[null, 0, 2]", "[NaN, 0, 2]", "[0x1, 0, 2]", "[+1, 0, 2]",
        "[1_0, 0, 2]", "[1 1, 0, 2]", "[[1], 0, 2]", "[[1, 0, 2]]", "[1, 0, x]", "", "{}", "[１, 0, 2]", "[٣, 0, 2]",
    ],
)  # fmt: skip
def test_a_move_of_anything_but_three_integers_is_refused(move):
    """Booleans, negatives, floats, strings, leading zeros, wrong lengths and foreign digits are no move."""
    with pytest.raises(ValueError, match=r".") as caught:
        Hanoi(3).parse(f"move = {move}\nnext_state = [[3, 2], [], [1]]")
    assert not isinstance(caught.value, Ambiguous)


@pytest.mark.parametrize(
    "state",
    [
        "[[3, 2], []]", "[[3, 2], [], [1], []]", "[[3, 2], [], [True]]", "[[3, 2], [], [-1]]", "[[3, 2.0], [], [1]]",
        '[["3", 2], [], [1]]', "[[3, 02], [], [1]]", "[[3, 2], [], [1]", "[[3, 2,], [], [1]]", "[[3 2], [], [1]]",
        "[3, 2, 1]", "[[3, 2], [], 1]", "[]", "", "[[3, 2], [], [[1]]]", "[[3, 2], [], null]", "((3, 2), (), (1,))",
        "[[,], [], []]", "[[3, 2] [] [1]]",
    ],
)  # fmt: skip
def test_a_state_of_anything_but_three_lists_of_integers_is_refused(state):
    """The claimed next state must be three lists of plain integers, or the reply has no answer."""
    with pytest.raises(ValueError, match=r".") as caught:
        Hanoi(3).parse(f"move = [1, 0, 2]\nnext_state = {state}")
    assert not isinstance(caught.value, Ambiguous)


@pytest.mark.parametrize(
    "text", ["", "move = [1, 0, 2]", "next_state = [[3, 2], [], [1]]", "[1, 0, 2]", "move: [1, 0, 2]"]
)
def test_an_answer_needs_both_lines(text):
    """A reply without a move or without a next state has no answer."""
    with pytest.raises(ValueError, match="no `"):
        Hanoi(3).parse(text)


@pytest.mark.parametrize(
    "text",
    [
        f"move = [1, 0, 1]\nWait. {GOOD}",
        f"{GOOD}\nNo, rather move = [1, 0, 1]",
        f"{GOOD}\nnext_state = [[3, 2], [1], []]",
        f"next_state = [[3, 2, 1], [], []]\n{GOOD}",
        f"{GOOD}\n{GOOD}\nmove = [1, 0, 1]\nnext_state = [[3, 2], [1], []]",
    ],
)
def test_a_retracted_answer_is_ambiguous(text):
    """Two distinct moves, or two distinct states, in one reply are Ambiguous: never the last, nor a mixture."""
    with pytest.raises(Ambiguous):
        Hanoi(3).parse(text)


def test_a_retraction_that_breaks_off_is_refused():
    """A second `move =` that is cut off spoils the reply: a truncated change of mind is no answer."""
    for tail in ("move = [1, 0", "move =", "next_state = [[3, 2], [", "move = none"):
        with pytest.raises(ValueError, match="not followed by integers"):
            Hanoi(3).parse(f"{GOOD}\nWait: {tail}")


_EVIL = {
    "open moves": "move = [" * 12_500,
    "open states": "next_state = [[" * 6_600,
    "digits": "move = [" + "1" * 100_000,
    "spaced digits": "move = [" + "1 " * 50_000,
    "commas": "next_state = [[" + "," * 100_000,
    "spaces": "move" + " " * 100_000,
    "spaces after": "move =" + " " * 100_000 + "[",
    "two lists": "next_state = [[" + "1," * 25_000 + "],[" + "1," * 25_000,
    "brackets": "[" * 100_000,
    "equal moves": "move=[1,0,2]\n" * 7_600,
    "equal states": "next_state=[[],[],[]]\n" * 4_500,
    "a long value, repeated shortly": "move = [1" + " " * 50_000 + ",0,2]\n" + "move=[1,0,2]\n" * 3_800,
    "a long value, repeated": ("move = [1" + " " * 500 + ",0,2]\n") * 190,
    "long integers": "move = [" + "1" * 4000 + ",0,2]\n" + ("move = [" + "1" * 4000 + ",0,2]\n") * 23,
    "words": "move next_state " * 6_000,
}


@pytest.mark.parametrize("text", _EVIL.values(), ids=_EVIL.keys())
def test_the_parser_is_linear(text):
    """Adversarial replies of 100,000 characters are refused in less than 50 ms each."""
    task, best = Hanoi(3), float("inf")
    for _ in range(3):  # the best of three: a busy machine is no fault of the parser
        start = time.perf_counter()
        with pytest.raises(ValueError, match=r"."):
            task.parse(text)
        best = min(best, time.perf_counter() - start)
    assert best < 0.05


# -- the prompt ------------------------------------------------------------------------------------------


def _read_prompt(text):
    """Read the previous move and the stacks as an outside check would: the last two JSON lists of the prompt."""
    *_, previous, state = [line.split(" = ", 1)[1] for line in text.splitlines() if " = " in line]
    return json.loads(previous), json.loads(state)


@pytest.mark.parametrize("style", ["full", "compact"])
@exactly
@given(position=_positions(most=20))
def test_the_prompt_ends_with_previous_move_and_state_as_json(style, position):
    """A plain JSON reader finds the previous move and then, last, the stacks: all a step depends on, exactly."""
    task, state = position
    task = Hanoi(task.disks, style)
    previous, stacks = _read_prompt(task.prompt(state, 3))
    assert previous == list(state.previous or [])
    assert stacks == [list(peg) for peg in state.stacks]
    assert task.prompt(state, 3) == task.prompt(state, 4)
    assert task.prompt(state, 3).rstrip("\n").endswith(str([list(peg) for peg in state.stacks]))


@pytest.mark.parametrize(
    ("disks", "way", "order"),
    [(4, "clockwise", "0 -> 1 -> 2 -> 0"), (5, "counter-clockwise", "0 -> 2 -> 1 -> 0")],
)
def test_the_strategy_depends_on_parity(disks, way, order):
    """An even tower's disk 1 goes clockwise, an odd one's counter-clockwise, and the prompt says so."""
    task = Hanoi(disks)
    text = task.prompt(task.initial_state(), 0)
    assert f"one peg {way} ({order})" in text
    assert ("counter-clockwise" in text) == (disks % 2 == 1)
    assert text.index("Strategy") < text.index("move = [disk") < text.index("previous_move = [")
    assert f"{disks} disks" in text


@pytest.mark.parametrize(
    ("disks", "state", "text"),
    [
        (3, None, "counterclockwise\nprevious = []\nstate = [[3, 2, 1], [], []]\n"),
        (
            4, HanoiState(((4, 3, 2), (1,), ()), (1, 0, 1)),
            "clockwise\nprevious = [1, 0, 1]\nstate = [[4, 3, 2], [1], []]\n",
        ),
        (1, HanoiState(((), (), (1,)), (1, 0, 2)), "counterclockwise\nprevious = [1, 0, 2]\nstate = [[], [], [1]]\n"),
    ],
)  # fmt: skip
def test_the_compact_prompt_is_exactly_this(disks, state, text):
    """The compact style is character for character what the bundled model was trained on."""
    task = Hanoi(disks, "compact")
    assert task.prompt(state or task.initial_state(), 0) == text


# -- parameters ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("disks", "style"), [(0, "full"), (-1, "full"), (65, "full"), (10**9, "full"), (3, "long"), (3, "")]
)
def test_bad_parameters_are_refused_by_name(disks, style):
    """A tower of no disks or more than 64, or an unknown style, is a TaskError that names parameter and value."""
    with pytest.raises(TaskError, match=r"hanoi: (disks|style) = .*give"):
        Hanoi(disks, style)


@pytest.mark.parametrize("disks", [1, 2, 64])
def test_parameters_are_shown(disks):
    """Name, parameters and number of steps are there before anything runs."""
    task = Hanoi(disks, "compact")
    assert (task.name, task.parameters, task.steps) == ("hanoi", {"disks": disks, "style": "compact"}, 2**disks - 1)
    assert Hanoi().parameters == {"disks": 10, "style": "full"}
    assert task.initial_state() == HanoiState((tuple(range(disks, 0, -1)), (), ()), None)
    assert not task.done(task.initial_state())


@pytest.mark.parametrize("disks", [1, 2, 3, 6, 7])
def test_questions_solve_the_puzzle(disks):
    """Disk 1's next peg and the smaller of two disks, in turn, are the moves of the shortest solution."""
    task, moving = load_task("hanoi", disks=disks, design="questions"), load_task("hanoi", disks=disks)
    state, other, answers = task.initial_state(), moving.initial_state(), []
    for step in range(task.steps):
        answers.append(task.truth(state, step))
        state, other = task.apply(state, answers[-1]), moving.apply(other, moving.truth(other, step))
        assert state == other
    assert task.done(state) and task.check(answers) is None
    assert {task.kind(task.state_at(step), step) for step in range(0, task.steps, 2)} == {"turn"}


def test_a_wrong_comparison_is_no_fault_that_a_flag_sees():
    """Which disk is smaller is the model's to say: the larger one is legal, and the tower it makes is not the goal."""
    task = load_task("hanoi", disks=3, design="questions")
    state = task.state_at(5)
    assert task.kind(state, 5) == "compare" and "[" in task.prompt(state, 5)
    assert [task.legal(state, disk) for disk in (2, 3, 4, 1)] == [True, True, False, False]
    assert not task.done(task.initial_state()._replace(stacks=((), (), (2, 3, 1))))


def test_a_style_is_a_design_by_its_older_name():
    """Both names choose alike, the newer one first; a header has the older name, so that old journals open."""
    for name in ("full", "compact", "questions"):
        by_design, by_style = load_task("hanoi", design=name), load_task("hanoi", style=name)
        assert by_design.parameters == by_style.parameters == {"disks": 10, "style": name}
        assert by_design.prompt(by_design.initial_state(), 0) == by_style.prompt(by_style.initial_state(), 0)
    with pytest.raises(TaskError, match=r"no design 'odd'\. It has: full: "):
        load_task("hanoi", design="odd")
