"""The transcript net: what it keeps of a history changes nothing, and what ships is what was made."""

from __future__ import annotations

import numpy as np
import pytest

from maker.errors import ModelError
from maker.experiments.avalanche.net import FILE, NetReader, _common
from maker.experiments.avalanche.totals import Question, induced, shown


def questions(turns, arm="whole history"):
    """Return two questions after histories that begin alike at every length."""
    histories = [induced(12, 0.5, np.random.default_rng(which), 9)[:turns] for which in range(2)]
    return [shown(history, which - 3, arm, which) for which, history in enumerate(histories)]


def test_what_is_kept_of_a_history_changes_nothing():
    """A question that goes on from the one before, the same again, and another one are read as by a fresh reader."""
    reader = NetReader(0)
    for turns, arm in ((4, "whole history"), (4, "whole history"), (9, "whole history"), (9, "window 1")):
        asked = questions(turns, arm)
        assert reader.chances(asked) == pytest.approx(NetReader(0).chances(asked), abs=1e-5)


def test_questions_of_different_lengths_keep_their_order():
    """Each gets the chances that it has alone."""
    asked = [questions(3)[0], questions(7)[1]]
    alone = [NetReader(0).chances([question])[0] for question in asked]
    assert NetReader(0).chances(asked) == pytest.approx(np.array(alone), abs=1e-5)


def test_replies_are_drawn_as_the_net_has_them():
    """Of many draws each answer has its share, and the seed says which come."""
    question = questions(6)[0]
    chances = NetReader(0).chances([question])[0]
    replies = NetReader(1)([question], [4000])[0]
    right = chances[question.right % 40]
    assert replies.count(question.right) / 4000 == pytest.approx(right, abs=4 * (right * (1 - right) / 4000) ** 0.5)
    assert NetReader(1)([question], [4000])[0] == replies


def test_the_last_token_is_always_read():
    """A prompt that is held whole, or only its beginning."""
    assert _common([1, 2, 3], [1, 2, 3]) == 2
    assert _common([1, 2], [1, 2, 3]) == 2
    assert _common([1, 5, 3], [1, 2, 3]) == 1
    assert _common([], [1]) == 0


def test_the_weights_that_ship_add():
    """Without a history nearly every favourite is the sum: 3 of 4 writers' answers were."""
    asked = [Question((), last, value, number) for number, (last, value) in enumerate(
        (last, value) for last in range(0, 40, 3) for value in range(-9, 10)
    )]  # fmt: skip
    favourites = NetReader(0).chances(asked).argmax(1)
    assert np.mean(favourites == [question.right % 40 for question in asked]) > 0.9


def test_damaged_weights_are_refused(tmp_path):
    """One byte that is another is seen by the checksum."""
    raw = bytearray(FILE.read_bytes())
    raw[-1] ^= 1
    (tmp_path / "net").write_bytes(raw)
    with pytest.raises(ModelError, match="damaged"):
        NetReader(0, tmp_path / "net")
