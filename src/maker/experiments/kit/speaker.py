"""A language model that an experiment asks: prompts in, replies out, each draw with a seed of its own.

Not covered: simulated models and the bundled one (`bench.py`); a journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from anyio.from_thread import start_blocking_portal

from maker.decision.address import Address, draw_seeds, seed_key
from maker.decision.ending import Stop
from maker.decision.sample import Request, Sample
from maker.errors import ModelError, TaskError
from maker.models import load_model
from maker.sending.budget.limits import Limits
from maker.sending.budget.usage import Usage
from maker.sending.dispatcher import Dispatcher
from maker.task.prompt import prompt_of


class Speaker:
    """A language model; a context manager that ends its connections.

    Raises TaskError for a model that reads no prompts, ModelError when it cannot be used or is lost.
    """

    def __init__(self, spec: str, temperature: float, seed: int) -> None:
        self.name = f"{spec}, T = {temperature:g}"
        self._temperature, self._key = temperature, seed_key(seed)
        self._dispatcher = Dispatcher(load_model(spec), Limits(concurrency=2), Usage())
        traits = self._dispatcher.traits
        if traits.needs_truth or traits.lockstep:
            raise TaskError(f"{spec} reads no words: give a language model, http://HOST:PORT/v1#NAME")
        self._drawn: dict[str, int] = {}
        self._places: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._context = start_blocking_portal()
        self._portal = self._context.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        close = self._dispatcher.traits.close
        if close is not None:
            self._portal.call(close)
        self._context.__exit__(None, None, None)

    def replies(self, prompts: Sequence[object], tokens: Sequence[int]) -> list[Sample]:
        """Ask each prompt once, with at most so many tokens of its reply; one that was asked before is drawn anew."""
        requests = []
        for prompt, most in zip(prompts, tokens, strict=True):
            text = prompt_of(prompt, "an experiment asks")
            place, draw = self._places.setdefault(text, len(self._places)), self._drawn.get(text, 0)
            self._drawn[text] = draw + 1
            requests.append(self.request(place, draw, text, most))
        return self.send(requests)

    def request(self, step: int, draw: int, prompt: str, tokens: int) -> Request:
        """Return a request, whose seed comes from its step and its draw."""
        seed = draw_seeds(self._key, step, draw // 8)[draw % 8]
        return Request(Address("experiment", step, draw), prompt, seed, self._temperature, tokens)

    def send(self, requests: Sequence[Request]) -> list[Sample]:
        """Send requests, two at once, and return their replies in the same order."""
        return self._portal.call(self._draw, requests)

    async def _draw(self, requests: Sequence[Request]) -> list[Sample]:
        try:
            return await self._dispatcher.draw(requests)
        except Stop as stop:
            raise ModelError(f"{stop} An experiment keeps no journal: it begins again.") from None
