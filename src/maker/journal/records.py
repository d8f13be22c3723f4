"""What a journal says, and its bytes: notes (JSON) and waves (packed).

A `Wave` is the outcome of one round of sampling of one step: for each draw its candidate (the
answers of a step are numbered as they first appear) or that it was flagged, its text, its tokens;
and, when the wave decided the step, the winner with the hashes of the step and of the next state.
A text is stored once a step, in full or as its digest. A candidate's first text is always stored
in full, because replay reads the winning answer from it.

Layout, little endian: kind u8; then for a note the JSON; for a wave step u64, first draw u32,
draws u16, new texts u16, parts u8; per draw candidate i16 (-1: flagged), text u16, tokens in u32,
tokens out u32; per new text full u8, length u32, bytes; extras u32 + JSON (if parts & 1); winner
u16, step hash 16 bytes, state digest 16 bytes (if parts & 2).

Not covered: files, checksums and chaining (`database.py`).
"""

from __future__ import annotations

import json
import struct
from functools import cache
from typing import Any

import orjson

from maker.decision.wave import Wave
from maker.errors import JournalError

_encoder = json.JSONEncoder(check_circular=False, separators=(",", ":"))
# The C encoder that JSONEncoder builds anew for every call, built once.
_make = getattr(json.encoder, "c_make_encoder", None)
_chunks = _make and _make(
    None, _encoder.default, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, True
)

NOTE, WAVE = 1, 2
_NOTE = bytes((NOTE,))

_COUNT, _COUNT_AT = struct.Struct("<H"), 13  # where a wave says how many draws it has
_TEXT_HEAD = struct.Struct("<BI")
_LENGTH = struct.Struct("<I")
_VERDICT = struct.Struct("<H16s16s")
_EXTRAS, _DECIDED = 1, 2


def encode_note(note: dict[str, Any]) -> bytes:
    """Return the record of a note."""
    return _NOTE + _json(note)


def encode_receipt(note: dict[str, Any]) -> bytes:
    """Return the record of a note that is written for every call."""
    return _NOTE + _quick_json(note, 0)


def _json(content: dict[Any, Any]) -> bytes:
    return "".join(_chunks(content, 0)).encode("ascii") if _chunks else _encoder.encode(content).encode("ascii")


def _quick_json(content: dict[Any, Any], option: int) -> bytes:
    """Return JSON for what every paid sample has: several times as fast, and NaN becomes null."""
    try:
        return orjson.dumps(content, None, option)
    except orjson.JSONEncodeError:  # a lone surrogate, or a number of more than 64 bits
        return _json(content)


def encode_wave(wave: Wave) -> bytes:
    """Return the record of a wave."""
    draws = wave.draws
    count = len(draws) // 4
    has = (_EXTRAS if wave.extras else 0) | (_DECIDED if wave.verdict else 0)
    parts = [_front(count).pack(WAVE, wave.step, wave.first, count, len(wave.texts), has, *draws)]
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
            return _decode_wave(record)
    except (ValueError, IndexError, struct.error, RecursionError) as error:
        raise JournalError(f"a record cannot be read: {type(error).__name__}: {error}") from None
    raise JournalError(f"a record of unknown kind {record[0]}: was it written by a newer maker?")


def _decode_wave(record: bytes) -> Wave:
    count = _COUNT.unpack_from(record, _COUNT_AT)[0]
    front = _front(count)
    _, step, first, _, texts, parts, *draws = front.unpack_from(record)
    wave = Wave(step, first, draws)
    at = front.size
    for _ in range(texts):
        full, length = _TEXT_HEAD.unpack_from(record, at)
        at += _TEXT_HEAD.size
        wave.texts.append((bool(full), _slice(record, at, length)))
        at += length
    if parts & _EXTRAS:
        (length,) = _LENGTH.unpack_from(record, at)
        at += _LENGTH.size
        wave.extras = _extras(json.loads(_slice(record, at, length)))
        at += length
    if parts & _DECIDED:
        wave.verdict = _VERDICT.unpack_from(record, at)
        at += _VERDICT.size
    if at != len(record):
        raise ValueError(f"{len(record) - at} bytes too many")
    return wave


def _extras(found: object) -> dict[int, dict[str, Any]]:
    if not isinstance(found, dict) or not all(isinstance(facts, dict) for facts in found.values()):
        raise ValueError("facts about draws must be objects by position")
    return {int(key): facts for key, facts in found.items()}


def _slice(record: bytes, at: int, length: int) -> bytes:
    if at + length > len(record):
        raise ValueError("a part reaches past the end of the record")
    return record[at : at + length]


@cache
def _front(count: int) -> struct.Struct:
    """Return the layout of a wave up to its texts."""
    return struct.Struct("<BQIHHB" + "hHII" * count)
