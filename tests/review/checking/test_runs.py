"""Plain waves are checked together as they are one by one: the same audit, and the same complaint."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

import maker
from forged import FORGED, Content, content, held_by_a_run, shuffled, sound_places, write
from maker.decision.wave import Wave
from maker.errors import MakerError
from maker.journal.bulk import plain
from maker.journal.escalated import Change
from maker.models.oracle import Oracle
from maker.review.checking import checker as checking
from maker.review.checking.checker import Checker

NEVER = 10**9


def audited(path: Path, few: int) -> Any:
    """Verify a journal; return all that is said. few: waves side by side from which on they are checked together."""
    with pytest.MonkeyPatch().context() as patch:
        patch.setattr(plain, "FEW", few)
        try:
            return maker.verify(path).as_json()
        except MakerError as error:
            return type(error), str(error)


def alike(path: Path) -> Any:
    """Verify together and one by one; assert that both say the same, and return it."""
    found = audited(path, 1)
    assert found == audited(path, NEVER)
    return found


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Content:
    """Return what the journal of a run holds."""
    return held_by_a_run(tmp_path_factory.mktemp("held"))


@pytest.mark.parametrize("settings", [
    {"model": "oracle:p=1", "k": 3}, {"model": "oracle:p=0.8,v=0.8", "k": 3, "segments": 1},
    {"model": "oracle:p=0.9", "k": 2, "keep_samples": "none"}, {"model": "oracle:p=0.9,v=0.9", "k": "auto"},
    {"model": "oracle:p=0.9", "k": "table", "target": 0.9},
    {"model": [Oracle(p=0.9, seed=1), Oracle(p=0.8, seed=2)], "k": 4, "weights": (2, 1)},
    {"model": "oracle:p=0.8,v=0.6", "k": 3, "segments": 4, "limits": {"max_votes": 4},
     "ladder": [lambda trouble: Change(back=2) if trouble.decided > 1 else None, lambda trouble: Change(warmer=0.25)]},
])  # fmt: skip
def test_every_kind_of_run_is_audited_alike(tmp_path: Path, settings: dict[str, Any]) -> None:
    """Sound journals of all kinds hold, whole and cut off, together and one by one."""
    path = tmp_path / "run.db"
    maker.run_sync(maker.load_task("hanoi", disks=6), journal=path, **settings)
    assert alike(path)["problem"] is None
    held = content(path)
    assert alike(write(path, held[: len(held) // 2]))["problem"] is None


@pytest.mark.parametrize("kind", FORGED)
def test_what_is_forged_is_found_alike(tmp_path: Path, held: Content, kind: str) -> None:
    """A plain wave that was changed, with a right chain, is found, with the same words; only flags ask its length."""
    rng = random.Random(kind)
    for place in rng.sample(sound_places(held), 3):
        wave = held[place]
        assert isinstance(wave, Wave)
        found = alike(write(tmp_path / "forged.db", [*held[:place], FORGED[kind](wave, rng), *held[place + 1 :]]))
        assert isinstance(found, tuple) or (found["problem"] is None) == (
            kind in {"another count of tokens", "a text without end"}
        )


def test_random_journals_are_audited_alike(tmp_path: Path, held: Content) -> None:
    """Records left out, repeated, swapped or moved: the audit is the same."""
    rng = random.Random(7)
    found = [alike(write(tmp_path / "forged.db", shuffled(held, rng))) for _ in range(25)]
    assert any(isinstance(one, dict) and one["problem"] for one in found)


def test_plain_steps_take_no_race(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every step is plain not one wave is checked by itself, and all of them where that is off."""
    path = tmp_path / "run.db"
    maker.run_sync(maker.load_task("hanoi", disks=6), model="oracle:p=1", k=3, segments=1, journal=path)
    checked = []
    wave = Checker.wave
    monkeypatch.setattr(checking.Checker, "wave", lambda self, item: checked.append(item) or wave(self, item))
    assert (audited(path, 1)["solved"], checked) == (True, [])
    assert (audited(path, NEVER)["solved"], len(checked)) == (True, 63)


def test_progress_is_told_now_and_then(tmp_path: Path) -> None:
    """However many steps are checked at once, progress comes each 4,096 of them."""
    path = tmp_path / "run.db"
    maker.run_sync(maker.load_task("hanoi", disks=13), model="oracle:p=1", k=1, segments=1, journal=path)
    told: list[tuple[int, int]] = []
    assert maker.verify(path, progress=lambda done, steps: told.append((done, steps))).solved
    assert [steps for _, steps in told] == [8191]
