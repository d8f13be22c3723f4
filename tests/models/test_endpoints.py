"""Several servers of one model: calls are spread, a lost server costs its calls in flight, samples have a source."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

import maker
from maker.decision.address import Address
from maker.decision.sample import Failure, Reply, Request, Sample
from maker.errors import ModelError
from maker.models import load_model
from maker.models.endpoints import FIRST_REST, LONGEST_REST, STRIKES, Endpoints
from maker.review.export import rows
from maker.testing import FaultServer, error

GONE = Failure("transient", "cannot be reached", gone=True)
BAD_KEY = Failure("fatal", "the key is not taken")


class Scripted:
    """A server that gives one reply, which a test may change, and counts its calls."""

    lockstep = False

    def __init__(self, reply: Reply) -> None:
        self.reply, self.calls = reply, 0

    async def draw(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer all alike."""
        self.calls += 1
        return [self.reply] * len(requests)


class Bench:
    """Servers by letter behind one model, and a clock that stands."""

    def __init__(self, **replies: Reply) -> None:
        self.now = 100.0
        self.servers = {name: Scripted(reply) for name, reply in replies.items()}
        self.model = Endpoints(self.servers, "m", clock=lambda: self.now, choose=lambda servers, most: servers[:most])

    def ask(self, times: int = 1) -> list[Reply]:
        """Draw some times, one after the other."""
        request = Request(Address("r", 0, 0), "what?", 1)
        return [asyncio.run(self.model.draw([request]))[0] for _ in range(times)]

    @property
    def calls(self) -> list[int]:
        """How often each server was called."""
        return [server.calls for server in self.servers.values()]


def test_a_sample_says_where_it_came_from():
    """The source is the server's."""
    bench = Bench(a=Sample("yes"), b=Sample("yes"))
    assert [reply.source for reply in bench.ask()] == ["a"]


def test_the_less_busy_of_two_is_asked():
    """A server that has more calls than another is passed over."""
    bench = Bench(a=Sample("yes"), b=Sample("yes"))
    bench.model._servers[0].out = 1
    assert bench.ask()[0].source == "b"


def test_a_failure_goes_to_another_server_and_a_lost_one_rests():
    """Failures are repeated elsewhere; after STRIKES of them the server rests, twice as long each time it is tried."""
    bench = Bench(a=GONE, b=Sample("yes"))
    assert {(reply.kind, reply.gone) for reply in bench.ask(STRIKES)} == {("again", False)}  # no outage
    assert {reply.source for reply in bench.ask(10)} == {"b"}
    for rest in (FIRST_REST, 2 * FIRST_REST, 4 * FIRST_REST):
        bench.now += rest * 0.99
        assert {reply.source for reply in bench.ask(3)} == {"b"}
        bench.now += rest * 0.02
        tried, *others = bench.ask(3)
        assert tried.kind == "again"
        assert {reply.source for reply in others} == {"b"}
    bench.now += LONGEST_REST
    bench.servers["a"].reply = Sample("back")
    assert [reply.text for reply in bench.ask(2)] == ["back", "back"]


def test_one_bad_reply_or_a_named_wait_is_no_loss():
    """Fewer failures than STRIKES in a row, and any number of refusals that name a wait, leave a server in."""
    bench = Bench(a=GONE, b=Sample("yes"))
    bench.ask(STRIKES - 1)
    bench.servers["a"].reply = Sample("fine")
    assert bench.ask()[0].source == "a"
    bench.servers["a"].reply = Failure("transient", "slow down", 1.0)
    assert {(reply.kind, reply.retry_after) for reply in bench.ask(3 * STRIKES)} == {("transient", 1.0)}


def test_what_cannot_be_mended_ends_the_run_only_where_all_have_it():
    """One bad key leaves that server alone; with no other that works, it is told; two of them are fatal."""
    bench = Bench(a=BAD_KEY, b=Sample("yes"))
    assert [getattr(reply, "kind", "sample") for reply in bench.ask(3)] == ["again", "sample", "sample"]
    bench.servers["b"].reply = GONE
    assert [reply.kind for reply in bench.ask(STRIKES)] == ["again"] * (STRIKES - 1) + ["transient"]
    bench.now += LONGEST_REST
    bench.servers["b"].reply = BAD_KEY
    assert [reply.kind for reply in bench.ask(3)][-1] == "fatal"


def test_a_failure_of_the_request_is_no_servers():
    """Poison is handed on as it is."""
    bench = Bench(a=Failure("poison", "too long"), b=Sample("yes"))
    assert {reply.kind for reply in bench.ask(2 * STRIKES)} == {"poison"}


def test_it_says_what_holds_it_back():
    """A server that is left alone is named."""
    bench = Bench(a=GONE, b=Sample("yes"))
    assert bench.model.pace() == ""
    bench.ask(STRIKES)
    assert bench.model.pace() == "a is left alone"


def test_addresses_in_any_order_are_the_same_model():
    """The name, and so a run's fingerprint, does not depend on the order; what is no address is told."""
    one, two = (load_model(f"{first},{second}#m") for first, second in ((A, B), (B, A)))
    assert one.name == two.name == f"{A},{B}#m"
    with pytest.raises(ModelError, match="the address of a model is"):
        load_model("http://127.0.0.1:1/v1,127.0.0.1:2/v1#m")


A, B = "http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"


def test_a_run_goes_on_when_one_of_two_servers_is_lost(tmp_path: Path):
    """A server that ends in mid-run loses no step; the journal says which server gave each sample."""
    task = maker.load_task("hanoi", disks=5)
    right = {task.prompt(task.state_at(i), i): task.render(task.truth(task.state_at(i), i)) for i in range(task.steps)}
    served: Counter[str] = Counter()

    def answer(name: str, most: int):
        def reply(received):
            served[name] += 1
            return right[received.prompt] if served[name] <= most else error(500)

        return reply

    async def run() -> maker.RunResult:
        async with FaultServer(answer("one", 20)) as one, FaultServer(answer("two", 10**6)) as two:
            model = f"{one.url},{two.url}#m"
            return await maker.run(task, model=model, k=3, journal=tmp_path / "j.db", keep_samples="all")

    result = asyncio.run(run())
    assert (result.solved, result.wrong) == (True, 0)
    assert served["one"] >= 20
    assert len({row["source"] for row in rows(tmp_path / "j.db", "samples")}) == 2


def test_more_calls_at_once_are_handed_on():
    """Each server is told to bear more than it was made for; fewer change nothing, for slots keep those."""
    model = load_model("http://127.0.0.1:1/v1,http://127.0.0.1:2/v1#m", concurrency=2)
    before = model.bears()
    model.widen(1)
    assert model.bears() == before
    model.widen(8)
    assert model.bears() == 4 * before
