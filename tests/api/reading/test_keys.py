"""Keys: which answers are the same one."""

from __future__ import annotations

from typing import Any

import pytest

import maker
from maker import keys
from maker.testing import ScriptedModel


@pytest.mark.parametrize(
    ("key", "one", "other", "same"),
    [
        (keys.number, "7", "7.00", True), (keys.number, 7, "**7**.", True), (keys.number, "1,234", 1234.0, True),
        (keys.number, "-0", "0", True), (keys.number, "7", "8", False), (keys.number, "NaN", "nan", True),
        (keys.number, "seven", "Seven ", True), (keys.number, "100", "1e2", True),
        (keys.text, "New  York\n", "new york", True), (keys.text, "e\u0301", "\u00c9", True),
        (keys.text, "the cat", "cat", False), (keys.text, "a b", "ab", False),
        (keys.code, "x=1 # one", "x = 1", True), (keys.code, "```python\nx=1\n```", "x = 1", True),
        (keys.code, "x = 1", "x = 2", False), (keys.code, "def", "def ", True), (keys.code, "x = 1", "x = '1'", False),
        (keys.boxed, r"so \boxed{ \frac{1}{2} }", r"\boxed{\frac{1}{2}}.", True),
        (keys.boxed, r"\boxed{1} then \boxed{2}", r"\boxed{2}", True), (keys.boxed, r"\boxed{1}", r"\boxed{2}", False),
        (keys.boxed, r"\boxed{1", r"\BOXED{1", True), (keys.boxed, "7", " 7", True),
        (keys.set, [1, 2], [2, 1], True), (keys.set, [1], ["1"], False), (keys.set, [1, 1], [1], True),
        (keys.set, [{"a": 1}, 2], [2, {"a": 1}], True), (keys.set, [1, 2], [1], False),
    ],
)  # fmt: skip
def test_keys(key: Any, one: Any, other: Any, same: bool):
    """Two answers have the same key, or not."""
    assert (key(one) == key(other)) is same


def test_a_key_in_a_vote():
    """Spellings of one number count together."""
    verdict = maker.vote_sync("?", model=ScriptedModel(["7", "7.0", "**7**"]), key=keys.number, k=3)
    assert (verdict.answer, verdict.samples) == ("7", 3)
