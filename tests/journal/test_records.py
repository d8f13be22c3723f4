"""The bytes of a journal's records: a round trip for all that is written, one error for all that is not."""

import json
import math
import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from maker.decision.wave import FLAGGED, UNKNOWN_TOKENS, Wave, encode_text  # fmt: skip
from maker.errors import JournalError
from maker.journal.records import MOST, NOTE, WAVE, decode, encode_note, encode_receipt, encode_wave  # fmt: skip
from maker.task.canonical import digest

exactly = settings(derandomize=True, max_examples=50, deadline=None)


def _any_json(floats):
    """Return what JSON knows, with some floats."""
    return st.recursive(
        st.none() | st.booleans() | st.integers(-(2**70), 2**70) | floats | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=6,
    )


_json = _any_json(st.floats(allow_nan=False))
_finite = _any_json(st.floats(allow_nan=False, allow_infinity=False))
_tokens = st.integers(0, 2**32 - 1)
_draws = st.lists(st.tuples(st.integers(FLAGGED, 2**15 - 1), st.integers(0, 2**16 - 1), _tokens, _tokens), max_size=6)
_hash16 = st.binary(min_size=16, max_size=16)


@st.composite
def _waves(draw):
    """Draw any wave that a run could keep."""
    draws = draw(_draws)
    positions = st.integers(0, max(0, len(draws) - 1))
    facts = st.dictionaries(
        st.sampled_from(["flag", "finish", "id", "logprob", "model", "latency"]), _finite, min_size=1
    )
    return Wave(
        step=draw(st.integers(0, MOST)),
        first=draw(st.integers(0, 2**32 - 1)),
        draws=[number for entry in draws for number in entry],
        texts=draw(st.lists(st.tuples(st.booleans(), st.binary(max_size=20)), max_size=4)),
        extras=draw(st.dictionaries(positions, facts, max_size=3)) if draws else {},
        verdict=draw(st.none() | st.tuples(st.integers(0, 2**16 - 1), _hash16, _hash16)),
    )


def _known(record):
    """Return what a record holds, or None where it is refused; anything but JournalError fails the test."""
    try:
        return decode(record)
    except JournalError:
        return None


@exactly
@given(_waves())
@example(Wave(0, 0))
@example(
    Wave(1, 2, [-1, 0, UNKNOWN_TOKENS, 0] * 300, [(True, b"")], {299: {"flag": "empty"}}, (0, b"h" * 16, b"s" * 16))
)
def test_a_wave_survives_its_bytes(wave):
    """Every field of a wave comes back from its record as it went in, and so do the bytes."""
    record = encode_wave(wave)
    back = decode(record)
    assert back == wave
    assert len(back) == len(wave) == len(wave.draws) // 4
    assert encode_wave(back) == record


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_a_fact_that_is_no_number_is_not_known(odd):
    """A figure of a sample that JSON does not have comes back as None, in a wave and in a receipt."""
    assert decode(encode_wave(Wave(0, 0, [0, 0, 1, 1], extras={0: {"logprob": odd}}))).extras == {0: {"logprob": None}}
    assert decode(encode_receipt({"sample": {"logprob": odd}})) == {"sample": {"logprob": None}}


@exactly
@given(st.dictionaries(st.text(max_size=5), _finite, max_size=4))
@example({"text": "\ud800", "tokens": 2**70})
def test_a_receipt_survives_its_bytes(note):
    """A receipt comes back as it went in, lone surrogates and huge numbers included."""
    assert decode(encode_receipt(note)) == note


@exactly
@given(st.dictionaries(st.text(max_size=5), _json, max_size=4))
def test_a_note_survives_its_bytes(note):
    """A note comes back as it went in; its bytes are the kind and ASCII JSON."""
    record = encode_note(note)
    assert decode(record) == note
    assert record[0] == NOTE
    assert json.loads(record[1:].decode("ascii")) == note


@exactly
@given(_waves(), st.data())
def test_a_wave_cut_off_or_too_long_is_refused(wave, data):
    """No record of a wave is a record when a tail is missing or bytes follow."""
    record = encode_wave(wave)
    assert _known(record[: data.draw(st.integers(0, len(record) - 1))]) is None
    assert _known(record + data.draw(st.binary(min_size=1, max_size=5))) is None


@exactly
@given(st.binary(max_size=80))
@example(b"")
@example(bytes((NOTE,)))
@example(bytes((NOTE,)) + b"[]")
@example(bytes((NOTE,)) + b"\xff\xfe")
@example(bytes((NOTE,)) + b"[" * 100_000)
@example(bytes((NOTE,)) + b'{"a":' + b"9" * 5000 + b"}")
@example(bytes((WAVE,)) + b"\xff" * 40)
@example(b"\x00" * 40)
def test_arbitrary_bytes_raise_nothing_but_a_journal_error(record):
    """Whatever the bytes, the answer is a wave, a note or JournalError."""
    assert isinstance(_known(record), (Wave, dict, type(None)))
    for kind in (NOTE, WAVE):
        assert isinstance(_known(bytes((kind,)) + record), (Wave, dict, type(None)))


@exactly
@given(_waves(), st.data())
def test_a_wave_with_changed_bytes_raises_nothing_but_a_journal_error(wave, data):
    """Any overwritten bytes of a valid record give another wave, a note or JournalError."""
    record = bytearray(encode_wave(wave))
    for _ in range(data.draw(st.integers(1, 4))):
        record[data.draw(st.integers(0, len(record) - 1))] = data.draw(st.integers(0, 255))
    assert isinstance(_known(bytes(record)), (Wave, dict, type(None)))


@pytest.mark.parametrize("extras", [b"[]", b"3", b"null", b'"x"', b'{"a":{}}', b"{", b"\xff", b'{"0":3}', b'{"0":[]}'])
def test_extras_of_the_wrong_shape_are_refused(extras):
    """Extras that are not facts by position are a JournalError, never another exception, now or at replay."""
    record = struct.pack("<BQIHHB", WAVE, 0, 0, 0, 0, 1) + struct.pack("<I", len(extras)) + extras
    with pytest.raises(JournalError, match="record"):
        decode(record)


@pytest.mark.parametrize("kind", [0, 3, 7, 255])
def test_a_record_of_another_kind_is_refused_by_its_number(kind):
    """A kind that this version does not know is refused with its number and a guess at the cause."""
    with pytest.raises(JournalError, match=f"unknown kind {kind}.*newer"):
        decode(bytes((kind,)) + b"{}")


@pytest.mark.parametrize("text", ["", "move = [1, 0, 2]", "\ud800", "a\x00b", "\x1b[31m", "日本" * 100, "x" * 100_000])
def test_a_text_is_kept_whole_or_as_its_digest(text):
    """A kept text comes back character for character, lone surrogates included; a digest has 16 bytes."""
    full, raw = encode_text(text, True)
    assert full is True
    assert raw.decode("utf-8", "surrogatepass") == text
    assert encode_text(text, False) == (False, digest(raw))


def test_the_layout_is_the_documented_one():
    """A wave written by hand from the documented layout reads as that wave: the format cannot drift unseen."""
    extras = b'{"1":{"flag":"empty"}}'
    record = b"".join((
        struct.pack("<BQIHHB", 2, 7, 3, 2, 1, 3),
        struct.pack("<hHII", 0, 0, 10, 20), struct.pack("<hHII", -1, 0, 11, 2**32 - 1),
        struct.pack("<BI", 1, 2), b"ab",
        struct.pack("<I", len(extras)), extras,
        struct.pack("<H16s16s", 0, b"h" * 16, b"s" * 16),
    ))  # fmt: skip
    wave = Wave(
        7, 3, [0, 0, 10, 20, FLAGGED, 0, 11, UNKNOWN_TOKENS], [(True, b"ab")], {1: {"flag": "empty"}},
        (0, b"h" * 16, b"s" * 16),
    )  # fmt: skip
    assert decode(record) == wave
    assert encode_wave(wave) == record


def test_a_plain_wave_is_small():
    """A deciding wave of three equal Hanoi replies of 20 disks, its text kept once, takes under 250 bytes."""
    text = b"move = [1, 0, 1]\nnext_state = [%s, [1], []]" % str(list(range(20, 1, -1))).encode()
    wave = Wave(5, 0, [0, 0, 300, 50] * 3, [(True, text)], {}, (0, bytes(16), bytes(16)))
    assert len(encode_wave(wave)) < 250


@pytest.mark.parametrize("step", [2**63, 2**64 - 1])
def test_a_step_that_no_table_can_hold_is_refused(step):
    """A step beyond 2^63 - 1 is refused where the record is read, not by whoever writes it to a table."""
    assert decode(encode_wave(Wave(2**63 - 1, 0))).step == 2**63 - 1
    with pytest.raises(JournalError, match="is no count"):
        decode(encode_wave(Wave(step, 0)))
