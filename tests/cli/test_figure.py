"""The figure of a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import maker
from maker.cli import figure
from maker.experiments.kit.files import can_draw


def test_every_arm_that_has_an_estimate_has_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first arm is on top; one that was dropped is called so, and a name with dollars is no formula."""
    pytest.importorskip("matplotlib")
    from matplotlib.axes import Axes

    labels: list[str] = []
    real: Any = Axes.set_yticks

    def noting(axes: Axes, at: Any, names: Any, **more: Any) -> Any:
        labels.extend(names)
        return real(axes, at, names, **more)

    monkeypatch.setattr(Axes, "set_yticks", noting)
    models = {"$a$": "oracle:p=0.95", "b": "oracle:p=0.6", "mute": "oracle:p=1,v=0.001"}
    found = maker.compare_sync("hanoi", models=models, steps=200)
    figure.save(found, tmp_path / "f.png")
    assert labels == ["b (dropped)", "$a$"]
    assert can_draw()
