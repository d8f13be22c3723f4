"""Products: drawn from a seed, and the answer that a reply gives in the end."""

from __future__ import annotations

import pytest

from maker.experiments.replies.sums import answer_in, products


def test_a_seed_decides_the_products():
    """Numbers have the digits asked for."""
    asked = products(50, (2, 3), 7)
    assert asked == products(50, (2, 3), 7) != products(50, (2, 3), 8)
    assert all(10 <= one.x < 100 <= one.y < 1000 and one.right == one.x * one.y for one in asked)


@pytest.mark.parametrize(
    ("text", "answer"),
    [("Answer: 1,234", 1234), ("47 x 8 = 376\n**Answer:** 376.", 376), ("Answer: 5\nNo.\nAnswer: 6", 6),
     ("so 40 x 8 = 320, and 56", 56), ("The answer is -7", -7), ("I cannot say", None), (None, None), ("", None)],
)  # fmt: skip
def test_the_last_final_answer_counts(text, answer):
    """Where none is called so, the last number; a reply without a number has none."""
    assert answer_in(text) == answer
