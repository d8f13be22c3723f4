"""One step of a report: its ballots in order, and the texts of its answers and flagged samples.

All of it is plain text, made visible and cut; the template escapes it.

Not covered: which steps are shown (`data.py`).
"""

from __future__ import annotations

from typing import Any

from maker.decision.wave import FLAGGED
from maker.journal.steps import StoredStep
from maker.task.canonical import visible

SHOWN_TEXT = 700  # characters of a text
SHOWN_ANSWERS = 4  # answers of a step, and as many flagged texts
SHOWN_BALLOTS = 160
SHOWN_KINDS = 3
SHOWN_VOTES = 6
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def show_step(stored: StoredStep) -> dict[str, Any]:
    """Return one step as the template shows it."""
    tally = stored.tally()
    kinds = stored.flags.most_common()
    counts = [(candidate, tally.counts.get(b"%d" % candidate, 0)) for candidate in range(len(stored.first))]
    counts.sort(key=lambda item: (item[0] != stored.winner, -item[1], item[0]))
    answers = [
        {"letter": _letter(candidate), "votes": votes, "won": candidate == stored.winner,
         **_text(stored.answer(candidate))}
        for candidate, votes in counts[:SHOWN_ANSWERS]
    ]  # fmt: skip
    flagged = [draw for draw, candidate in enumerate(stored.candidates) if candidate == FLAGGED]
    return {
        "step": stored.step, "samples": len(stored.candidates),
        "votes": " : ".join(f"{n:,}" for _, n in counts[:SHOWN_VOTES]) or "none",
        "more_votes": len(counts) > SHOWN_VOTES,
        "margin": tally.margin, "entropy": f"{tally.entropy:.3f}" if tally.total else "-", "rounds": stored.rounds,
        "flags": ", ".join(f"{_kind(kind)} {n}" for kind, n in kinds[:SHOWN_KINDS]) or "none",
        "more_kinds": max(0, len(kinds) - SHOWN_KINDS),
        "ballots": _ballots(stored, counts[0][0] if counts else None),
        "more_ballots": max(0, len(stored.candidates) - SHOWN_BALLOTS),
        "answers": answers, "more_answers": max(0, len(counts) - SHOWN_ANSWERS),
        "flagged": [_flagged(stored, draw) for draw in flagged[:SHOWN_ANSWERS]],
        "more_flagged": max(0, len(flagged) - SHOWN_ANSWERS),
    }  # fmt: skip


def _ballots(stored: StoredStep, top: int | None) -> list[dict[str, str]]:
    """Return the draws in order: the letter of the answer, or a dot for a flagged one. top: winner, or leader."""
    shown: list[dict[str, str]] = []
    for draw, candidate in enumerate(stored.candidates[:SHOWN_BALLOTS]):
        if candidate == FLAGGED:
            shown.append({"mark": "·", "kind": "flag", "title": f"draw {draw}: {_kind(stored.flag(draw))}"})
        else:
            kind = "top" if candidate == top else "other"
            shown.append({"mark": _letter(candidate), "kind": kind, "title": f"draw {draw}"})
    return shown


def _flagged(stored: StoredStep, draw: int) -> dict[str, Any]:
    """Return a flagged draw with its text, or why there is none."""
    text = stored.text(draw)
    why = "the reply had no text" if stored.silent(draw) else f"text not stored, digest {stored.digest(draw).hex()}"
    said = {"text": None, "why": why} if text is None else _text(text)
    return {"draw": draw, "kind": _kind(stored.flag(draw)), **said}


def _text(text: str) -> dict[str, Any]:
    """Return a text as it is shown: everything visible, and how much was cut."""
    return {"text": visible(text[:SHOWN_TEXT]), "cut": max(0, len(text) - SHOWN_TEXT)}


def _letter(candidate: int) -> str:
    return LETTERS[candidate] if candidate < len(LETTERS) else f"#{candidate + 1}"


def _kind(kind: str) -> str:
    return visible(kind[:40])
