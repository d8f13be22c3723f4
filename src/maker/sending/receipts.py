"""What was paid for: a reservation before each call, and every sample as it comes.

For models that are called over a network. A call goes out once its reservation is durable, and so is then all that came
before: the slot of a sample carries no other call until that sample is durable. So a crash loses at most what was in
flight, and that is booked: a reservation that was never settled counts as spent at the most it can have taken. A draw
that is reserved once more has two calls out (`hedge.py`), or had one in a process that was killed: one reply settles
one of them, and the other is booked so. Samples that came and were not judged yet are used by the run that resumes:
nothing acknowledged is paid twice.

A change of the server's model or fingerprint in mid-run is noticed here.

Not covered: in-process models, whose draws cost nothing, and limits (`limits.py`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from maker.decision.address import Address, ahead_of, is_ahead
from maker.decision.ending import Stop
from maker.decision.sample import Failure, Request, Sample
from maker.decision.wave import tell
from maker.errors import JournalError
from maker.journal.notes import Batch, Receipt, Reserve, ServerChange, Takes
from maker.journal.records import encode_receipt
from maker.log import log
from maker.sending.batches import ACCEPT, Batches, Keeping
from maker.sending.budget.usage import FIGURES, Spent, Usage
from maker.task.prompt import fingerprint

WATCHED = ("model", "fingerprint")  # what a sample says of its maker, and what must not change
_Of = tuple[str, str, str]  # who was asked, what is watched, which of several servers


class Receipts:
    """The reservations and samples of one run.

    accepted: changes of "model" or "fingerprint" that do not stop the run. temperature: of the draws. `known` are
    samples that came and were not judged yet, `ahead` those that an estimate drew for the run, by step. used: there
    are any receipts. A run may ask several models (`asked`, "" for its own), each at several servers: what each says of
    its maker is watched apart. batches: those that servers have.
    """

    def __init__(
        self, journal: Keeping, usage: Usage, accepted: Sequence[str] = (), temperature: float | None = 1.0
    ) -> None:
        self.journal, self.usage = journal, usage
        self.warm = (temperature or 0) >= 1  # colder draws repeat improbable texts: their logprobs show no copies
        self.accepted = frozenset(accepted)
        self.known: dict[Address, Sample] = {}
        self.ahead: dict[int, dict[Address, Sample]] = {}
        self.takes: dict[str, Mapping[str, Any]] = {}  # what models were found to take, by name
        self.batches = Batches(journal, usage, accepted=ACCEPT in self.accepted)
        self.used = False
        self._adopted: set[int] = set()  # open steps
        self._open: dict[Address, Spent] = {}  # reserved by an earlier process and not settled so far
        self._marked = self._unmarked = 0  # samples that bear an id or logprobs, and that bear none
        self._maker: dict[_Of, str] = {}
        self._told: tuple[str | None, ...] = ()  # by the last sample of its maker
        self._unaccepted: dict[_Of, str] = {}  # changes that the journal shows and nobody has accepted

    # -- live ------------------------------------------------------------------------------------------

    def reserve(
        self, requests: Sequence[Request], bounds: Sequence[Spent], *, batched: bool = False
    ) -> Awaitable[None]:
        """Note that these draws are about to be sent; what is returned is to be awaited until that is durable.

        They are of one step, unless they are `batched`: about to go out as a batch, which makes a note of its own.
        """
        if batched:
            for _, each in groupby(zip(requests, bounds, strict=True), lambda one: one[0].address.step):
                theirs, most = zip(*each, strict=True)
                self._reserve(theirs, most, {"batched": True})
        else:
            self._reserve(requests, bounds, {})
        return self.journal.committed()

    def _reserve(self, requests: Sequence[Request], bounds: Sequence[Spent], how: Mapping[str, bool]) -> None:
        first = requests[0].address
        draws: list[int] = []
        tokens: list[int] = []
        cost: list[float] = []
        for request, bound in zip(requests, bounds, strict=True):  # one nearly always: no comprehensions
            draws.append(request.address.draw)
            tokens.append(bound.assumed)
            cost.append(bound.cost)
        noted = {"run": first.run, "step": first.step, "draws": draws, "tokens": tokens, "cost": cost, **how}
        self._append("reserve", noted)

    def note_block(self, name: str, bounds: Sequence[Spent]) -> None:
        """Note calls that others may make, before they are told; a replay books them, unless they were returned.

        name: of the block, which no address bears.
        """
        tokens, cost = [bound.assumed for bound in bounds], [bound.cost for bound in bounds]
        numbers = list(range(len(bounds)))
        self._append("reserve", {"run": name, "step": 0, "draws": numbers, "tokens": tokens, "cost": cost})

    def return_block(self, name: str, noted: Sequence[tuple[bytes, Reserve | Receipt | Takes]]) -> None:
        """Journal and book what was noted of the calls of a block, which ends it; what it held beside is free.

        noted: records, and what they say. Raises Stop, when all is noted, for a change of model that is not accepted.
        """
        for record, note in noted:
            if isinstance(note, Takes):
                self.found(note.model, note.takes)
            else:
                self.journal.append(record)
                self.replay(note)
        self._append("reserve", {"run": name, "step": 0, "draws": [], "tokens": [], "cost": [], "returned": True})
        self.journal.commit_soon()
        self.close_replay()

    def fail(self, request: Request, failure: Failure, spent: Spent) -> None:
        """Note a draw that brought no reply; it will be durable with the next reservation."""
        told = {"cost": 0.0} if spent.free else {}
        noted = {**_address(request.address), "detail": failure.detail, "spent": list(spent[:FIGURES]), **told}
        self.batches.settled(request.address)
        self._append("failure", noted)

    def keep(self, samples: Sequence[tuple[Request, Sample, Spent]], asked: str = "") -> None:
        """Hand samples to the journal. Raises Stop when they come from another model than those before.

        Nobody waits for them: they are durable soon, and before any reservation that is made after.
        """
        for request, sample, spent in samples:
            note = _address(request.address)
            if asked:
                note["asked"] = asked
            note["spent"] = list(spent[:FIGURES])
            tell(sample, note)
            self._append("sample", note)
            self.batches.settled(request.address)
            self._mark(sample)
        self.journal.commit_soon()
        for _, sample, _ in samples:
            told = asked, sample.source, sample.model, sample.fingerprint
            if told != self._told:  # of nearly all samples it is what the one before told
                for of, said in self._changes(sample, asked):
                    self._change(of, said)
                self._told = told

    def found(self, model: str, takes: Mapping[str, Any]) -> None:
        """Note what a model was found to take, if that is news."""
        if self.takes.get(model) != takes:
            self._append("takes", {"model": model, **takes})
            self._learn(model, takes)

    def _learn(self, model: str, takes: Mapping[str, Any]) -> None:
        self.takes[model] = takes
        if "temperature" in takes.get("refused", ()):
            self.warm = False  # at the server's own temperature, which nobody knows

    def _append(self, kind: str, note: dict[str, Any]) -> None:
        self.used = True
        self.journal.append(encode_receipt({kind: note}))

    @property
    def independence(self) -> str:
        """Whether copied samples would show."""
        if not self._marked:
            return "not observable: the server gives no response ids, nor logprobs of use" if self._unmarked else ""
        return "observed" if not self._unmarked else "observed in part: some samples bear no id and no logprobs"

    def _mark(self, sample: Sample) -> None:
        if sample.response_id is not None or (self.warm and sample.logprob is not None):
            self._marked += 1
        else:
            self._unmarked += 1

    def _changes(self, sample: Sample, asked: str) -> Iterator[tuple[_Of, str]]:
        """Give what a sample says of its maker otherwise than the samples before it from the same server."""
        for what in WATCHED:
            said, of = getattr(sample, what), (asked, what, sample.source or "")
            if said is not None and self._maker.setdefault(of, said) != said:
                yield of, said

    def _change(self, of: _Of, said: str) -> None:
        """Journal a change of the server that is accepted. Raises Stop for any other."""
        asked, what, source = of
        before = self._maker[of]
        if what not in self.accepted:
            raise Stop("model_changed", f"the server's {what} changed from {before!r} to {said!r} in mid-run. "
                       f"Resume when it is back, or with --accept-change {what}.", 5)  # fmt: skip
        log.warning("model.changed", what=what, before=before, now=said)
        self._maker[of] = said
        where = {"source": source} if source else {}
        self._append("change", {"what": what, "from": before, "to": said, **_asked(asked), **where})

    # -- replay ----------------------------------------------------------------------------------------

    def replay(self, note: Reserve | Batch | Receipt | ServerChange | Takes) -> None:
        """Take a journaled note. Raises JournalError for a sample that was never reserved."""
        self.used = True
        match note:
            case Batch():
                self.batches.take(note)
            case Reserve(returned=True):
                for address in [address for address in self._open if address.run == note.run]:
                    del self._open[address]
                    self.usage.dispatched -= 1
            case Reserve():
                self.batches.reserve(note)
                for draw, tokens, cost in () if note.batched else zip(note.draws, note.tokens, note.cost, strict=True):
                    address = Address(note.run, note.step, draw)
                    if address in self._open:  # whose process was killed, or which was hedged: no reply settles it
                        self.usage.cancel([self._open[address]])
                    self._open[address] = Spent(assumed=tokens, cost=cost)
                    self.usage.dispatched += 1
            case Receipt(sample=None):
                self._settle(note.address)
                self.usage.fail(Spent(*note.spent, free=note.free))
            case Receipt():
                self._came(note)
            case Takes():
                self._learn(note.model, note.takes)
            case ServerChange():
                of = (note.asked, note.what, note.source)
                self._maker[of] = note.now
                self._unaccepted.pop(of, None)

    def close_replay(self) -> None:
        """Book what was reserved and never settled. Raises Stop for a change of model that is not accepted.

        So it does for batches that nobody would read.
        """
        self.usage.cancel(self._open.values())
        self._open.clear()
        self.batches.close_replay()
        for of, said in self._unaccepted.items():
            self._change(of, said)
        self._unaccepted.clear()

    def judged(self, run: str, step: int, first: int, count: int) -> None:
        """Drop samples that a wave has counted."""
        for draw in range(first, first + count):
            self.known.pop(Address(run, step, draw), None)

    def judge_all_but(self, run: str) -> None:
        """Drop the samples of a calibration, which its note has counted: all that do not belong to the run itself."""
        self.known = {address: sample for address, sample in self.known.items() if address.run == run}

    def adopt(self, run: str, step: int, asked: Callable[[], str] | None) -> None:
        """Take what an estimate drew for a step as its first draws; where the run asks otherwise there it is lost.

        asked: returns the prompt of the run's step; None where nobody knows it any more.
        """
        drawn = self.ahead.pop(step, {})
        name = ahead_of(run, fingerprint(asked())) if drawn and asked is not None else None
        for address, sample in drawn.items():
            if name in (None, address.run):
                self.known[Address(run, step, address.draw)] = sample
                self._adopted.add(step)
            else:
                self.usage.lose([sample])

    def passed(self, run: str, step: int) -> None:
        """Book what an estimate drew for a step and no wave has counted, now that it is decided, as lost."""
        if step in self._adopted:
            self._adopted.discard(step)
            self.forget_step(run, step)

    def forget(self) -> None:
        """Drop all samples that were not judged: nobody will count them any more. They stay paid for."""
        for samples in (self.known, *self.ahead.values()):
            self.usage.lose(samples.values())
        self.known.clear()
        self.ahead.clear()
        self.batches.forget()

    def forget_step(self, run: str, step: int) -> None:
        """Drop the samples of one step that were not judged, as `forget` drops those of all."""
        if self.known:
            dropped = [address for address in self.known if (address.run, address.step) == (run, step)]
            self.usage.lose([self.known.pop(address) for address in dropped])

    def _settle(self, address: Address) -> bool:
        """Take a draw from those that are out; False where it was not among them."""
        return self.batches.settle(address) or self._open.pop(address, None) is not None

    def _came(self, note: Receipt) -> None:
        if not self._settle(note.address):
            raise JournalError(
                f"{self.journal.path}: a sample note contradicts itself: {note.address} was not reserved"
            )
        assert note.sample is not None, "this receipt is of a sample"
        self.usage.spend(Spent(*note.spent, free=note.free))
        sample, address = note.sample, note.address
        kept = self.ahead.setdefault(address.step, {}) if is_ahead(address.run) else self.known
        kept[address] = sample
        self._mark(sample)
        self._unaccepted.update(self._changes(sample, note.asked))


def _asked(name: str) -> dict[str, str]:
    """Return who was asked, where it is not the run's own model."""
    return {"asked": name} if name else {}


def _address(address: Address) -> dict[str, Any]:
    return {"run": address.run, "step": address.step, "draw": address.draw}
