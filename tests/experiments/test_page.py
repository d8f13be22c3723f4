"""The page of all experiments: one part each, and the others are kept."""

from __future__ import annotations

import sys
from dataclasses import replace

from maker.experiments import page
from maker.experiments.kit.study import markdown
from maker.experiments.registry import NAMES


def test_the_page_keeps_the_parts_that_are_not_run_again(outcomes, tmp_path, monkeypatch):
    """The page has each experiment's table and paragraphs; running one again replaces that part alone."""
    written = []
    monkeypatch.setattr(page, "write", lambda outcome, folder, parquet: written.append((outcome.name, folder, parquet)))
    monkeypatch.setattr(page, "load", lambda name: lambda options: outcomes[name])
    monkeypatch.setattr(sys, "argv", ["page", "--docs", str(tmp_path)])
    page.main()
    text = (tmp_path / "experiments.md").read_text()
    for name in NAMES:
        assert f"\n## {name}\n" in text and f"figures/{name}.png" in text and outcomes[name].shows in text
        assert markdown(outcomes[name].table) in text
    assert written == [(name, tmp_path / "figures", False) for name in NAMES]
    changed = replace(outcomes["scaling"], shows="Something else.")
    monkeypatch.setattr(page, "load", lambda name: lambda options: changed)
    monkeypatch.setattr(sys, "argv", ["page", "scaling", "--docs", str(tmp_path)])
    page.main()
    assert (tmp_path / "experiments.md").read_text() == text.replace(outcomes["scaling"].shows, "Something else.")
