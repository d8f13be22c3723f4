"""Names of pools: whose turn a draw is, can be read from the name alone."""

from __future__ import annotations

import pytest

from maker.decision.pool import pool_name, turns_of


@pytest.mark.parametrize("turns", [["a", "b"], ["a", "a", "b"], ["oracle:p=1,v=1", "http://a/v1,http://b/v1#name"]])
def test_a_pools_turns_are_read_from_its_name(turns: list[str]) -> None:
    """Commas, colons and addresses in the names of models do no harm."""
    assert turns_of(pool_name(turns)) == turns


def test_one_model_is_no_pool() -> None:
    """However often it stands in the list; and what is no name has no turns."""
    assert pool_name(["a", "a"]) == "a"
    assert turns_of("a") == turns_of(None) == turns_of(7) == []
