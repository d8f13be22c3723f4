"""What became of a run on a puzzle: how far it went, and why it failed, decided by code.

A run is solved when it reaches the goal by moves that the rules allow, never back at a position it had left, and stops
there; a longer way than the shortest is one too. Failures, by what ended the run:

    format         a reply that holds no move, or no program
    illegal        a move that the rules do not allow
    revisited      back at a position that was left before
    stopped early  no more moves, and the goal not reached
    too long       moves after the goal, or twice as many as the shortest way has
    overrun        a reply cut off at its cap, a program that does not end
    impossible     the reply says that there is no way
    undecided      votes without a winner
    wrong answer   a question of one operation, answered wrongly

A failure is one of *execution* if all moves until then were those of the algorithm and it then failed by format, an
illegal move, an early or late end, or a wrong answer: what to do was right, and doing it went wrong. A legal move that
is not the algorithm's makes it one of decision.

Not covered: runs whose model could not be reached.
"""

from __future__ import annotations

from dataclasses import dataclass

from maker.experiments.gap.puzzles import Puzzle
from maker.experiments.gap.reading import Move

EXECUTION = ("format", "illegal", "stopped early", "too long", "overrun", "wrong answer")
FAILURES = (*EXECUTION, "revisited", "impossible", "undecided")


@dataclass(slots=True, frozen=True)
class Run:
    """One run. moves: of the shortest way; made: by the run, right: of them, before the first that was not the plan's.

    given: whether the algorithm was told. k: votes ahead, 1 for none. failure: "" for a run that solved the puzzle.
    planned: whether all its moves were the algorithm's.
    """

    model: str
    puzzle: str
    size: int
    moves: int
    arm: str
    given: bool
    k: int
    run: int
    failure: str
    planned: bool
    made: int
    right: int
    calls: int
    tokens_in: int
    tokens_out: int

    @property
    def solved(self) -> bool:
        """Whether the goal was reached."""
        return not self.failure

    @property
    def execution(self) -> bool:
        """Whether it failed in carrying out what was right."""
        return self.planned and self.failure in EXECUTION


class Walk:
    """The moves of one run, followed on the puzzle. `failure` and `solved` say how it stands."""

    def __init__(self, puzzle: Puzzle) -> None:
        self._puzzle = puzzle
        self.state = puzzle.start
        self._left = {puzzle.place(puzzle.start)}
        self.failure = ""
        self.planned = True
        self.made = self.right = 0

    @property
    def solved(self) -> bool:
        """Whether the goal is reached."""
        return self._puzzle.solved(self.state)

    def move(self, move: Move | None) -> bool:
        """Follow a move, None for what is none; return whether the run may go on."""
        if self.solved or self.made >= 2 * self._puzzle.moves:
            return self.fail("too long")
        if move is None:
            return self.fail("format")
        after = self._puzzle.played(self.state, move)
        if after is None:
            return self.fail("illegal")
        self.planned = self.planned and move == self._puzzle.right(self.state)
        self.made += 1
        self.right += self.planned
        self.state = after
        place = self._puzzle.place(after)
        if place in self._left:
            return self.fail("revisited")
        self._left.add(place)
        return True

    def fail(self, failure: str) -> bool:
        """End the run, for the reason it has already or this one; return False."""
        self.failure = self.failure or failure
        return False
