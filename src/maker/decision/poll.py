"""One step being voted on.

A `Poll` makes the requests of the next wave, judges the replies in draw order by the red flags,
and feeds the ballots to the race. It is pure: who sends its requests, and who keeps the waves, is
not its affair. The same poll counts a live wave and one that the journal holds.

Not covered: sending (`sending/dispatcher.py`), and what a decided step changes (`engine/loop.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from maker.decision.address import SEED_BLOCK, Address, draw_seeds
from maker.decision.ending import Stop, stuck
from maker.decision.flags import RedFlag, improbable, judge, length_of
from maker.decision.method import Method
from maker.decision.race import Ballot, Outcome, Tally, Verdict, count, next_wave, wanting
from maker.decision.sample import Request, Sample
from maker.decision.step import Reading, Rules, Step
from maker.decision.wave import FLAGGED, Wave, counted, encode_text, facts_of, sample_of, step_hash
from maker.errors import InternalError, JournalError, TaskError
from maker.task.canonical import canonical, digest
from maker.task.prompt import View, under

Entry = tuple[int, int, int, int]
DEAD_END = "dead_end"  # the kind of a flagged sample whose answer was barred
Winner = tuple[int, bytes, bytes]  # candidate number, step hash, state digest


class Poll:
    """The vote on one step.

    After each wave either `outcome` is set or `need` says how many draws the next wave has. `prompt`
    is set before the first request; a replayed step never needs it. `views`, if set, are asked in turn.
    first: the number of the first draw; `drawn` counts from there.
    barred: vote keys of answers that lead nowhere, as a look ahead has found: they have no votes any more, and samples
    that give them are flagged. looked: there was such a look.
    `readings` are the step's distinct answers, numbered as they first appeared; `flags` counts flagged
    samples by kind.
    """

    __slots__ = (
        "_known", "barred", "drawn", "first", "flags", "looked", "method", "need", "order", "outcome",
        "prompt", "readings", "samples", "step", "tally", "texts", "views", "waves",
    )  # fmt: skip

    def __init__(self, step: Step, method: Method, prompt: str | None = None, *, first: int = 0) -> None:
        self.step = step
        self.method = method
        self.first = first
        self.prompt = prompt
        self.views: Sequence[View] = ()
        self.tally = Tally({}, 0, 0, None, {})
        self.samples: list[Sample] = []
        self.order: list[int] = []  # the candidate of each draw, FLAGGED for none
        self.readings: list[Reading] = []
        self.flags: dict[str, int] = {}
        self.texts = 0  # distinct texts so far
        self._known: list[str | None] = []  # texts read from the journal, None where it has only a digest
        self.drawn = 0
        self.waves = 0
        self.barred: frozenset[bytes] = frozenset()
        self.looked = False
        self.outcome: Outcome | None = None
        self._advance()

    @classmethod
    def of(
        cls, method: Method, rules: Rules, index: int, state: Any, prompt: str | None = None, *, first: int = 0
    ) -> Poll:
        """Begin the vote on a step. index, state: as of `Step`; the other parameters as of the class."""
        step = Step(index, state, rules, method.token_cap, method.long_answer, {}, method.temperature or 0.0)
        return cls(step, method, prompt, first=first)

    @property
    def won(self) -> bool:
        """One answer is as far ahead as its method asks for."""
        return self.outcome is not None and self.outcome.winner is not None

    @property
    def over(self) -> bool:
        """No further wave can be counted: one answer has won, or a limit is met."""
        return self.outcome is not None

    @property
    def key(self) -> bytes | None:
        """The vote key of the answer that won, None where none has."""
        return None if self.outcome is None else self.outcome.winner

    @property
    def open(self) -> bool:
        """Another wave is due."""
        return self.outcome is None and stuck(self) is None

    @property
    def next(self) -> int:
        """The number of the next draw."""
        return self.first + self.drawn

    def go_on(self, max_votes: int, max_flags: int) -> None:
        """Go on with a race that met a limit, under other limits and with all its votes."""
        self.method = replace(self.method, max_votes=max_votes, max_flags=max_flags)
        self.outcome = None
        self._advance()

    def bar(self, candidates: Iterable[int]) -> None:
        """Take their votes from answers that lead nowhere, those to come too; the race goes on between the others."""
        self.looked = True
        for candidate in candidates:
            key = self.readings[candidate].key
            assert key is not None, "a candidate has a vote key"
            self.barred |= {key}
            self.flags[DEAD_END] = self.flags.get(DEAD_END, 0) + self.tally.drop(key)
            self.outcome = None
        if self.outcome is None:
            self._advance()

    @property
    def dead_end(self) -> bool:
        """No answer that had votes leads on."""
        return bool(self.barred) and not self.tally.total

    def asked(self) -> tuple[Request, Sequence[int]]:
        """Return the first request of the next wave, and the seeds of all its draws.

        The others differ from it in draw and seed alone, except where there are views or the first draw is a cold one.
        """
        method, step, first = self.method, self.step, self.next
        assert self.prompt is not None, "a poll needs its prompt before it can ask"
        block, skipped = divmod(first, SEED_BLOCK)
        seeds = draw_seeds(method.key, step.index, block)
        while len(seeds) < skipped + self.need:
            block += 1
            seeds += draw_seeds(method.key, step.index, block)
        request = Request(
            Address(method.run, step.index, first), under(method.system, self.prompt, method.examples), seeds[skipped],
            method.temperature, method.token_cap, method.stop, method.schema, step.state, method.tools,
        )  # fmt: skip
        return request, seeds[skipped : skipped + self.need]

    def requests(self) -> list[Request]:
        """Return the requests of the next wave."""
        method, (first, seeds) = self.method, self.asked()
        made = [first]
        for draw, seed in enumerate(seeds[1:], self.next + 1):
            where = Address(method.run, self.step.index, draw)
            made.append(Request(
                where, first.prompt, seed, first.temperature, first.max_tokens, first.stop, first.schema, first.state,
                first.tools,
            ))  # fmt: skip
        for request in made if self.views else ():
            view = self.views[request.address.draw % len(self.views)]
            request.prompt = under(method.system, view.prompt, method.examples)
        if not self.drawn and method.first_temperature is not None:
            made[0].temperature = method.first_temperature
        return made

    def take(self, samples: Sequence[Sample]) -> Wave:
        """Judge one wave of replies in draw order, count them, and return what the journal keeps."""
        wave = Wave(self.step.index, self.next, [], [], {}, None)
        if self.views:
            samples = [self._own_words(sample, draw) for draw, sample in enumerate(samples, wave.first)]
        ballots: list[Ballot] = []
        position, drawn = 0, len(samples)
        while position < drawn:
            sample = samples[position]
            key, entry, facts = self._judge(sample, wave)
            run = 1
            # The very same object again is the same reply: it need not be judged twice.
            if position + 1 < drawn and samples[position + 1] is sample and key is not None and self._settled(sample):
                while position + run < drawn and samples[position + run] is sample:
                    run += 1
            for place in range(position, position + run) if facts else ():
                wave.extras[place] = facts
            wave.draws += entry * run
            ballots += [key] * run
            self.samples += [sample] * run
            self.order += entry[:1] * run
            position += run
        assert drawn == self.need, "a wave must bring as many ballots as were asked for"
        count(ballots, self.tally, self.method.weights, wave.first)
        self.drawn += drawn
        self.waves += 1
        self._advance()
        return wave

    def _own_words(self, sample: Sample, draw: int) -> Sample:
        """Return a reply to a view as a reply to the task's own prompt; one that cannot be read stays as it is."""
        try:
            text = None if sample.text is None else self.views[draw % len(self.views)].back(sample.text)
        except Exception:  # noqa: BLE001 -- what the way back cannot read, the parser will not read either
            return sample
        return replace(sample, text=text)

    def _judge(self, sample: Sample, wave: Wave) -> tuple[Ballot, Entry, dict[str, Any]]:
        """Judge one sample: its ballot, and its entry and facts in the wave."""
        reading = self.step.read(sample.text)
        form = sample.finish_reason, sample.tokens_out if sample.tokens_out is None else length_of(sample)
        red = judge(sample, self.step, self.samples, self.method.again if reading.passed == form else self.method.flags)
        if red is None and reading.key in self.barred:
            red = RedFlag(DEAD_END)
        key: bytes | None = None
        candidate, fresh = FLAGGED, False
        if red is None:
            reading.passed = form
            key = reading.key
            assert key is not None, "a sample without an answer was not flagged"
            candidate, fresh = self._candidate(reading)
        else:
            self.flags[red.kind] = self.flags.get(red.kind, 0) + 1
        # Replay reads the answer of a candidate from its first text, and compares with texts that may be
        # copied: those are kept whole whatever was asked for.
        keep = self.method.keep
        wanted = keep == "all" or (red is not None and keep == "flagged") or not self._settled(sample)
        whole = wanted or fresh
        if reading.number is None or (whole and not reading.whole):
            reading.number, reading.whole = self.texts, whole
            self.texts += 1
            wave.texts.append(encode_text(sample.text or "", whole))
        entry = (candidate, reading.number, counted(sample.tokens_in), counted(sample.tokens_out))
        facts = facts_of(sample, whole=wanted)
        return key, entry, facts if red is None else {"flag": red.kind, **facts}

    def _settled(self, sample: Sample) -> bool:
        """Say whether no flag could say otherwise of the same sample later in the step."""
        unmarked = sample.response_id is None and not improbable(sample, self.step)
        return not (self.method.again_unmarked if unmarked else self.method.again)

    def _candidate(self, reading: Reading) -> tuple[int, bool]:
        """Return the number of a reading's answer among the step's, and whether it is new."""
        for number, known in enumerate(self.readings):
            if known.key == reading.key:
                return number, False
        assert reading.key is not None, "a candidate has a vote key"
        self.readings.append(reading)
        self.tally.answers[reading.key] = reading.answer
        return len(self.readings) - 1, True

    def _advance(self) -> None:
        """See what the race needs, from the tally as it stands."""
        method = self.method
        due = next_wave(method.k, method.max_votes, method.max_flags, self.tally, method.table, method.weights,
                        self.next)  # fmt: skip
        if isinstance(due, int):
            self.need = due
        else:
            self.outcome, self.need = due, 0

    def replay(self, wave: Wave) -> None:
        """Count a wave that the journal holds. Raises JournalError when it does not fit this step."""
        if wave.first != self.next or self.won:
            raise JournalError(f"step {wave.step}: draw {wave.first} does not follow draw {self.next - 1}")
        try:
            self._known += [raw.decode("utf-8", "surrogatepass") if full else None for full, raw in wave.texts]
            if not self._of_one_mind(wave):
                self._recount(wave)
        except (LookupError, UnicodeDecodeError) as error:
            raise JournalError(f"step {wave.step}: a wave contradicts itself: {error!r}") from None
        self.texts = len(self._known)
        self.drawn += len(wave)
        self.waves += 1
        self.outcome = None
        self._advance()

    def _of_one_mind(self, wave: Wave) -> bool:
        """Count a wave at once that decides its step alone, all for one answer, as most do; say whether it is one."""
        draws, count = wave.draws, len(wave)
        plain = draws and wave.verdict is not None and not (wave.extras or self.drawn or self.method.weights)
        if not plain or draws[0::4].count(0) < count:
            return False
        if max(draws[1::4]) >= len(self._known) or wanting(self.tally, self.method.k, self.method.table) < count:
            return False
        self.tally.add(self._replayed(0, self._known[draws[1]]).key, count)
        self.order += draws[0::4]
        return True

    def _recount(self, wave: Wave) -> None:
        for position in range(len(wave)):
            candidate, number, tokens_in, tokens_out = wave.draws[4 * position : 4 * position + 4]
            draw = wave.first + position
            if wanting(self.tally, self.method.k, self.method.table) <= 0:
                raise JournalError(f"step {wave.step}: draw {draw} came after the vote was decided")
            self.order.append(candidate)
            text, facts = self._known[number], wave.extras.get(position, {})
            if candidate == FLAGGED:
                self.flags[facts["flag"]] = self.flags.get(facts["flag"], 0) + 1
                self.tally.add(None)
            else:
                self.tally.weigh(self._replayed(candidate, text).key, self.method.weights, draw)
            if wave.verdict is not None:
                continue  # what a flag may look at later matters in a step that goes on
            if text is not None:
                reading = self.step.read(text)
                reading.number, reading.whole = number, True
            self.samples.append(sample_of(None if facts.get("silent") else text, tokens_in, tokens_out, facts))

    def _replayed(self, candidate: int, text: str | None) -> Reading:
        """Return a journaled candidate's reading, read from its first text when it is new."""
        if 0 <= candidate < len(self.readings):
            return self.readings[candidate]
        reading = self.step.read(text)
        if reading.key is None or text is None:
            raise JournalError(
                f"step {self.step.index}: the task's parser no longer reads a journaled answer: {reading.fault}. "
                "Resume with the task code that wrote the journal."
            )
        if self._candidate(reading) != (candidate, True):
            raise JournalError(f"step {self.step.index}: two journaled candidates are the same answer")
        return reading

    @property
    def winner(self) -> int:
        """The number of the winning answer, of a decided poll."""
        if not self.won:
            raise InternalError(f"step {self.step.index} has no winner")
        if len(self.readings) == 1:
            return 0
        return next(i for i, reading in enumerate(self.readings) if reading.key == self.key)

    def verdict(self) -> Verdict[Any]:
        """Return the verdict of a decided poll."""
        tally = self.tally
        return Verdict(
            self.step.index, self.readings[self.winner].answer, tally.votes, self.drawn, tally.flagged,
            dict(self.flags), tally.margin, tally.entropy, self.waves, weights=self.method.weights,
        )  # fmt: skip


def conclude(poll: Poll) -> tuple[Any, Winner]:
    """Return a decided poll's next state and verdict. Raises Stop for a winner that the rules do not allow."""
    number = poll.winner
    reading = poll.readings[number]
    key = reading.key
    assert key is not None, "a winner has a vote key"
    if not poll.step.allows(reading):
        raise Stop("illegal", f"step {poll.step.index}: the answer that won is against the rules and no flag caught "
                   f"it: {reading.answer!r}. Use the default flags.", 1)  # fmt: skip
    state = poll.step.after(reading)
    try:
        state_digest = digest(canonical(state))
    except (TypeError, ValueError) as error:
        raise TaskError(f"step {poll.step.index}: apply returned a state that cannot be digested: {error}") from None
    return state, (number, step_hash(poll.step.index, key, state_digest), state_digest)
