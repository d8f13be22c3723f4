"""Arms: what each shows a model, how often it is asked, and what ends it."""

import re

import pytest

from maker.decision.sample import Sample
from maker.experiments.gap import programs
from maker.experiments.gap.asking import ARMS, BY_MOVE, ONE_CALL, OPERATION, PROGRAM, PYTHON, STATE, Asked
from maker.experiments.gap.puzzles import Puzzle, written
from maker.experiments.gap.sandbox import Ran

SIZES = {"hanoi": 3, "checkers": 2, "river": 2, "blocks": 4}


class Perfect:
    """Knows everything, and notes what it is asked."""

    def __init__(self):
        self.asks = []

    def __call__(self, ask, draws, first):
        """Reply right."""
        self.asks.append(ask)
        return [Sample(self.reply(ask), 10, 2)] * draws

    def reply(self, ask):
        """Return the right reply."""
        puzzle = ask.puzzle
        if ask.arm == OPERATION:
            return puzzle.asked.render(puzzle.asked.truth(ask.state, ask.step))
        if ask.arm == PROGRAM:
            return programs.right(puzzle)
        if ask.arm == PYTHON:
            return f"Here it is:\n```python\n{programs.right_python(puzzle)}\n```\nIt prints the moves."
        if ask.arm != ONE_CALL:
            return written(puzzle.right(ask.state))
        moves, state = [], puzzle.start
        while not puzzle.solved(state):
            moves.append(puzzle.right(state))
            state = puzzle.played(state, moves[-1])
        return "\n".join(map(written, moves))


class Saying(Perfect):
    """Says the same whatever it is asked."""

    def __init__(self, text, finish="stop"):
        super().__init__()
        self._sample = Sample(text, 10, 2, finish)

    def __call__(self, ask, draws, first):
        """Reply."""
        self.asks.append(ask)
        return [self._sample] * draws


def run(arm, writer, name="hanoi", size=3, given=True, k=2):
    """Return what became of one run."""
    return Asked(Puzzle(name, size), arm, given, k, 0, writer).run("some")


@pytest.fixture
def run_of_python(monkeypatch):
    """Read what a program of prints would print: no child process."""

    def ran(source):
        found = re.findall(r"print\((.*)\)", source)
        return Ran("\n".join(found), "time" if "while" in source else "error" if "raise" in source else "")

    monkeypatch.setattr(programs, "_ran", ran)


@pytest.mark.usefixtures("run_of_python")
@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("arm", ARMS)
def test_who_knows_everything_solves_every_arm(name, arm):
    """All is right and planned, in as few calls as the arm can take."""
    writer = Perfect()
    found = run(arm, writer, name, SIZES[name])
    assert (found.failure, found.planned, found.execution) == ("", True, False)
    puzzle = Puzzle(name, SIZES[name])
    calls = {
        ONE_CALL: 1, PROGRAM: 1, PYTHON: 1, BY_MOVE: puzzle.moves, STATE: 2 * puzzle.moves,
        OPERATION: 2 * puzzle.asked.steps,
    }  # fmt: skip
    assert (found.calls, found.k) == (calls[arm], 2 if arm in (STATE, OPERATION) else 1)
    assert found.tokens_in == 10 * found.calls


def test_the_algorithm_stands_in_the_prompt_or_not():
    """Nothing else changes; a chat holds the moves so far, the state alone holds none."""
    for given in (True, False):
        one, chat, state = Perfect(), Perfect(), Perfect()
        run(ONE_CALL, one, given=given)
        run(BY_MOVE, chat, given=given)
        run(STATE, state, given=given)
        assert ("Strategy" in one.asks[0].prompt) == given
        assert ("Strategy" in chat.asks[0].prompt[0]["content"]) == given
        assert [message["content"] for message in chat.asks[2].prompt[1::2]] == ["[1, 0, 2]", "[2, 0, 1]"]
        assert "[[3], [2], [1]]" in state.asks[2].prompt
        assert abs(len(state.asks[2].prompt) - len(state.asks[-1].prompt)) < 4


@pytest.mark.parametrize(
    ("arm", "text", "finish", "failure"),
    [
        (ONE_CALL, "[1, 0, 2]", "stop", "stopped early"),
        (ONE_CALL, "[1, 0, 2]", "length", "overrun"),
        (ONE_CALL, "This is impossible.", "stop", "impossible"),
        (ONE_CALL, "First", "length", "overrun"),
        (ONE_CALL, "disk 1 to peg 2", "stop", "format"),
        (ONE_CALL, "Move disk 1 from peg 0 to peg 2", "stop", "stopped early"),
        (ONE_CALL, "[1, 0, 2]\n[1, 0, 2]", "stop", "illegal"),
        (BY_MOVE, "[1, 0, 2] or [1, 0, 1]", "stop", "format"),
        (BY_MOVE, "[1, 0, 2]\n[2, 0, 1]", "stop", "illegal"),
        (BY_MOVE, "It is solved.", "stop", "stopped early"),
        (BY_MOVE, "move = []", "stop", "stopped early"),
        (BY_MOVE, "[1, 0, 2]", "stop", "illegal"),
        (STATE, "[9, 0, 2]", "stop", "undecided"),
        (STATE, "[1, 0, 2]", "stop", "undecided"),
        (OPERATION, "1", "stop", "wrong answer"),
        (OPERATION, "0 + 1", "stop", "undecided"),
        (PROGRAM, "move 0 2", "stop", "stopped early"),
        (PROGRAM, "repeat 2\nmove 0 2", "length", "overrun"),
        (PROGRAM, "move 0 2\nmove 0 2", "stop", "illegal"),
        (PROGRAM, "def solve(): ...", "stop", "format"),
        (PROGRAM, "No solution.", "stop", "impossible"),
        (PYTHON, "print([1, 0, 2])", "stop", "stopped early"),
        (PYTHON, "print([1, 0, 2])\nraise", "stop", "stopped early"),
        (PYTHON, "print([1, 0, 2])\nwhile True: pass", "stop", "overrun"),
        (PYTHON, "print([1, 0, 2])\nprint([1, 0, 2])", "stop", "illegal"),
        (PYTHON, "def solve(): ...", "stop", "format"),
        (PYTHON, "def solve(): ...", "length", "overrun"),
    ],
)
@pytest.mark.usefixtures("run_of_python")
def test_what_ends_an_arm(arm, text, finish, failure):
    """Each failure has its class; what breaks the rules has no vote, so that a vote on it is never decided."""
    assert run(arm, Saying(text, finish)).failure == failure


def test_a_vote_outweighs_an_error():
    """One wrong draw in three loses a chat, and not a vote."""

    class Slipping(Perfect):
        """Is wrong at the first draw of the second move."""

        def __call__(self, ask, draws, first):
            """Reply."""
            right = super().__call__(ask, draws, first)
            return [Sample(written((2, 0, 2)), 1, 1), *right[1:]] if ask.step == 1 and first == 0 else right

    assert run(STATE, Slipping(), k=2).failure == ""
    assert run(BY_MOVE, Slipping()).failure == "illegal"
