"""What a journal says, and its bytes: notes (JSON) and waves (packed).

Layout, little endian: kind u8; then for a note the JSON; for a wave step u64, first draw u32,
draws u16, new texts u16, parts u8; per draw candidate i16 (-1: flagged), text u16, tokens in u32,
tokens out u32; per new text full u8, length u32, bytes; extras u32 + JSON (if parts & 1); winner
u16, step hash 16 bytes, state digest 16 bytes (if parts & 2).

Not covered: what a wave is (`decision/wave.py`); files, checksums and chaining (`database.py`).
"""

from __future__ import annotations

import json
import struct
import sys
from functools import cache
from typing import Any

import orjson

from maker.decision.wave import Wave
from maker.errors import JournalError
from maker.task.canonical import compact_json

_json = compact_json(allow_nan=True)

NOTE, WAVE = 1, 2
_NOTE = bytes((NOTE,))

_COUNT_AT = 13  # where a wave says how many draws it has
_TEXT_HEAD = struct.Struct("<BI")
_text_head = _TEXT_HEAD.unpack_from
_LENGTH = struct.Struct("<I")
_VERDICT = struct.Struct("<H16s16s")
_EXTRAS, _DECIDED = 1, 2


def encode_note(note: dict[str, Any]) -> bytes:
    """Return the record of a note."""
    return _NOTE + _json(note).encode("ascii")


def encode_receipt(note: dict[str, Any]) -> bytes:
    """Return the record of a note that is written for every call."""
    return _NOTE + _quick_json(note, 0)


def _quick_json(content: dict[Any, Any], option: int) -> bytes:
    """Return JSON for what every paid sample has: several times as fast, and NaN becomes null."""
    try:
        return orjson.dumps(content, None, option)
    except orjson.JSONEncodeError:  # a lone surrogate, or a number of more than 64 bits
        return _json(content).encode("ascii")


def encode_wave(wave: Wave) -> bytes:
    """Return the record of a wave."""
    draws, made = wave.draws, len(wave)
    has = (_EXTRAS if wave.extras else 0) | (_DECIDED if wave.verdict else 0)
    parts = [_front(made).pack(WAVE, wave.step, wave.first, made, len(wave.texts), has, *draws)]
    for full, raw in wave.texts:
        parts += (_TEXT_HEAD.pack(full, len(raw)), raw)
    if wave.extras:
        extras = _quick_json(wave.extras, orjson.OPT_NON_STR_KEYS)
        parts += (_LENGTH.pack(len(extras)), extras)
    if wave.verdict is not None:
        parts.append(_VERDICT.pack(*wave.verdict))
    return b"".join(parts)


# What comes of a field that no engine writes, where a journal was forged: any type may stand in any place.
SENSELESS = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError)


MOST = 2**63 - 1  # of any count, and of a step: what SQLite and Parquet can hold


def count(value: object) -> int:
    """Return a count that a journal holds. Raises ValueError for anything that is none, or is out of range."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST:
        raise ValueError(f"{value!r:.60} is no count")
    return value


def amount(value: object) -> float:
    """Return an amount that a journal holds: finite and not negative. Raises ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= sys.float_info.max:
        raise ValueError(f"{value!r:.60} is no amount")
    return float(value)


def senseless(path: object, where: str, error: Exception) -> JournalError:
    """Return the error of a record that was written by no engine."""
    return JournalError(f"{path}: {where} makes no sense ({type(error).__name__}: {error}): damaged or forged.")


def decode(record: bytes) -> Wave | dict[str, Any]:
    """Return the wave or the note that a record holds. Raises JournalError for anything else."""
    try:
        if record[0] == NOTE:
            note = json.loads(record[1:])
            if isinstance(note, dict):
                return note
        elif record[0] == WAVE:
            return decode_wave(record)
    except (ValueError, IndexError, struct.error, RecursionError) as error:
        raise JournalError(f"a record cannot be read: {type(error).__name__}: {error}") from None
    raise JournalError(f"a record of unknown kind {record[0]}: was it written by a newer maker?")


def decode_wave(record: bytes) -> Wave:
    """Return the wave that a record holds, of which that is known. Raises as it comes for one that is broken."""
    front = _front(record[_COUNT_AT] | record[_COUNT_AT + 1] << 8)
    _, step, first, _, number, parts, *draws = front.unpack_from(record)
    if step > MOST:
        raise ValueError(f"{step!r:.60} is no count")
    at, texts = front.size, []
    for _ in range(number):
        full, length = _text_head(record, at)
        at += _TEXT_HEAD.size
        texts.append((full != 0, record[at : at + length]))
        at += length
    wave = Wave(step, first, draws, texts, {}, None)
    if parts & _EXTRAS:
        (length,) = _LENGTH.unpack_from(record, at)
        at += _LENGTH.size
        extras = json.loads(_slice(record, at, length))
        if not isinstance(extras, dict) or not all(isinstance(facts, dict) for facts in extras.values()):
            raise ValueError("facts about draws must be objects by position")
        wave.extras = {count(int(key)): facts for key, facts in extras.items()}
        at += length
    if parts & _DECIDED:
        wave.verdict = _VERDICT.unpack_from(record, at)
        at += _VERDICT.size
    if at != len(record):
        raise ValueError(f"{len(record) - at} bytes too many")
    return wave


def _slice(record: bytes, at: int, length: int) -> bytes:
    if at + length > len(record):
        raise ValueError("a part reaches past the end of the record")
    return record[at : at + length]


@cache
def _front(count: int) -> struct.Struct:
    """Return the layout of a wave up to its texts."""
    return struct.Struct("<BQIHHB" + "hHII" * count)
