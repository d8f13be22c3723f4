"""Makes the golden journals: small runs of the present format, each with what it must always be read as.

    python tests/golden/make.py [NAME ...]

Run it once for each new format, under a new name, and keep the old files: they must replay for ever. A file
that exists is never written again. `expected.json` holds what each of them says.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import random
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import maker
from maker.decision.sample import Request, Sample
from maker.engine.ladder.rungs import Trouble
from maker.journal.database import FORMAT
from maker.journal.escalated import Change
from maker.journal.story import Story
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


def _models() -> Any:
    """Return the models of the pinned journals, which are those of the newer golden ones, too."""
    spec = importlib.util.spec_from_file_location("golden_models", HERE / "bytes_models.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


models = _models()


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


def _solve(journal: Path, limits: dict[str, Any] | None) -> maker.RunResult:
    """Solve a product whose splits and answers judges choose."""
    return maker.solve_sync("321 * 765", model=models.scripted(models.solving), k=3, journal=journal, limits=limits)


def _map_keyed(journal: Path, limits: dict[str, Any] | None) -> maker.RunResult:
    """Ask a paid model about items; answers are counted by a key."""
    words = ["Paris", "paris", "Rome", "PARIS", "Padua"]
    model = models.Paid(lambda request: words[(request.address.draw + request.address.step) % 5])
    key = vars(sys.modules[type(task_of("dag")).__module__])["folded"]
    items = [f"item {i}" for i in range(12)]
    return maker.map_sync(
        "Tell of {item}.", items, model=model, k=2, key=key, journal=journal, limits=limits, concurrency=1
    ).result


def _paid(journal: Path, limits: dict[str, Any] | None) -> maker.RunResult:
    """Count over a network; where there are limits, the server is gone in the middle of a wave."""
    left = [20 if limits else 10_000]

    def script(request: Request) -> Any:
        left[0] -= 1
        return models.noisy(request).text if left[0] >= 0 else maker.Failure("fatal", "it is gone")

    model = models.Paid(script, mark=lambda request: "fp-1")
    return maker.run_sync(task_of("paid"), model=model, k=3, journal=journal, limits=limits or {"concurrency": 1})


def _dag(journal: Path, limits: dict[str, Any] | None) -> maker.RunResult:
    """Walk branches that join."""
    task = task_of("dag")
    return maker.run_sync(task, model=models.scripted(models.truthful(task, 0.8)), k=3, journal=journal, limits=limits)


# Runs of other kinds, each with where it is stopped, and its answer; the test carries them to their ends, too.
OTHERS: dict[str, tuple[Callable[[Path, dict[str, Any] | None], maker.RunResult], dict[str, Any], Any]] = {
    "solve": (_solve, {"max_calls": 40}, "245565"),
    "map-keyed": (_map_keyed, {"max_calls": 20}, 12),
    "paid": (_paid, {"concurrency": 1}, 12),
    "dag": (_dag, {"max_steps": 8}, 603),
}
TASKS = {"dag": "bytes_tasks.py:Branches", "map-keyed": None, "solve": None}


def task_of(name: str) -> Any:
    """Return the task of a golden run, None where no file has it."""
    file = TASKS.get(name, "count.py:Count")
    return maker.load_task(f"{HERE}/{file}") if file else None


def carry_out(name: str, journal: Path, *, to_the_end: bool, part: int = -1) -> maker.RunResult:
    """Carry out one part of a golden run, or go on with it."""
    if name in OTHERS:
        made, limits, _ = OTHERS[name]
        return made(journal, None if to_the_end else limits)
    told = dict(RUNS[name][part])
    limits = told.pop("limits", None)
    return maker.run_sync(
        task_of(name), model=model(lockstep=told.pop("lockstep")), journal=journal, seed=1, segments=1,
        limits=None if to_the_end else limits, **told,
    )  # fmt: skip


def begin(name: str, journal: Path) -> None:
    """Carry out all parts of a golden run but the last."""
    for part in range(len(RUNS.get(name, [{}])) - 1):
        carry_out(name, journal, to_the_end=False, part=part)


def main() -> None:
    """Make the files that are not there yet, and note what each says."""
    known = HERE / "expected.json"
    expected = json.loads(known.read_text()) if known.exists() else {}
    for name in (*RUNS, *OTHERS):
        path = HERE / f"format-{FORMAT}-{name}.journal"
        if path.exists() or (sys.argv[1:] and name not in sys.argv[1:]):
            continue
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / "run.db"
            begin(name, made)
            with contextlib.suppress(maker.ModelError):  # a server that was gone
                carry_out(name, made, to_the_end=False)
            shutil.copy(made, path)
            said = Story(path).summary().as_json()
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
