"""`maker tasks` and `maker models`."""

from __future__ import annotations


def test_lists_of_tasks_and_models(maker):
    """Tasks and models name what can be given, with parameters."""
    assert "--disks" in maker("tasks")[1]
    assert "simulated" in maker("models")[1]


def test_models_of_the_projects_file_are_listed(maker, tmp_path, monkeypatch):
    """Providers, and the names that maker.toml gives, with what they mean."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MAKER_CONFIG", raising=False)
    (tmp_path / "maker.toml").write_text('[models.fast]\nmodel = "groq:llama"\n')
    out = maker("models")[1]
    assert "azure" in out
    assert "of maker.toml: groq:llama" in out
