"""`maker tasks` and `maker models`."""

from __future__ import annotations


def test_lists_of_tasks_and_models(maker):
    """Tasks and models name what can be given, with parameters."""
    assert "--disks" in maker("tasks")[1]
    assert "simulated" in maker("models")[1]
