"""Makes the golden journals: small runs of the present format, each with what it must always be read as.

    python tests/golden/make.py [NAME ...]

Run it once for each new format, under a new name, and keep the old files: they must replay for ever. A file
that exists is never written again. `expected.json` holds what each of them says.
"""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import maker
from maker.audit import summarise
from maker.journal import FORMAT
from maker.ladder import Change, Trouble
from maker.sample import Request, Sample
from maker.testing import ScriptedModel

HERE = Path(__file__).parent
MODEL = "golden"
KEPT = ("run", "k", "steps", "samples", "flagged", "flags", "state_digest", "chain", "stopped", "head", "records")


def reply(request: Request) -> str | Sample:
    """Answer by the address alone: mostly right, sometimes wrong, sometimes not at all."""
    at = request.address
    rng = random.Random(f"golden/{at.step}/{at.draw}")
    right = str(at.step + 1)
    text = rng.choice([right] * 7 + [str(at.step + 2), "I'm sorry, I can't", f"{right} \u2713 \ud800"])
    return Sample(text, tokens_in=9, tokens_out=2, response_id=f"r{at.step}-{at.draw}", model=MODEL, latency=0.001)


def model(*, lockstep: bool) -> ScriptedModel:
    """Return the model of the golden runs."""
    made = ScriptedModel(reply, lockstep=lockstep)
    made.simulated = False
    made.name = MODEL
    return made


def warmer(trouble: Trouble) -> Change:
    """Ask again, at a higher temperature."""
    return Change(warmer=0.25)


def back(trouble: Trouble) -> Change | None:
    """Give up the step before, too."""
    return Change(back=1) if trouble.decided else None


def more(trouble: Trouble) -> Change:
    """Let the race go on for longer."""
    return Change(more=8)


# Each name with the settings of its run, one after another; one that was stopped is carried to its end by the test.
RUNS: dict[str, list[dict[str, Any]]] = {
    "finished": [{"k": 3, "lockstep": True}],
    "stopped": [{"k": 3, "lockstep": True, "limits": {"max_steps": 5}}],
    "one-by-one": [{"k": 2, "lockstep": False, "limits": {"max_steps": 7, "concurrency": 1}}],
    "few-texts": [{"k": 3, "lockstep": True, "keep_samples": "none"}],
    "calibrated": [{"k": "auto", "lockstep": True, "limits": {"max_steps": 6}}],
    "changed": [
        {"k": 3, "lockstep": True, "limits": {"max_steps": 4}},
        {
            "k": 4,
            "lockstep": True,
            "temperature": 0.5,
            "accept_change": ["k", "temperature"],
            "limits": {"max_steps": 8},
        },
    ],
    "escalated": [
        {"k": 4, "lockstep": True, "ladder": [back, warmer, more], "limits": {"max_steps": 9, "max_votes": 5}}
    ],
}


def carry_out(name: str, journal: Path, *, to_the_end: bool, part: int = -1) -> maker.RunResult:
    """Carry out one part of a golden run, or go on with it."""
    told = dict(RUNS[name][part])
    limits = told.pop("limits", None)
    task = maker.load_task(f"{HERE / 'count.py'}:Count")
    return maker.run_sync(
        task, model=model(lockstep=told.pop("lockstep")), journal=journal, seed=1, segments=1,
        limits=None if to_the_end else limits, **told,
    )  # fmt: skip


def begin(name: str, journal: Path) -> None:
    """Carry out all parts of a golden run but the last."""
    for part in range(len(RUNS[name]) - 1):
        carry_out(name, journal, to_the_end=False, part=part)


def main() -> None:
    """Make the files that are not there yet, and note what each says."""
    known = HERE / "expected.json"
    expected = json.loads(known.read_text()) if known.exists() else {}
    for name in RUNS:
        path = HERE / f"format-{FORMAT}-{name}.journal"
        if path.exists() or (sys.argv[1:] and name not in sys.argv[1:]):
            continue
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / "run.db"
            begin(name, made)
            carry_out(name, made, to_the_end=False)
            shutil.copy(made, path)
            said = summarise(path).as_json()
            expected[path.name] = {key: said[key] for key in KEPT}
            if name == "finished" and FORMAT == 2:
                _as_first_format(made, HERE / f"format-1-{name}.journal")
                expected[f"format-1-{name}.journal"] = expected[path.name]
    known.write_text(json.dumps(expected, indent=1) + "\n")


def _as_first_format(made: Path, path: Path) -> None:
    """Write a journal as the first format did: without the table of the newest record."""
    with closing(sqlite3.connect(made)) as db:
        db.execute("DROP TABLE newest")
        db.execute("PRAGMA user_version=1")
        db.commit()
        db.execute("VACUUM")
    shutil.copy(made, path)


if __name__ == "__main__":
    main()
