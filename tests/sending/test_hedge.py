"""Hedges: a call that hangs is made once more, one of the two counts, and both are paid for."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

import maker
from maker.decision.sample import Failure, Prices, Reply, Request, Sample
from maker.journal.database import read_records
from maker.journal.records import decode
from maker.sending.hedge import ONE_IN, Hedges
from maker.sending.late import Call
from maker.testing import check_journal
from virtual import virtually

ITEMS = 100
TIMEOUT = 120.0
FAILED = Failure("transient", "no reply", None, None, None)


class Server:
    """A paid model whose first call of some draws hangs for good; it says who was asked, and how often at once."""

    lockstep = False
    name = "server"
    prices = Prices(input=1.0, output=10.0)

    def __init__(self, hangs: Callable[[int], bool], *, twice: Callable[[], None] = lambda: None) -> None:
        self.hangs, self.twice = hangs, twice
        self.asked: Counter[tuple[int, int]] = Counter()
        self.seeds: dict[tuple[int, int], set[int]] = {}
        self.out = self.most = 0

    async def draw(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer after a second; the first call of every draw that hangs never answers."""
        (request,) = requests
        draw = request.address.step, request.address.draw
        self.asked[draw] += 1
        self.seeds.setdefault(draw, set()).add(request.seed)
        self.out += 1
        self.most = max(self.most, self.out)
        try:
            if self.asked[draw] == 1 and self.hangs(draw[0]):
                await anyio.sleep(TIMEOUT)
                return [FAILED]
            if self.asked[draw] == 2:
                self.twice()
            await anyio.sleep(1.0)
            return [Sample(f"{request.address.step % 7}", 100, 20)]
        finally:
            self.out -= 1


def mapped(
    model: Server, journal: Path | None = None, *, k: int = 2, plain: bool = False, **limits: Any
) -> tuple[maker.RunResult, float]:
    """Ask about all items on the virtual clock."""

    async def ask() -> Any:
        limits.setdefault("concurrency", 8)
        return (await maker.map("{item}?", range(ITEMS), model=model, k=k, journal=journal, limits=limits)).result

    return virtually(ask, plain=plain)


def one_in_twenty(step: int) -> bool:
    """Return whether the calls of a step hang."""
    return step % 20 == 19


# -- one call ----------------------------------------------------------------------------------------------------


def both(first: Any, second: Any, hedges: Hedges | None = None) -> tuple[Any, list[str], float]:
    """Make a call that is late after 6 s. first, second: seconds and replies; return the reply, and who was ended."""
    ended: list[str] = []

    async def ask() -> list[Reply]:
        name, (seconds, replies) = tries.pop(0)
        try:
            await anyio.sleep(seconds)
        except asyncio.CancelledError:
            ended.append(name)
            raise
        if isinstance(replies, Exception):
            raise replies
        return list(replies)

    async def call() -> tuple[Any, list[str]]:
        late = Call()
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        asyncio.get_running_loop().call_later(6.0, lambda: late.second and late.second())
        return await (hedges or Hedges()).first(late, ask, lambda: done), ended

    tries = [("first", first), ("second", second)]
    (said, ended), seconds = virtually(call)
    return said, ended, seconds


A, B = [Sample("a")], [Sample("b")]


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        pytest.param((5.0, A), (1.0, B), (A, [], 5.0), id="in time: nothing is sent"),
        pytest.param((60.0, A), (1.0, B), (B, ["first"], 7.0), id="the second wins"),
        pytest.param((8.0, A), (60.0, B), (A, ["second"], 8.0), id="the first comes back"),
        pytest.param((60.0, A), (1.0, [FAILED]), (A, [], 60.0), id="a failure is no reply while the other is out"),
        pytest.param((8.0, [FAILED]), (9.0, B), (B, [], 15.0), id="nor is one of the first"),
        pytest.param((8.0, [FAILED]), (9.0, [FAILED]), ([FAILED], [], 15.0), id="both fail"),
        pytest.param((7.0, [FAILED]), (1.0, B), (B, [], 7.0), id="at once"),
    ],
)
def test_the_first_good_reply_counts_and_the_other_call_is_ended(first: Any, second: Any, said: Any) -> None:
    """Whichever call it is of; where both fail, it is the last."""
    assert both(first, second) == said


def test_what_one_raises_ends_the_other() -> None:
    """An error of either is raised, and nothing is left behind."""
    with pytest.raises(ValueError, match="broken"):
        both((60.0, A), (1.0, ValueError("broken")))


def test_a_call_that_is_cancelled_ends_both() -> None:
    """Where the wave is cancelled, neither call goes on."""
    ended: list[float] = []

    async def ask() -> list[Reply]:
        try:
            await anyio.sleep(60.0)
        finally:
            ended.append(asyncio.get_running_loop().time())
        return list(A)

    async def call() -> None:
        late, done = Call(), asyncio.get_running_loop().create_future()
        done.set_result(None)
        asyncio.get_running_loop().call_later(6.0, lambda: late.second and late.second())
        with anyio.move_on_after(10.0):
            await Hedges().first(late, ask, lambda: done)
        assert late.second is None

    virtually(call)
    assert ended == [10.0, 10.0]


def test_a_server_that_is_slow_throughout_is_asked_little_more() -> None:
    """Whatever share of calls is late, one in so many is made twice, and one more."""
    hedges, calls = Hedges(), 5 * ONE_IN
    said = [both((60.0, A), (1.0, B), hedges)[0] for _ in range(calls)]
    assert said.count(B) == calls // ONE_IN + 1


# -- whole calls -------------------------------------------------------------------------------------------------


def test_hedged_calls_are_paid_for_and_counted_once(tmp_path: Path) -> None:
    """Every draw has one vote, whatever was sent; the account is the journal's, the seeds are those of the draws."""
    model, path = Server(one_in_twenty), tmp_path / "j.db"
    result, seconds = mapped(model, path, hedge=True)
    usage, twice = result.usage, [draw for draw, times in model.asked.items() if times > 1]
    assert result.solved and seconds < TIMEOUT / 2
    assert len(twice) >= 5 and set(model.asked.values()) == {1, 2}
    assert all(len(seeds) == 1 for seeds in model.seeds.values())
    assert usage.dispatched == sum(model.asked.values()) == usage.voted + usage.cancelled
    assert usage.voted == len(model.asked) and usage.cancelled == len(twice) and usage.in_flight == 0
    assert 0 < usage.assumed < usage.tokens
    check_journal(path)
    again = mapped(model, path, hedge=True)[0]
    assert again.usage == usage and usage.dispatched == sum(model.asked.values())


def test_without_hedges_or_hanging_calls_the_journal_is_the_same(tmp_path: Path) -> None:
    """Where no call is late the option leaves no trace; off, no call is made twice."""
    chains = [mapped(Server(lambda _: False), tmp_path / f"{on}.db", hedge=on)[0].chain for on in (False, True)]
    assert chains[0] == chains[1]
    off = Server(one_in_twenty)
    mapped(off, max_seconds=110.0)
    assert set(off.asked.values()) == {1}


@pytest.mark.parametrize("plain", [False, True], ids=["anyio", "asyncio"])
def test_who_hangs_holds_nobody_up(plain: bool) -> None:
    """Where as many calls hang as may be out at once, and none is made twice, all others are decided meanwhile."""
    model = Server(lambda step: step in range(20, 24))
    assert mapped(model, k=1, plain=plain, concurrency=4, max_seconds=100.0)[0].steps == ITEMS - 4


@pytest.mark.parametrize("limit", ["max_calls", "max_tokens", "max_cost"])
def test_a_hedge_stays_within_the_limits(limit: str, tmp_path: Path) -> None:
    """What a second call can take is held before it goes out, and no limit is passed, nor a shared budget."""
    whole = mapped(Server(one_in_twenty), hedge=True)[0].usage
    most = {"max_calls": whole.dispatched, "max_tokens": whole.tokens, "max_cost": whole.cost}[limit] * 0.9
    most = most if limit == "max_cost" else int(most)
    model = Server(one_in_twenty)
    usage = mapped(model, tmp_path / "j.db", hedge=True, **{limit: most})[0].usage
    assert usage.dispatched == sum(model.asked.values())
    assert {"max_calls": usage.dispatched, "max_tokens": usage.tokens, "max_cost": usage.cost}[limit] <= most


def test_killed_between_two_calls_a_resume_pays_for_nothing_twice(tmp_path: Path) -> None:
    """A process that dies while both are out leaves two reservations: both count as spent, the draw is asked anew."""
    path, killed = tmp_path / "j.db", tmp_path / "killed.db"

    def kill() -> None:
        if not killed.exists():
            for end in ("", "-wal"):
                shutil.copyfile(f"{path}{end}", f"{killed}{end}")

    model = Server(one_in_twenty, twice=kill)
    undisturbed = mapped(model, path, hedge=True)[0]
    notes = [note for note in map(decode, read_records(killed)) if isinstance(note, dict)]
    sent, came = (sum(kind in note for note in notes) for kind in ("reserve", "sample"))
    rest = Server(lambda _: False)
    resumed = mapped(rest, killed, hedge=True)[0]
    assert resumed.solved and resumed.steps == undisturbed.steps == ITEMS
    usage = resumed.usage
    assert usage.dispatched == sent + sum(rest.asked.values())
    assert usage.cancelled == sent - came > 1 and usage.in_flight == 0
    assert usage.voted == 2 * ITEMS == came + sum(rest.asked.values())
    check_journal(killed)
