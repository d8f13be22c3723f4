"""The bundled model measured exactly: p_s of single steps, without sampling and without votes.

p_s, the probability of the whole right answer of a step, is a product of token probabilities, computed with the
runtime's own arithmetic on the weights that ship. `p` here is P(right) over all replies, flagged ones included; p
among valid replies is a little higher.

Not covered: what flags and votes make of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from maker.experiments.kit import hanoi_data as data
from maker.experiments.kit.bench import Source
from maker.models.neural.bundled import build
from maker.models.neural.sampler import LANES, Sampler

Floats = NDArray[np.float64]
_PART = 4096  # states held as tokens at once


def right_probability(sampler: Sampler, batch: data.Batch, temperatures: Sequence[float]) -> Floats:
    """Return [temperatures, b]: P(whole right answer) of each state."""
    found = []
    for at in range(0, len(batch.pegs), _PART):
        part = slice(at, at + _PART)
        some = data.Batch(batch.pegs[part], batch.previous[part], batch.clockwise[part])
        found.append(_right(sampler, data.encoded(some, sampler.vocabulary), temperatures))
    return np.concatenate(found, 1)


def _right(sampler: Sampler, pairs: list[tuple[list[int], list[int]]], temperatures: Sequence[float]) -> Floats:
    """Return [temperatures, b]: P of the answer to each prompt; prompts of one length are read together."""
    found = np.zeros((len(temperatures), len(pairs)))
    order = sorted(range(len(pairs)), key=lambda i: tuple(map(len, pairs[i])))
    while order:
        together = [i for i in order[:LANES] if len(pairs[i][0]) == len(pairs[order[0]][0])]
        order = order[len(together) :]
        found[:, together] = _forced(sampler, [pairs[i] for i in together], temperatures)
    return np.exp(found)


def _forced(sampler: Sampler, pairs: list[tuple[list[int], list[int]]], temperatures: Sequence[float]) -> Floats:
    """Return [temperatures, b]: log P of the given answers, every token given those before it."""
    lengths = np.array([len(answer) for _, answer in pairs])
    asked = int(lengths.max())
    wanted = np.array([[*answer, *[sampler.vocabulary.end] * (asked - len(answer))] for _, answer in pairs])
    tokens = np.concatenate([np.array([prompt for prompt, _ in pairs]), wanted], 1)
    counted = np.arange(asked) < lengths[:, None]
    sampler.cache.reserve(len(tokens), tokens.shape[1])
    read = sampler.transformer.read(tokens[:, :-1], 0, np.arange(len(tokens)), sampler.cache, asked).astype(float)
    total = np.zeros((len(temperatures), len(tokens)))
    for i, temperature in enumerate(temperatures):
        warm = read / temperature
        warm -= warm.max(2, keepdims=True)
        chosen = np.take_along_axis(warm, wanted[..., None], 2)[..., 0]
        total[i] = ((chosen - np.log(np.exp(warm).sum(2))) * counted).sum(1)
    return total


def measure(
    sampler: Sampler, disks: int, steps: int, temperatures: Sequence[float], seed: int
) -> tuple[data.Ints, Floats]:
    """Return (step numbers, p_s) of all steps of a tower's path, or of `steps` of them drawn without repetition.

    Step 0, the only one without a previous move, is always among them and comes first.
    """
    every = (1 << disks) - 2
    drawn = np.arange(1, every + 1) if every <= steps else np.random.default_rng(seed).choice(every, steps, False) + 1
    first = right_probability(sampler, data.path_batch(np.zeros(1, np.int64), disks), temperatures)
    rest = right_probability(sampler, data.path_batch(drawn, disks), temperatures)
    return np.concatenate([[0], drawn]), np.concatenate([first, rest], 1)


def measured(used: Sequence[Source], sizes: Sequence[int], steps: int, seed: int) -> dict[tuple[Source, int], Floats]:
    """Return p_s of steps of each size, drawn anew, for the sources that are the bundled weights; by source and size.

    All temperatures of the same weights are computed at once.
    """
    found: dict[tuple[Source, int], Floats] = {}
    for weights, spec in ((None, "neural"), ("early", "neural:weights=early")):
        if same := [source for source in used if source.spec == spec]:
            sampler, heats = build(weights), [source.temperature for source in same]
            for disks in sizes:
                _, p = measure(sampler, disks, steps, heats, seed)
                found.update({(source, disks): row for source, row in zip(same, p, strict=True)})
    return found


def summary(p: Floats) -> dict[str, float]:
    """Return p, rho, share of lost steps, and the smallest p_s."""
    mean = float(p.mean())
    rho = float(p.var() / (mean * (1 - mean))) if 0 < mean < 1 else 0.0
    return {"p": mean, "rho": rho, "lost": float((p < 0.5).mean()), "least": float(p.min()), "steps": len(p)}
