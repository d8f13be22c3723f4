"""Draws on a sample of steps and grades them: what `estimate` and `k = "auto"` stand on.

`choose` picks random steps of the run with their states: from the plan where it knows every entry state, from a
reference path where the task has `truth`; else the steps are walked, each decided by a vote. `Probe` asks: a
first round on every step, then again on steps that erred, to see their own p_s.

Draws are graded by the truth, or by the verdict of a vote at margin 5: *agreement*, which cannot see a step
that most samples get wrong in the same way. Grades never reach flags or votes.
Every round has a run name and a seed key of its own, so an address (run, step, draw) is used once.

Not covered: a journal. What a limit interrupts is kept in memory for the caller, who may use it or not.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from maker.decision.address import ahead_of, draw_seeds, seed_key
from maker.decision.config import Config
from maker.decision.ending import Stop, stuck
from maker.decision.flags import Flag, length_of
from maker.decision.method import Method
from maker.decision.poll import Poll
from maker.decision.sample import Request, Sample
from maker.decision.step import Rules
from maker.decision.wave import Wave
from maker.sending.dispatcher import Dispatcher
from maker.sending.settle import decide, settle
from maker.task.canonical import canonical
from maker.task.plan import Walk, plan_of
from maker.task.prompt import fingerprint, render, views
from maker.task.task import Task, guarded
from maker.theory.draws import Draw, Seen
from maker.theory.evidence import Evidence
from maker.theory.planner import ENOUGH
from maker.theory.together import shuffled
from maker.theory.uneven.parts import Part, parts

AGREEMENT_K = 5  # the margin of the votes that samples are graded by where there is no truth
AGAIN = 20  # draws repeated on a step that erred
ROUNDS = 5  # at most so often, where its majority stays unclear
MOST_UNCLEAR = 20  # steps that are drawn again more than once
BATCH = 128  # draws sent together, at most
FIRST = 10  # of a model that may be slow at first; they show its pace
PATIENCE = 15.0  # seconds that a batch of such a model should take, so that progress is seen
SHOWN = 200  # characters of a reply that are kept to be shown
_PATH = 4  # a reference path is walked so many times as far as steps are wanted


@dataclass(slots=True, frozen=True)
class Pace:
    """What a drawing takes, as far as it is known: replies so far, seconds and US dollars (None: not known) of a reply.

    left: replies still wanted of the first round; steps that erred take more.
    """

    replies: int
    seconds: float
    cost: float | None
    left: int


class Probe:
    """Asks a model about steps and grades what comes back.

    name: of the draws' run. epoch: of their seeds; distinct from a run's own. run: of the run whose own first draws the
    first round makes, under the name of `ahead_of`; "" for none. progress: called with steps seen, of
    how many; pace: with what it takes, at the same times. interrupted: True ends it before the next batch (Stop).
    Every method raises what `Dispatcher.draw` raises; what was seen until then is in `seen`.
    """

    def __init__(
        self, task: Task, dispatcher: Dispatcher, config: Config, flags: tuple[Flag, ...], rules: Rules,
        *, name: str, epoch: int, run: str = "", progress: Callable[[int, int], None] | None = None,
        pace: Callable[[Pace], None] | None = None, interrupted: Callable[[], bool] | None = None,
    ) -> None:  # fmt: skip
        self.task, self.dispatcher, self.flags, self.rules = task, dispatcher, flags, rules
        self.config = config.model_copy(update={"first_temperature": None, "keep_samples": "none"})
        self.name, self.epoch, self.run, self.interrupted = name, epoch, run, interrupted
        self.progress, self._told = progress, pace
        self.against = "truth" if hasattr(task, "truth") else "agreement"
        self._plan = plan_of(task, None)
        if self._plan.enter is None and config.segments == 1:  # then a run meets no states of branches
            self._plan = plan_of(task, 1)
        self._known_steps = None if self._plan.enter is None else self._plan.steps  # that the plan knows the states of
        self.seen: list[Seen] = []
        self.replies: list[Sample] = []
        self.apart: list[Draw] = []  # those that are no run's own
        self._marks: list[tuple[float, int]] = []  # when how many replies were there
        self._round = -1
        self.wanted = 0  # steps in this and all earlier rounds

    async def first(self, count: int, repeats: int) -> None:
        """Draw `repeats` times on each of `count` randomly chosen steps; a short task is gone round again and again."""
        if self.against == "agreement":
            self.wanted += count
            await self._by_agreement(count)
            return
        seen = {step.index for step in self.seen}
        self._round += 1
        await self.on([step for step in self._choose(count) if step.index not in seen], repeats)

    def chosen(self, count: int, *, once: bool = False) -> list[Seen]:
        """Choose steps for the first round, to be drawn on part by part: in random order, so that any part is a sample.

        once: not oftener than once each, or as often as 30 picks take. Only for a task with a truth.
        """
        self._round += 1
        steps = self._choose(count, once=once)
        random.Random(self.config.seed).shuffle(steps)  # noqa: S311 -- an order, no secret
        return steps

    async def on(self, steps: Sequence[Seen], repeats: int) -> None:
        """Draw `repeats` times on each of these steps, as often as it was picked."""
        self.wanted = len(self.seen) + len(steps)
        for batch in self._batches(steps, repeats):
            await self._ask(batch, [step.picked * repeats for step in batch])
            self.seen += batch
            self._show(repeats)

    async def again(self, most: int, room: float = math.inf) -> None:
        """Draw 20 times more on up to `most` of the steps that erred; on some up to 100 times, until they are clear.

        room: draws, at most.
        """
        unclear = [step for step in self.seen if step.erred and not step.again][:most]
        end = len(self.replies) + room
        for _ in range(ROUNDS):
            unclear = unclear[: int(min(len(unclear), max(0, end - len(self.replies)) // AGAIN))]
            self._round += 1
            for batch in self._batches(unclear, AGAIN):
                await self._ask(batch, [AGAIN] * len(batch), again=True)
            if not unclear or self.evidence.p_plan <= 0.5:  # then most steps are unclear, and it changes nothing
                return
            looks = self.looks
            unclear = [step for step in unclear if not step.cleared and not step.shown_lost(looks)][:MOST_UNCLEAR]

    @property
    def looks(self) -> int:
        """How many times, at most, a step was judged to be lost."""
        return max(1, ROUNDS * sum(step.erred for step in self.seen))

    @property
    def evidence(self) -> Evidence:
        """What was seen, summed up."""
        return Evidence.of(self.seen, self.looks)

    @property
    def parts(self) -> list[Part]:
        """The kind of step, and the stretch of the task, that err more than the rest beyond chance."""
        return parts(self.seen, self.looks)

    @property
    def pace(self) -> float:
        """Wall seconds a reply; those of the first batch, in which a model may have to start, count only if alone."""
        (begun, before), (ended, after) = self._marks[min(1, len(self._marks) - 2)], self._marks[-1]
        return (ended - begun) / max(1, after - before)

    def _batches(self, steps: Sequence[Seen], repeats: int) -> Iterator[Sequence[Seen]]:
        """Cut steps into batches of up to BATCH draws; of a slow model into smaller ones."""
        each = repeats * max((step.picked for step in steps), default=1)
        at = 0
        while at < len(steps):
            begun, at = at, at + max(1, self._at_once() // each)
            yield steps[begun:at]

    def _at_once(self) -> int:
        traits = self.dispatcher.traits
        if self.progress is None or traits.simulated or traits.gathers:
            return BATCH
        if len(self._marks) < 2:  # nothing came yet
            return FIRST
        return max(FIRST, min(BATCH, int(PATIENCE / max(self.pace, 1e-6))))

    # -- asking ----------------------------------------------------------------------------------

    async def _ask(self, steps: Sequence[Seen], counts: Sequence[int], *, again: bool = False) -> None:
        """Draw on each step as often as asked, in one wave, and add what came to `draws`, or to `again`."""
        polls = [self._poll(step.index, step.state, count) for step, count in zip(steps, counts, strict=True)]
        for step, poll, wave in zip(steps, polls, await settle(polls, self._draw, self.dispatcher.usage), strict=True):
            drawn = self._graded(poll, wave)
            if self.dispatcher.traits.turns and not again:
                drawn = shuffled(drawn, random.Random(step.index).choice)  # noqa: S311 -- an order, no secret
            (step.again if again else step.draws).extend(drawn)

    async def _draw(self, requests: Sequence[Request]) -> list[Sample]:
        if self.interrupted is not None and self.interrupted():
            raise Stop("interrupted", "Run the same command again.")
        if not self._marks:
            self._marks.append((time.monotonic(), 0))
        samples = await self.dispatcher.draw(requests)
        self._marks.append((time.monotonic(), self._marks[-1][1] + len(samples)))
        return samples

    def _show(self, repeats: int) -> None:
        """Tell whoever wants to know how far it is, and what it takes."""
        count, cost = len(self.replies), self.dispatcher.usage.known_cost
        if self.progress is not None:
            self.progress(len(self.seen), self.wanted)
        if self._told is not None:
            left = (self.wanted - len(self.seen)) * repeats
            self._told(Pace(count, self.pace, cost and cost / max(1, self.dispatcher.usage.dispatched), left))

    def _graded(self, poll: Poll, wave: Wave) -> list[Draw]:
        """Return the draws of a poll's last wave, whether they may vote or not."""
        replies = poll.samples[-len(wave) :]
        self.replies += replies
        turns = self.dispatcher.traits.turns
        drawn = [
            Draw(
                poll.step.read(sample.text).key,
                wave.extras.get(i, {}).get("flag"),
                length_of(sample),
                (sample.text or "")[:SHOWN],
                turns[(wave.first + i) % len(turns)].name if turns else "",
            )
            for i, sample in enumerate(replies)
        ]
        if not self.run or self._round:
            self.apart += drawn
        return drawn

    def _poll(self, index: int, state: Any, k: int) -> Poll:
        """Return a poll at margin k, whose first wave is k draws."""
        config, most = self.config, max(100, 20 * k)
        prompt = render(self.task, state, index)
        if self.run and not self._round:
            name, epoch, first = ahead_of(self.run, fingerprint(prompt)), 0, 0
        else:
            name, epoch = f"{self.name}/{self._round}" if self._round else self.name, self.epoch
            first = index % len(self.dispatcher.traits.turns or (0,))  # each of a pool is first at as many steps
        method = Method.of(
            config, k, self.flags, (most, most), run=name, epoch=epoch, branch=self._round,
            schema=getattr(self.task, "schema", None), tools=getattr(self.task, "tools", None),
        )  # fmt: skip
        poll = Poll.of(method, self.rules, index, state, prompt, first=first)
        if config.paraphrase:
            poll.views = views(self.task, state, index)
        return poll

    # -- choosing --------------------------------------------------------------------------------

    def _choose(self, count: int, *, once: bool = False) -> list[Seen]:
        """Return random steps of the run, `count` picks in all, each step as often as any other, or once more."""
        steps = self._known_steps
        path = self._path(_PATH * count) if steps is None else []
        population = steps or len(path)
        count = max(ENOUGH, min(count, population)) if once else count
        picks = _random_picks(population, count, seed_key(self.config.seed, self.epoch, 2**32))
        return [self._seen(i, path[i] if path else self._plan.state_at(i), times) for i, times in picks.items()]

    def _path(self, most: int) -> list[Any]:
        """Walk the right path and return its states, the last one excluded."""
        task, path = self.task, Walk(self._plan)
        states: list[Any] = []
        while len(states) < min(most, task.steps or most) and not self._at_end(path):
            states.append(path.state)
            truth = guarded(task.truth, path.index, "truth", path.state, path.index)  # type: ignore[attr-defined]
            path.take(guarded(task.apply, path.index, "apply", path.state, truth))
        return states

    def _at_end(self, path: Walk) -> bool:
        """Say whether a walk that has begun has taken every step."""
        if self.task.steps is not None:
            return path.index == self.task.steps
        return path.index > 0 and bool(guarded(self.task.done, path.index, "done", path.state))

    def _seen(self, index: int, state: Any, picked: int = 1) -> Seen:
        kind = getattr(self.task, "kind", None)
        name = str(guarded(kind, index, "kind", state, index)) if kind else ""
        step = Seen(index, state, kind=name, picked=picked)
        if self.against == "truth":
            step.right = canonical(guarded(self.task.truth, index, "truth", state, index))  # type: ignore[attr-defined]
        return step

    # -- without a truth -----------------------------------------------------------------------

    async def _by_agreement(self, count: int) -> None:
        """Decide `count` steps by votes and grade their samples by the verdicts."""
        if self._known_steps is None:
            await self._walk(count)
            return
        self._round += 1
        chosen = self._choose(count)
        for batch in self._batches(chosen, AGREEMENT_K):
            await self._vote(batch)
        short = [step for step in chosen if len(step.draws) < step.picked]
        self._round += bool(short)
        for batch in self._batches(short, 1):
            await self._ask(batch, [step.picked - len(step.draws) for step in batch])

    async def _walk(self, count: int) -> None:
        """Go the way that votes decide, from the start again when the task is done."""
        path: Walk | None = None
        for _ in range(count):
            if path is None:
                self._round += 1
                path = Walk(self._plan)
            (poll,) = await self._vote([self._seen(path.index, path.state)])
            answer = poll.readings[poll.winner].answer
            path.take(guarded(self.task.apply, path.index, "apply", path.state, answer))
            if self._at_end(path):
                path = None

    async def _vote(self, steps: Sequence[Seen]) -> list[Poll]:
        """Decide steps by votes. Raises Stop where one meets its limit.

        A step that no other needs is graded by the answer that leads, and shows as one that errs; only where none of
        them has a vote it is a Stop, too.
        """
        polls = {self._poll(step.index, step.state, AGREEMENT_K): step for step in steps}
        await decide(
            list(polls), self._draw, self.dispatcher.usage,
            lambda poll, wave: polls[poll].draws.extend(self._graded(poll, wave)),
        )  # fmt: skip
        goes_on = self._plan.independent and any(poll.tally.total for poll in polls)
        for poll, step in polls.items():
            if (stop := stuck(poll)) and not goes_on:
                raise stop
            votes = poll.tally.counts
            step.right = max(votes, key=votes.__getitem__, default=b"")
        self.seen += steps
        self._show(AGREEMENT_K)
        return list(polls)


def _random_picks(population: int, count: int, key: bytes) -> dict[int, int]:
    """Return how often each of the chosen numbers below `population` is picked: all equally often, then some once more.

    Where the population is large they are drawn one by one by hash, so that it is never listed.
    """
    rounds, rest = divmod(count, population)
    picks = dict.fromkeys(range(population), rounds) if rounds else {}
    chosen: set[int] = set()
    attempt = 0
    while len(chosen) < rest:
        chosen.update(seed % population for seed in draw_seeds(key, attempt, 2**32)[: rest - len(chosen)])
        attempt += 1
    for index in sorted(chosen):
        picks[index] = picks.get(index, 0) + 1
    return picks
