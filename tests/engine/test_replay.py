"""Plain waves are replayed as a poll of each would replay them: the same run, the same account, the same refusals."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import maker
from forged import FORGED, SETTINGS, Content, content, held_by_a_run, shuffled, sound_places, write
from maker.decision.poll import Poll
from maker.decision.wave import Wave
from maker.engine import replay
from maker.errors import JournalError, MakerError
from maker.journal.bulk import plain
from maker.journal.escalated import Change
from maker.models.oracle import Oracle
from maker.testing import ScriptedModel

TOLD = (
    "solved", "answer", "steps", "wrong", "first_wrong", "collisions", "waves", "samples", "flagged", "flags", "usage",
    "replayed", "state_digest", "chain", "epochs", "escalations", "stopped", "detail", "state",
)  # fmt: skip
NEVER = 10**9


def hanoi(disks: int = 6) -> Any:
    """Return the built-in task."""
    return maker.load_task("hanoi", disks=disks)


def outcome(path: Path, few: int, go_on: Callable[[Path], maker.RunResult]) -> Any:
    """Go on with a copy of a journal; return all that is said of it, and what the copy holds then.

    few: waves side by side from which on they are taken in bulk.
    """
    copy = path.with_name("copy.db")
    shutil.copy(path, copy)
    with pytest.MonkeyPatch().context() as patch:
        patch.setattr(replay, "FEW", few)
        patch.setattr(plain, "FEW", few)
        try:
            result = go_on(copy)
        except MakerError as error:
            return type(error), str(error)
    return {name: getattr(result, name) for name in TOLD}, content(copy)


def alike(path: Path, go_on: Callable[[Path], maker.RunResult]) -> Any:
    """Go on in bulk and one by one; assert that both come to the same, and return it."""
    bulk = outcome(path, 1, go_on)
    assert bulk == outcome(path, NEVER, go_on)
    return bulk


def back(trouble: Any) -> Change | None:
    """Give up two steps."""
    return Change(back=2) if trouble.decided > 1 else None


def warmer(trouble: Any) -> Change:
    """Ask again, warmer."""
    return Change(warmer=0.25)


RUNS: dict[str, dict[str, Any]] = {
    "plain": {"model": "oracle:p=1", "k": 3},
    "disputed": {"model": "oracle:p=0.8,v=0.8", "k": 3},
    "one segment": {"model": "oracle:p=0.9,v=0.9", "k": 2, "segments": 1},
    "texts not kept": {"model": "oracle:p=0.8,v=0.8", "k": 3, "keep_samples": "none"},
    "one vote": {"model": "oracle:p=0.9", "k": 1},
    "calibrated": {"model": "oracle:p=0.9,v=0.9", "k": "auto"},
    "a table": {"model": "oracle:p=0.9", "k": "table", "target": 0.9},
    "weights": {"model": [Oracle(p=0.9, seed=1), Oracle(p=0.8, seed=2)], "k": 4, "weights": (2, 1)},
    "a ladder": {
        "model": "oracle:p=0.8,v=0.6", "k": 3, "segments": 4, "ladder": [back, warmer], "limits": {"max_votes": 4},
    },
    "undecided": {"model": "oracle:p=0.6", "k": 4, "limits": {"max_votes": 6}},
}  # fmt: skip


@pytest.mark.parametrize("kind", RUNS)
def test_every_kind_of_run_goes_on_alike(tmp_path: Path, kind: str) -> None:
    """Wherever a journal was cut, the run that goes on in bulk is the one that goes on wave by wave."""

    def go_on(path: Path) -> maker.RunResult:
        return maker.run_sync(hanoi(), journal=path, **RUNS[kind])

    whole = tmp_path / "whole.db"
    go_on(whole)
    held = content(whole)
    for count in (len(held), len(held) // 2, len(held) // 3):
        alike(write(tmp_path / "cut.db", held[:count]), go_on)


def test_settings_that_changed_go_on_alike(tmp_path: Path) -> None:
    """Steps before and after a change of k count as the settings that were in force say."""
    path = tmp_path / "run.db"
    settings: dict[str, Any] = {"model": "oracle:p=0.95", "segments": 4, "accept_change": ["k"]}
    maker.run_sync(hanoi(), k=2, journal=path, limits={"max_steps": 30}, **settings)
    maker.run_sync(hanoi(), k=3, journal=path, limits={"max_steps": 50}, **settings)
    said, _ = alike(path, lambda copy: maker.run_sync(hanoi(), k=3, journal=copy, **settings))
    assert (said["solved"], said["replayed"], said["epochs"]) == (True, 50, 1)


def test_maps_and_tasks_without_an_end_go_on_alike(tmp_path: Path) -> None:
    """Items, each a segment, and a task of which only `done` knows the end."""

    def mapped(path: Path) -> maker.RunResult:
        model = ScriptedModel(lambda request: "yes", lockstep=True)
        return maker.map_sync("{item}?", range(50), model=model, k=2, journal=path).result

    class Count:
        """Count until ten is reached."""

        steps = None
        initial_state = staticmethod(lambda: 0)
        prompt = staticmethod(lambda state, step: f"{state} + 1 =")
        parse = staticmethod(int)
        legal = staticmethod(lambda state, action: action == state + 1)
        apply = staticmethod(lambda state, action: action)
        done = staticmethod(lambda state: state == 40)
        answer = staticmethod(lambda state: state)

    def counted(path: Path) -> maker.RunResult:
        model = ScriptedModel(lambda request: str(request.address.step + 1), lockstep=True)
        return maker.run_sync(Count(), model=model, k=2, journal=path)  # type: ignore[arg-type]

    for name, go_on in (("map", mapped), ("count", counted)):
        path = tmp_path / f"{name}.db"
        go_on(path)
        said, held = alike(path, go_on)
        assert (said["solved"], said["replayed"]) == (True, said["steps"])
        alike(write(path, held[: len(held) // 2]), go_on)


def test_undisputed_steps_take_no_poll(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of which every step is plain is opened without a single poll, and with one a step where that is off."""
    made = []
    begin = Poll.of
    monkeypatch.setattr(Poll, "of", lambda *given, **named: made.append(given) or begin(*given, **named))
    path = tmp_path / "run.db"
    settings: dict[str, Any] = {"model": "oracle:p=1", "k": 3, "segments": 1, "journal": path}
    assert maker.run_sync(hanoi(), **settings).solved
    made.clear()
    result = maker.run_sync(hanoi(), **settings)
    assert (result.solved, result.replayed, made) == (True, 63, [])
    monkeypatch.setattr(replay, "FEW", NEVER)
    assert maker.run_sync(hanoi(), **settings).replayed == len(made) == 63


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Content:
    """Return what the journal of a run holds."""
    return held_by_a_run(tmp_path_factory.mktemp("held"))


def go_on(path: Path) -> maker.RunResult:
    """Go on with such a run."""
    return maker.run_sync(hanoi(), journal=path, **SETTINGS)


@pytest.mark.parametrize("kind", FORGED)
def test_what_is_forged_is_refused_alike(tmp_path: Path, held: Content, kind: str) -> None:
    """A plain wave that was changed, with a right chain, is refused in the same words, unless it is sound."""
    rng = random.Random(kind)
    for place in rng.sample(sound_places(held), 3):
        wave = held[place]
        assert isinstance(wave, Wave)
        forged = [*held[:place], FORGED[kind](wave, rng), *held[place + 1 :]]
        found = alike(write(tmp_path / "forged.db", forged), go_on)
        assert (found[0] is JournalError) == (kind != "another count of tokens")


def test_random_journals_go_on_alike(tmp_path: Path, held: Content) -> None:
    """Records left out, repeated, swapped or moved: whatever comes of it one by one comes of it in bulk."""
    rng = random.Random(7)
    kinds = {type(alike(write(tmp_path / "forged.db", shuffled(held, rng)), go_on)[0]) for _ in range(25)}
    assert len(kinds) == 2  # some are sound, some are not


@pytest.mark.parametrize("changed", ["parse", "legal", "apply", "truth"])
def test_another_task_code_is_met_alike(tmp_path: Path, held: Content, changed: str) -> None:
    """Code that raises, or says otherwise than when the journal was written, has the same consequences."""

    def other(path: Path) -> maker.RunResult:
        task = hanoi()
        own, at = getattr(task, changed), task.state_at(17)

        def differs(*given: Any) -> Any:
            if changed == "parse" and given[0] == task.render(task.truth(at, 17)):
                raise ValueError("not any more")
            if changed != "parse" and given[0] == at:
                return {"legal": False, "apply": task.initial_state(), "truth": None}[changed]
            return own(*given)

        setattr(task, changed, differs)
        return maker.run_sync(task, journal=path, **SETTINGS)

    found = alike(write(tmp_path / "run.db", held), other)
    assert changed == "truth" or not isinstance(found[0], dict) or found[0]["stopped"]
