"""What a journal holds of each step, one step at a time.

Only open steps are in memory, so a million steps take no more room than a hundred. No task code runs: answers are
the texts that first gave them.

What a journal keeps of a draw: always whether it voted and for which answer, or the kind of its flag,
its tokens, an unusual finish reason, and the digest of its text. The text itself is kept for the first
draw of each answer; for other draws as `keep_samples` said ("all", "flagged", "none"), and in the receipts
of a model that is called over a network. A reply's id, log-probability, model and latency are kept where its
text was asked for. Draws of a step that was open when its run changed settings count no more, as in the run; nor
do those of a step's earlier rounds, and what was rolled back.

Not covered: whether the votes were counted right (`review/checking/checker.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, overload

from maker.decision.address import ROUND, round_of
from maker.decision.poll import DEAD_END
from maker.decision.race import Tally, Verdict, Votes
from maker.decision.sample import Sample
from maker.decision.wave import FLAGGED, UNKNOWN_TOKENS, Wave, sample_of
from maker.errors import JournalError
from maker.journal.bulk.plain import Run
from maker.journal.escalated import Abandoned, Ahead, Escalation
from maker.journal.notes import Calibration, Epoch, Note, Receipt
from maker.task.canonical import canonical, digest


@dataclass(slots=True)
class StoredStep:
    """One step as its journal holds it: a column for each fact, an entry for each draw.

    candidates: the answer a draw voted for, numbered as answers first appeared, or FLAGGED. numbers: the
    draw's text, an index into `texts`, which hold (True, the text) or (False, its digest). facts: what is
    unusual about single draws, by draw. first: the first draw of each candidate. waves: as recorded.
    receipts: texts that came and were noted before they were judged. winner: the winning candidate, None for an
    open step. barred: candidates that lost their votes in a look ahead, which came before wave number `bar`.
    epoch: the settings in force. round: the one that counts, from whose first draw all draws here are
    numbered; longer: how many times the run's tokens its replies could have.
    """

    step: int
    epoch: Epoch
    round: int = 0
    longer: int = 1
    candidates: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    tokens_in: list[int] = field(default_factory=list)
    tokens_out: list[int] = field(default_factory=list)
    texts: list[tuple[bool, bytes]] = field(default_factory=list)
    facts: dict[int, dict[str, Any]] = field(default_factory=dict)
    first: list[int] = field(default_factory=list)
    waves: list[Wave] = field(default_factory=list)
    receipts: list[str] = field(default_factory=list)
    winner: int | None = None
    state_digest: bytes = b""
    barred: frozenset[int] = frozenset()
    bar: int = 0

    def add(self, wave: Wave) -> None:
        """Take the step's next wave. Raises JournalError for one that does not fit."""
        begin = len(self.candidates)
        if wave.first - self.round * ROUND != begin:
            raise self._contradiction(f"draw {wave.first} does not follow draw {begin - 1} of round {self.round}")
        draws = wave.draws
        candidates, numbers = draws[0::4], draws[1::4]
        self.texts += wave.texts
        for position, facts in wave.extras.items():
            if not 0 <= position < len(wave):
                raise self._contradiction(f"it knows of draw {begin + position}, which was not made")
            self.facts[begin + position] = facts
        for draw, (candidate, number) in enumerate(zip(candidates, numbers, strict=True), begin):
            if number >= len(self.texts):
                raise self._contradiction(f"draw {draw} has a text that is not there")
            if candidate == FLAGGED:
                if "flag" not in self.facts.get(draw, {}):
                    raise self._contradiction(f"draw {draw} is flagged without a kind")
            elif candidate == len(self.first):
                if not self.texts[number][0]:
                    raise self._contradiction(f"the text of answer {candidate} is not there")
                self.first.append(draw)
            elif not 0 <= candidate < len(self.first):
                raise self._contradiction(f"draw {draw} votes for answer {candidate}, which nobody gave")
        self.candidates += candidates
        self.numbers += numbers
        self.tokens_in += draws[2::4]
        self.tokens_out += draws[3::4]
        self.waves.append(wave)
        if wave.verdict is not None:
            self.winner, _, self.state_digest = wave.verdict
            if not 0 <= self.winner < len(self.first):
                raise self._contradiction(f"answer {self.winner} won and nobody gave it")

    @property
    def rounds(self) -> int:
        """How many waves brought samples."""
        return sum(bool(wave.draws) for wave in self.waves)

    @property
    def flagged(self) -> int:
        """How many draws were flagged as they came."""
        return self.candidates.count(FLAGGED)

    @property
    def flags(self) -> Counter[str]:
        """How many draws have no vote, by kind."""
        kinds = Counter[str]()
        if FLAGGED in self.candidates:
            kinds.update(self.flag(draw) for draw, candidate in enumerate(self.candidates) if candidate == FLAGGED)
        if self.barred:
            kinds[DEAD_END] += sum(candidate in self.barred for candidate in self.candidates)
        return kinds

    def flag(self, draw: int) -> str:
        """Return the kind of a flagged draw."""
        return str(self.facts[draw]["flag"])

    def ballots(self) -> Iterator[bytes | None]:
        """Yield the ballots as the run judged them in the end; candidates are the keys, as b"0", b"1" and so on."""
        lost = {FLAGGED, *self.barred}
        return (None if candidate in lost else b"%d" % candidate for candidate in self.candidates)

    def led_nowhere(self, draw: int) -> bool:
        """Say whether a look ahead has taken a draw's vote, whatever flags there are."""
        candidate = self.candidates[draw]
        return candidate in self.barred or (candidate == FLAGGED and self.flag(draw) == DEAD_END)

    def tally(self) -> Tally:
        """Return the count of the ballots."""
        tally = Tally()
        if len(self.first) == 1 and not self.barred and not self.epoch.weights:
            tally.add(None, self.flagged)
            tally.add(b"0", len(self.candidates) - tally.flagged)
            return tally
        for draw, ballot in enumerate(self.ballots(), self.round * ROUND):
            tally.weigh(ballot, self.epoch.weights, draw)
        return tally

    @property
    def votes(self) -> tuple[int, int]:
        """How many votes the winner of a decided step has, and how many stand against it."""
        assert self.winner is not None, "only a decided step has a winner"
        tally = self.tally()
        won = tally.counts[b"%d" % self.winner]
        return won, tally.total - won

    def named(self, parse: Callable[[str], Any] | None = None) -> Tally:
        """Return the count with the answers as `parse` reads them, or their texts without it."""
        tally = self.tally()
        for candidate in range(len(self.first)):
            text = self.answer(candidate)
            tally.answers[b"%d" % candidate] = parse(text) if parse else text
        return tally

    def verdict(self, parse: Callable[[str], Any] | None = None) -> Verdict[Any]:
        """Return the verdict on a decided step; answers as in `named`."""
        assert self.winner is not None, "only a decided step has a verdict"
        tally = self.named(parse)
        votes = Votes({canonical(answer): (answer, tally.counts[key]) for key, answer in tally.answers.items()
                       if key in tally.counts})  # fmt: skip
        return Verdict(self.step, tally.answers[b"%d" % self.winner], votes, len(self.candidates), tally.flagged,
                       dict(self.flags), tally.margin, tally.entropy, self.rounds,
                       weights=self.epoch.weights)  # fmt: skip

    def text(self, draw: int) -> str | None:
        """Return a draw's text; None where there was none, or only its digest is stored."""
        full, raw = self.texts[self.numbers[draw]]
        if not full or self.silent(draw):
            return None
        return self._decoded(raw)

    def digest(self, draw: int) -> bytes:
        """Return the digest of a draw's text; that of the empty text where there was none."""
        full, raw = self.texts[self.numbers[draw]]
        return digest(raw) if full else raw

    def silent(self, draw: int) -> bool:
        """Say whether a reply had no text at all."""
        return bool(self.facts.get(draw, {}).get("silent"))

    def answer(self, candidate: int) -> str:
        """Return the text that first gave an answer."""
        return self.text(self.first[candidate]) or ""

    def sample(self, draw: int, text: str | None) -> Sample:
        """Return a draw as a sample with the text given."""
        return sample_of(text, self.tokens_in[draw], self.tokens_out[draw], self.facts.get(draw, {}))

    def texts_by_digest(self) -> dict[bytes, str]:
        """Return the step's whole texts by their digests: a digest that meets one of them is that text."""
        found = {digest(text.encode("utf-8", "surrogatepass")): text for text in ("", *self.receipts)}
        return found | {digest(raw): self._decoded(raw) for full, raw in self.texts if full}

    def _decoded(self, raw: bytes) -> str:
        try:
            return raw.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise self._contradiction(f"a text is not text: {error.reason}") from None

    def _contradiction(self, what: str) -> JournalError:
        return JournalError(f"step {self.step}: the journal contradicts itself: {what}. It is damaged or forged.")


@overload
def steps_of(
    items: Iterable[Wave | Note], abandoned: Abandoned | None = None, note: Callable[[Note], None] | None = None
) -> Iterator[StoredStep]: ...


@overload
def steps_of(
    items: Iterable[Run | Wave | Note], abandoned: Abandoned | None = None, note: Callable[[Note], None] | None = None
) -> Iterator[Run | StoredStep]: ...


def steps_of(
    items: Iterable[Run | Wave | Note], abandoned: Abandoned | None = None, note: Callable[[Note], None] | None = None
) -> Iterator[Run | StoredStep]:
    """Yield every decided step in the order of decision, then the open ones in step order.

    items: what a journal holds, in its order; runs of plain waves come as they are, with the settings in force.
    abandoned: what rollbacks left behind, which is passed over. note: called with every note there is, in its place.
    Raises JournalError for waves that contradict each other.
    """
    steps = _Open()
    for item in items:
        if isinstance(item, Run):
            item.epoch = steps.epoch
            yield item
        elif not isinstance(item, Wave):
            steps.note(item)
            if note is not None:
                note(item)
        elif not abandoned or item not in abandoned:
            stored = steps.at(item.step, round_of(item.first))
            stored.add(item)
            if item.verdict is not None:
                yield steps.open.pop(item.step)
    for step in sorted(steps.open):
        if steps.open[step].waves:
            yield steps.open[step]


class _Open:
    """The steps that are open, and the settings in force."""

    def __init__(self) -> None:
        self.open: dict[int, StoredStep] = {}
        self.epoch = Epoch({})
        self._longer: dict[tuple[int, int], int] = {}  # by step and round

    def at(self, step: int, number: int) -> StoredStep:
        """Return a round of an open step, begun if it is new."""
        stored = self.open.get(step)
        if stored is None or stored.round < number:
            longer = self._longer.get((step, number), 1)
            stored = self.open[step] = StoredStep(step, self.epoch, number, longer)
        return stored

    def note(self, note: Note) -> None:
        """Follow the settings; keep the texts of receipts where the waves may lack them."""
        match note:
            case Epoch():
                self.open.clear()  # steps that are not decided begin anew
                self._longer.clear()
                self.epoch = note
            case Calibration():
                weights = note.by_turn() or self.epoch.weights
                self.epoch = replace(self.epoch, k=note.k, table=note.margins(), weights=weights)
            case Ahead(step, number) if step in self.open and self.open[step].round == number:
                looked = self.open[step]
                looked.barred, looked.bar = frozenset(note.fallen), len(looked.waves)
            case Receipt(at, sample=Sample(text=str(text))) if self.epoch.header.get("keep_samples") != "all":
                if at.run == self.epoch.header.get("run"):
                    # A draw's wave comes after its receipt: the step is not decided yet.
                    self.at(at.step, round_of(at.draw)).receipts.append(text)
            case Escalation():
                self._longer.update(((step, note.round), note.change.longer) for step in note.steps)


def told(tokens: Sequence[int]) -> int | None:
    """Return the sum of stored token counts, None when none was told."""
    if UNKNOWN_TOKENS in tokens:
        tokens = [count for count in tokens if count != UNKNOWN_TOKENS]
    return sum(tokens) if tokens else None
