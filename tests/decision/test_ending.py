"""The rule that stops a run for its copies, through the real flags: copies are found, honest samples are left alone."""

from __future__ import annotations

import random

import anyio
import pytest

import maker
from maker.decision.ending import Stop, copied_too_often, hopeless
from maker.decision.flags import chain
from maker.decision.method import Method
from maker.decision.poll import Poll
from maker.decision.sample import Failure, Request, Sample
from maker.decision.step import Rules, Step
from maker.errors import ModelError
from maker.sending.budget.limits import Limits
from maker.sending.budget.usage import Usage
from maker.sending.dispatcher import Dispatcher
from maker.sending.settle import settle

SAMPLES = 500
TASK = maker.load_task("hanoi", disks=10)
RULES = Rules.of(TASK)


class Repeating:
    """A server that sends an earlier reply of the step again, with the probability `share`; else it is right or wrong.

    long: the texts are so improbable that equal ones count as copies, and no ids are given.
    """

    lockstep = True
    name = "repeating"

    def __init__(self, share: float, seed: int, *, long: bool) -> None:
        self.share, self.chance, self.long = share, random.Random(seed), long
        self.count = 0
        self.sent: dict[int, list[Sample]] = {}

    async def draw(self, requests: list[Request]) -> list[Sample]:
        """Answer each request."""
        return [self._reply(request) for request in requests]

    def _reply(self, request: Request) -> Sample:
        step = request.address.step
        earlier = self.sent.setdefault(step, [])
        self.count += 1
        if earlier and self.chance.random() < self.share:
            reply = self.chance.choice(earlier)
        else:
            right = self.chance.random() < 0.97
            state = TASK.state_at(step + (0 if right else 2))
            text = TASK.render(TASK.truth(state, step + (0 if right else 2)))
            if self.long:
                text = f"({self.chance.getrandbits(64):x}) {text}"
            reply = Sample(text, 10, 5, "stop", None if self.long else f"id{self.count}", -44.4 if self.long else -2.0)
        earlier.append(reply)
        return reply


async def found_after(server: Repeating, k: int, samples: int) -> int | None:
    """Vote on step after step; return how many samples it took until the rule stopped the run, None for never."""
    usage = Usage()
    dispatcher = Dispatcher(server, Limits(), usage)
    method = Method("run", b"key", k, 100, 100, chain(None), 1.0, None, 1024, 750)
    steps = 0
    while usage.voted + usage.flagged < samples:
        step = Step(steps, TASK.state_at(steps), RULES, 1024, 750, {})
        poll = Poll(step, method, "prompt")
        steps += 1
        while poll.outcome is None:
            await settle([poll], dispatcher.draw, dispatcher.usage)
            if copied_too_often(usage, steps) is not None:
                return usage.voted + usage.flagged
    return None


RUNS = pytest.mark.parametrize("runs", [40, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
KINDS = pytest.mark.parametrize("long", [False, True], ids=["ids", "improbable texts"])


@KINDS
@pytest.mark.parametrize("k", [2, 3])
@RUNS
def test_a_tenth_of_copies_is_found(runs: int, k: int, long: bool) -> None:
    """Of the runs whose server repeats a tenth of its replies, 99% or more stop within 500 samples."""

    async def all_of_them() -> list[int | None]:
        return [await found_after(Repeating(0.1, seed, long=long), k, SAMPLES) for seed in range(runs)]

    found = anyio.run(all_of_them)
    late = sum(count is None or count > SAMPLES for count in found)
    print(f"k = {k}: {runs - late} of {runs} found within {SAMPLES} samples, the median after "
          f"{sorted(count or 10**9 for count in found)[runs // 2]}")  # fmt: skip
    assert late <= runs // 100


@KINDS
@pytest.mark.parametrize("k", [2, 3])
@RUNS
def test_honest_samples_are_left_alone(runs: int, k: int, long: bool) -> None:
    """Of the runs whose samples are independent, however often they agree, 0.1% or fewer are stopped."""

    async def all_of_them() -> int:
        return sum([await found_after(Repeating(0.0, seed, long=long), k, SAMPLES) is not None for seed in range(runs)])

    alarms = anyio.run(all_of_them)
    print(f"k = {k}: {alarms} false alarms in {runs} runs of {SAMPLES} samples")
    assert alarms <= runs // 1000


def test_steps_that_wait_for_their_samples_do_not_count() -> None:
    """Many steps may have begun before their first samples come: the share is of the copies at least."""
    usage = Usage(voted=20, flagged=10)
    usage.flags["copied"] = 10
    stop = copied_too_often(usage, 128)
    assert stop is not None
    assert str(stop).startswith("10 of 10 samples are copies")


def test_a_step_whose_replies_are_cut_off_says_what_to_raise() -> None:
    """Most replies met the token limit: the stop names that limit, and what to set."""

    async def cut(prompt: str) -> Sample:
        return Sample("3 + ", 10, 64, "length")

    with pytest.raises(maker.Undecided, match=r"Most replies were cut off at 64 tokens: raise max_tokens\."):
        maker.vote_sync("What is 1 + 2?", model=cut, k=2, max_tokens=64, limits={"max_flags": 4})


def test_what_no_repetition_mends_ends_the_run_and_names_the_step():
    """A request that always fails is a stop of its step, a model that always does an error; the rest may pass."""
    poison, fatal = hopeless(7, Failure("poison", "too long")), hopeless(7, Failure("fatal", "bad key"))
    assert isinstance(poison, Stop) and (poison.step, poison.limit, poison.exit_code) == (7, "poison", 4)
    assert isinstance(fatal, ModelError) and str(fatal) == "step 7: bad key"
    assert [hopeless(7, Failure(kind, "500")) for kind in ("transient", "again")] == [None, None]
