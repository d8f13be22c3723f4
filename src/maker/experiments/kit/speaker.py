"""A language model that an experiment asks: prompts in, replies out, each draw with a seed of its own.

Not covered: simulated models and the bundled one (`bench.py`); where replies are kept (`record.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Self

import anyio
from anyio.from_thread import start_blocking_portal

from maker.decision.address import Address, draw_seeds, seed_key
from maker.decision.ending import Stop
from maker.decision.sample import Request, Sample
from maker.errors import ModelError, TaskError, ungrouped
from maker.experiments.kit.record import Record, model_name
from maker.models import load_model
from maker.sending.budget.limits import Limits
from maker.sending.budget.usage import Usage
from maker.sending.dispatcher import Dispatcher
from maker.task.prompt import prompt_of


class Speaker:
    """A language model; a context manager that ends its connections. record: where replies are kept, if anywhere.

    Raises TaskError for a model that reads no prompts, ModelError when it cannot be used or is lost.
    """

    def __init__(self, spec: str, temperature: float, seed: int, record: Record | None = None) -> None:
        self.name = f"{model_name(spec)}, T = {temperature:g}"
        self._temperature, self._key, self._record = temperature, seed_key(seed), record
        self._dispatcher = Dispatcher(load_model(spec), Limits(concurrency=2), Usage())
        traits = self._dispatcher.traits
        if traits.needs_truth or traits.lockstep:
            raise TaskError(f"{spec} reads no words: give a language model, http://HOST:PORT/v1#NAME")
        self._drawn: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._context = start_blocking_portal()
        self._portal = self._context.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        close = self._dispatcher.traits.close
        if close is not None:
            self._portal.call(close)
        self._context.__exit__(None, None, None)

    def anew(self) -> None:
        """Begin the draws anew: what was asked before is asked with the same seeds, and a kept reply is taken."""
        self._drawn.clear()

    def replies(self, prompts: Sequence[object], tokens: Sequence[int]) -> list[Sample]:
        """Ask each prompt once, with at most so many tokens of its reply; one that was asked before is drawn anew.

        Seeds come from the prompt and its draw, whatever else was asked. Two are asked at once.
        """
        requests = []
        for prompt, most in zip(prompts, tokens, strict=True):
            text = prompt_of(prompt, "an experiment asks")
            draw = self._drawn.get(text, 0)
            self._drawn[text] = draw + 1
            step = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=5).digest(), "big")
            seed = draw_seeds(self._key, step, draw // 8)[draw % 8]
            requests.append(Request(Address("experiment", step, draw), text, seed, self._temperature, most))
        return self.send(requests)

    def send(self, requests: Sequence[Request]) -> list[Sample]:
        """Send requests and return their replies in the same order; what is kept is not sent."""
        found = [self._record.known(request) if self._record else None for request in requests]
        unsent = [request for request, sample in zip(requests, found, strict=True) if sample is None]
        came = iter(self._portal.call(self._draw, unsent) if unsent else [])
        return [next(came) if sample is None else sample for sample in found]

    async def _draw(self, requests: Sequence[Request]) -> list[Sample]:
        found: dict[int, Sample] = {}

        async def one(at: int) -> None:
            """Draw one reply, and keep it as soon as it is there."""
            [found[at]] = await self._dispatcher.draw([requests[at]])
            if self._record:
                self._record.add(requests[at], found[at])

        try:
            with ungrouped():
                async with anyio.create_task_group() as group:
                    for at in range(len(requests)):
                        group.start_soon(one, at)
        except Stop as stop:
            if self._record is None:
                raise ModelError(f"{stop} An experiment keeps no journal: it begins again.") from None
            raise ModelError(
                f"{stop} The replies so far are kept in {self._record.where}: the same command goes on."
            ) from None
        return [found[at] for at in range(len(requests))]
