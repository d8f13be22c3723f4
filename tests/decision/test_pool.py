"""Names of pools: whose turn a draw is, can be read from the name alone."""

from __future__ import annotations

import pytest

from maker.decision.pool import draws_for, in_force, pool_name, read_weights, turns_of, weighed, weight_of
from maker.errors import TaskError


@pytest.mark.parametrize("turns", [["a", "b"], ["a", "a", "b"], ["oracle:p=1,v=1", "http://a/v1,http://b/v1#name"]])
def test_a_pools_turns_are_read_from_its_name(turns: list[str]) -> None:
    """Commas, colons and addresses in the names of models do no harm."""
    assert turns_of(pool_name(turns)) == turns


def test_one_model_is_no_pool() -> None:
    """However often it stands in the list; and what is no name has no turns."""
    assert pool_name(["a", "a"]) == "a"
    assert turns_of("a") == turns_of(None) == turns_of(7) == []


@pytest.mark.parametrize("weights", [(), (1, 1), (4, 2, 1), (1, 7)])
@pytest.mark.parametrize("first", [0, 1, 5, 1024])
def test_the_fewest_draws_that_come_to_so_many_votes(weights: tuple[int, ...], first: int) -> None:
    """One draw less comes to fewer votes, from whatever draw on; for none wanted there is none to make."""
    for votes in range(1, 40):
        draws = draws_for(weights, first, votes)
        assert weighed(weights, first, draws) >= votes > weighed(weights, first, draws - 1)
        assert weighed(weights, first, draws) == sum(weight_of(weights, first + at) for at in range(draws))
    assert draws_for(weights, first, 0) == draws_for(weights, first, -3) == 0


def test_weights_are_read_as_a_person_writes_them() -> None:
    """Numbers with commas between them, or the word; what is neither is refused with an example."""
    assert read_weights("4,2, 1") == (4, 2, 1)
    assert read_weights("calibrated") == "calibrated"
    with pytest.raises(TaskError, match="weights heavy: give a whole number"):
        read_weights("heavy")


def test_weights_that_are_left_to_a_calibration_are_not_in_force() -> None:
    """They are as if there were none; those that are told, as JSON has them too, are a tuple."""
    assert [in_force(told) for told in ("calibrated", (), [4, 2, 1])] == [(), (), (4, 2, 1)]
