"""Late calls: what hangs holds nobody up, and a server that answers nobody is sent no more and no more."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import anyio
import pytest

import maker
from maker.decision.sample import Failure, Reply, Request, Sample
from maker.models.openai.client import OpenAI
from maker.models.openai.http.gate import Gate
from maker.models.openai.refusal import Asked, Trouble, bill_unknown
from maker.models.openai.target import Target
from maker.sending.late import FAR, LOOK, MOST_LENT, SHORTEST, Call, Late
from virtual import virtually

ITEMS = 200
TIMEOUT = 120.0  # seconds after which a call that hangs is given up
FIRST_MINUTES = 110.0  # before any has been


class Clock:
    """A clock that is moved, whose timers ring on the way; a limit; and how often a place was lent and taken back."""

    def __init__(self, limit: int = 4) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.lent = self.back = 0
        self.late = Late(lambda: limit, self._lend, self._back, clock=lambda: self.now, timer=self._set)

    def _lend(self) -> None:
        self.lent += 1

    def _back(self) -> None:
        self.back += 1

    def _set(self, seconds: float, call: Callable[[], None]) -> None:
        self.timers.append((self.now + seconds, call))

    def move(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while due := sorted([timer for timer in self.timers if timer[0] <= end], key=lambda timer: timer[0]):
            self.timers.remove(due[0])
            self.now = due[0][0]
            due[0][1]()
        self.now = end

    def replies(self, count: int, seconds: float = 2.0) -> None:
        """Have so many calls answered."""
        for _ in range(count):
            call = self.late.begin(Call())
            self.move(seconds)
            call.replied = True
            self.late.end(call)

    def begin(self, count: int) -> list[Call]:
        """Have so many calls out."""
        return [self.late.begin(Call()) for _ in range(count)]


@pytest.mark.parametrize(("seconds", "far"), [(2.0, FAR * 2.0), (0.01, SHORTEST)])
def test_late_is_far_longer_than_the_others_took_and_some_seconds(seconds: float, far: float) -> None:
    """A call lends what it holds once it is out for five times what replies take, and for five seconds: not before."""
    clock = Clock()
    clock.replies(LOOK, seconds)
    (call,) = clock.begin(1)
    clock.move(far - 0.01)
    assert (clock.lent, call.lent) == (0, False)
    clock.move(SHORTEST / 10 + 0.01)
    assert (clock.lent, call.lent, clock.back) == (1, True, 0)
    clock.move(TIMEOUT)
    clock.late.end(call)
    assert (clock.lent, clock.back, clock.late.lent) == (1, 1, 0)


def test_without_replies_to_compare_with_no_call_is_late() -> None:
    """Of a server that has answered fewer than a few nobody knows how long a reply takes; failures are no replies."""
    clock = Clock()
    clock.replies(LOOK - 1)
    for call in clock.begin(LOOK):
        clock.late.end(call)
    clock.begin(1)
    clock.move(TIMEOUT)
    assert clock.lent == 0


def test_a_server_that_answers_nobody_is_sent_as_many_again_and_no_more() -> None:
    """However long it lasts, and whoever goes in place of those that are late: the limit, once more."""
    clock = Clock(limit=4)
    clock.replies(10 * LOOK)
    clock.begin(4)
    for _ in range(20):
        before = clock.lent
        clock.move(2 * FAR * 2.0)
        clock.begin(clock.lent - before)
    assert clock.lent == 4


def test_while_others_are_answered_so_many_may_hang_and_no_more() -> None:
    """Each reply earns a loan, up to some times the limit; one that comes back makes room for the next."""
    clock = Clock(limit=2)
    clock.replies(LOOK)
    hang = clock.begin(3 * MOST_LENT)
    clock.replies(3 * MOST_LENT * LOOK)
    assert clock.lent == clock.late.lent == 2 * MOST_LENT
    clock.late.end(hang[0])
    clock.move(SHORTEST)
    assert (clock.lent, clock.late.lent) == (2 * MOST_LENT + 1, 2 * MOST_LENT)


def test_a_timer_that_rings_late_is_not_doubled() -> None:
    """A busy loop rings late, and another timer is set meanwhile: in the end there is one."""
    clock = Clock()
    clock.replies(LOOK)
    for _ in range(10):
        clock.begin(1)
        clock.now += 2 * SHORTEST  # nothing rings
    clock.move(SHORTEST)
    assert len(clock.timers) == 1


class Hanging:
    """A server behind a wire, or a model: replies take about a second, and a share of the calls hangs."""

    lockstep = False
    name = "hanging"
    secrets = ()
    target = Target.of("http://there/v1", "any")

    def __init__(self, share: float = 0.05, dies_at: float = math.inf) -> None:
        self.share, self.dies_at, self.chance = share, dies_at, random.Random(7)
        self.out = self.most = 0

    async def hangs(self) -> bool:
        """Take the time that a call takes; say whether it hung."""
        self.out += 1
        self.most = max(self.most, self.out)
        try:
            hangs = self.chance.random() < self.share or asyncio.get_running_loop().time() > self.dies_at
            await anyio.sleep(TIMEOUT if hangs else 0.5 + self.chance.random())
            return hangs
        finally:
            self.out -= 1

    async def draw(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer as a model."""
        failed = await self.hangs()
        return [Failure("transient", "no reply", None, None, None) if failed else Sample("yes", 9, 1) for _ in requests]

    async def exchange(
        self, body: bytes, asked: Asked, seconds: float, noticed: Callable[[int, Mapping[str, str]], None]
    ) -> list[Reply] | Trouble:
        """Answer as a server."""
        if await self.hangs():
            return Trouble(bill_unknown("no reply"), own=True, slow=True)
        return [Sample("yes", 9, 1)]


def mapped(hanging: Hanging, *, gate: int | None = None, **limits: Any) -> tuple[Any, float]:
    """Ask about all items: a server behind a gate where there is one, else the model."""

    async def ask() -> Any:
        clock = asyncio.get_running_loop().time
        model: Any = hanging
        if gate is not None:
            made = Gate(gate, clock=clock)
            model = OpenAI("http://there/v1", "any", wire=hanging, gate=made, clock=clock)  # type: ignore[arg-type]
        return (await maker.map("{item}?", range(ITEMS), model=model, k=2, limits=limits)).result

    return virtually(ask)


@pytest.mark.parametrize("told", [{"concurrency": 8}, {"gate": 8}, {"gate": 8, "concurrency": 8}])
def test_calls_that_hang_hold_up_only_their_own_steps(told: dict[str, int]) -> None:
    """5% hang until their time-out: long before the first of them all steps are decided that none of theirs hangs."""
    hanging = Hanging()
    stopped, _ = mapped(hanging, max_seconds=FIRST_MINUTES, **told)
    assert stopped.steps > 0.85 * ITEMS
    assert hanging.most > 8
    whole, _ = mapped(Hanging(), **told)
    usage = whole.usage
    assert whole.solved and whole.steps == ITEMS and usage.failed > 15
    assert usage.dispatched == usage.voted + usage.flagged + usage.failed and usage.in_flight == 0


@pytest.mark.parametrize("told", [{"concurrency": 8}, {"gate": 8, "concurrency": 8}])
def test_a_server_that_dies_is_sent_twice_its_limit_at_most(told: dict[str, int]) -> None:
    """From some moment on no call is answered any more: those that hang have as many beside them, and no more."""
    hanging = Hanging(share=0.0, dies_at=20.0)
    result, _ = mapped(hanging, max_seconds=FIRST_MINUTES, **told)
    assert result.stopped == "max_seconds" and result.steps > 30
    assert 8 < hanging.most <= 16


# -- asked once more -----------------------------------------------------------------------------------------


def test_a_second_try_takes_what_the_first_holds_and_lends_it_when_late_itself() -> None:
    """Nobody else goes in place of a call that is made again, until both are late."""
    clock, tries = Clock(), list[float]()

    def second() -> bool:
        tries.append(clock.now)
        return True

    clock.replies(2 * LOOK)
    call = clock.late.begin(Call(second))
    clock.move(FAR * 2.0 + SHORTEST)
    assert len(tries) == 1 and clock.lent == 0
    clock.move(FAR * 2.0 + SHORTEST)
    assert len(tries) == 1 and clock.lent == 1 and call.lent


@pytest.mark.parametrize("told", [{"concurrency": 8}, {"gate": 8}, {"gate": 8, "concurrency": 8}])
def test_with_hedges_the_items_whose_calls_hang_are_decided_too(told: dict[str, int]) -> None:
    """5% hang: before the first time-out more items are decided than without, and nearly all."""
    plain, _ = mapped(Hanging(), max_seconds=FIRST_MINUTES, **told)
    hedged, _ = mapped(Hanging(), max_seconds=FIRST_MINUTES, hedge=True, **told)
    assert plain.steps < hedged.steps and hedged.steps >= 0.98 * ITEMS
