"""What the bundled model is trained on: Hanoi states, made by rule, never read from a file.

Promises: every example is a legal state with a legal previous move and the strategy's answer;
no state whose stacks lie on the solution path of 20 or 24 disks (those the model is tried on) leaves
`examples`, whatever its previous move. Three families, because uniform states almost never
move a large disk: (1) uniform stacks; (2) the moved disk drawn evenly, with all smaller disks
on the third peg, and the state after such a move; (3) smaller towers under way along their own
solution path between any two pegs, with larger disks at rest anywhere.

States are arrays here: `pegs[b, d]` is the peg of disk d + 1 in example b. Not covered: the
task's own code in tasks/hanoi.py, which a test compares with `answers`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from maker.models.neural.vocabulary import Vocabulary

Ints = NDArray[np.int64]
#: the towers whose solution paths nothing is trained on
HELD_OUT = (20, 24)


class Batch(NamedTuple):
    """Examples with the same number of disks.

    pegs: [b, disks]. previous: [b, 3] as (disk, from, to), disk 0 for none. clockwise: [b] of bool.
    """

    pegs: Ints
    previous: Ints
    clockwise: NDArray[np.bool_]


def path_pegs(steps: Ints, disks: int, source: Ints | int = 0, target: Ints | int = 2) -> Ints:
    """Return [b, disks]: where the disks are after `steps` moves of the shortest solution.

    Disk d has moved (i + 2^(d-1)) // 2^d times after i moves, always the same way round: the
    largest from source to target directly, each smaller one the other way round.
    """
    disk = np.arange(1, disks + 1)
    moves = (steps[:, None] + (1 << (disk - 1))) >> disk
    turn = np.where((disks - disk) % 2 == 0, 1, -1) * np.reshape(np.asarray(target) - source, (-1, 1))
    return np.asarray((np.reshape(source, (-1, 1)) + turn * moves) % 3)


def on_path(pegs: Ints) -> NDArray[np.bool_]:
    """Return [b]: whether these stacks are met on the solution path from peg 0 to peg 2.

    From the largest disk down: a disk on its source means that the smaller tower is on its way
    to the spare peg, on its target that it comes from there; anywhere else is off the path.
    """
    batch, disks = pegs.shape
    source = np.zeros(batch, np.int64)
    target = np.full(batch, 2)
    good = np.ones(batch, bool)
    for disk in range(disks - 1, -1, -1):
        spare = 3 - source - target
        at_source = pegs[:, disk] == source
        good &= at_source | (pegs[:, disk] == target)
        source, target = np.where(at_source, source, spare), np.where(at_source, spare, target)
    return good


def _other(pegs: Ints) -> Ints:
    """Return [b, 3]: the one legal move of another disk than 1, as (disk, from, to)."""
    disks = pegs.shape[1]
    here = pegs[:, None, :] == np.arange(3)[:, None]
    tops = np.where(here, np.arange(1, disks + 1), disks + 1).min(-1)  # disks + 1 for an empty peg
    rows, a, b = np.arange(len(pegs)), (pegs[:, 0] + 1) % 3, (pegs[:, 0] + 2) % 3
    a_moves = tops[rows, a] < tops[rows, b]
    disk = np.minimum(tops[rows, a], tops[rows, b])
    return np.stack([disk, np.where(a_moves, a, b), np.where(a_moves, b, a)], 1)


def answers(batch: Batch) -> Ints:
    """Return [b, 3]: the strategy's move as (disk, from, to)."""
    first = batch.pegs[:, 0]
    turned = (first + np.where(batch.clockwise, 1, 2)) % 3
    one = np.stack([np.ones_like(first), first, turned], 1)
    other = _other(batch.pegs)
    return np.asarray(np.where((batch.previous[:, 0] == 1)[:, None], other, one))


def moved(pegs: Ints, move: Ints) -> Ints:
    """Return the pegs after `move` was made."""
    after = pegs.copy()
    after[np.arange(len(pegs)), move[:, 0] - 1] = move[:, 2]
    return after


def _previous(rng: np.random.Generator, pegs: Ints, clockwise: NDArray[np.bool_]) -> Ints:
    """Return a previous move that can have led to each state: half disk 1, half another disk."""
    one = _first_came(rng, pegs[:, 0], clockwise)
    other = _other(pegs)[:, [0, 2, 1]]  # the disk that can go now is the one that came, the other way round
    return np.asarray(np.where((rng.random(len(pegs)) < 0.5)[:, None], one, other))


def _first_came(rng: np.random.Generator, peg: Ints, clockwise: NDArray[np.bool_]) -> Ints:
    """Return a previous move of disk 1 to a peg, four times in five or more the way round that the strategy has."""
    natural = (peg + np.where(clockwise, 2, 1)) % 3
    source = np.where(rng.random(len(peg)) < 0.8, natural, (peg + rng.integers(1, 3, len(peg))) % 3)
    return np.stack([np.ones_like(peg), source, peg], 1)


def _even(rng: np.random.Generator, size: int, disks: int, clockwise: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Family 2: the disk to move (or just moved) is drawn evenly from 2 to `disks`."""
    pegs = rng.integers(0, 3, (size, disks))
    disk = rng.integers(2, disks + 1, size)
    place = np.argsort(rng.random((size, 3)), 1)
    numbers = np.arange(1, disks + 1)
    pegs = np.where(numbers < disk[:, None], place[:, :1], pegs)
    pegs[np.arange(size), disk - 1] = place[:, 1]
    before = _first_came(rng, place[:, 0], clockwise)
    after = np.stack([disk, place[:, 2], place[:, 1]], 1)
    return pegs, np.where((rng.random(size) < 0.6)[:, None], before, after)


def _under_way(rng: np.random.Generator, size: int, disks: int, clockwise: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Family 3: a tower of some height on its own shortest path, the larger disks anywhere."""
    pegs = rng.integers(0, 3, (size, disks))
    height = np.maximum(rng.integers(2, disks + 1, size), rng.integers(2, disks + 1, size))
    place = np.argsort(rng.random((size, 3)), 1)
    for tall in range(2, disks + 1):
        rows = np.flatnonzero(height == tall)
        # powers of two are where large disks move: visit their surroundings as often as the rest
        step = rng.integers(0, 1 << tall, len(rows))
        low = rng.integers(0, tall, len(rows))
        near = (step >> low << low) + rng.integers(-2, 3, len(rows))
        step = np.clip(np.where(rng.random(len(rows)) < 0.5, step, near % (1 << tall)), 0, (1 << tall) - 1)
        pegs[rows, :tall] = path_pegs(step, tall, place[rows, 0], place[rows, 1])
    return pegs, _previous(rng, pegs, clockwise)


def _runs(rng: np.random.Generator, size: int, disks: int) -> Ints:
    """Return pegs on which neighbouring disks often lie together: long runs, stacks of very unequal height."""
    change = rng.random((size, disks)) > rng.uniform(0.4, 1, (size, 1))
    return np.asarray((rng.integers(0, 3, (size, 1)) + (change * rng.integers(1, 3, (size, disks))).cumsum(1)) % 3)


def examples(rng: np.random.Generator, size: int, disks: int, runs: bool = False) -> Batch:
    """Return about `size` examples (fewer by those on a path that is held out), the three families mixed.

    runs: family 1 is not uniform but made of long runs of neighbouring disks, as solution paths are.
    """
    clockwise = rng.random(size) < 0.5
    thirds = np.array_split(np.arange(size), 3)
    uniform = _runs(rng, len(thirds[0]), disks) if runs else rng.integers(0, 3, (len(thirds[0]), disks))
    parts = [
        (uniform, _previous(rng, uniform, clockwise[thirds[0]])),
        _even(rng, len(thirds[1]), disks, clockwise[thirds[1]]),
        _under_way(rng, len(thirds[2]), disks, clockwise[thirds[2]]),
    ]
    pegs, previous = (np.concatenate(part) for part in zip(*parts, strict=True))
    # nothing was moved before: now and then anywhere, and always when the whole tower stands on one
    # peg (had disk 1 just moved there, the strategy would have no next move)
    start = (rng.random(size) < 0.03) | (pegs == pegs[:, :1]).all(1)
    previous = np.where(start[:, None], 0, previous)
    return off_path(Batch(pegs, previous, clockwise))


def off_path(batch: Batch) -> Batch:
    """Return the batch without the states of the paths that are held out: the filter of training and mining."""
    if batch.pegs.shape[1] not in HELD_OUT:
        return batch
    keep = ~on_path(batch.pegs)
    return Batch(batch.pegs[keep], batch.previous[keep], batch.clockwise[keep])


def path_batch(steps: Ints, disks: int) -> Batch:
    """Return the states of the solution path before the moves `steps` (for measuring only)."""
    pegs = path_pegs(steps, disks)
    before = path_pegs(np.maximum(steps - 1, 0), disks)
    disk = (pegs != before).argmax(1)
    rows = np.arange(len(steps))
    previous = np.stack([disk + 1, before[rows, disk], pegs[rows, disk]], 1)
    previous[steps == 0] = 0
    return Batch(pegs, previous, np.full(len(steps), disks % 2 == 0))


def texts(batch: Batch) -> list[tuple[str, str]]:
    """Return prompt and answer of every example, as the task writes them in its compact style."""
    move = answers(batch)
    ways = ("counterclockwise", "clockwise")
    return [
        (
            f"{ways[way]}\nprevious = {previous if previous[0] else []}\nstate = {_stacks(pegs)}\n",
            f"move = {after}\nnext_state = {_stacks(then)}",
        )
        for way, previous, pegs, after, then in zip(
            batch.clockwise.tolist(), batch.previous.tolist(), batch.pegs.tolist(), move.tolist(),
            moved(batch.pegs, move).tolist(), strict=True,
        )
    ]  # fmt: skip


def _stacks(pegs: list[int]) -> list[list[int]]:
    """Return the three stacks, bottom to top."""
    stacks: list[list[int]] = [[], [], []]
    for disk in range(len(pegs), 0, -1):
        stacks[pegs[disk - 1]].append(disk)
    return stacks


def encoded(batch: Batch, vocabulary: Vocabulary) -> list[tuple[list[int], list[int]]]:
    """Return prompt and answer of every example as tokens, the answer with the end token."""
    return [
        (vocabulary.encode(prompt), [*vocabulary.encode(answer), vocabulary.end]) for prompt, answer in texts(batch)
    ]
