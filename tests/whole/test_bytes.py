"""Journals of small runs are the same, byte for byte, as when their pins were written."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parents[1] / "golden"
PINS = json.loads((HERE / "bytes.json").read_text())


def _scenes() -> Any:
    spec = importlib.util.spec_from_file_location("pinned_scenes", HERE / "bytes.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


scenes = _scenes()


def test_every_scene_is_pinned() -> None:
    """Each scene has its pin, and no pin is of a scene that is gone."""
    assert set(scenes.SCENES) == set(PINS)


@pytest.mark.parametrize("name", sorted(PINS))
def test_a_journal_is_what_it_always_was(tmp_path: Path, name: str) -> None:
    """All records of a scene, in order, are those that were pinned; else the first other one is named."""
    now, found = scenes.carry_out(name, tmp_path)
    assert now == PINS[name], scenes.difference(PINS[name], now, found)
