"""Pools: whose turn a draw is, follows from its number; each model keeps what is its own; a pool of one is none."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import maker
from maker.decision.address import Address
from maker.decision.ending import Stop
from maker.decision.sample import Failure, Prices, Reply, Request, Sample, Traits
from maker.errors import JournalError, TaskError
from maker.journal.records import decode
from maker.journal.story import Story
from maker.journal.writer import Journal
from maker.models import pool_of
from maker.sending.budget.limits import Limits
from maker.sending.budget.usage import Usage
from maker.sending.dispatcher import Dispatcher


class Says:
    """A model that gives one reply and keeps the numbers of its draws; further traits as attributes."""

    lockstep = False

    def __init__(self, name: str, reply: Reply | None = None, **traits: Any) -> None:
        self.name, self.reply = name, reply or Sample(name, 1, 1)
        self.asked: list[int] = []
        self.at_once = self.most_at_once = 0
        vars(self).update(traits)

    async def draw(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer all alike, some rounds of the loop later."""
        self.asked += [request.address.draw for request in requests]
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        return [self.reply] * len(requests)


def requests(count: int, first: int = 0) -> list[Request]:
    """Return some draws of one step."""
    return [Request(Address("run", 0, draw), "what?", draw) for draw in range(first, first + count)]


def texts(model: Any, asked: list[Request]) -> list[Any]:
    """Return what a model answers."""
    return [reply.text if isinstance(reply, Sample) else reply for reply in asyncio.run(model.draw(asked))]


@pytest.mark.parametrize(("turns", "said"), [("abc", "abcabca"), ("aab", "aabaaba"), ("ab", "abababa")])
def test_draws_go_round(turns: str, said: str) -> None:
    """Draw d goes to model d mod P, in one call or alone; one that stands twice has two turns."""
    models = {name: Says(name) for name in "abc"}
    pool = pool_of([models[name] for name in turns])
    assert "".join(texts(pool, requests(7))) == said
    assert "".join(text for draw in range(7) for text in texts(pool, requests(1, draw))) == said


def test_one_model_is_no_pool() -> None:
    """Alone or repeated it is itself; none at all, and a pool in a pool, are refused."""
    one = Says("a")
    assert pool_of([one]) is pool_of([one, one]) is one
    for wrong in ([], [one, pool_of([one, Says("b")])]):
        with pytest.raises(TaskError, match="model"):
            pool_of(wrong)


def test_models_of_one_name_are_told_apart() -> None:
    """By their number; so that what one was found to be is not taken for the other's."""
    pool = pool_of([Says("a"), Says("a"), Says("b")])
    assert Traits.of(pool).name == "pool: a | a (2) | b"


def test_what_a_pool_is_follows_from_its_models() -> None:
    """What one cannot, the pool cannot; what costs, costs the mean; the busiest bounds how much is brought."""
    cheap, dear = Prices(input=1.0, output=2.0), Prices(input=3.0, output=6.0, cached=1.0)
    a = Says("a", native_tools=True, simulated=True, prices=cheap, bears=lambda: 4, pace=lambda: "slow")
    b = Says("b", native_tools=True, prices=dear, bears=lambda: 100)
    traits = Traits.of(pool_of([a, b]))
    assert traits.native_tools
    assert traits.simulated
    assert traits.prices == Prices(input=2.0, output=4.0, cached=1.0)
    assert (traits.bears and traits.bears(), traits.pace and traits.pace()) == (8, "a: slow")
    plain = Traits.of(pool_of([a, Says("c")]))
    assert (plain.native_tools, plain.prices, plain.bind) == (False, None, None)


def test_a_model_of_this_process_has_its_own_pace_beside_others() -> None:
    """It is in lock-step: as many calls of it at once as it says, though the pool is asked draw by draw."""
    slow, free = Says("slow", lockstep=True, callers=1), Says("free")
    pool = pool_of([slow, free])

    async def all_at_once() -> None:
        await asyncio.gather(*(pool.draw([one]) for one in requests(8)))

    asyncio.run(all_at_once())
    assert (slow.most_at_once, free.most_at_once) == (1, 4)


def test_each_is_paid_by_its_own_prices() -> None:
    """The account of a run knows what each draw took."""
    a, b = Says("a", prices=Prices(input=1e6, output=0)), Says("b", prices=Prices(input=0, output=1e7))
    sender = Dispatcher(pool_of([a, b]), Limits(max_cost=1e9), Usage())
    asyncio.run(sender.draw(requests(3)))
    assert sender.usage.cost == 1 + 10 + 1


def test_a_cap_on_money_needs_the_prices_of_all() -> None:
    """One without is refused before anything is sent."""
    with pytest.raises(TaskError, match="no prices"):
        Dispatcher(pool_of([Says("a", prices=Prices(input=1, output=1)), Says("b")]), Limits(max_cost=1), Usage())


def test_a_model_that_is_gone_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others answer all the while, and do not hide that one of them does not."""
    monkeypatch.setattr("maker.sending.outage.FIRST_TRY", 0.001)
    gone = Says("b", Failure("transient", "nobody is there", gone=True))
    sender = Dispatcher(pool_of([Says("a"), gone]), Limits(patience=0.02), Usage())

    async def asked() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(sender.draw(requests(2)))
            for step in range(50):
                group.create_task(sender.draw([Request(Address("run", step, 0), "what?", 1)]))

    with pytest.raises(BaseExceptionGroup) as raised:
        asyncio.run(asked())
    assert raised.group_contains(Stop, match="gone for")


def vote(model: Any, journal: Path) -> Any:
    """Vote on one question."""
    return maker.vote_sync("what?", model=model, k=2, journal=journal, step=1)


def replies(journal: Path) -> list[tuple[Any, ...]]:
    """Return who was asked for each paid sample, and what the model was called by its server."""
    with Journal(journal) as book:
        notes = [decode(record) for _, record in book.chain()]
    samples = [note["sample"] for note in notes if isinstance(note, dict) and "sample" in note]
    return [(said["draw"], said.get("asked"), said.get("model")) for said in samples]


def test_the_journal_says_whose_a_sample_is(tmp_path: Path) -> None:
    """By name; and that the models answer under names of their own is no change of a server."""
    a, b = Says("a", Sample("yes", 1, 1, model="a-1")), Says("b", Sample("yes", 1, 1, model="b-2"))
    assert vote([a, b], tmp_path / "j").votes == {"yes": 2}
    assert replies(tmp_path / "j") == [(0, "a", "a-1"), (1, "b", "b-2")]
    summary = Story(tmp_path / "j").summary()
    assert summary.pooled == {"a": (1, 0), "b": (1, 0)}
    assert summary.pooled_rows == [("samples of a", "1, 0 flagged"), ("samples of b", "1, 0 flagged")]


def test_another_pool_is_another_model(tmp_path: Path) -> None:
    """A journal is not gone on with by a pool of other models, or of other turns."""
    a, b = Says("a"), Says("b", Sample("a", 1, 1))
    vote([a, b], tmp_path / "j")
    assert vote([a, b], tmp_path / "j").votes == {"a": 2}
    for other in ([b, a], [a, a, b], a):
        with pytest.raises(JournalError, match="other settings"):
            vote(other, tmp_path / "j")


def test_a_pool_of_one_leaves_the_same_records(tmp_path: Path) -> None:
    """To the byte, but for the seconds it took."""
    for name, model in (("one", "oracle:p=0.9,v=0.9"), ("pool", ["oracle:p=0.9,v=0.9"])):
        maker.run_sync("hanoi", model=model, k=3, segments=4, limits={"max_steps": 64}, journal=tmp_path / name)
    one, pool = (_but_the_end(tmp_path / name) for name in ("one", "pool"))
    assert one == pool
    assert len(one) > 4


def _but_the_end(journal: Path) -> list[bytes]:
    with Journal(journal) as book:
        return [record for _, record in book.chain() if b'{"close"' not in record]


def test_a_run_shares_its_draws(tmp_path: Path) -> None:
    """Samples by model add up; a run that broke off goes on to the same end as one that did not."""
    turns = ["oracle:p=0.9,v=0.9", "oracle:p=0.95,v=0.95", "oracle:p=0.9,v=0.9"]

    def run(name: str, **limits: Any) -> Any:
        return maker.run_sync("hanoi", model=turns, k=4, segments=8, limits=limits, journal=tmp_path / name)

    whole = run("whole")
    assert run("cut", max_steps=300).stopped == "max_steps"
    assert run("cut").chain == whole.chain
    summary = Story(tmp_path / "whole").summary()
    drawn = Counter({name: count for name, (count, _) in summary.pooled.items()})
    assert drawn.total() == whole.samples
    first, second = drawn.most_common()
    assert first[1] > 1.7 * second[1]
    assert whole.solved


def test_a_wave_beyond_a_limit_sends_nothing() -> None:
    """As for one model: calls are held for all draws of a wave before any of them goes out."""
    a, b = Says("a"), Says("b")
    with pytest.raises(Stop, match="max_calls"):
        asyncio.run(Dispatcher(pool_of([a, b]), Limits(max_calls=2), Usage()).draw(requests(3)))
    assert not a.asked
    assert not b.asked


def test_functions_make_a_pool() -> None:
    """Also lambdas, which all have one name."""
    verdict = maker.vote_sync("what?", model=[lambda _: "yes", lambda _: "no", lambda _: "yes"], k=2)
    assert verdict.votes == {"yes": 3, "no": 1}


def test_a_pool_is_widened_in_all_its_models() -> None:
    """A limit that is raised under way reaches each model that can bear more; a pool of none that can says so."""
    told: dict[str, int] = {}
    models = [Says(name, widen=lambda calls, name=name: told.update({name: calls})) for name in "ab"]
    widen = Traits.of(pool_of([*models, Says("c")])).widen
    assert widen is not None
    widen(40)
    assert told == {"a": 40, "b": 40}
    assert Traits.of(pool_of([Says("c"), Says("d")])).widen is None
