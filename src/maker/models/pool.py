"""Several models that take turns at the draws of every step: a pool.

Draw d goes to model d mod P, so that a step's votes come from all of them; one that stands twice in the list has two
turns. Models with errors of their own agree less often on a wrong answer than one model does with itself; two that
fail together are one (`maker estimate` shows how often they do).

Promises: which model draws follows from the number of the draw alone, also after a retry or a resume. Each keeps its
own gate, connections, findings, prices and room for thoughts. A pool of one model is that model.

Not covered: a model that is gone, for which the others do not stand in: its draws wait for it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

from maker.decision.pool import BETWEEN, pool_name
from maker.decision.sample import Model, Prices, Reply, Request, Traits, readable
from maker.errors import TaskError, ungrouped
from maker.task.task import Task


class Pool:
    """Models that take turns. models: one for each turn; one may have several. Make it by `pool_of`."""

    def __init__(self, models: Sequence[Model]) -> None:
        self._each = _by_name(models)
        called = {id(model): name for name, model in self._each.items()}
        told = {name: Traits.of(model)._replace(name=name) for name, model in self._each.items()}
        self.turns = tuple(told[called[id(model)]] for model in models)
        self.name = pool_name(traits.name for traits in self.turns)
        each = self._traits = list(told.values())
        self.lockstep = all(traits.lockstep for traits in each)
        self.callers = min(traits.callers for traits in each)
        self.simulated = any(traits.simulated for traits in each)
        self.native_tools = all(traits.native_tools for traits in each)
        self.prices = _mean([traits.prices for traits in self.turns])
        self._alone = {  # in lock-step by themselves, and asked draw by draw here
            name: asyncio.Semaphore(traits.callers)
            for name, traits in told.items() if traits.lockstep and not self.lockstep
        }  # fmt: skip
        # What a model need not have, a pool has where one of them does.
        if any(traits.bind for traits in each):
            self.bind = self._bind
        if any(traits.bears for traits in each):
            self.bears = self._bears
        if any(traits.pace for traits in each):
            self.pace = self._pace
        if any(traits.widen for traits in each):
            self.widen = self._widen

    def __repr__(self) -> str:
        return f"Pool({self.name!r})"

    async def draw(self, requests: Sequence[Request]) -> Sequence[Reply]:
        """Return one sample or failure for each request, in order, each from the model whose turn it is."""
        theirs: dict[str, list[int]] = {}
        for position, request in enumerate(requests):
            theirs.setdefault(self.turns[request.address.draw % len(self.turns)].name, []).append(position)
        if len(theirs) == 1:
            return await self._asked(next(iter(theirs)), requests)
        with ungrouped():
            async with asyncio.TaskGroup() as group:
                calls = [
                    group.create_task(self._asked(name, [requests[i] for i in places]))
                    for name, places in theirs.items()
                ]
        came: dict[int, Reply] = {}
        for places, call in zip(theirs.values(), calls, strict=True):
            came.update(zip(places, call.result(), strict=True))
        return [came[position] for position in range(len(requests))]

    async def aclose(self) -> None:
        """Close all that the models hold open."""
        for traits in self._traits:
            if traits.close is not None:
                await traits.close()

    async def _asked(self, name: str, requests: Sequence[Request]) -> list[Reply]:
        model, alone = self._each[name], self._alone.get(name)
        if alone is None:
            return readable(await model.draw(requests), len(requests))
        async with alone:
            return readable(await model.draw(requests), len(requests))

    def _bind(self, task: Task) -> None:
        for traits in self._traits:
            if traits.bind is not None:
                traits.bind(task)

    def _bears(self) -> int:
        """Return how many calls at once keep the busiest of them busy: more would only wait for it."""
        share = {name: sum(turn.name == name for turn in self.turns) / len(self.turns) for name in self._each}
        told = [traits.bears() / share[traits.name] for traits in self._traits if traits.bears is not None]
        return max(1, math.ceil(min(told)))

    def _widen(self, calls: int) -> None:
        """Have each of them bear as many calls at once as all of them are to get."""
        for traits in self._traits:
            if traits.widen is not None:
                traits.widen(calls)

    def _pace(self) -> str:
        told = [(traits.name, traits.pace()) for traits in self._traits if traits.pace is not None]
        return "; ".join(f"{name}: {said}" for name, said in told if said)


def pool_of(models: Sequence[Model]) -> Model:
    """Return the pool of these models, in this order; the model itself where there is but one.

    Raises TaskError for no models, and for one that is a pool, or is named as one.
    """
    if not models:
        raise TaskError("model = []: give at least one model")
    for name in map(Traits.name_of, models):
        if BETWEEN in name:
            raise TaskError(f"model: {name!r} cannot be one of a pool: give its models one by one, in names without "
                            f"{BETWEEN!r}")  # fmt: skip
    return models[0] if all(model is models[0] for model in models) else Pool(models)


def _by_name(models: Sequence[Model]) -> dict[str, Model]:
    """Return each model once, by its name; of several with one name the second is called "NAME (2)", and so on."""
    found: dict[str, Model] = {}
    for model in models:
        if any(known is model for known in found.values()):
            continue
        name = Traits.name_of(model)
        same = sum(Traits.name_of(known) == name for known in found.values())
        found[f"{name} ({same + 1})" if same else name] = model
    return found


def _mean(prices: Sequence[Prices | None]) -> Prices | None:
    """Return what a draw costs on average; None where that is not known of all."""
    known = [one for one in prices if one is not None]
    if len(known) < len(prices):
        return None
    cached = [one.input if one.cached is None else one.cached for one in known]
    sums = sum(one.input for one in known), sum(one.output for one in known), sum(cached)
    return Prices(input=sums[0] / len(known), output=sums[1] / len(known), cached=sums[2] / len(known))
