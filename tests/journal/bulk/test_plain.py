"""Plain waves: found among others, and counted in columns as they are one by one."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from maker.decision.address import Address
from maker.decision.wave import UNKNOWN_TOKENS, Wave
from maker.errors import JournalError
from maker.journal.bulk.group import LENGTH, Block, Group
from maker.journal.bulk.plain import FEW, Plain, Run, in_bulk, runs_in, side_by_side
from maker.journal.notes import Note, Receipt, note_of
from maker.journal.records import decode, encode_note, encode_wave
from maker.journal.steps import steps_of
from maker.journal.story import Summary
from maker.review.diagnosis import Signs


def plain(step: int, draws: int = 3, tokens: int = 5) -> Wave:
    """Return a plain wave."""
    digests = bytes([step % 251]) * 16, bytes([step % 241]) * 16
    return Wave(step, 0, [0, 0, tokens, 7] * draws, [(True, b"answer %d" % step)], {}, (0, *digests))


def read(record: bytes) -> Wave | Note:
    """Decode a record, as a `Story` does."""
    item = decode(record)
    return item if isinstance(item, Wave) else note_of(item, "here")


def groups(records: Iterable[bytes], size: int = 50) -> Iterator[Group]:
    """Yield records in groups of so many."""
    held = list(records)
    for first in range(0, len(held), size):
        data, ends = b"", []
        for record in held[first : first + size]:
            data += LENGTH.pack(len(record)) + record
            ends.append(len(data))
            data += bytes(16)
        yield Group(first, data, ends)


def all_of(records: list[bytes]) -> tuple[list[Wave], list[Wave | Note]]:
    """Return the plain waves and the others, in bulk."""
    found: tuple[list[Any], list[Any]] = [], []
    for item in in_bulk(groups(records), read):
        if isinstance(item, Plain):
            found[0].extend(decode(item.record(number)) for number in range(len(item)))
        else:
            found[1].append(item)
    return found


MANY = [plain(step) for step in range(2 * FEW)]
WINNER = (0, bytes(16), bytes(16))
OTHERS = {
    "open": replace(MANY[9], verdict=None),
    "a later draw": replace(MANY[9], first=3),
    "two answers": replace(MANY[9], draws=[0, 0, 5, 7, 1, 1, 5, 7], texts=[(True, b"a"), (True, b"b")]),
    "two texts": replace(MANY[9], texts=[(True, b"a"), (True, b"b")], draws=[0, 0, 5, 7, 0, 1, 5, 7]),
    "a flag": replace(MANY[9], draws=[-1, 0, 5, 7, 0, 0, 5, 7], extras={0: {"flag": "illegal"}}),
    "a fact": replace(MANY[9], extras={1: {"finish": "length"}}),
    "another winner": replace(MANY[9], verdict=(1, *WINNER[1:])),
    "a text that is not there": replace(MANY[9], draws=[0, 1, 5, 7]),
    "a digest": replace(MANY[9], texts=[(False, bytes(16))]),
    "no draws": Wave(9, 0, [], [], {}, WINNER),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_not_plain_is_decoded(kind: str) -> None:
    """A wave that differs from a plain one in one respect comes by itself, as it is; those around it do not."""
    waves = [*MANY[:9], OTHERS[kind], *MANY[10:]]
    assert all_of(list(map(encode_wave, waves))) == ([*MANY[:9], *MANY[10:]], [OTHERS[kind]])


def test_steps_that_have_more_than_a_plain_wave_are_left_out() -> None:
    """A step with an open wave or a receipt before it, or with another wave in the block, has no plain one."""
    opened = Wave(4, 0, [0, 0, 5, 7], [(True, b"a")])
    receipt = {"sample": {"run": "r", "step": 5, "draw": 0, "spent": [1, 2, 0, 0, 0], "text": "x"}}
    before = [encode_wave(opened), encode_note(receipt)]
    waves = [*MANY, Wave(6, 3, [0, 0, 5, 7])]
    apart, others = all_of(before + list(map(encode_wave, waves)))
    assert apart == [wave for wave in MANY if wave.step not in {4, 5, 6}]
    assert others == [opened, Receipt(Address("r", 5, 0), (1, 2, 0, 0, 0), others[1].sample), *MANY[4:7], waves[-1]]


def test_few_waves_between_notes_are_read_one_by_one() -> None:
    """Notes keep their place, and where they leave too few waves side by side there is nothing in bulk."""
    note = encode_note({"what": "ever"})
    records = [record for wave in MANY for record in (encode_wave(wave), note)]
    assert all_of(records) == ([], [read(record) for record in records])
    assert all_of([]) == ([], [])


def test_counts_are_those_of_single_waves() -> None:
    """Sums and signs in bulk equal those of the same waves taken one by one, also out of step order."""
    rng = random.Random(0)
    waves = [plain(step, 2 + step % 3, step if step % 7 else UNKNOWN_TOKENS) for step in range(300)]
    waves += [replace(wave, verdict=None) for wave in map(plain, range(300, 310))]
    rng.shuffle(waves)
    one, other, signs, others = Summary(), Summary(), Signs(), Signs()
    one._turns = other._turns = ["a", "b"]
    tokens = 0
    for wave in waves:
        one.take(wave)
    for stored in steps_of(waves):
        signs.take(stored)
    for item in in_bulk(groups(map(encode_wave, waves)), read):
        if not isinstance(item, Plain):
            other.take(item)
            continue
        other.take_plain(item)
        others.take_plain(item)
        tokens += item.tokens_in or 0
    assert one.as_json() == other.as_json()
    assert (one.waves, one.fold.chain, signs) == (other.waves, other.fold.chain, others)
    assert tokens == sum(sum(set(wave.draws[2::4]) - {UNKNOWN_TOKENS}) * len(wave) for wave in waves if wave.verdict)
    assert one.waves == Counter({1: 300})


def test_tokens_that_nobody_told_are_not_none() -> None:
    """Where no wave says its tokens there is no sum of them."""
    (item,) = in_bulk(groups(encode_wave(plain(step, tokens=UNKNOWN_TOKENS)) for step in range(FEW)), read)
    assert isinstance(item, Plain)
    assert (item.tokens_in, item.tokens_out) == (None, 3 * 7 * FEW)


def test_broken_records_are_what_they_are_one_by_one() -> None:
    """Whatever byte of a record is changed: in bulk it is a wave with the same content, or the same error."""
    rng = random.Random(1)
    sound = list(map(encode_wave, MANY))
    for _ in range(300):
        broken = bytearray(sound[9])
        broken[rng.randrange(1, len(broken))] = rng.randrange(256)
        at = rng.randrange(10) if rng.random() < 0.2 else len(broken)
        records = [*sound[:9], bytes(broken[:1] + broken[1:at]), *sound[10:]]
        try:
            one = {repr(decode(record)) for record in records}
        except JournalError:
            with pytest.raises(JournalError, match="cannot be read"):
                all_of(records)
            continue
        bulk = all_of(records)
        assert {repr(item) for item in bulk[0] + bulk[1]} == one


def test_in_turn_is_the_order_of_the_records() -> None:
    """Runs of consecutive steps come with what the waves say, and end where another record stands between."""
    waves = [*MANY[:20], OTHERS["a flag"], *MANY[20:40], *MANY[50:60], MANY[45]]
    found = list(runs_in(Block.of(list(map(encode_wave, waves))), 0, len(waves), set()))
    told = [(run.first, run.numbers[0], len(run)) if isinstance(run, Run) else run for run in found]
    assert told == [(0, 0, 9), 9, (10, 9, 10), 20, (20, 19, 20), (50, 39, 10), (45, 49, 1)]
    rows = [row for run in found if isinstance(run, Run) for row in run.rows]
    kept = [wave for place, wave in enumerate(waves) if place not in {9, 20}]
    assert rows == [(wave.texts[0][1], len(wave), wave.verdict[1] + wave.verdict[2]) for wave in kept if wave.verdict]
    assert list(runs_in(Block.of(list(map(encode_wave, MANY[:3]))), 1, 3, set())) == [1, 2]


def test_side_by_side_are_waves_alone_or_a_single_record() -> None:
    """Whatever stands between waves is by itself, an empty record too."""
    wave, note = encode_wave(MANY[0]), encode_note({"what": "ever"})
    records = [note, wave, wave, b"", wave]
    assert list(side_by_side(records)) == [[note], [wave, wave], [b""], [wave]]


def test_stretches_that_do_not_need_each_other_come_one_by_one() -> None:
    """Whatever the order of the records, each stretch keeps its own, other records included."""
    rng = random.Random(3)
    lanes = [[*MANY[:9], OTHERS["a flag"], *MANY[10:20]], MANY[20:40], MANY[40:60]]
    turns = [lane for lane, waves in enumerate(lanes) for _ in waves]
    rng.shuffle(turns)
    left = [iter(lane) for lane in lanes]
    waves = [next(left[lane]) for lane in turns]
    block = Block.of(list(map(encode_wave, waves)))
    found = list(runs_in(block, 0, len(waves), set(), [0, 20, 40]))
    told = [(run.first, len(run)) if isinstance(run, Run) else waves[run] for run in found]
    assert told == [(0, 9), OTHERS["a flag"], (10, 50)]
    runs = [run for run in found if isinstance(run, Run)]
    assert [run.wave(at) for run in runs for at in range(len(run))] == [*MANY[:9], *MANY[10:60]]
