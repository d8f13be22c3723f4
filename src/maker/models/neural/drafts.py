"""Guesses at what the bundled model will write next: looked up in its prompt and in what its step wrote before.

Promises: a guess costs time when it is wrong and changes nothing else: the sampler asks the model about every guessed
token and keeps those that the draw would have written anyhow. Nothing here knows the right move: it is guessed to be
the one that the model wrote last where a prompt looked alike. The rest of an answer is guessed to be the prompt's
stacks after the move, right or not; a draw that has left a guess is guessed to come back to it.

Not covered: which tokens are kept (`sampler.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from maker.models.neural.vocabulary import Vocabulary

#: the most tokens guessed at once; halved each time a draw leaves its guess, until it is sampled token by token
_LONGEST = 48

_Looks = tuple[str, int, tuple[int, ...]]


class Drafts:
    """Guesses in the tokens of one edition, and the pegs of the moves written last, by what their prompts look like."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._v = vocabulary
        self._last: dict[_Looks, int] = {}

    def opening(self, prompt: Sequence[int]) -> list[int]:
        """Return the tokens that a reply is guessed to begin with: all up to its end, where a move can be guessed."""
        stacks = self._stacks(prompt)
        pegs = self._last.get(self._looks(prompt, stacks))
        if pegs is None or not stacks[pegs // 3]:
            return self._v.opening
        source, target = divmod(pegs, 3)
        disk = stacks[source][-1]
        return self._v.encode(f"move = [{disk}, {source}, {target}]\nnext_state = {_after(stacks, disk, pegs)}")

    def learn(self, prompt: Sequence[int], written: Sequence[int]) -> None:
        """Take note of a reply, if it begins with a move."""
        pegs = self._pegs(written)
        stacks = self._stacks(prompt)
        if pegs is not None and max(divmod(pegs, 3)) < len(stacks):
            self._last[self._looks(prompt, stacks)] = pegs

    def left(self, written: Sequence[int], opening: Sequence[int]) -> bool:
        """Say whether a reply has another move than it was guessed to have."""
        begin = self._v.pegs_at + 1
        return list(written[:begin]) != list(opening[:begin])

    def expected(self, prompt: Sequence[int], written: Sequence[int], rest: list[int]) -> list[int]:
        """Return the tokens guessed to follow `written`; `rest` was guessed in place of its last token and after."""
        last = written[-1]
        if last in self._v.pegs:
            disk = self._v.number[written[-2]] if len(written) > 1 else 0
            return self._v.encode(str(_after(self._stacks(prompt), disk, self._v.pegs[last]))[2:])
        moved = self._pegs(written) is not None
        whole = self.expected(prompt, written[: self._v.pegs_at + 1], []) if moved else rest
        # A slip in copying: a disk that is known goes on with those above it, and else one token stands for another. Of
        # the two ends of stacks it is the next one.
        if last != self._v.bar and last in whole:
            return whole[whole.index(last) + 1 :]
        return rest[rest.index(last) + 1 :] if last in rest else rest[1:]

    def _pegs(self, written: Sequence[int]) -> int | None:
        """Return the pegs of the move that a reply begins with."""
        return self._v.pegs.get(written[self._v.pegs_at]) if len(written) > self._v.pegs_at else None

    def _looks(self, prompt: Sequence[int], stacks: list[list[int]]) -> _Looks:
        """Return in what prompts are alike: first word, the pegs of the previous move, the order of the top disks."""
        tops = [stack[-1] if stack else self._v.disks + 1 for stack in stacks]
        order = tuple(sorted(range(len(tops)), key=tops.__getitem__))
        before = prompt[self._v.pegs_at] if len(prompt) > self._v.pegs_at else -1
        return self._v.pieces[prompt[0]].partition("\n")[0] if prompt else "", before, order

    def _stacks(self, prompt: Sequence[int]) -> list[list[int]]:
        """Return the disks of the prompt's stacks."""
        stacks: list[list[int]] = [[]]
        for token in prompt[:-1]:
            part = self._v.stacked[token]
            if part is None:
                stacks = [[]]  # up to here it was the previous move
                continue
            ended, disks = part
            if ended:
                stacks.append([])
            stacks[-1] += disks
        return stacks


def believed(guess: list[int], left: int) -> list[int]:
    """Return as much of a guess as is worth asking about, for a draw that has left its guesses `left` times."""
    return guess[: _LONGEST >> left]


def _after(stacks: list[list[int]], disk: int, pegs: int) -> list[list[int]]:
    """Return the stacks after `disk` went from peg to peg as the model wrote."""
    source, target = divmod(pegs, 3)
    if max(source, target) < len(stacks) and disk in stacks[source]:
        stacks[source].remove(disk)
        stacks[target].append(disk)
    return stacks
