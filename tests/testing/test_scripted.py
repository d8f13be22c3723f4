"""A scripted model says what its script says."""

from __future__ import annotations

import pytest

import maker
from maker.testing import ScriptedModel


def test_scripts_are_told_by_draw_number():
    """A script is told by draw number and begun again; a callable sees the request."""
    verdict = maker.vote_sync("?", model=ScriptedModel(["x", "y", "x", None]), k=3)
    assert (verdict.answer, dict(verdict.votes.items()), verdict.flags) == ("x", {"x": 5, "y": 2}, {"empty": 2})
    model = ScriptedModel(lambda request: f"{request.address.draw % 5 > 0}")
    assert maker.vote_sync("?", model=model, k=3).answer == "True"
    with pytest.raises(ValueError, match="at least one reply"):
        ScriptedModel([])
