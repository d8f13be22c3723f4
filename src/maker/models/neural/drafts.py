"""Guesses at what the bundled model will write next: looked up in its prompt and in what its step wrote before.

Promises: a guess costs time when it is wrong and changes nothing else: the sampler asks the model about every guessed
token and keeps those that the draw would have written anyhow. Nothing here knows the right move: it is guessed to be
the one that the model wrote last where a prompt looked alike. The rest of an answer is guessed to be the prompt's
stacks after the move, right or not; a draw that has left a guess is guessed to come back to it.

Not covered: which tokens are kept (`sampler.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from maker.models.neural import vocabulary as v

#: how a reply begins, before anything is known of it
OPENING = [v.MOVE]
#: the most tokens guessed at once; halved each time a draw leaves its guess, until it is sampled token by token
_LONGEST = 48

_Looks = tuple[tuple[int, ...], tuple[int, ...]]


class Moves:
    """The pegs of the moves that were written last, by what their prompts look like."""

    def __init__(self) -> None:
        self._last: dict[_Looks, int] = {}

    def opening(self, prompt: Sequence[int]) -> list[int]:
        """Return the tokens that a reply is guessed to begin with: all up to its end, where a move can be guessed."""
        stacks = _stacks(prompt)
        pegs = self._last.get(_looks(prompt, stacks))
        if pegs is None or not stacks[pegs // 3]:
            return OPENING
        disk = stacks[pegs // 3][-1]
        return [*OPENING, v.FIRST + disk, v.MOVE_PEGS + pegs, *_after(stacks, disk, pegs)]

    def learn(self, prompt: Sequence[int], written: Sequence[int]) -> None:
        """Take note of a reply, if it begins with a move."""
        pegs = written[2] - v.MOVE_PEGS if len(written) > 2 else -1
        stacks = _stacks(prompt)
        if 0 <= pegs < v.FIRST - v.MOVE_PEGS and max(divmod(pegs, 3)) < len(stacks):
            self._last[_looks(prompt, stacks)] = pegs


def _looks(prompt: Sequence[int], stacks: list[list[int]]) -> _Looks:
    """Return in what prompts are alike: their first word, the pegs of the previous move, the order of the top disks."""
    tops = [stack[-1] if stack else v.MAX_NUMBER for stack in stacks]
    return tuple(prompt[:3:2]), tuple(sorted(range(len(tops)), key=tops.__getitem__))


def believed(guess: list[int], left: int) -> list[int]:
    """Return as much of a guess as is worth asking about, for a draw that has left its guesses `left` times."""
    return guess[: _LONGEST >> left]


def expected(prompt: Sequence[int], written: Sequence[int], rest: list[int]) -> list[int]:
    """Return the tokens guessed to follow `written`; `rest` was guessed in the place of its last token and after."""
    last, place = written[-1], len(OPENING) + 1
    if _is_move(last):
        return _after(_stacks(prompt), written[-2] - v.FIRST if len(written) > 1 else 0, last - v.MOVE_PEGS)
    moved = len(written) > place and _is_move(written[place])
    whole = expected(prompt, written[: place + 1], []) if moved else rest
    # A slip in copying: a disk that is known goes on with those above it, and else one token stands for another. Of the
    # two ends of stacks it is the next one.
    if last != v.BAR and last in whole:
        return whole[whole.index(last) + 1 :]
    return rest[rest.index(last) + 1 :] if last in rest else rest[1:]


def _is_move(token: int) -> bool:
    return v.MOVE_PEGS <= token < v.FIRST


def _stacks(prompt: Sequence[int]) -> list[list[int]]:
    """Return the disks of the prompt's stacks."""
    stacks: list[list[int]] = [[]]
    for token in prompt[:-1]:
        if token >= v.FIRST:
            stacks[-1].append(token - (v.NEXT if token >= v.NEXT else v.FIRST))
        elif token == v.BAR:
            stacks.append([])
        else:
            stacks = [[]]  # up to here it was the previous move
    return stacks


def _after(stacks: list[list[int]], disk: int, pegs: int) -> list[int]:
    """Return the tokens of stacks after `disk` went from peg to peg as the model wrote."""
    source, target = divmod(pegs, 3)
    if max(source, target) < len(stacks) and disk in stacks[source]:
        stacks[source].remove(disk)
        stacks[target].append(disk)
    tokens: list[int] = []
    for stack in stacks:
        tokens += [(v.NEXT if i else v.FIRST) + number for i, number in enumerate(stack)]
        tokens.append(v.BAR)
    tokens[-1] = v.CLOSE
    return tokens
