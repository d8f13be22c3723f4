"""What is out and what was spent never exceeds the caps."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maker.errors import TaskError
from maker.serving.toolserver.allowance import DAY, Allowance


@pytest.fixture
def allowance(tmp_path: Path) -> Allowance:
    """Return the allowance of a day with calls and money."""
    return Allowance(tmp_path / "spent", max_calls=1_000, max_cost=10.0)


def test_a_share_has_caps_though_none_were_asked_for(allowance: Allowance):
    """The defaults are parts of the day; they are options of a command."""
    share = allowance.take("run")
    assert (share.calls, share.cost) == (500, 5.0)
    assert share.options == ["--max-calls=500", "--max-cost=5.000000"]
    assert allowance.take("run").calls == 500


def test_more_than_is_left_is_refused_in_words(allowance: Allowance):
    """The refusal says how much is left and what to do; then nothing was taken."""
    allowance.take("run", calls=900, cost=1.0)
    with pytest.raises(TaskError, match=r"max_calls: 101 asked for, 100 of 1,000 left for today\. .*--max-calls"):
        allowance.take("vote", calls=101)
    with pytest.raises(TaskError, match=r"max_cost: \$9\.5000 asked for, \$9\.0000 of \$10\.0000 left"):
        allowance.take("vote", calls=1, cost=9.5)
    allowance.take("vote", calls=100, cost=9.0)
    with pytest.raises(TaskError, match="0 of 1,000 left"):
        allowance.take("vote")


def test_what_was_not_spent_comes_back(allowance: Allowance):
    """Of calls and of money; a cost that is not known counts as all of the share."""
    share = allowance.take("run", calls=1_000, cost=10.0)
    allowance.give_back(share, 10, 2.0)
    again = allowance.take("run", calls=990, cost=8.0)
    allowance.give_back(again, 990, None)
    with pytest.raises(TaskError, match="max_calls"):
        allowance.take("vote")


def test_another_server_sees_what_is_out(allowance: Allowance):
    """The file says it, not the process."""
    allowance.take("run", calls=1_000)
    with pytest.raises(TaskError, match="left for today"):
        Allowance(allowance.file, 1_000, 10.0).take("vote")


def test_the_next_day_is_a_new_one(allowance: Allowance, monkeypatch: pytest.MonkeyPatch):
    """Then a share of the day before gives nothing back."""
    share = allowance.take("run", calls=1_000, cost=10.0)
    tomorrow = time.time() + DAY
    monkeypatch.setattr(time, "time", lambda: tomorrow)
    allowance.take("run", calls=1_000, cost=10.0)
    allowance.give_back(share, 0, 0.0)
    with pytest.raises(TaskError, match="left for today"):
        allowance.take("vote")


def test_without_prices_only_calls_are_capped(tmp_path: Path):
    """No money is given as an option; what a client asks for is handed on."""
    allowance = Allowance(tmp_path / "spent", 100)
    assert allowance.take("estimate").options == ["--max-calls=10"]
    assert allowance.take("vote", cost=0.5).cost == 0.5


@pytest.mark.parametrize("text", ["[]", "{}", "{", '{"day": "x", "calls": 0, "cost": 0}'])
def test_a_file_that_says_something_else_is_no_free_day(allowance: Allowance, text: str):
    """It is refused by its name, not read as nothing spent."""
    allowance.file.write_text(text)
    with pytest.raises(TaskError, match="does not say what was spent"):
        allowance.take("vote")


@given(st.lists(st.tuples(st.sampled_from(["vote", "run"]), st.integers(0, 400), st.booleans()), max_size=12))
def test_the_caps_hold_whatever_is_asked(tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[str, int, bool]]):
    """Spent and out together are at most the caps after each step."""
    allowance, held = Allowance(tmp_path_factory.mktemp("a") / "spent", 1_000), 0
    for what, calls, ended in asked:
        try:
            share = allowance.take(what, calls or None)
        except TaskError:
            assert not calls or held + calls > 1_000
            continue
        used = share.calls // 2 if ended else share.calls
        if ended:
            allowance.give_back(share, used, None)
        held += used
        assert 0 <= held <= 1_000
