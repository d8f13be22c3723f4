"""Who replies: a language model, or a simulated writer whose chances are planted.

The simulated writer is right at each move with a chance that does not depend on the size; a wrong move is always the
same one in the same state, legal or not. In one call it goes on as if it had been right, since it does not look back.
So what its runs show is arithmetic and the judging of runs, not how a language model does.

Not covered: what is asked (`asking.py`).
"""

from __future__ import annotations

import random
from typing import Any

from maker.decision.sample import Sample
from maker.experiments.gap import programs
from maker.experiments.gap.asking import BY_MOVE, ONE_CALL, OPERATION, PROGRAM, PYTHON, STATE, Ask
from maker.experiments.gap.puzzles import Puzzle, written
from maker.experiments.gap.runs import Walk
from maker.experiments.kit.speaker import Speaker

# P(right), with the algorithm and without it: of a move, of one operation, and of a program
MOVE = {True: 0.97, False: 0.85}
ONE_OPERATION = 0.97
WHOLE_PROGRAM = {True: 0.7, False: 0.2}


class Simulated:
    """The simulated writer. seed: of its errors and its wrong answers."""

    name = "simulated"

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def __call__(self, ask: Ask, draws: int, first: int) -> list[Sample]:
        """Reply so often to a question."""
        return [self._reply(ask, draw) for draw in range(first, first + draws)]

    def _reply(self, ask: Ask, draw: int) -> Sample:
        puzzle = ask.puzzle
        coins = random.Random(f"{self._seed} {_where(ask)} {ask.run} {draw}")  # noqa: S311 -- errors, no secrets
        if ask.arm == OPERATION:
            right = coins.random() < ONE_OPERATION
            answer = puzzle.asked.truth(ask.state, ask.step) if right else self._rival(ask)
            text = puzzle.asked.render(answer)
        elif ask.arm == PROGRAM:
            text = programs.right(puzzle)
            if coins.random() >= WHOLE_PROGRAM[ask.given]:
                text = self._broken(puzzle, text)
        elif ask.arm == PYTHON:
            lines = programs.right_python(puzzle).splitlines()
            if coins.random() >= WHOLE_PROGRAM[ask.given]:
                lines.pop(self._fixed(puzzle, PYTHON).randrange(len(lines)))
            text = "\n".join(lines)
        elif ask.arm == ONE_CALL:
            text = "\n".join(self._all_moves(ask, coins))
        else:
            assert ask.arm in (BY_MOVE, STATE)
            text = self._move(puzzle, ask.state, ask.given, coins)
        return Sample(text, len(str(ask.prompt)) // 4, len(text) // 2)

    def _move(self, puzzle: Puzzle, state: Any, given: bool, coins: random.Random) -> str:
        """Return the algorithm's move, or the wrong one of the state."""
        if coins.random() < MOVE[given]:
            return written(puzzle.right(state))
        return written(self._fixed(puzzle, puzzle.place(state)).choice(puzzle.wrong(state)))

    def _all_moves(self, ask: Ask, coins: random.Random) -> list[str]:
        """Return all moves of one reply."""
        puzzle, state, lines = ask.puzzle, ask.puzzle.start, []
        for _ in range(puzzle.moves):
            lines.append(self._move(puzzle, state, ask.given, coins))
            state = puzzle.played(state, puzzle.right(state))
        return lines

    def _rival(self, ask: Ask) -> Any:
        """Return the wrong answer of a question."""
        return self._fixed(ask.puzzle, ask.step).choice(ask.puzzle.asked.rivals(ask.state, ask.step))

    def _broken(self, puzzle: Puzzle, text: str) -> str:
        """Return the program without one of its lines that it needs, always the same one."""
        lines = text.splitlines()
        able = [at for at, line in enumerate(lines) if line.split()[0] in ("set", "add", "move")]
        self._fixed(puzzle, "program").shuffle(able)
        without = ("\n".join(lines[:at] + lines[at + 1 :]) for at in able)
        return next(shorter for shorter in without if not _solves(puzzle, shorter))

    def _fixed(self, puzzle: Puzzle, where: object) -> random.Random:
        """Return what picks a wrong answer: the same at the same place."""
        return random.Random(f"{self._seed} wrong {puzzle.name} {puzzle.size} {where}")  # noqa: S311


class ModelWriter(Speaker):
    """A language model; see `Speaker` for what it raises."""

    def __call__(self, ask: Ask, draws: int, first: int) -> list[Sample]:
        """Ask so often; a question that came before is drawn anew."""
        return self.replies([ask.prompt] * draws, [ask.tokens] * draws)


def _solves(puzzle: Puzzle, text: str) -> bool:
    """Say whether a program solves a puzzle."""
    walk = Walk(puzzle)
    return not programs.run(puzzle, text, walk.move) and walk.solved and not walk.failure


def _where(ask: Ask) -> str:
    """Name a question, but for its run."""
    return f"{ask.puzzle.name} {ask.puzzle.size} {ask.arm} {ask.given} {ask.step}"
