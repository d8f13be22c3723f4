"""Draws from the bundled model: exact sampling in which equal prefixes are computed once.

Promises: every draw is sampled from the model's own distribution at its own temperature. Token number i of a draw is
picked by inverse CDF, in vocabulary order, with a uniform that is a function of (seed, i) alone; so a draw's text does
not depend on which draws share its prompt, on its batch, or on what was guessed (exactly so in float64; in float32
rounding may differ with the batch's shape).

Speculative decoding: the tokens that a row will probably write (`drafts.py`) are read in one go with its last token,
and the model's distribution after each is at hand at once. Every draw picks from them with its own uniforms and goes
along as long as its picks are the guessed tokens; its first other pick counts as well, for it rests on tokens of its
own alone. Draws that have written the same tokens share one row; where they part, the row is copied. The
context is 128 tokens: a reply that does not end before is cut, "length".

Not covered: requests, processes, refusing prompts (`model.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from maker.models.neural.drafts import Drafts, believed
from maker.models.neural.transformer import Array, Cache, Transformer
from maker.models.neural.vocabulary import Vocabulary

CONTEXT = 128
#: prompts decoded together: the more, the fewer passes for those few draws that leave what was guessed
LANES = 128
#: tokens by which prompts decoded together may differ in length
_SLACK = 2
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
#: far more than a share can be wrong by in float32
_EDGE = 1e-4


class Job(NamedTuple):
    """The draws of one prompt at one temperature: one seed and one token limit for each draw."""

    tokens: list[int]
    temperature: float
    seeds: list[int]
    limits: list[int]


class Text(NamedTuple):
    """One distinct reply: text, number of tokens (the end token counts), finish reason, log probability."""

    text: str
    tokens: int
    finish: str
    logprob: float


#: for one job: the distinct replies, and for each draw the index of its own
Answered = tuple[list[Text], list[int]]


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Apply the finaliser of splitmix64: every input bit reaches every output bit."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniforms(keys: NDArray[np.uint64], place: int, count: int = 1) -> NDArray[np.float64]:
    """Return uniforms in [0, 1), [draws, count], for tokens number `place` and after; keys are mixed seeds."""
    with np.errstate(over="ignore"):
        steps = np.arange(place + 1, place + count + 1, dtype=np.uint64) * _GOLDEN
        return np.asarray((_mix(keys[:, None] + steps) >> np.uint64(11)) * 2.0**-53, np.float64)


@dataclass(slots=True)
class _Row:
    """Draws of one job that have written the same tokens so far.

    slot: of the cache; it holds the prompt and all of `written` but the last token. guess: the tokens expected next;
    left: how often the row's draws have left a guess.
    """

    job: int
    slot: int
    written: list[int]
    guess: list[int]
    left: int = 0
    logprob: float = 0.0


class Sampler:
    """A transformer in the tokens of its edition, with a cache that is kept from batch to batch."""

    def __init__(self, transformer: Transformer, vocabulary: Vocabulary) -> None:
        self.transformer, self.vocabulary = transformer, vocabulary
        self.cache = Cache(transformer.shape, transformer.dtype)
        self.drafts = Drafts(vocabulary)

    def answer(self, jobs: Sequence[Job]) -> list[Answered]:
        """Return the replies to every job, in order."""
        replies: list[Answered] = [([], [])] * len(jobs)
        order = sorted(range(len(jobs)), key=lambda i: len(jobs[i].tokens))
        while order:
            most = len(jobs[order[0]].tokens) + _SLACK
            batch = [i for i in order[:LANES] if len(jobs[i].tokens) <= most]
            order = order[len(batch) :]
            for i, reply in zip(batch, _Batch(self, [jobs[i] for i in batch]).run(), strict=True):
                replies[i] = reply
        return replies


class _Picked(NamedTuple):
    """What a pass came to: distinct ways on, from a row along `kept` guessed tokens by one more token of its own."""

    row: NDArray[np.int64]
    kept: NDArray[np.int64]
    token: NDArray[np.int64]
    gain: NDArray[np.float64]  # in log probability
    draws: NDArray[np.int64]
    way: NDArray[np.int64]  # of each of the draws


class _Batch:
    """Up to LANES prompts of nearly equal length on their way to their replies; the shorter ones begin later."""

    def __init__(self, sampler: Sampler, jobs: list[Job]) -> None:
        self.transformer, self.cache, self.drafts, self.jobs = sampler.transformer, sampler.cache, sampler.drafts, jobs
        self.vocabulary = sampler.vocabulary
        lengths = np.array([len(job.tokens) for job in jobs])
        self.prompt = int(lengths.max())
        self.unused = self.prompt - lengths
        self.room = CONTEXT - int(lengths.min())
        self.job_of = np.repeat(np.arange(len(jobs)), [len(job.seeds) for job in jobs])
        self.first_draw = np.searchsorted(self.job_of, np.arange(len(jobs)))
        seeds = np.array([seed & (2**64 - 1) for job in jobs for seed in job.seeds], np.uint64)
        with np.errstate(over="ignore"):
            self.keys = _mix(seeds + _GOLDEN)
        limits = np.array([limit for job in jobs for limit in job.limits])
        self.limits = np.clip(limits, 1, CONTEXT - lengths[self.job_of])
        self.temperature = np.array([job.temperature for job in jobs])
        self.rows = [_Row(i, i, [], self.drafts.opening(job.tokens)) for i, job in enumerate(jobs)]
        self.row = self.job_of.copy()  # of every draw; -1 once it has its reply
        self.waiting = {0: list(range(len(jobs)))}  # rows by the number of tokens they have written
        self.free: list[int] = []
        self.slots = len(jobs)
        self.replies: list[Answered] = [([], [-1] * len(job.seeds)) for job in jobs]

    def run(self) -> list[Answered]:
        """Read prompts and guesses until every draw has ended; rows that have written least come first."""
        self.cache.reserve(len(self.jobs) + 16, self.prompt + 32)
        while self.waiting:
            written = min(self.waiting)
            rows = self.waiting.pop(written)
            guess = self._guesses(rows, written)
            self._go_on(rows, guess, self._pick(rows, written, guess, self._read(rows, written, guess)))
        return self.replies

    def _guesses(self, rows: list[int], written: int) -> NDArray[np.int64]:
        """Return guesses [rows, enough for most rows and no more than the context holds], -1 after a guess's end.

        Most: nine in ten before anything is written, when nearly all guesses are right and of nearly equal length;
        half among those that have left theirs.
        """
        guesses = [believed(row.guess, row.left) for row in (self.rows[number] for number in rows)]
        lengths = sorted(map(len, guesses))
        count = min(lengths[len(guesses) // 2 if written else 9 * len(guesses) // 10], self.room - written - 1)
        return np.array([[*guess[:count], *[-1] * (count - len(guess))] for guess in guesses], np.int64)

    def _read(self, rows: list[int], written: int, guess: NDArray[np.int64]) -> Array:
        """Read what the rows' slots do not hold yet, and their guesses; return the logits [rows, 1 + guesses, v]."""
        read = [self.rows[number] for number in rows]
        jobs = [row.job for row in read]
        known = np.array([row.written[-1:] or self._padded(row.job) for row in read])
        tokens = np.concatenate([known, np.maximum(guess, 0)], 1)
        place = self.prompt + written - 1 if written else 0
        self.cache.reserve(self.slots, place + tokens.shape[1])
        slots = np.array([row.slot for row in read])
        return self.transformer.read(tokens, place, slots, self.cache, guess.shape[1] + 1, self.unused[jobs])

    def _padded(self, job: int) -> list[int]:
        """Return a prompt that ends where the others do; what is before it is not seen."""
        return [0] * int(self.unused[job]) + self.jobs[job].tokens

    def _pick(self, rows: list[int], written: int, guess: NDArray[np.int64], logits: Array) -> _Picked:
        """Let every draw of the rows pick its tokens, as far as its picks are those guessed, and one more."""
        n, count, size = logits.shape
        weight, top = self._weights(logits, rows)
        total = weight @ np.ones(size, weight.dtype)
        local = np.full(len(self.rows) + 1, -1)  # the last one for draws that have ended
        local[rows] = np.arange(n)
        draws = np.flatnonzero(local[self.row] >= 0)
        mine = local[self.row[draws]]
        aim = uniforms(self.keys[draws], written, count)
        token = top[mine]
        # All but the most probable token, of weight 1, have this share, at either side of it at most. A draw that
        # lands further from both ends lands on it: most do. Where the others are is worth knowing for the rest alone.
        others = (1 + _EDGE - 1 / total)[mine]
        near, at = np.nonzero(np.minimum(aim, 1 - aim) < others)
        if len(near):
            passed = np.cumsum(weight[mine[near], at], 1, dtype=np.float64)
            token[near, at] = np.minimum((passed <= (aim[near, at] * passed[:, -1])[:, None]).sum(1), size - 1)
        kept = np.cumprod(token[:, :-1] == guess[mine], 1).sum(1)
        kept = np.minimum(kept, self.limits[draws] - written - 1)
        key = (mine * count + kept) * size + token[np.arange(len(draws)), kept]
        key, way = np.unique(key, return_inverse=True)
        source, own = np.divmod(key, size)
        row, stop = np.divmod(source, count)
        with np.errstate(divide="ignore"):
            along = np.log(np.take_along_axis(weight[:, :-1], guess[..., None], 2)[..., 0] / total[:, :-1])
            along = np.concatenate([np.zeros((n, 1)), np.cumsum(along, 1, dtype=np.float64)], 1)
            gain = along[row, stop] + np.log(weight[row, stop, own] / total[row, stop])
        return _Picked(row, stop, own, gain, draws, way)

    def _weights(self, logits: Array, rows: list[int]) -> tuple[Array, NDArray[np.int64]]:
        """Return exp((logits - largest) / temperature), not normalised, and the place of the largest."""
        top = logits.argmax(2)
        temperature = self.temperature[[self.rows[number].job for number in rows]]
        cold = temperature <= 0
        scale = np.where(cold, 1.0, temperature).astype(logits.dtype)
        logits -= np.take_along_axis(logits, top[..., None], 2)
        logits /= scale[:, None, None]
        with np.errstate(under="ignore", over="ignore"):
            weight = np.exp(logits, out=logits)
        if cold.any():
            weight[cold] = top[cold][..., None] == np.arange(logits.shape[2])
        return weight, top

    def _go_on(self, rows: list[int], guess: NDArray[np.int64], picked: _Picked) -> None:
        """Make a row of every way on, hand out the replies of draws that have ended, and let the others wait."""
        olds = [self.rows[number] for number in rows]
        guessed = (guess >= 0).sum(1).tolist()
        first = len(self.rows)
        for source, kept, token, gain in zip(*(part.tolist() for part in picked[:4]), strict=True):
            old = olds[source]
            written = [*old.written, *old.guess[:kept], token]
            left = old.left + (kept < guessed[source])
            self.rows.append(_Row(old.job, -1, written, old.guess[kept:], left, old.logprob + gain))
        self.row[picked.draws] = first + picked.way
        done = (picked.token == self.vocabulary.end)[picked.way]
        lengths = np.array([len(row.written) for row in self.rows[first:]])
        done |= self.limits[picked.draws] <= lengths[picked.way]
        self._finish(picked.draws[done])
        goes_on = np.unique(picked.way[~done])
        self._give_slots(olds, first + goes_on, picked.row[goes_on])
        for number in (first + goes_on).tolist():
            row = self.rows[number]
            row.guess = self.drafts.expected(self.jobs[row.job].tokens, row.written, row.guess)
            self.waiting.setdefault(len(row.written), []).append(number)

    def _give_slots(self, olds: list[_Row], numbers: NDArray[np.int64], sources: NDArray[np.int64]) -> None:
        """Let the first row that comes from each old one have its slot, and every other one a copy."""
        goes_on = set(sources.tolist())
        self.free += [old.slot for source, old in enumerate(olds) if source not in goes_on]
        for number, source in zip(numbers.tolist(), sources.tolist(), strict=True):
            row, old = self.rows[number], olds[source]
            if source in goes_on:
                goes_on.remove(source)
                row.slot = old.slot
                continue
            if not self.free:
                self.free.append(self.slots)
                self.slots += 1
                self.cache.reserve(self.slots, 0)
            row.slot = self.free.pop()
            self.cache.copy(old.slot, row.slot, self.prompt + len(row.written) - 1)

    def _finish(self, draws: NDArray[np.int64]) -> None:
        """Hand out the replies of draws that wrote the end token or met their limit."""
        made: dict[int, int] = {}
        for draw, number in zip(draws.tolist(), self.row[draws].tolist(), strict=True):
            row = self.rows[number]
            texts, index = self.replies[row.job]
            if number not in made:
                made[number] = len(texts)
                if self.drafts.left(row.written, self.rows[row.job].guess):  # a job's first row has how it was to begin
                    self.drafts.learn(self.jobs[row.job].tokens, row.written)
                finish = "stop" if row.written[-1] == self.vocabulary.end else "length"
                texts.append(Text(self.vocabulary.decode(row.written), len(row.written), finish, row.logprob))
            index[draw - self.first_draw[row.job]] = made[number]
        self.row[draws] = -1
