"""Receipts: what was paid for is durable before it goes out and when it comes, and is never paid for twice."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import maker
from maker.decision.address import Address
from maker.decision.sample import Failure, Prices, Request, Sample
from maker.errors import JournalError, JournalFull
from maker.journal.database import read_records
from maker.journal.notes import note_of
from maker.journal.records import decode, encode_note
from maker.journal.writer import Journal
from maker.sending.budget.usage import Spent, Usage
from maker.sending.receipts import Receipts
from maker.testing import FaultServer, Reply, ScriptedModel, check_journal

PRICES = Prices(input=1.0, output=10.0)


class Paid:
    """A model over a network, as the engine sees one: right answers, tokens, ids; it ends the run after some calls."""

    lockstep = False
    name = "paid"
    prices = PRICES

    def __init__(self, task: Any, *, dies_after: int | None = None, model: str = "m-1", mark: Any = None) -> None:
        self.task, self.dies_after, self.model, self.mark = task, dies_after, model, mark
        self.asked: list[tuple[int, int]] = []

    async def draw(self, requests: Sequence[Request]) -> list[Sample | Failure]:
        """Answer, or fail for good after so many calls."""
        (request,) = requests
        self.asked.append((request.address.step, request.address.draw))
        if self.dies_after is not None and len(self.asked) > self.dies_after:
            return [Failure("fatal", "the server is gone")]
        text = self.task.render(self.task.truth(request.state, request.address.step))
        identity = f"{request.address.step}-{request.address.draw}"
        mark = self.mark(request) if self.mark else None
        return [Sample(text, 100, 20, "stop", identity, None, self.model, 0.1, mark)]


def hanoi(disks: int = 4) -> Any:
    """Return a small task."""
    return maker.load_task("hanoi", disks=disks)


def carry(model: Paid, path: Path | None, **settings: Any) -> maker.RunResult:
    """Run the model's task at k = 3, one call at a time, unless told otherwise."""
    settings = {"k": 3, "segments": 1, "limits": {"concurrency": 1}, **settings}
    return maker.run_sync(model.task, model=model, journal=path, **settings)


def notes(path: Path, kind: str) -> list[dict[str, Any]]:
    """Return the notes of one kind that a journal holds."""
    found = (decode(record) for record in read_records(path))
    return [note[kind] for note in found if isinstance(note, dict) and kind in note]


# -- samples are paid for once ----------------------------------------------------------------------------


@pytest.mark.parametrize("dies_after", [1, 2, 4, 7, 22])
def test_a_sample_that_came_is_never_asked_for_again(tmp_path: Path, dies_after: int) -> None:
    """After a crash in the middle of a wave the run uses the samples it has, and pays only for the others."""
    path = tmp_path / "run.db"
    whole = carry(Paid(hanoi()), tmp_path / "whole.db")
    first = Paid(hanoi(), dies_after=dies_after)
    with pytest.raises(maker.ModelError, match="the server is gone"):
        carry(first, path)
    second = Paid(hanoi())
    result = carry(second, path)
    assert not set(first.asked[:dies_after]) & set(second.asked)
    assert (result.solved, result.chain, result.samples) == (True, whole.chain, whole.samples)
    assert (result.usage.tokens_in, result.usage.tokens_out) == (whole.usage.tokens_in, whole.usage.tokens_out)
    assert result.usage.in_flight == 0
    assert check_journal(path).solved


def test_every_call_is_reserved_before_it_is_made(tmp_path: Path) -> None:
    """When the model sees a request, its reservation is already on the disk."""
    path = tmp_path / "run.db"
    seen: list[bool] = []

    class Looking(Paid):
        async def draw(self, requests: Sequence[Request]) -> list[Sample | Failure]:
            address = requests[0].address
            seen.append(any(n["step"] == address.step and address.draw in n["draws"] for n in notes(path, "reserve")))
            return await super().draw(requests)

    assert carry(Looking(hanoi(3)), path).solved
    assert seen == [True] * 21


def test_a_slot_is_free_only_when_its_sample_is_durable(tmp_path: Path) -> None:
    """At concurrency 1 every call but the first finds all earlier samples on the disk."""
    path = tmp_path / "run.db"
    counts: list[int] = []

    class Looking(Paid):
        async def draw(self, requests: Sequence[Request]) -> list[Sample | Failure]:
            counts.append(len(notes(path, "sample")))
            return await super().draw(requests)

    assert carry(Looking(hanoi(3)), path).solved
    assert counts == list(range(21))


def test_a_sample_is_durable_though_the_others_of_its_wave_are_not_there(tmp_path: Path) -> None:
    """A sample reaches the disk while the only other call that is out goes on."""
    path = tmp_path / "run.db"

    class Slow(Paid):
        async def draw(self, requests: Sequence[Request]) -> list[Sample | Failure]:
            while requests[0].address.draw == 1 and not notes(path, "sample"):  # noqa: ASYNC110 -- another thread writes
                await asyncio.sleep(0)
            return await super().draw(requests)

    task = hanoi(1)
    assert maker.run_sync(task, model=Slow(task), journal=path, k=2, limits={"concurrency": 2}).solved


def test_that_a_call_was_free_outlives_its_process(tmp_path: Path) -> None:
    """A sample and a probe that cost nothing, as the server said, are known to a replay as such; others are not."""
    path, request = tmp_path / "run.db", Request(Address("r", 0, 0), "What?", 1, 0.1)

    async def test(receipts: Receipts) -> None:
        for free in (True, False):
            await receipts.reserve([request], [Spent(assumed=9)])
            receipts.keep([(request, Sample("a", 3, 1, cost=0.0 if free else None), Spent(3, 1, free=free))])
            await receipts.reserve([request], [Spent(assumed=9)])
            receipts.fail(request, Failure("transient", "no draw"), Spent(3, 1, free=free))

    with_receipts(path, test)
    usage = Usage()
    with Journal(path) as journal:
        again = Receipts(journal, usage)
        for record in journal.replay():
            again.replay(note_of(decode(record), path))  # type: ignore[arg-type]
    assert (usage.free, usage.unpriced, usage.tokens_in) == (2, 2, 12)


def test_what_was_in_flight_counts_as_spent(tmp_path: Path) -> None:
    """A reservation that was never settled is booked at the most it can have taken, once, however often one resumes."""
    path = tmp_path / "run.db"
    with pytest.raises(maker.ModelError):
        carry(Paid(hanoi(), dies_after=2), path)
    with Journal(path) as journal:  # a third process: killed after its reservation
        for _ in journal.replay():
            pass
        note = {"run": notes(path, "reserve")[0]["run"], "step": 0, "draws": [2], "tokens": [5000], "cost": [0.25]}
        Receipts(journal, Usage())._append("reserve", note)
    result = carry(Paid(hanoi()), path)
    assert result.solved
    usage = result.usage
    assert (usage.cancelled, usage.assumed, usage.in_flight) == (1, 5000, 0)
    assert usage.cost == pytest.approx(0.25 + PRICES.cost(usage.tokens_in, usage.tokens_out))
    again = carry(Paid(hanoi()), path)
    assert again.usage == usage


def test_a_calibration_is_not_paid_for_twice(tmp_path: Path) -> None:
    """A calibration that breaks off is gone on with: its samples are kept."""
    path = tmp_path / "run.db"
    first = Paid(hanoi(), dies_after=250)
    with pytest.raises(maker.ModelError):
        carry(first, path, k="auto")
    second = Paid(hanoi())
    result = carry(second, path, k="auto")
    whole = carry(Paid(hanoi()), None, k="auto")
    assert result.solved
    assert (result.chain, result.samples) == (whole.chain, whole.samples)
    assert len(second.asked) == whole.usage.dispatched - 250
    assert result.usage.tokens_in == whole.usage.tokens_in


CHILD = """
import sys
import maker
task = maker.load_task("hanoi", disks=6)
result = maker.run_sync(task, model=sys.argv[1], k=2, journal=sys.argv[2], segments=4, limits={"concurrency": 4})
"""


def test_killed_in_the_middle_of_http(tmp_path: Path) -> None:
    """A child killed by SIGKILL loses at most `concurrency` samples, and the server's bill equals the journal's."""
    path, task = tmp_path / "run.db", hanoi(6)
    states = {task.prompt(task.state_at(i), i): task.render(task.truth(task.state_at(i), i)) for i in range(63)}
    served = itertools.count()
    child: subprocess.Popen[bytes] | None = None

    def answer(received: Any) -> Reply:
        if next(served) in (17, 60, 95) and child is not None:
            os.kill(child.pid, signal.SIGKILL)
        return Reply(text=states[received.body["messages"][0]["content"]])

    with FaultServer(answer) as server:
        for _ in range(3):
            child = subprocess.Popen([sys.executable, "-c", CHILD, server.spec(), str(path)])
            assert child.wait() == -signal.SIGKILL
        child = None
        result = maker.run_sync(task, model=server.spec(), k=2, journal=path, segments=4, limits={"concurrency": 4})
        billed = server.ledger
    assert result.solved
    assert result.usage.cancelled <= 3 * 4
    assert billed.tokens_in >= result.usage.tokens_in >= billed.tokens_in - 3 * 4 * max(map(len, states))
    kept = notes(path, "sample")
    assert len({(note["step"], note["draw"]) for note in kept}) == len(kept) == result.samples
    assert len(server.requests) - len(kept) <= result.usage.cancelled
    assert result.chain == maker.run_sync(task, model=Paid(task), k=2, segments=4).chain
    assert check_journal(path).solved


# -- many at once --------------------------------------------------------------------------------------------


def with_receipts(path: Path, test: Any) -> None:
    """Run an async test with a fresh journal's receipts."""

    async def main() -> None:
        with Journal(path) as journal:
            list(journal.replay())
            await test(Receipts(journal, Usage()))

    asyncio.run(main())


def asked(draw: int) -> tuple[list[Request], list[Spent]]:
    """Return one draw and its bound."""
    return [Request(Address("run", 0, draw), "?", 1)], [Spent(assumed=5)]


def test_many_wait_for_few_commits(tmp_path: Path) -> None:
    """Whoever is released finds its note on the disk; a hundred who come at once need a few commits."""
    path = tmp_path / "run.db"

    async def test(receipts: Receipts) -> None:
        async def one(draw: int) -> None:
            await receipts.reserve(*asked(draw))
            assert any(note["draws"] == [draw] for note in notes(path, "reserve"))

        await asyncio.gather(*(one(draw) for draw in range(100)))
        with contextlib.closing(sqlite3.connect(path)) as db:
            assert db.execute("SELECT count(*) FROM groups").fetchone()[0] <= 3

    with_receipts(path, test)


@pytest.mark.parametrize("seed", range(20))
def test_a_cancelled_wait_holds_nobody_up(tmp_path: Path, seed: int) -> None:
    """Whoever is cancelled, at whatever moment, the others are released, and what they noted is on the disk."""
    path, chance = tmp_path / "run.db", random.Random(seed)

    async def test(receipts: Receipts) -> None:
        async def one(draw: int) -> None:
            await receipts.reserve(*asked(draw))
            assert any(note["draws"] == [draw] for note in notes(path, "reserve"))

        tasks = []
        for draw in range(40):
            tasks.append(asyncio.create_task(one(draw)))
            for _ in range(chance.randint(0, 3)):
                await asyncio.sleep(0)
            if chance.random() < 0.5:
                chance.choice(tasks).cancel()
        async with asyncio.timeout(30):
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(end) for end in ends} == {type(None), asyncio.CancelledError}

    with_receipts(path, test)


def test_a_failed_commit_is_everybodys(tmp_path: Path) -> None:
    """When the disk takes no more, all who wait for it hear so, and nobody waits for ever."""

    async def test(receipts: Receipts) -> None:
        async def full() -> None:
            await asyncio.sleep(0)
            raise JournalFull("no space")

        receipts.journal.committed = full  # type: ignore[method-assign]
        async with asyncio.timeout(30):
            ends = await asyncio.gather(*(receipts.reserve(*asked(i)) for i in range(10)), return_exceptions=True)
        assert [type(end) for end in ends] == [JournalFull] * 10

    with_receipts(tmp_path / "run.db", test)


# -- the server changes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["model", "fingerprint"])
def test_a_change_of_the_server_stops_the_run(tmp_path: Path, what: str) -> None:
    """Another model or fingerprint in mid-run ends it, also at once after a resume, unless that is accepted."""
    path = tmp_path / "run.db"

    def model(*, changed: bool) -> Paid:
        if what == "model":
            return Paid(hanoi(), model="m-2" if changed else "m-1")
        return Paid(hanoi(), mark=lambda request: "fp2" if changed else "fp1")

    first = carry(model(changed=False), path, limits={"concurrency": 1, "max_steps": 5})
    assert first.stopped == "max_steps"
    second = carry(model(changed=True), path)
    assert (second.stopped, second.exit_code) == ("model_changed", 5)
    assert what in second.detail and "--accept-change" in second.detail
    again = model(changed=True)
    third = carry(again, path)
    assert (third.stopped, again.asked) == ("model_changed", [])
    last = carry(model(changed=True), path, accept_change=[what])
    assert last.solved
    assert len(notes(path, "change")) == 1
    assert carry(model(changed=True), path).solved  # it is journaled: nobody need say it again


def test_a_server_that_alternates_is_accepted_as_told(tmp_path: Path) -> None:
    """Accepted fingerprints may come and go; each change is in the journal."""
    model = Paid(hanoi(), mark=lambda request: f"fp{request.address.step // 5}")
    result = carry(model, tmp_path / "run.db", accept_change=["fingerprint"])
    assert result.solved
    assert [(note["from"], note["to"]) for note in notes(tmp_path / "run.db", "change")] == [
        ("fp0", "fp1"),
        ("fp1", "fp2"),
    ]


# -- independence -------------------------------------------------------------------------------------------


def test_copied_samples_stop_the_run(tmp_path: Path) -> None:
    """A server that repeats its replies is found out and the run ends: votes on copies prove nothing."""

    class Copying(Paid):
        async def draw(self, requests: Sequence[Request]) -> list[Sample | Failure]:
            (sample,) = await super().draw(requests)
            assert isinstance(sample, Sample)
            sample.response_id = f"{requests[0].address.step}-{requests[0].address.draw // 2}"
            return [sample]

    result = carry(Copying(hanoi(6)), tmp_path / "run.db")
    assert (result.stopped, result.exit_code) == ("copied", 5)
    assert result.samples < 100


def test_independence_that_cannot_be_seen_is_said() -> None:
    """Without ids and logprobs the result says that copies would not show; with them, that they would."""
    assert carry(Paid(hanoi()), None).independence == "observed"

    class Bare(Paid):
        async def draw(self, requests: Sequence[Request]) -> list[Sample | Failure]:
            (sample,) = await super().draw(requests)
            assert isinstance(sample, Sample)
            sample.response_id = None
            return [sample]

    assert carry(Bare(hanoi()), None).independence.startswith("not observable")


# -- notes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "note"),
    [
        ("sample", {"run": "r", "step": 0, "draw": 0, "spent": [0, 0, 0, 0.0, 0]}),
        ("reserve", {"run": "r", "step": 0, "draws": [0, 1], "tokens": [1], "cost": [0.0]}),
        ("failure", {"run": "r", "step": 0, "draw": 0, "detail": "x", "spent": [1]}),
    ],
)
def test_notes_that_contradict_themselves_are_refused(tmp_path: Path, kind: str, note: dict[str, Any]) -> None:
    """A sample that nobody reserved, lists of unequal length and missing figures are damage, not data."""
    with Journal(tmp_path / "run.db") as journal:
        receipts = Receipts(journal, Usage())
        with pytest.raises(JournalError, match=kind):
            receipts.replay(note_of({kind: note}, journal.path))  # type: ignore[arg-type]


def test_samples_of_any_text_come_back_as_they_were(tmp_path: Path) -> None:
    """Lone surrogates, NUL and no text at all survive the journal."""
    texts = ["\ud800", "\x00", "", None, "é😀", "x" * 100_000]
    path = tmp_path / "run.db"
    model = ScriptedModel([Sample(text, 1, 1) for text in texts], lockstep=False)
    task = hanoi()
    stopped = maker.run_sync(
        task, model=model, k=1, journal=path, segments=1, limits={"max_calls": 6, "concurrency": 1}
    )
    assert stopped.stopped == "max_calls"
    assert [note.get("text") for note in notes(path, "sample")] == texts
    assert maker.run_sync(task, model=model, k=1, journal=path, segments=1, limits={"max_calls": 6}).samples == 6


# -- calls that others make ------------------------------------------------------------------------------------


def replayed(path: Path) -> Usage:
    """Return the account that a journal of receipts alone brings back."""
    usage = Usage()
    with Journal(path) as journal:
        again = Receipts(journal, usage)
        for record in journal.replay():
            again.replay(note_of(decode(record), path))  # type: ignore[arg-type]
        again.close_replay()
    return usage


def test_a_block_counts_as_spent_until_it_is_returned(tmp_path: Path) -> None:
    """A block that nobody returned is sent and spent at the most; a returned one leaves nothing but what was noted."""
    path, bounds = tmp_path / "lost.db", [Spent(assumed=9, cost=0.5)] * 3

    async def lost(receipts: Receipts) -> None:
        receipts.note_block("r/block 0", bounds)

    with_receipts(path, lost)
    usage = replayed(path)
    assert (usage.dispatched, usage.cancelled, usage.assumed, usage.cost) == (3, 3, 27, 1.5)

    async def returned(receipts: Receipts) -> None:
        receipts.note_block("r/block 0", bounds)
        receipts.return_block("r/block 0", [])

    path = tmp_path / "returned.db"
    with_receipts(path, returned)
    assert replayed(path) == Usage()


def test_what_was_noted_of_a_block_is_booked_as_a_replay_books_it(tmp_path: Path) -> None:
    """Samples are kept for the vote, calls without a reply are lost, findings are noted once, live as in a replay."""
    live: list[Usage] = []

    def noted(kind: str, **said: Any) -> tuple[bytes, Any]:
        record = encode_note({kind: said})
        return record, note_of(decode(record), "here")  # type: ignore[arg-type]

    async def test(receipts: Receipts) -> None:
        receipts.note_block("r/block 0", [Spent(assumed=9)] * 4)
        at = {"run": "r", "step": 5}
        receipts.return_block("r/block 0", [
            noted("reserve", **at, draws=[0, 1], tokens=[9, 9], cost=[0.0, 0.0]),
            noted("sample", **at, draw=1, spent=[3, 1, 0, 0.0, 0], text="a"),
            noted("takes", model="m", refused=["seed"]), noted("takes", model="m", refused=["seed"]),
        ])  # fmt: skip
        assert receipts.known.keys() == {Address("r", 5, 1)}
        live.append(receipts.usage)

    path = tmp_path / "run.db"
    with_receipts(path, test)
    (usage,) = live
    assert (usage.dispatched, usage.cancelled, usage.tokens_in, usage.assumed) == (2, 1, 3, 9)
    assert replayed(path) == usage
    assert len(notes(path, "takes")) == 1
