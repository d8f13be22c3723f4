"""The models that one run may ask, and who sends to each: its own, those of the ladder, and either in finer steps.

They share the run's account, limits and slots; each has prices of its own. A model over a network keeps receipts.

Not covered: which of them is asked (`ladder/`), and loading and closing them (`loop.py`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Mapping, Sequence

import anyio

from maker.decision.poll import Poll
from maker.decision.sample import Model
from maker.decision.wave import Wave
from maker.engine.front import Lane
from maker.engine.ladder.escalations import Escalations
from maker.errors import TaskError
from maker.journal.escalated import Change
from maker.models.parts import InParts
from maker.sending.dispatcher import Dispatcher
from maker.sending.receipts import Receipts
from maker.sending.settle import settle
from maker.task.prompt import render, views
from maker.task.task import Task


class Senders:
    """Who sends to the models of a run.

    own: to the run's own model. others: the models of its ladder, by name. task: whose `finer` is asked, if it has one,
    under the same `system` message as its steps.
    """

    def __init__(
        self, own: Dispatcher, others: Mapping[str, Model] | None = None, task: Task | None = None,
        system: str | None = None,
    ) -> None:  # fmt: skip
        self.own = own
        self._made = {("", False): own}
        self._turns: dict[Dispatcher, anyio.CapacityLimiter] = {}
        for name, model in (others or {}).items():
            self._add(name, model, finer=False)
        for (name, _), sender in list(self._made.items()) if hasattr(task, "finer") else ():
            self._add(name, InParts(sender.model, task, system), finer=True)

    def __iter__(self) -> Iterator[Dispatcher]:
        return iter(self._made.values())

    def of(self, change: Change, step: int) -> Dispatcher:
        """Return who sends the draws of a step under a change. Raises TaskError for a model that is not at hand."""
        name = change.model or ""
        if (name, change.finer) not in self._made:
            raise TaskError(
                f"step {step} is being asked of the model {name!r}, which this run's ladder does not name. "
                f"Resume with another_model({name!r}) in the ladder."
            )
        return self._made[name, change.finer]

    def word(self, task: Task, lane: Lane, tries: Escalations, *, paraphrase: bool) -> None:
        """Write what is asked about a lane's step. paraphrase: as of `Config`."""
        poll = lane.poll
        assert poll is not None, "only an open step is asked about"
        poll.prompt = render(task, lane.state, lane.index)
        if not paraphrase and not tries:
            return
        change = tries.change(lane.index)
        own_words = change.finer or self.of(change, lane.index).traits.needs_truth
        if (paraphrase or change.paraphrase) and not own_words:
            poll.views = views(task, lane.state, lane.index)

    def by_sender(self, lanes: Sequence[Lane], tries: Escalations) -> list[tuple[Dispatcher, Sequence[Lane]]]:
        """Return the lanes by who sends their draws. Raises TaskError where a model is not at hand."""
        if not tries:
            return [(self.own, lanes)]
        found: dict[int, tuple[Dispatcher, list[Lane]]] = {}
        for lane in lanes:
            sender = self.of(tries.change(lane.index), lane.index)
            found.setdefault(id(sender), (sender, []))[1].append(lane)
        return list(found.values())

    def settle(self, polls: Sequence[Poll], sender: Dispatcher) -> Awaitable[list[Wave]]:
        """Take one wave of polls that ask the same model; an in-process one has its turn."""
        return self._in_turn(polls, sender) if sender in self._turns else settle(polls, sender.draw, sender.usage)

    async def _in_turn(self, polls: Sequence[Poll], sender: Dispatcher) -> list[Wave]:
        async with self._turns[sender]:
            return await settle(polls, sender.draw, sender.usage)

    def keep_receipts(self, receipts: Receipts) -> None:
        """Let all that send over a network keep these receipts."""
        for sender in self:
            sender.receipts = None if sender.traits.lockstep else receipts
            receipts.batches.used = receipts.batches.used or sender.traits.whole

    @property
    def simulated(self) -> bool:
        """Some model is a simulated one."""
        return any(sender.traits.simulated for sender in self)

    @property
    def paid(self) -> bool:
        """Some model is called over a network."""
        return any(not sender.traits.lockstep for sender in self)

    @property
    def priced(self) -> bool:
        """Some model has prices."""
        return any(sender.prices is not None for sender in self)

    @property
    def cost(self) -> float | None:
        """US dollars spent, None where that is not known: there are no prices, and not all replies named their own."""
        usage = self.own.usage
        told = (usage.cost or usage.free) and not usage.unpriced
        return usage.cost if self.priced or told else None

    @property
    def out(self) -> int:
        """Draws that are with a model now."""
        return sum(sender.out for sender in self)

    @property
    def retrying(self) -> str:
        """What a repetition waits for, "" when nothing does."""
        return next((sender.retrying for sender in self if sender.retrying), "")

    @property
    def pace(self) -> str:
        """What holds sending back, "" when nothing does."""
        return next((told for sender in self if sender.traits.pace and (told := sender.traits.pace())), "")

    @property
    def left(self) -> str:
        """What goes on without this process, "" for nothing."""
        return " ".join(told for sender in self if sender.traits.left and (told := sender.traits.left()))

    def _add(self, name: str, model: Model, *, finer: bool) -> None:
        own = self.own
        made = self._made[name, finer] = Dispatcher(model, own.limits, own.usage, beside=own, name=name)
        if made.traits.lockstep:
            self._turns[made] = anyio.CapacityLimiter(made.traits.callers)
