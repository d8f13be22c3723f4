"""Comparisons: what a language model is asked in each way, and by whom the draws are made."""

from __future__ import annotations

import pytest

from maker.errors import TaskError
from maker.experiments.difficulty.comparisons import OWN, PARTNER, PERSONAS, replies, speakers, tasks, ways
from maker.task.prompt import messages_of
from maker.testing import FaultServer

DRAWS = 12


def test_pairs_have_the_smaller_number_first_in_half_of_them():
    """Three-digit numbers that differ, drawn by the seed alone."""
    drawn = [task.numbers for task in tasks(40, 3)]
    assert drawn == [task.numbers for task in tasks(60, 3)][:40]
    assert sum(first < second for first, second in drawn) == 20
    assert all(100 <= number <= 999 for pair in drawn for number in pair)


def test_ways_differ_in_what_is_said():
    """Parts share the draws; words, personas and examples change, and the question stays the same or is exchanged."""
    (task,) = tasks(1, 0)
    every = ways(pool=True)
    assert all(DRAWS % len(parts) == 0 for parts in every.values())
    assert "pool of two" not in ways(pool=False)
    said = {name: [messages_of(part.put(task)) for part in parts] for name, parts in every.items()}
    (plain,) = said["plain"]
    first, second = said["other words"]
    assert first == plain and second[:-1] == plain[:-1]
    assert str(list(task.numbers[::-1])) in second[-1]["content"]
    assert [told[0] for told in said["personas"]] == [{"role": "system", "content": line} for line in PERSONAS]
    one, other = said["examples, in either order"]
    assert one == plain and other == [*plain[2:4], *plain[:2], plain[4]]
    assert [part.who for part in every["pool of two"]] == [OWN, PARTNER]


def test_a_pool_asks_two_servers_in_equal_parts():
    """Half of a pool's draws go to the partner, all of other ways to the model; no two draws share a seed."""
    (task,) = tasks(1, 0)
    with (
        FaultServer() as server, FaultServer() as beside,
        speakers(server.spec("one"), beside.spec("two"), 0.7, 0) as asked,
    ):  # fmt: skip
        for name in ("plain", "plain, once more", "pool of two"):
            assert len(replies(asked, task, ways(pool=True)[name], DRAWS)) == DRAWS
    mine, theirs = (
        [one.body["seed"] for one in each.requests if one.body and len(one.body["messages"]) == 5]
        for each in (server, beside)
    )
    assert len(set(mine)) == len(mine) == DRAWS * 2 + DRAWS // 2
    assert len(set(theirs)) == len(theirs) == DRAWS // 2


def test_a_model_without_words_is_refused():
    """The simulated model is no language model."""
    with pytest.raises(TaskError, match="reads no words"), speakers("oracle:p=0.9", None, 0.7, 0):
        pass
