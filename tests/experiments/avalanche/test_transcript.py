"""Transcripts: the tokens of a question, and writers whose errors the exact reader knows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from maker.experiments.avalanche.readers import error_rate
from maker.experiments.avalanche.totals import Question, Turn
from maker.experiments.avalanche.transcript import SIZE, encode, exact_losses, total_of, written


def test_a_question_is_a_total_and_a_word_for_each_turn():
    """It begins with the total before all that is shown and ends with the word that is due."""
    question = Question((Turn(98, 5, 103), Turn(103, -9, 94)), 94, 9)
    assert encode(question) == [18, 54, 23, 40, 14, 58]
    assert encode(Question((), -1, 0)) == [39, 49]


@pytest.mark.parametrize("last", [-105, -1, 0, 49, 730])
def test_a_token_means_the_total_next_to_the_last(last):
    """Whatever value and shift can come to is read back as it was; a word is no total."""
    assert [total_of((last + step) % 40, last) for step in range(-19, 20)] == list(range(last - 19, last + 20))
    assert total_of(40, last) is None
    assert total_of(SIZE - 1, last) is None


def test_writers_err_at_rates_of_their_own():
    """Of many writers a quarter of the answers is wrong, by at most 10, and the rates are spread over 0 to 1/2."""
    tokens = written(2000, 40, np.random.default_rng(0))
    off = (tokens[:, 2::2] - tokens[:, :-2:2] - (tokens[:, 1::2] - 49) + 20) % 40 - 20
    assert set(off.ravel().tolist()) == set(range(-10, 11))
    shares = (off != 0).mean(1)
    assert shares.mean() == pytest.approx(0.25, abs=0.01)
    assert shares.std() == pytest.approx((0.5**2 / 12 + 1 / 6 / 40) ** 0.5, abs=0.01)  # of rates, and of 40 turns
    assert tokens.min() >= 0 and tokens.max() == SIZE - 1


def test_the_exact_reader_is_surprised_by_what_it_did_not_expect():
    """Its loss is that of its error rate after the turns before, a wrong answer being one of twenty."""
    tokens = np.array([[39, 50, 0, 49, 1, 49, 1]])  # right, off by one, right
    chances = [1 - error_rate(0, 0), error_rate(0, 1) / 20, 1 - error_rate(1, 2)]
    assert exact_losses(tokens)[0].tolist() == pytest.approx([-math.log(chance) for chance in chances])
