"""The arms: in how many calls, and with what in view, a puzzle is asked.

one call        the rules and the start, all moves in one reply
move by move    a chat: each reply is the next move, and all moves so far stand before it
state alone     each call sees the position as it is now, and k votes ahead decide; what breaks the rules has no vote
one operation   the same with the task's design `questions`: the algorithm is in the code, a call reads or compares
program         one reply, a program in a small language that is then run
Python program  one reply, a program in Python that is then run, where that is allowed

In all but `one operation`, which follows it anyway, the algorithm is told or not.

Not covered: who replies (`writers.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from maker.decision.race import first_to_ahead
from maker.decision.sample import Sample
from maker.experiments.gap import programs
from maker.experiments.gap.puzzles import Puzzle, written
from maker.experiments.gap.reading import Move
from maker.experiments.gap.runs import Run, Walk
from maker.task.canonical import canonical

ONE_CALL, BY_MOVE, STATE, OPERATION, PROGRAM, PYTHON = (
    "one call", "move by move", "state alone", "one operation", "program", "Python program"
)  # fmt: skip
ARMS = (ONE_CALL, BY_MOVE, STATE, OPERATION, PROGRAM, PYTHON)
VOTED = (STATE, OPERATION)
MOVE_TOKENS = 32
ANSWER_TOKENS = 12
PROGRAM_TOKENS = 400
_NO_WAY = re.compile(r"impossible|unsolvable|no solution|cannot be solved", re.IGNORECASE)
_FINISHED = re.compile(r"\b(?:solved|done|finished|complete)|\[\s*\]", re.IGNORECASE)  # [] is no move


@dataclass(slots=True, frozen=True)
class Ask:
    """One question. state, step: of the puzzle, or of its design `questions`, for who simulates a reply.

    prompt: text or messages. tokens: the most that a reply may have. run: the number of its run.
    """

    puzzle: Puzzle
    arm: str
    given: bool
    run: int
    step: int
    state: Any
    prompt: Any
    tokens: int


# brings so many replies to a question; the first number of those asked before, so that each draw has a seed of its own
Writer = Callable[[Ask, int, int], list[Sample]]


def told(puzzle: Puzzle, *, given: bool) -> str:
    """Return what every prompt begins with: the rules, the goal, and the algorithm if it is given."""
    parts = [f"This is the puzzle {puzzle.form.title}.", puzzle.rules, f"Goal: {puzzle.goal}."]
    return "\n\n".join([*parts, *([puzzle.algorithm] if given else [])]) + "\n\n"


class Asked:
    """One run of one arm, asked of a writer; `run` is what became of it, `calls` and tokens what it took."""

    def __init__(self, puzzle: Puzzle, arm: str, given: bool, k: int, number: int, writer: Writer) -> None:
        self._puzzle, self._arm, self._given, self._number, self._writer = puzzle, arm, given, number, writer
        self._k = k if arm in VOTED else 1
        self._walk = Walk(puzzle)
        self._calls = self._tokens_in = self._tokens_out = 0
        self._told = told(puzzle, given=given)
        self._next = (f"What is the next move of a shortest solution? Answer in one line with the move and no words, "
                      f"as {puzzle.form.shape}.")  # fmt: skip

    def run(self, model: str) -> Run:
        """Carry the run out."""
        arms = {ONE_CALL: self._one_call, BY_MOVE: self._by_move, STATE: self._by_state, OPERATION: self._by_operation,
                PROGRAM: self._program, PYTHON: self._program}  # fmt: skip
        arms[self._arm]()
        walk, puzzle = self._walk, self._puzzle
        return Run(
            model, puzzle.name, puzzle.size, puzzle.moves, self._arm, self._given, self._k, self._number, walk.failure,
            walk.planned, walk.made, walk.right, self._calls, self._tokens_in, self._tokens_out,
        )  # fmt: skip

    def _ask(self, prompt: Any, tokens: int, step: int, state: Any, draws: int = 1, first: int = 0) -> list[Sample]:
        """Ask one question so often."""
        ask = Ask(self._puzzle, self._arm, self._given, self._number, step, state, prompt, tokens)
        samples = self._writer(ask, draws, first)
        self._calls += draws
        self._tokens_in += sum(sample.tokens_in or 0 for sample in samples)
        self._tokens_out += sum(sample.tokens_out or 0 for sample in samples)
        return samples

    def _one_call(self) -> None:
        puzzle, walk = self._puzzle, self._walk
        prompt = (f"{self._told}Start:\n{puzzle.shown(puzzle.start)}\n\nWhat are all the moves of a shortest solution? "
                  f"Answer with the moves in order and no words, one a line, each as {puzzle.form.shape}.")  # fmt: skip
        [sample] = self._ask(prompt, 100 + 24 * puzzle.moves, 0, puzzle.start)
        moves = puzzle.read(sample.text or "")
        if not moves:
            walk.fail(_without_a_move(sample))
        if all(walk.move(move) for move in moves) and not walk.solved:
            walk.fail("overrun" if sample.finish_reason == "length" else "stopped early")

    def _by_move(self) -> None:
        puzzle, walk = self._puzzle, self._walk
        chat = [{"role": "user", "content": f"{self._told}Start:\n{puzzle.shown(puzzle.start)}\n\n{self._next}"}]
        while not walk.solved:
            [sample] = self._ask(list(chat), MOVE_TOKENS, walk.made, walk.state)
            move = _only(puzzle, sample)
            if isinstance(move, str):
                walk.fail(move)
                return
            if not walk.move(move):
                return
            chat += [{"role": "assistant", "content": written(move)}, {"role": "user", "content": "And the next move?"}]

    def _by_state(self) -> None:
        puzzle, walk = self._puzzle, self._walk
        while not walk.solved:
            state = walk.state
            prompt = f"{self._told}Now:\n{puzzle.shown(state)}\n\n{self._next}"

            def allowed(sample: Sample, state: Any = state) -> Move | None:
                """Return the move of a reply; None for what has no vote."""
                move = _only(puzzle, sample)
                return None if isinstance(move, str) or puzzle.played(state, move) is None else move

            move = self._vote(prompt, MOVE_TOKENS, walk.made, state, allowed)
            if move is None:
                walk.fail("undecided")
                return
            if not walk.move(move):
                return

    def _by_operation(self) -> None:
        task, walk = self._puzzle.asked, self._walk
        state = task.initial_state()
        for step in range(task.steps):

            def allowed(sample: Sample, state: Any = state) -> Any:
                """Return the answer of a reply; None for what has no vote."""
                try:
                    answer = task.parse(sample.text or "")
                except (ValueError, RecursionError):
                    return None
                return answer if task.legal(state, answer) else None

            answer = self._vote(task.prompt(state, step), ANSWER_TOKENS, step, state, allowed)
            if answer is None or answer != task.truth(state, step):
                walk.fail("undecided" if answer is None else "wrong answer")
                return
            walk.made = walk.right = step + 1
            state = task.apply(state, answer)

    def _vote(self, prompt: Any, tokens: int, step: int, state: Any, read: Callable[[Sample], Any]) -> Any:
        """Return what k votes ahead decide, None where nothing does. read: the answer of a reply, None for no vote."""
        most = 4 * self._k
        race, drawn = first_to_ahead(self._k, most, most), 0
        answers: dict[bytes | None, Any] = {}
        need = next(race)
        while True:
            samples = self._ask(prompt, tokens, step, state, need, drawn)
            drawn += need
            found = [read(sample) for sample in samples]
            keys = [None if answer is None else canonical(answer) for answer in found]
            answers |= dict(zip(keys, found, strict=True))
            try:
                need = race.send(keys)
            except StopIteration as ended:
                return answers.get(ended.value.winner)

    def _program(self) -> None:
        puzzle, walk = self._puzzle, self._walk
        told, run = (
            (programs.told_python, programs.run_python) if self._arm == PYTHON else (programs.told, programs.run)
        )
        prompt = f"{self._told}Start:\n{puzzle.shown(puzzle.start)}\n\n{told(puzzle)}"
        [sample] = self._ask(prompt, PROGRAM_TOKENS, 0, puzzle.start)
        why = run(puzzle, sample.text or "", walk.move)
        if why and sample.finish_reason == "length":
            why = "overrun"
        elif why == "format" and _NO_WAY.search(sample.text or ""):
            why = "impossible"
        if why or not walk.solved:
            walk.fail(why or "stopped early")


def _only(puzzle: Puzzle, sample: Sample) -> Move | str:
    """Return the next move of a reply, or why there is none: the one of the first line that has any."""
    text = sample.text or ""
    lines = [found for line in text.splitlines() if (found := set(puzzle.read(line)))]
    moves = lines[0] if lines else set(puzzle.read(text))
    if len(moves) == 1 and (move := moves.pop()) is not None:
        return move
    return "format" if moves else _without_a_move(sample)


def _without_a_move(sample: Sample) -> str:
    """Say what a reply without any list is."""
    text = sample.text or ""
    if _NO_WAY.search(text):
        return "impossible"
    if sample.finish_reason == "length":
        return "overrun"
    return "stopped early" if _FINISHED.search(text) else "format"
