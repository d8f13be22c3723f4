"""A map asked in batches: the same verdicts as call by call, and whatever goes wrong is neither lost nor paid twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path

import orjson
import pytest

import maker
from batching import BatchServer, Begun, Plan
from maker.decision.ending import Stop
from maker.errors import ModelError, TaskError
from maker.models import in_batches
from maker.models.openai.batch import model as module
from maker.models.openai.batch.server import Server
from maker.models.providers import openai_model
from maker.sending import dispatcher
from maker.sending.batches import Batches
from maker.sending.payer import Payer

ITEMS = [f"item {number}" for number in range(7)]


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at batches without a pause."""
    monkeypatch.setattr(module, "FIRST_LOOK", 0.0)
    monkeypatch.setattr(module, "_FULL_WAIT", 0.001)
    monkeypatch.setattr(dispatcher, "FIRST_BACKOFF", 0.0001)
    monkeypatch.setattr(dispatcher, "LONGEST_BACKOFF", 0.001)


def by_seed(body: dict) -> str:
    """Answer as the seed says: right most of the time, so that items need different numbers of waves."""
    return "yes" if body["seed"] % 10 < 7 else ("no" if body["seed"] % 2 else "perhaps")


async def asked(server: BatchServer, journal: Path | None = None, **options: object) -> maker.Verdicts[str]:
    """Ask about all items in batches."""
    options = {"k": 3, "model": server.spec, "batch": True, **options}
    return await maker.map("Is {item} good?", ITEMS, journal=journal, **options)


async def dies_at(server: BatchServer, journal: Path, of: type, method: str) -> None:
    """Ask about all items in a process that comes to its end where it calls this method."""

    async def dies(*given: object) -> None:
        raise ModelError("died")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(of, method, dies)
        with pytest.raises(ModelError, match="died"):
            await asked(server, journal)


async def stopped_while_waiting(server: BatchServer, journal: Path) -> maker.Verdicts[str]:
    """Ask about all items, and end the run, as Ctrl-C does, while it waits for the first batch."""

    async def wait(self: Payer, wait: Coroutine[None, None, None]) -> None:
        wait.close()
        raise Stop("interrupted", "Run the same command to resume.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Payer, "wait", wait)
        return await asked(server, journal)


def served(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run a test in a loop of its own."""

    def run(tmp_path: Path) -> None:
        asyncio.run(test(tmp_path))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@served
async def test_the_verdicts_are_those_of_call_by_call(tmp_path):
    """The chain of a map in batches is that of the plain map, byte for byte, and its journal verifies."""
    async with BatchServer(by_seed) as server:
        plain = await asked(server, batch=False)
        server.plain.clear()
        batched = await asked(server, tmp_path / "b.db")
        assert len(server.plain) == 1, "one short request finds out what the server takes"
    assert batched.result.chain == plain.result.chain
    assert list(batched.answers()) == list(plain.answers())
    assert len(server.drawn) == len(set(server.drawn)) == plain.result.samples
    assert 1 < len(server.batches) == max(plain.result.waves)
    assert maker.verify(tmp_path / "b.db").problem is None


@served
async def test_a_batch_that_was_left_is_read_and_not_given_again(tmp_path):
    """A run that ends leaves the batch and says so, and the same call takes what it brought: each draw once."""
    async with BatchServer(by_seed, [Plan(looks=10**9)]) as server:
        left = await stopped_while_waiting(server, tmp_path / "b.db")
        assert left.stopped == "interrupted"
        assert "batch_0 goes on at the server; the same call with batch=True reads it" in left.result.detail
        assert left.result.usage.cancelled == 3 * len(ITEMS)
        server.batches["batch_0"].plan.looks = 0
        done = await asked(server, tmp_path / "b.db")
        again = await asked(server, tmp_path / "b.db")
    assert done.stopped is None
    assert len(server.drawn) == len(set(server.drawn)) == done.result.samples
    assert done.result.usage.cancelled == 0, "what came is booked as it came"
    assert again.result.usage == done.result.usage
    assert len(server.plain) == 1, "what came of a batch says what is taken"


@served
async def test_a_batch_whose_id_never_came_is_found_by_its_tag(tmp_path):
    """A creation that is cut off after the server took it is no second batch, whichever page of its list it is on."""
    async with BatchServer(by_seed, [Plan(lost=True)]) as server:
        for number in range(3):
            server.batches[f"old_{number}"] = Begun({"id": f"old_{number}", "metadata": None}, [], Plan())
        done = await asked(server)
    assert done.stopped is None
    assert len(server.drawn) == len(set(server.drawn)) == done.result.samples


@served
async def test_a_process_that_died_between_batch_and_note_finds_it(tmp_path):
    """The id is not in the journal; the tag is, and the server is asked for it before anything is sent."""
    async with BatchServer(by_seed, [Plan()]) as server:
        await dies_at(server, tmp_path / "b.db", Batches, "named")
        assert len(server.batches) == 1
        done = await asked(server, tmp_path / "b.db")
    assert done.stopped is None
    assert len(server.drawn) == len(set(server.drawn)) == done.result.samples
    assert done.result.usage.cancelled == 0


@served
async def test_a_batch_that_never_went_out_is_sent(tmp_path):
    """A tag that the server does not know was never there: its draws go out, and count once."""
    async with BatchServer(by_seed) as server:
        await dies_at(server, tmp_path / "b.db", Server, "put")
        done = await asked(server, tmp_path / "b.db")
    assert done.stopped is None
    assert done.result.usage.dispatched == done.result.samples + 2, "and a short request a process"


# -- what goes wrong with a batch ----------------------------------------------------------------------------------


FAULTS = {
    "out of order": Plan(output=lambda lines: lines[::-1]),
    "lines are missing": Plan(output=lambda lines: lines[3:]),
    "unknown ids": Plan(output=lambda lines: [lines[0].replace(b"/0/0", b"/99/0"), b'{"custom_id": "x"}', *lines]),
    "doubled ids": Plan(output=lambda lines: [*lines, *(line.replace(b"yes", b"NO!") for line in lines)]),
    "expired": Plan(ended="expired", output=lambda lines: lines[:5], errors=lambda lines: map(expired, lines[5:])),
    "cancelled": Plan(ended="cancelled", output=lambda lines: lines[:1]),
    "nothing came": Plan(ended="expired", output=lambda lines: ()),
    "partly failed": Plan(output=lambda lines: lines[2:], errors=lambda lines: map(refused, lines[:2])),
    "torn": Plan(output=lambda lines: [*lines[:-1], lines[-1][: len(lines[-1]) // 2]]),
    "no lines at all": Plan(output=lambda lines: [b"null", b"[]", b"\xff\xfe", b"{}"]),
    "odd lines": Plan(output=lambda lines: [odd(line, n) for n, line in enumerate(lines)]),
    "full": Plan(failed=("token_limit_exceeded",), ended="failed"),
    "refused for now": Plan(refused=429),
    "server error": Plan(refused=500),
}


def expired(line: bytes) -> bytes:
    """Return the line of an error file for a draw that was not reached in time."""
    error = {"code": "batch_expired", "message": "This request could not be executed before the window was over."}
    return orjson.dumps({"id": "b", "custom_id": orjson.loads(line)["custom_id"], "response": None, "error": error})


def refused(line: bytes) -> bytes:
    """Return the line of an error file for a draw that met a server in trouble."""
    response = {"status_code": 503, "body": {"error": {"message": "overloaded"}}}
    return orjson.dumps({"custom_id": orjson.loads(line)["custom_id"], "response": response, "error": None})


def odd(line: bytes, number: int) -> bytes:
    """Return a line whose reply is none, in one of several ways, or as it is."""
    told = orjson.loads(line)
    strange = [None, [], "text", {"status_code": "200", "body": {}}, {"status_code": 200}]
    if number < len(strange):
        told["response"] = strange[number]
    return orjson.dumps(told)


@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_batch_lacks_is_drawn_again_and_billed_as_delivered(fault, tmp_path):
    """The verdicts are those of a server without the fault, missing draws go out once more, nothing else is paid."""

    async def main() -> None:
        async with BatchServer(by_seed) as server:
            well = await asked(server)
        async with BatchServer(by_seed, [FAULTS[fault]]) as server:
            done = await asked(server, tmp_path / "b.db")
            again = await asked(server, tmp_path / "b.db")
        assert done.stopped is None, done.result.detail
        assert done.result.chain == well.result.chain
        used = done.result.usage
        assert (used.cancelled, used.assumed, used.voted) == (0, 0, well.result.usage.voted)
        assert used.tokens_in + used.tokens_out == well.result.usage.tokens_in + well.result.usage.tokens_out
        assert again.result.usage == used

    asyncio.run(main())


# -- what goes wrong beside it -------------------------------------------------------------------------------------


@served
async def test_looks_that_fail_are_repeated(tmp_path):
    """A server that is overloaded or broken while it is asked about a batch, or for its file, is asked again."""
    async with BatchServer(by_seed) as server:
        server.faults = [429, 500, 503, 502, 408]
        done = await asked(server)
    assert (done.stopped, server.faults) == (None, [])
    assert len(server.drawn) == len(set(server.drawn)) == done.result.samples


@pytest.mark.parametrize("status", [401, 404])
def test_a_batch_that_cannot_be_read_is_kept(status, tmp_path):
    """A refused key, or a server that does not know the batch, ends the call and says what to do; it is read later."""

    async def main() -> None:
        async with BatchServer(by_seed) as server:
            server.faults = [status]
            with pytest.raises(ModelError, match=r"batch_0.*The batch goes on; once this is mended, the same call"):
                await asked(server, tmp_path / "b.db")
            done = await asked(server, tmp_path / "b.db")
        assert len(server.drawn) == len(set(server.drawn)) == done.result.samples
        assert done.result.usage.cancelled == 0

    asyncio.run(main())


@served
async def test_what_the_server_does_not_take_is_found_before_a_batch_goes_out(tmp_path):
    """Fields that are refused are in no line of any batch."""
    async with BatchServer(by_seed) as server:
        server.refuses = ("logprobs", "temperature")
        done = await asked(server, tmp_path / "b.db")
        bodies = [line["body"] for begun in server.batches.values() for line in begun.asked]
        assert all(name not in body for body in bodies for name in server.refuses)
        assert done.stopped is None


@served
async def test_a_field_that_only_batches_refuse_is_left_out_of_the_next(tmp_path):
    """Lines that are refused for a field are drawn again without it."""
    async with BatchServer(by_seed) as server:
        server.refuses_in_batches = ("logprobs",)
        done = await asked(server)
    assert done.stopped is None
    assert len(server.batches["batch_1"].asked) == 3 * len(ITEMS)


@served
async def test_a_server_without_batches_says_so(tmp_path):
    """Where there is no such route, the call is refused with the remedy."""
    async with BatchServer(by_seed, [Plan(refused=404)]) as server:
        with pytest.raises(ModelError, match="It has no batches as OpenAI has them: ask without batch=True"):
            await asked(server)


@served
async def test_a_batch_that_fails_as_a_whole_ends_the_call_in_the_servers_words(tmp_path):
    """What is wrong with a file will be wrong with the next: it is told, and nothing is begun again."""
    async with BatchServer(by_seed, [Plan(ended="failed", failed=("invalid_json_line",))]) as server:
        with pytest.raises(ModelError, match="a batch is failed, without this draw: as told"):
            await asked(server)
        assert len(server.batches) == 1


@pytest.mark.parametrize("model", [["http://127.0.0.1:9/v1#a", "http://127.0.0.1:9/v1#b"], "oracle:p=1", len])
def test_models_without_batches_are_refused(model):
    """A pool, a model in this process and a function take no batches: said before anything is asked."""
    with pytest.raises(TaskError, match=r"takes no batches: give one model"):
        maker.map_sync("{item}?", ITEMS, model=model, batch=True)


def test_a_model_in_batches_needs_a_run():
    """Nobody would keep what the server has: refused."""
    model = in_batches("http://127.0.0.1:9/v1#a")
    with pytest.raises(ModelError, match=r"give it to maker\.map"):
        asyncio.run(model.draw([]))


# -- money and limits ----------------------------------------------------------------------------------------------


@served
async def test_half_the_price_is_counted(tmp_path):
    """The cost of a map in batches is half that of the plain one, for what was drawn in batches."""
    async with BatchServer(by_seed) as server:
        priced = openai_model(server.spec.partition("#")[0], "m", prices={"input": 2e4, "output": 8e4, "cached": 1e4})
        plain = await asked(server, batch=False, model=priced)
        batched = await asked(server, model=priced)
    assert batched.cost == pytest.approx(plain.cost / 2)


@served
async def test_money_ends_where_the_limit_is(tmp_path):
    """A wave goes out as far as its draws are paid for at the most, batch after batch, and the cost stays within."""
    async with BatchServer() as server:
        priced = openai_model(server.url, "m", prices={"input": 1e4, "output": 1e4})
        part = await asked(server, tmp_path / "b.db", model=priced, max_tokens=10, limits={"max_cost": 0.6})
    assert part.stopped == "max_cost"
    assert 0 < part.cost <= 0.6
    assert len(server.batches) > 1
    assert len(server.drawn) == len(set(server.drawn)) < 3 * len(ITEMS)


@served
async def test_a_fault_of_ours_costs_no_batch(tmp_path):
    """What cannot be read because of a bug is left to the server, and read by the next call."""
    async with BatchServer() as server:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "_standing", lambda told: 1 / 0)
            with pytest.raises(ModelError, match=r"cannot be read \(ZeroDivisionError.*It goes on at the server"):
                await asked(server, tmp_path / "b.db")
        done = await asked(server, tmp_path / "b.db")
    assert (done.stopped, len(server.drawn), done.result.usage.cancelled) == (None, 21, 0)


@served
async def test_calls_end_where_the_limit_is(tmp_path):
    """A wave is cut to the calls that are left, and its items are decided; with more calls the map goes on."""
    async with BatchServer() as server:
        part = await asked(server, tmp_path / "b.db", limits={"max_calls": 11})
        assert (part.stopped, part.result.steps, len(server.drawn)) == ("max_calls", 3, 9)
        whole = await asked(server, tmp_path / "b.db")
    assert (whole.stopped, len(server.drawn)) == (None, 21)


# -- going on without, and giving up -------------------------------------------------------------------------------


@served
async def test_a_plain_resume_of_a_batch_under_way_is_refused(tmp_path):
    """It would pay for the same draws twice: the stop names the batch and both ways on."""
    async with BatchServer(by_seed) as server:
        await stopped_while_waiting(server, tmp_path / "b.db")
        plain = await asked(server, tmp_path / "b.db", batch=False)
        assert plain.stopped == "batch_under_way"
        assert "batch_0" in plain.result.detail and "Resume with batch=True" in plain.result.detail
        assert len(server.plain) == 1
        done = await asked(server, tmp_path / "b.db")
    assert (done.stopped, done.result.usage.cancelled) == (None, 0)


@pytest.mark.parametrize("batch", [True, False])
def test_a_batch_that_is_given_up_counts_as_paid(batch, tmp_path):
    """Its draws are booked at the most they can have taken, once, in every later process; then they are made again."""

    async def main() -> None:
        async with BatchServer(by_seed) as server:
            await stopped_while_waiting(server, tmp_path / "b.db")
            done = await asked(server, tmp_path / "b.db", batch=batch, accept_change=["batch"])
            again = await asked(server, tmp_path / "b.db")
        assert (done.stopped, done.result.usage.cancelled) == (None, 3 * len(ITEMS))
        assert done.result.usage.assumed > 0
        assert done.result.usage.dispatched == done.result.samples + 3 * len(ITEMS) + (2 if batch else 1)
        assert again.result.usage == done.result.usage
        assert sum(verdict.usage.calls for verdict in done) == done.result.samples + 3 * len(ITEMS)

    asyncio.run(main())


@served
async def test_a_plain_map_goes_on_in_batches_and_back(tmp_path):
    """The journal is one and the same: what was begun one way is gone on with the other."""
    async with BatchServer(by_seed) as server:
        well = await asked(server)
        part = await asked(server, tmp_path / "b.db", batch=False, limits={"max_steps": 2})
        assert part.stopped == "max_steps"
        more = await asked(server, tmp_path / "b.db", limits={"max_steps": 4})
        assert more.result.steps == 4
        done = await asked(server, tmp_path / "b.db", batch=False)
    assert (done.result.chain, done.result.samples) == (well.result.chain, well.result.samples)


@served
async def test_other_settings_leave_the_batch_and_book_it(tmp_path):
    """A change that begins a new epoch gives up what is under way: it counts as paid, and nobody reads it."""
    async with BatchServer(by_seed) as server:
        await stopped_while_waiting(server, tmp_path / "b.db")
        done = await asked(server, tmp_path / "b.db", k=2, accept_change=["k"])
        again = await asked(server, tmp_path / "b.db", k=2, accept_change=["k"])
    assert (done.stopped, done.result.usage.cancelled) == (None, 3 * len(ITEMS))
    assert again.result.usage == done.result.usage


@served
async def test_the_progress_says_what_is_waited_for(tmp_path):
    """While a batch is at work, whoever looks sees which one, and how far the server has got."""
    seen: set[str] = set()
    async with BatchServer(by_seed, [Plan(looks=10**9)]) as server:

        def progress(glimpse: maker.Progress) -> None:
            seen.add(glimpse.pace)
            if len(seen) > 1 or "in_progress" in glimpse.pace:
                server.batches["batch_0"].plan.looks = 0

        done = await asked(server, progress=progress)
    assert done.stopped is None
    assert "batch batch_0: in_progress, 0 of 21 done" in seen
