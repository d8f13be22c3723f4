"""The bundled language model, `neural`: real neural errors on the user's own machine, offline.

Promises: `NeuralModel` answers the compact Hanoi prompt by sampling a small transformer token by
token, so its mistakes, malformed texts and over-long replies are its own, and each draw depends on
(prompt, seed, temperature) only, up to float32 rounding. A prompt it cannot read, or one with more
disks than its edition reads (20), raises `ModelError` before anything is sampled; so does a damaged weight file.

Not covered: training (`experiments/training/train.py`), other prompts than the compact one, schemas.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio.to_thread
import numpy as np

from maker.decision.sample import Request, Sample
from maker.errors import ModelError
from maker.models.neural.bundled import EDITIONS, build
from maker.models.neural.sampler import Job, Text
from maker.models.neural.worker import Workers


class NeuralModel:
    """The bundled model as the engine sees it: in lock-step, best in batches of 128 steps or a multiple.

    workers: child processes with one thread each, as two busy threads on a small machine can be slower than one
    (0: compute here, with numpy's own threads). The other parameters are those of `build`. `callers`
    says how many calls of `draw` to make at once: one more than there are workers, so that a batch waits
    while others are drawn and one is judged. `draw` survives cancellation: a batch under way is finished first.
    `aclose` ends the workers; a model can be used again after it.
    """

    lockstep = True
    style = "compact"  # of prompts: it reads no other

    def __init__(
        self,
        weights: str | Path | None = None,
        *,
        dtype: str = "float32",
        noise: float = 0.0,
        workers: int = 2,
        seed: int = 0,
    ) -> None:
        if workers < 0:
            raise ValueError(f"workers must be 0 or more, not {workers}")
        called = str(weights) if weights in EDITIONS else "neural"
        extra = [f"weights={weights}"] if weights not in (None, called) else []
        extra += [f"noise={noise}"] if noise else []
        extra += [f"seed={seed}"] if noise and seed else []
        self.name = called + (":" + ",".join(extra) if extra else "")
        options: dict[str, Any] = {"weights": weights, "dtype": dtype, "noise": noise, "seed": seed}
        here = build(**options)  # with workers, a check of the options before the first draw
        self._workers = Workers(options, workers) if workers else None
        self._tokens = here.vocabulary.encode_prompt
        self._answer = here.answer if self._workers is None else self._workers.answer
        self.callers = workers + 1

    async def draw(self, requests: Sequence[Request]) -> list[Sample]:
        """Answer every request, in order; raise ModelError before sampling if one cannot be read."""
        groups: dict[tuple[str, float], list[int]] = {}
        for index, request in enumerate(requests):
            heat = 1.0 if request.temperature is None else request.temperature
            groups.setdefault((request.prompt, heat), []).append(index)
        jobs = [self._job(prompt, heat, [requests[i] for i in members]) for (prompt, heat), members in groups.items()]
        replies = await anyio.to_thread.run_sync(self._answer, jobs)
        samples: list[Sample | None] = [None] * len(requests)
        for members, job, (texts, own) in zip(groups.values(), jobs, replies, strict=True):
            made: dict[tuple[int, tuple[str, ...]], Sample] = {}
            for i, which in zip(members, own, strict=True):
                key = (which, requests[i].stop)
                if key not in made:
                    made[key] = _sample(texts[which], len(job.tokens), requests[i].stop)
                samples[i] = made[key]
        return [sample for sample in samples if sample is not None]

    def _job(self, prompt: str, temperature: float, requests: list[Request]) -> Job:
        """Return the draws of one prompt as plain data; raise ModelError if the prompt cannot be read."""
        if not 0 <= temperature < np.inf:
            raise ModelError(f"the bundled model 'neural' needs a temperature of 0 or more, not {temperature!r}")
        return Job(self._tokens(prompt), temperature, [r.seed for r in requests], [r.max_tokens for r in requests])

    async def aclose(self) -> None:
        """End the worker processes, if any were started."""
        if self._workers is not None:
            await anyio.to_thread.run_sync(self._workers.close)


def _sample(text: Text, tokens_in: int, stop: tuple[str, ...]) -> Sample:
    """Return the reply as a Sample, cut before the first of the `stop` texts."""
    written, finish = text.text, text.finish
    for mark in stop:
        if mark and mark in written:
            written, finish = written[: written.index(mark)], "stop"
    return Sample(written, tokens_in, text.tokens, finish, logprob=text.logprob, model="neural")
