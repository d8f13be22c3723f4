"""Several arms, a model and a task's design each, that draw in turn: which are dropped, and what is paired.

An arm is dropped when it is shown to err more than another, and what was seen makes its run dearer than the other's.
One whose model is lost fails by itself, and the others go on.

Pairs are of the first draws on the steps that two arms drew on in the same look, in order of their place: of the same
task these are the same states, and of another design the nearest places of the same problem. The test holds whichever
are paired; the same states make it quicker.

Not covered: a task without a truth, whose arms are not paired.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from maker.api.drawing.looks import Goal, Looks
from maker.decision.ending import Stop
from maker.decision.sample import AnyModel
from maker.engine.probe import Probe
from maker.errors import Infeasible, ModelError
from maker.task.task import Task
from maker.theory.compare import Pairs, shown_worse
from maker.theory.draws import Seen
from maker.theory.findings import Rate, relative_samples
from maker.theory.needs import mean

OF_ALL = ("max_calls", "max_tokens", "max_cost", "max_seconds", "interrupted")  # stops that are not one arm's own


@dataclass(slots=True, frozen=True)
class Entry:
    """What makes an arm: its name among the others, the task, and the model. design: "" where there is no choice."""

    name: str
    design: str
    task: Task
    model: AnyModel


class Arm(Looks):
    """An arm under way. error: of its model, after which it draws no more; left_for: why it was dropped, "" if not."""

    def __init__(self, entry: Entry, probe: Probe, goal: Goal, steps: int | None, repeats: int) -> None:
        super().__init__(probe, goal, steps, repeats)
        self.entry = entry
        self.error: Exception | None = None
        self.left_for = ""

    async def on(self, picks: float) -> list[Seen]:
        """Draw as `Looks` does; what is wrong with its own model is kept in `error`. Raises Stop at a limit of all."""
        try:
            return await super().on(picks)
        except (Stop, ModelError, Infeasible) as error:
            self._end(error)
            return []

    async def again(self, draws: float) -> None:
        """Likewise."""
        try:
            await super().again(draws)
        except (Stop, ModelError) as error:
            self._end(error)

    def _end(self, error: Exception) -> None:
        if isinstance(error, Stop) and error.kind in OF_ALL:
            raise error
        self.error, self.left = error, []

    def dearer(self, other: Arm) -> bool:
        """Whether the whole run would be dearer than with the other, by what was seen of both.

        In dollars where both have prices, else in tokens where both tell them, else in samples.
        """
        pairs = zip(self._costs(), other._costs(), strict=True)
        mine, theirs = next((mine, theirs) for mine, theirs in pairs if mine is not None and theirs is not None)
        return mine > theirs

    def _costs(self) -> tuple[float | None, float | None, float]:
        """Return dollars, tokens and samples of the run, up to a factor that all arms share."""
        found, replies, prices = self.probe.evidence, self.probe.replies, self.probe.dispatcher.prices
        samples = self.goal.steps * relative_samples(Rate(found.n, found.wrong), found.asked)
        read, written = mean([one.tokens_in for one in replies]), mean([one.tokens_out for one in replies])
        if read is None or written is None:
            return None, None, samples
        dollars = None if prices is None else samples * (read.value * prices.input + written.value * prices.output)
        return dollars, samples * (read.value + written.value), samples


class Arms:
    """All arms of a comparison, and the pairs of every two of them."""

    def __init__(self, arms: Sequence[Arm]) -> None:
        self.arms = arms
        self._by_name = {arm.entry.name: arm for arm in arms}
        self.pairs = {both: Pairs() for both in combinations(self._by_name, 2)}

    def drop(self, drew: list[Looks], fresh: list[list[Seen]]) -> list[Looks]:
        """Pair what was drawn in one look, and return the arms that go on."""
        outcomes = {arm.entry.name: _outcomes(steps) for arm, steps in zip(drew, fresh, strict=True)
                    if isinstance(arm, Arm) and arm.error is None and arm.probe.against == "truth"}  # fmt: skip
        for (one, other), found in self.pairs.items():
            if one in outcomes and other in outcomes:
                found.add(zip(outcomes[one], outcomes[other], strict=False))
        for one, other in sorted(shown_worse(self.pairs)):
            arm, better = self._by_name[one], self._by_name[other]
            if not arm.left_for and arm.error is None and better.error is None and arm.dearer(better):
                found = self.pairs.get((one, other)) or self.pairs[other, one].turned
                arm.left_for = (
                    f"dropped after {found.n} pairs: wrong alone in {found.worse}, {other} alone in {found.better}, "
                    "and its run would be dearer"
                )
        return [arm for arm in drew if isinstance(arm, Arm) and not arm.left_for and arm.error is None]


def _outcomes(steps: Sequence[Seen]) -> list[bool | None]:
    """Return of the first draws whether each was wrong, None where it could not vote."""
    return [None if draw.flag is not None else draw.key != step.right
            for step in steps for draw in step.draws[: step.picked]]  # fmt: skip
