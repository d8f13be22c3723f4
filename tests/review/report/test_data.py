"""What a report shows: the same, whether waves are counted many at a time or step by step."""

from __future__ import annotations

from pathlib import Path

import pytest

from maker import run_sync
from maker.journal.bulk import plain
from maker.review.report.data import HARDEST, Contents, collect
from maker.review.report.steps import show_step
from maker.task.load import load_task


def seen(found: Contents) -> list[object]:
    """Return all that a report shows but the summary."""
    names = set(Contents.__slots__) - {"summary", "along", "hardest", "open"}
    steps = [show_step(stored) for stored in found.hardest + found.open]
    return [*(getattr(found, name) for name in sorted(names)), steps, found.along.points(), found.summary.as_json()]


@pytest.mark.parametrize("model", ["oracle:p=0.9", "oracle:p=1"])
def test_counts_are_those_of_single_steps(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in bulk, a run gives the same contents as step by step, with its hardest steps and its tokens."""
    journal = tmp_path / "run.db"
    run_sync(load_task("hanoi", disks=9), model=model, k=2, journal=journal)
    told: list[tuple[int, int]] = []
    bulk = seen(collect(journal, lambda *at: told.append(at)))
    assert told
    monkeypatch.setattr(plain, "FEW", 10**6)
    single = seen(collect(journal))
    assert [str(part) for part in bulk] == [str(part) for part in single]
    assert len(collect(journal).hardest) == HARDEST
