"""Draws from the bundled model: exact sampling in which equal prefixes are computed once.

Promises: every draw is sampled token by token from the model's own distribution at its own
temperature. Token number i of a draw is picked by inverse CDF, in vocabulary order, with a uniform
that is a function of (seed, i) alone; so a draw's text does not depend on which draws share its
prompt, or its batch (exactly so in float64; in float32 rounding may differ with the batch's shape).
Draws that have written the same tokens so far share one row of the batch; where they part, the
row is copied. The context is 128 tokens: a reply that does not end before is cut, "length".

Not covered: requests, processes, refusing prompts (`model.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maker.models.neural import vocabulary as v
from maker.models.neural.transformer import Array, Cache, Transformer

CONTEXT = 128
#: prompts decoded together: enough rows for the matrix products, few enough that keys and values stay cached
LANES = 64
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


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


def uniforms(keys: NDArray[np.uint64], place: int) -> NDArray[np.float64]:
    """Return one uniform in [0, 1) for token number `place` of every draw; keys are mixed seeds."""
    with np.errstate(over="ignore"):
        return np.asarray((_mix(keys + np.uint64(place + 1) * _GOLDEN) >> np.uint64(11)) * 2.0**-53, np.float64)


class Sampler:
    """A transformer with a cache that is kept from batch to batch."""

    def __init__(self, transformer: Transformer) -> None:
        self.transformer = transformer
        self.cache = Cache(transformer.shape, transformer.dtype)

    def answer(self, jobs: Sequence[Job]) -> list[Answered]:
        """Return the replies to every job, in order."""
        replies: list[Answered] = [([], [])] * len(jobs)
        order = sorted(range(len(jobs)), key=lambda i: len(jobs[i].tokens))
        while order:
            length = len(jobs[order[0]].tokens)
            batch = [i for i in order[:LANES] if len(jobs[i].tokens) == length]
            order = order[len(batch) :]
            for i, reply in zip(batch, _Batch(self, [jobs[i] for i in batch]).run(), strict=True):
                replies[i] = reply
        return replies


class _Batch:
    """Up to LANES prompts of equal length on their way to their replies; rows are distinct prefixes."""

    def __init__(self, sampler: Sampler, jobs: list[Job]) -> None:
        self.transformer, self.cache, self.jobs = sampler.transformer, sampler.cache, jobs
        self.prompt = len(jobs[0].tokens)
        self.job_of = np.repeat(np.arange(len(jobs)), [len(job.seeds) for job in jobs])
        self.first_draw = np.searchsorted(self.job_of, np.arange(len(jobs)))
        seeds = np.array([seed & (2**64 - 1) for job in jobs for seed in job.seeds], np.uint64)
        with np.errstate(over="ignore"):
            self.keys = _mix(seeds + _GOLDEN)
        limits = np.array([limit for job in jobs for limit in job.limits])
        self.limits = np.clip(limits, 1, CONTEXT - self.prompt)
        # per row: temperature, log probability and tokens so far; per live draw: its number and its row
        self.temperature = np.array([job.temperature for job in jobs])
        self.logprob = np.zeros(len(jobs))
        self.written = np.zeros((len(jobs), CONTEXT - self.prompt), np.int64)
        self.live = np.arange(len(self.job_of))
        self.row = self.job_of.copy()
        self.replies: list[Answered] = [([], [-1] * len(job.seeds)) for job in jobs]

    def run(self) -> list[Answered]:
        """Read the prompts, then write token after token until every draw has ended."""
        self.cache.reserve(len(self.jobs) + 16, self.prompt + 32)
        logits = self.transformer.prefill(np.array([job.tokens for job in self.jobs]), self.cache)
        for place in range(CONTEXT - self.prompt):
            chosen = self._pick(logits, place)
            self.written[:, place] = chosen
            self._finish(chosen, place + 1)
            if not len(self.live):
                return self.replies
            self._drop_dead_rows()
            self.cache.reserve(len(self.written), self.prompt + place + 1)
            logits = self.transformer.step(self.written[:, place], self.prompt + place, self.cache)
        raise AssertionError("a draw outlived the context: its limit was not kept")

    def _pick(self, logits: Array, place: int) -> NDArray[np.int64]:
        """Pick a token for every live draw; split rows whose draws part; return the token of each row."""
        weight, top = self._weights(logits)
        total = np.cumsum(weight, 1, dtype=np.float64)
        rows = np.arange(len(top))
        high = total[rows, top]
        low = np.where(top > 0, total[rows, top - 1], 0.0)
        aim = uniforms(self.keys[self.live], place) * total[self.row, -1]
        token = top[self.row]
        # a draw lands on its row's most probable token nearly always: search only for the others
        other = np.flatnonzero((aim < low[self.row]) | (aim >= high[self.row]))
        if len(other):
            token[other] = np.minimum((total[self.row[other]] <= aim[other, None]).sum(1), v.SIZE - 1)
        chosen = top.copy()
        chosen[self.row[::-1]] = token[::-1]  # a row goes on with the token of its first draw
        parted = np.flatnonzero(token != chosen[self.row])
        with np.errstate(divide="ignore"):
            before = self.logprob
            self.logprob = before + np.log(weight[rows, chosen] / total[:, -1])
            if len(parted):
                pair, branch = np.unique(self.row[parted] * v.SIZE + token[parted], return_inverse=True)
                source, new = pair // v.SIZE, pair % v.SIZE
                gain = np.log(weight[source, new] / total[source, -1])
                self._split(source, before[source] + gain, place)
                self.row[parted] = len(chosen) + branch
                chosen = np.concatenate([chosen, new])
        return np.asarray(chosen)

    def _weights(self, logits: Array) -> tuple[Array, NDArray[np.int64]]:
        """Return exp((logits - largest) / temperature), not normalised, and the place of the largest."""
        top = logits.argmax(1)
        cold = self.temperature <= 0
        scale = np.where(cold, 1.0, self.temperature).astype(logits.dtype)
        weight = logits - logits[np.arange(len(top)), top][:, None]
        weight /= scale[:, None]
        with np.errstate(under="ignore", over="ignore"):
            np.exp(weight, out=weight)
        if cold.any():
            weight[cold] = np.arange(v.SIZE) == top[cold, None]
        return weight, top

    def _split(self, source: NDArray[np.int64], logprob: Array, place: int) -> None:
        """Append a copy of every row in `source`: the same tokens so far, the same cache."""
        old = len(self.written)
        target = np.arange(old, old + len(source))
        self.cache.reserve(old + len(source), self.prompt + place + 1)
        self.cache.copy_rows(source, target, self.prompt + place)
        self.written = np.concatenate([self.written, self.written[source]])
        self.temperature = np.concatenate([self.temperature, self.temperature[source]])
        self.logprob = np.concatenate([self.logprob, logprob])

    def _finish(self, chosen: NDArray[np.int64], tokens: int) -> None:
        """Hand out the replies of draws that wrote the end token or met their limit."""
        ended = chosen[self.row] == v.END
        done = ended | (self.limits[self.live] <= tokens)
        if not done.any():
            return
        made: dict[tuple[int, bool], int] = {}
        for draw, row, stop in zip(self.live[done], self.row[done], ended[done], strict=True):
            job = int(self.job_of[draw])
            texts, index = self.replies[job]
            key = (int(row), bool(stop))
            if key not in made:
                made[key] = len(texts)
                finish = "stop" if stop else "length"
                text = v.decode(self.written[row, :tokens].tolist())
                texts.append(Text(text, tokens, finish, float(self.logprob[row])))
            index[draw - self.first_draw[job]] = made[key]
        self.live, self.row = self.live[~done], self.row[~done]

    def _drop_dead_rows(self) -> None:
        """Once more than a quarter of the rows has no live draw, close the gaps."""
        used: NDArray[Any] = np.zeros(len(self.written), bool)
        used[self.row] = True
        rows = np.flatnonzero(used)
        if len(rows) > 0.75 * len(used):
            return
        self.cache.copy_rows(rows, np.arange(len(rows)), None)
        self.row = np.searchsorted(rows, self.row)
        self.written, self.temperature, self.logprob = self.written[rows], self.temperature[rows], self.logprob[rows]
