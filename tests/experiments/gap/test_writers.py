"""Writers: the simulated one errs as planted and repeats its wrong answers; a model is never asked too often."""

import pytest

from maker.decision.sample import Sample
from maker.experiments.gap import writers
from maker.experiments.gap.asking import ARMS, ONE_CALL, OPERATION, PROGRAM, PYTHON, STATE, Ask, Asked
from maker.experiments.gap.puzzles import Puzzle, written
from maker.experiments.gap.writers import MOVE, ModelWriter, Simulated
from maker.experiments.kit import speaker


def ask(puzzle, arm, given=True, run=0, step=0):
    """Return a question at the start of a puzzle."""
    state = puzzle.asked.initial_state() if arm == OPERATION else puzzle.start
    return Ask(puzzle, arm, given, run, step, state, "some prompt", 9)


@pytest.mark.parametrize("given", [True, False])
def test_errors_come_as_often_as_planted_and_repeat(given):
    """The share of right moves is the planted one, and all wrong ones are the same."""
    puzzle = Puzzle("hanoi", 3)
    texts = [sample.text for sample in Simulated(0)(ask(puzzle, STATE, given), 2000, 0)]
    right = texts.count(written(puzzle.right(puzzle.start)))
    assert abs(right / 2000 - MOVE[given]) < 0.03
    assert len(set(texts)) == 2


def test_a_draw_depends_on_its_number_alone():
    """Ten draws at once are those of two waves."""
    puzzle, writer = Puzzle("checkers", 2), Simulated(3)
    for arm in ARMS:
        one = ask(puzzle, arm)
        texts = [sample.text for sample in writer(one, 10, 0)]
        assert texts == [sample.text for sample in [*writer(one, 4, 0), *writer(one, 6, 4)]]


def test_a_broken_program_does_not_solve():
    """A program that is wrong lacks a line, always the same, and that a line it needs."""
    for name, size in (("blocks", 8), ("hanoi", 3)):
        puzzle = Puzzle(name, size)
        texts = {sample.text for sample in Simulated(0)(ask(puzzle, PROGRAM), 40, 0)}
        assert len(texts) == 2
        ended = {Asked(puzzle, PROGRAM, False, 1, number, Simulated(0)).run("some").failure for number in range(20)}
        assert "" in ended and len(ended) == 2


def test_a_broken_python_program_lacks_a_move():
    """Always the same one; a right one prints them all."""
    puzzle = Puzzle("hanoi", 2)
    texts = {sample.text for sample in Simulated(0)(ask(puzzle, PYTHON), 40, 0)}
    assert sorted(text.count("print") for text in texts) == [2, 3]


def test_one_call_goes_on_after_an_error():
    """Its reply has as many moves as the shortest way, whatever went wrong."""
    puzzle = Puzzle("hanoi", 5)
    for sample in Simulated(0)(ask(puzzle, ONE_CALL, given=False), 20, 0):
        assert len(sample.text.splitlines()) == puzzle.moves


def test_a_model_draws_a_question_anew(monkeypatch):
    """Each draw has a seed of its own, in whatever wave or run it comes; another prompt has others."""
    seen = []

    class Noting:
        """Says 4."""

        lockstep = False

        async def draw(self, requests):
            """Note what is asked."""
            seen.extend(requests)
            return [Sample("4")] * len(requests)

    monkeypatch.setattr(speaker, "load_model", lambda spec: Noting())
    puzzle = Puzzle("hanoi", 2)
    with ModelWriter("any", 0.7, 0) as writer:
        writer(ask(puzzle, STATE), 2, 0)
        writer(ask(puzzle, STATE), 2, 2)
        found = writer(ask(puzzle, STATE, run=1), 2, 0)
    assert len({request.seed for request in seen}) == 6
    assert {(request.temperature, request.max_tokens) for request in seen} == {(0.7, 9)}
    assert [sample.text for sample in found] == ["4", "4"]


def test_chances_are_planted_for_every_arm():
    """A simulated run of each arm comes to an end."""
    for arm in ARMS:
        if arm == PYTHON:
            continue
        found = Asked(Puzzle("river", 3), arm, False, 3, 0, Simulated(0)).run(Simulated.name)
        assert found.model == "simulated" and found.calls
    assert writers.WHOLE_PROGRAM[True] > writers.WHOLE_PROGRAM[False]
