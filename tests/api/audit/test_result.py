"""What an audit says in numbers and what it leaves with agree."""

from __future__ import annotations

import json
from typing import Any

import pytest

from maker import Acceptance
from maker.api.audit.result import Disputed, Part

WRONG = [Disputed(7, "no vote against", "", 3, 0, "8", "")]


def found(**said: Any) -> Acceptance:
    """Return an audit of 1,000 steps, by a sample of 100."""
    wrong = len(said.get("disputed", []))
    parts = [Part("no vote against", "", 1_000, 100, wrong, 0)]
    return Acceptance("run-1", False, "mine", "wrong", 1_000, 100, said.pop("bound", None), parts=parts, **said)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"low": 0, "high": 29}, 0), ({"low": 1, "high": 46, "disputed": WRONG}, 1),
        ({"bound": 0.05, "low": 1, "high": 46, "disputed": WRONG, "shown": True}, 0),
        ({"bound": 0.001, "low": 2, "high": 46, "disputed": WRONG, "refuted": True}, 1),
        ({"bound": 0.01, "low": 0, "high": 29}, 3), ({"stopped": "max_calls"}, 3),
        ({"stopped": "max_calls", "disputed": WRONG}, 3), ({"bound": 0.01, "stopped": "max_calls"}, 3),
    ],
)  # fmt: skip
def test_the_exit_code_says_what_is_known(said: dict[str, Any], code: int) -> None:
    """0 for a bound that is shown, or nothing wrong seen; 1 for wrong ones; 3 for what stays open or was stopped."""
    assert found(**said).exit_code == code


def test_what_the_judge_left_undecided_leaves_it_open() -> None:
    """Nothing wrong was seen, and not all was judged."""
    audit = found(low=0, high=46)
    audit.disputed = [Disputed(7, "no vote against", "", 3, 0, "8", None)]
    audit.parts = [Part("no vote against", "", 1_000, 100, 0, 1)]
    assert audit.exit_code == 3


def test_the_object_says_all_there_is() -> None:
    """It is JSON, and has the counts of the sample and the share of the whole."""
    said = json.loads(json.dumps(found(low=1, high=46, disputed=WRONG).as_json()))
    assert (said["judged"], said["wrong"], said["share_high"], said["exit_code"]) == (100, 1, 0.046, 1)
    assert said["disputed"][0]["step"] == 7 and said["parts"][0]["size"] == 1_000 and said["calls"] == 0
