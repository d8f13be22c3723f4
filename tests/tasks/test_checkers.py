"""Checker Jumping: the local rule, the state of constant size, the closed form, the independent checker."""

import random
import sys
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import maker
from maker.task.canonical import canonical
from maker.testing import check_journal

exactly = settings(derandomize=True, max_examples=100, deadline=None)
Checkers = type(maker.load_task("checkers", n=1))
module = sys.modules[Checkers.__module__]
Side, Answer, check_moves = module.Side, module.CheckersAnswer, module.check_moves


def rows_after(row):
    """Return every row that one legal move leads to, written with the rules alone."""
    blank, found = row.index("_"), []
    for source, over, colour in (
        (blank - 1, None, "R"),
        (blank - 2, "B", "R"),
        (blank + 1, None, "B"),
        (blank + 2, "R", "B"),
    ):
        if 0 <= source < len(row) and row[source] == colour and (over is None or row[(source + blank) // 2] == over):
            cells = list(row)
            cells[blank], cells[source] = colour, "_"
            found.append(((colour, source, blank), "".join(cells)))
    return found


def row_of(task, state):
    """Return the state's row."""
    return task.answer(state)


def state_of(row, last):
    """Return the state of a row, built by pushing every piece."""
    blank = row.index("_")
    left, right = Side(), Side()
    for cell in row[:blank]:
        left = left.push(cell)
    for cell in reversed(row[blank + 1 :]):
        right = right.push(cell)
    return module._state(blank, last, left, right)


@pytest.mark.parametrize("n", range(1, 6))
def test_no_solution_is_shorter(n):
    """A search over all rows finds that (n + 1)^2 - 1 moves are the fewest."""
    goal, depth, queue = "B" * n + "_" + "R" * n, {"R" * n + "_" + "B" * n: 0}, deque(["R" * n + "_" + "B" * n])
    while goal not in depth:
        row = queue.popleft()
        for _, after in rows_after(row):
            if after not in depth:
                depth[after] = depth[row] + 1
                queue.append(after)
    assert depth[goal] == Checkers(n).steps == (n + 1) ** 2 - 1


@pytest.mark.parametrize("n", [*range(1, 13), 31])
def test_the_local_rule_solves_the_puzzle_along_the_closed_form(n):
    """From five cells and a colour the rule makes every move of the shortest solution; `state_at` is its path."""
    task = Checkers(n)
    state, row, moves = task.initial_state(), "R" * n + "_" + "B" * n, []
    for step in range(task.steps):
        assert task.state_at(step) == state and row_of(task, state) == row
        answer = task.truth(state, step)
        row = dict(rows_after(row))[answer.move]
        moves.append(answer.move)
        state = task.apply(state, answer)
        assert task.agrees(answer, state)
    assert task.state_at(task.steps) == state and task.done(state)
    assert check_moves(n, moves) is None


@pytest.mark.parametrize("n", [1000, 9_999])
def test_the_closed_form_holds_in_long_rows(n):
    """At random steps of a row of thousands the rule leads from one closed-form state to the next."""
    task, rng = Checkers(n), random.Random(n)
    for step in [0, 1, task.steps // 2, task.steps - 1, *(rng.randrange(task.steps) for _ in range(60))]:
        state = task.state_at(step)
        after = task.apply(state, task.truth(state, step))
        assert after == task.state_at(step + 1)
        assert after != state
    assert task.done(task.state_at(task.steps)) and not task.done(task.state_at(task.steps - 1))
    assert Checkers(1000).steps == 1_002_000


def test_a_state_does_not_grow_with_the_row():
    """On the path a state has less than 100 canonical bytes and 3 runs a side, with 10 pieces as with 10,000."""
    rng = random.Random(1)
    for n in (10, 1000, 10_000):
        task = Checkers(n)
        for step in (rng.randrange(task.steps) for _ in range(200)):
            state = task.state_at(step)
            assert len(canonical(state)) < 100
            assert max(len(state.left.runs), len(state.right.runs)) <= 3
            assert len(task.prompt(state, step)) < 1250


@exactly
@given(st.text("RB", max_size=30))
def test_a_side_is_its_pieces(pieces):
    """Pushing pieces one by one and popping them again gives each of them back; equal sides have one form."""
    sides = [Side()]
    for piece in pieces:
        sides.append(sides[-1].push(piece))
    outward = pieces[::-1]
    assert sides[-1].cells(len(pieces) + 3) == outward + "###"
    assert all(sides[-1].cells(count) == outward.ljust(count, "#")[:count] for count in range(1, 6))
    for side, before in zip(reversed(sides), reversed(sides[:-1]), strict=False):
        assert side.pop() == before


@exactly
@given(st.integers(1, 6), st.data())
def test_rules_and_moves_on_any_row(n, data):
    """On rows of every kind `legal` allows exactly the moves of the rules, and `apply` does what they do."""
    row = "".join(data.draw(st.permutations("R" * n + "B" * n + "_")))
    last = data.draw(st.sampled_from("RB"))
    task, state = Checkers(n), state_of(row, last)
    assert row_of(task, state) == row
    allowed = dict(rows_after(row))
    for colour in "RB":
        for source in range(-1, 2 * n + 2):
            for target in {state.blank, state.blank - 1, 0}:
                move = (colour, source, target)
                assert task.legal(state, Answer(move, ".....")) == (move in allowed)
    assert task.legal(state, Answer((), "")) == (not allowed)
    for answer in [task.truth(state, 0), *task.rivals(state, 0)]:
        if answer.move:
            after = task.apply(state, answer)
            assert (row_of(task, after), after.last) == (allowed[answer.move], answer.move[0])
            assert after == state_of(allowed[answer.move], answer.move[0])
            if answer == task.truth(state, 0) or len(allowed) > 1:
                assert task.agrees(answer, after)


@exactly
@given(st.integers(1, 6), st.data())
def test_the_mirrored_question_has_the_mirrored_answer(n, data):
    """Asked in a mirror with exchanged colours, the strategy's answer turned back answers the task's own prompt."""
    row = "".join(data.draw(st.permutations("R" * n + "B" * n + "_")))
    last = data.draw(st.sampled_from("RB"))
    swap = str.maketrans("RB", "BR")
    task, state = Checkers(n), state_of(row, last)
    mirrored = state_of(row[::-1].translate(swap), last.translate(swap))
    view = task.paraphrases(state, 0)[1]
    assert view.prompt == task.prompt(mirrored, 0)
    assert task.parse(view.back(task.render(task.truth(mirrored, 0)))) == task.truth(state, 0)


def test_a_row_that_is_stuck_has_the_empty_move():
    """Where no piece can move, the answer is the empty move; it changes nothing, and is illegal elsewhere."""
    task = Checkers(2)
    stuck = state_of("RRBB_", "R")
    answer = task.truth(stuck, 9)
    assert answer.move == () and task.legal(stuck, answer)
    assert task.apply(stuck, answer) == stuck and task.agrees(answer, stuck)
    assert task.parse(task.render(answer)) == answer
    assert not task.legal(task.initial_state(), Answer((), ""))


@exactly
@given(st.integers(1, 5), st.data())
def test_the_checker_refuses_every_mutation(n, data):
    """A dropped, doubled or altered move anywhere in the solution is a complaint."""
    task = Checkers(n)
    state, good = task.initial_state(), []
    for step in range(task.steps):
        good.append(task.truth(state, step).move)
        state = task.apply(state, task.truth(state, step))
    assert check_moves(n, good) is None
    at, moves = data.draw(st.integers(0, len(good) - 1)), list(good)
    kind = data.draw(st.sampled_from(["drop", "double", "alter", "empty", "cut"]))
    if kind == "drop":
        del moves[at]
    elif kind == "double":
        moves.insert(at, moves[at])
    elif kind == "empty":
        moves[at] = ()
    elif kind == "cut":
        del moves[at:]
    else:
        moves[at] = data.draw(st.tuples(st.sampled_from("RBX"), st.integers(-1, 2 * n + 1), st.integers(-1, 2 * n + 1)))
    assert (check_moves(n, moves) is None) == (moves == good)


@pytest.mark.parametrize(
    ("moves", "complaint"),
    [
        ([], "0 moves"), ([("R", 0, 2)], "neither slides nor jumps"), ([("B", 4, 2)], "neither slides nor jumps"),
        ([("R", 3, 2)], "R cannot go"), ([("B", 1, 2)], "B cannot go"), ([("R", 1, 3)], "R cannot go"),
        ([("R", 1, 2), ("R", 2, 1)], "move 1: R neither"), ([("R", 1, 2), ("B", 3, 2)], "move 1: B cannot go"),
        ([("R", -4, 2)], "cannot go"), ([("R", 1.0, 2)], "not a colour"), ([("R", True, 2)], "not a colour"),
        ([("X", 1, 2)], "not a colour"), ([()], "not a colour"), ([("R", 1, 2)], "1 moves, the shortest"),
    ],
)  # fmt: skip
def test_the_checker_says_what_is_wrong(moves, complaint):
    """The complaint about two pieces of a colour names the move and its fault."""
    assert complaint in check_moves(2, moves)


@pytest.mark.parametrize(
    "move",
    ['["R", 1]', '["R", 1, 2, 3]', '["X", 1, 2]', "[R, 1, 2]", '["R", 01, 2]', '["R", -1, 2]', '["R", 1.0, 2]',
     '["R", true, 2]', '("R", 1, 2)', '[["R", 1, 2]]', '"R", 1, 2', "", "none", '["R", 1, 2] or so'],
)  # fmt: skip
def test_a_move_is_a_colour_and_two_places(move):
    """Every other form is refused, beside cells that are well-formed."""
    task = Checkers(3)
    assert task.parse('move = ["R", 2, 3]\nnext_cells = "RR_BB"') == Answer(("R", 2, 3), "RR_BB")
    with pytest.raises(ValueError, match="move"):
        task.parse(f'move = {move}\nnext_cells = "RR_BB"')


def test_only_the_move_is_applied():
    """Claimed cells are compared, never trusted."""
    task = Checkers(3)
    state = task.initial_state()
    lie = Answer(("R", 2, 3), "BBBBB")
    assert row_of(task, task.apply(state, lie)) == "RR_RBBB"
    assert not task.agrees(lie, task.apply(state, lie))


def test_ten_thousand_steps_run_and_verify(tmp_path):
    """N = 40 in segments: solved by a noisy model at k = 4, with a check of its journal by code of its own."""
    task = Checkers(40)
    result = maker.run_sync(task, model="oracle:p=0.99", k=4, journal=tmp_path / "run.db")
    assert (result.solved, result.steps, result.wrong) == (True, 1680, 0)
    assert check_journal(tmp_path / "run.db").solved


@pytest.mark.parametrize("n", [1, 2, 5])
def test_questions_make_the_moves_of_the_shortest_solution(n):
    """Five right answers a move lead through the same rows; a checker of its own agrees, the plan too."""
    task, moving = maker.load_task("checkers", n=n, design="questions"), Checkers(n)
    state, row, words = task.initial_state(), moving.initial_state(), []
    for step in range(task.steps):
        assert state == task.state_at(step)
        words.append(task.truth(state, step))
        assert task.legal(state, words[-1])
        state = task.apply(state, words[-1])
        if step % 5 == 4:
            row = moving.apply(row, moving.truth(row, step // 5))
            assert state == (row, ())
    assert task.done(state) and task.steps == 5 * moving.steps
    assert task.check(words) is None
    for short in (words[:-1], words[:-5], [*words, "red"], [], ["red"]):
        assert task.check(short)


@exactly
@given(st.integers(1, 6), st.data())
def test_questions_follow_the_strategy_on_any_row(n, data):
    """On and off the path, the move that counts more is the move of the strategy's rules."""
    row = "".join(data.draw(st.permutations("R" * n + "B" * n + "_")))
    last = data.draw(st.sampled_from("RB"))
    task, moving = maker.load_task("checkers", n=n, design="questions"), Checkers(n)
    here = state_of(row, last)
    state = module.AskedState(here)
    for step in range(5):
        state = task.apply(state, task.truth(state, step))
    assert state.row == moving.apply(here, moving.truth(here, 0))


def test_what_is_asked_of_a_row():
    """Four places are looked up among five, then two numbers are compared; the prompts to the letter."""
    task = maker.load_task("checkers", n=3, design="questions")
    state, asked = module.AskedState(state_of("RRBR_BB", "R")), []
    for step in range(5):
        asked.append((task.kind(state, step), task.prompt(state, step), task.truth(state, step)))
        state = task.apply(state, asked[-1][2])
    listed = "2: blue\n3: red\n4: blank\n5: blue\n6: blue\n\nWhat word stands behind {} in this list? "
    assert asked == [
        *(("look-up", listed.format(place) + "Answer with the word alone.", word)
          for place, word in ((2, "blue"), (3, "red"), (5, "blue"), (6, "blue"))),
        ("compare", "What is the largest number in this list? [3, 2] Answer with the number alone.", "3"),
    ]  # fmt: skip


def test_a_move_that_the_row_does_not_allow_changes_nothing():
    """A colour misread, and the right choice by it: the row stays as it is, and is asked about anew."""
    task = maker.load_task("checkers", n=2, design="questions")
    state = task.initial_state()
    for word in ("red", "blue", "blue", "blue", "5"):
        assert task.legal(state, word)
        state = task.apply(state, word)
    assert state == task.initial_state()
    seen = state._replace(seen=("red", "red", "blue", "blue"))
    assert [task.legal(seen, word) for word in ("3", "2", "5", "red")] == [True, True, False, False]
    assert [task.legal(state, word) for word in ("red", "none", "2")] == [True, True, False]
