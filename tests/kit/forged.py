"""Journals of plain steps and others, changed record by record and written anew with a right chain."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import maker
from maker.decision.wave import Wave
from maker.journal.database import read_records
from maker.journal.records import decode, encode_note, encode_wave
from maker.journal.writer import Journal

Content = list[Wave | dict[str, Any]]

SETTINGS: dict[str, Any] = {"model": "oracle:p=0.97", "k": 3, "segments": 4}


def content(path: Path) -> Content:
    """Return what a journal holds, but for how the run ended: that has its seconds."""
    return [item for item in map(decode, read_records(path)) if isinstance(item, Wave) or "close" not in item]


def write(path: Path, held: Content) -> Path:
    """Write a journal that holds this, with a right chain."""
    path.unlink(missing_ok=True)
    with Journal(path) as journal:
        list(journal.replay())
        for item in held:
            journal.append(encode_wave(item) if isinstance(item, Wave) else encode_note(item))
    return path


FORGED: dict[str, Callable[[Wave, random.Random], Wave]] = {
    "another answer": lambda wave, rng: replace(wave, texts=[(True, b"move = [1, 0, 1]\nnext_state = [[2], [1], []]")]),
    "a text that is none": lambda wave, rng: replace(wave, texts=[(True, b"\xff\xfe")]),
    "a reply that is no answer": lambda wave, rng: replace(wave, texts=[(True, b"I do not know")]),
    "a text without end": lambda wave, rng: replace(wave, texts=[(True, wave.texts[0][1] + b" " * 200_000)]),
    "another hash": lambda wave, rng: _verdict(wave, rng, 1),
    "another state": lambda wave, rng: _verdict(wave, rng, 2),
    "another winner": lambda wave, rng: replace(wave, verdict=(1, *wave.verdict[1:]) if wave.verdict else None),
    "a vote more": lambda wave, rng: replace(wave, draws=wave.draws + wave.draws[:4]),
    "a vote less": lambda wave, rng: replace(wave, draws=wave.draws[4:]),
    "another step": lambda wave, rng: replace(wave, step=wave.step + rng.choice([-1, 1, 7, 2**40])),
    "another draw": lambda wave, rng: replace(wave, first=3),
    "another count of tokens": lambda wave, rng: replace(wave, draws=[*wave.draws[:2], 7, 2**32 - 1, *wave.draws[4:]]),
}


def _verdict(wave: Wave, rng: random.Random, part: int) -> Wave:
    """Change a byte of one part of a verdict."""
    assert wave.verdict is not None
    parts: list[Any] = list(wave.verdict)
    changed = bytearray(parts[part])
    changed[rng.randrange(16)] ^= 1 << rng.randrange(8)
    parts[part] = bytes(changed)
    return replace(wave, verdict=tuple(parts))


def held_by_a_run(folder: Path) -> Content:
    """Return what the journal of a run of six disks holds, with plain steps and others."""
    maker.run_sync(maker.load_task("hanoi", disks=6), journal=folder / "run.db", **SETTINGS)
    return content(folder / "run.db")


def sound_places(held: Content) -> list[int]:
    """Return where the plain waves are."""
    return [place for place, item in enumerate(held) if isinstance(item, Wave) and item.verdict and len(item) == 3]


def shuffled(held: Content, rng: random.Random) -> Content:
    """Return the first part of a journal with a record left out, repeated, swapped or moved."""
    found = held[: rng.randrange(2, len(held) + 1)]
    one, other = rng.randrange(1, len(found)), rng.randrange(1, len(found))
    match rng.randrange(4):
        case 0:
            del found[one]
        case 1:
            found.insert(one, found[other])
        case 2:
            found[one], found[other] = found[other], found[one]
        case _:
            found.insert(other, found.pop(one))
    return found
