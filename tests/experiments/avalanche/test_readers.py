"""Readers: what arithmetic says of the exact one, and what a language model is asked."""

from __future__ import annotations

import numpy as np
import pytest

from maker.decision.sample import Sample
from maker.errors import TaskError
from maker.experiments.avalanche.readers import ExactReader, ModelReader, error_rate, expected, number_in, prompt
from maker.experiments.avalanche.totals import ARMS, Question, Turn, at_turn
from maker.experiments.kit import speaker
from maker.task.prompt import messages_of


@pytest.mark.parametrize(("wrong", "seen"), [(0, 0), (0, 1), (3, 9), (39, 39), (7, 200)])
def test_the_error_rate_is_the_mean_of_those_that_are_left(wrong, seen):
    """The closed form equals the integral, taken in small steps."""
    rates = np.linspace(0, 0.5, 200_001)
    weight = rates**wrong * (1 - rates) ** (seen - wrong)
    assert error_rate(wrong, seen) == pytest.approx((weight * rates).sum() / weight.sum(), abs=1e-5)


def test_the_exact_reader_samples_what_is_expected():
    """Its share of right answers over histories is that of the sum over all of them, in every arm."""
    reader = ExactReader(0)
    for arm, window in ARMS.items():
        for share in (0.0, 0.5):
            seen = np.mean(at_turn(27, share, arm, 1, 400, reader, 0))
            exact = expected(27, share, window)
            assert abs(seen - exact) < 4 * (exact * (1 - exact) / 400) ** 0.5, (arm, share)


def test_without_a_history_errors_say_nothing():
    """The last total alone leaves the mean rate of all writers, 1/4, whatever was shifted."""
    assert [expected(40, share, 0) for share in (0, 0.3, 1)] == pytest.approx([0.75] * 3)


def test_a_language_model_reads_the_turns_as_a_chat():
    """Each turn shown is a sum and the answer that was given, wrong or not; the last sum is to be answered."""
    chat = messages_of(prompt(Question((Turn(0, 5, 5), Turn(5, -7, 9)), 9, 3)))
    assert [message["role"] for message in chat] == ["user", "assistant"] * 2 + ["user"]
    assert [message["content"] for message in chat[1:]] == ["5", "5 - 7 =", "9", "9 + 3 ="]
    assert chat[0]["content"].endswith("alone.\n0 + 5 =")


@pytest.mark.parametrize(
    ("text", "number"),
    [(" -12\n", -12), ("7.", 7), ("= 7", 7), ("5 + 2 = 7", 7), ("The answer is 7.", 7), ("\u22127", -7),
     ("1,207", 1207), ("**7**", 7), ("Sure!\n7\nsince 5 + 2", 7),
     ("7 8", None), ("seven", None), (None, None), ("7.5", None)],
)  # fmt: skip
def test_a_reply_is_read_as_a_person_would(text, number):
    """A number alone or at the end of a sentence; two numbers, or none, are no answer."""
    assert number_in(Sample(text)) == number


def test_a_line_that_was_cut_off_has_no_answer():
    """Its number may be half a number; the line before it counts."""
    assert number_in(Sample("The sum is 12", finish_reason="length")) is None
    assert number_in(Sample("12\nThat is because", finish_reason="length")) == 12


def test_further_draws_of_a_question_have_seeds_of_their_own(monkeypatch):
    """A model is asked anew for each draw: no two of one question share a seed; draws that begin anew have the same."""
    seen = []

    class Noting:
        """Says 4."""

        lockstep = False

        async def draw(self, requests):
            """Note what is asked."""
            seen.extend(requests)
            return [Sample("4")] * len(requests)

    monkeypatch.setattr(speaker, "load_model", lambda spec: Noting())
    question = Question((), 1, 3)
    with ModelReader("any", 0.7, 0) as reader:
        assert reader([question], [3]) == [[4, 4, 4]]
        assert reader([question], [9]) == [[4] * 9]
        reader.anew()
        reader([question], [2])
    assert len({request.seed for request in seen}) == 12
    assert [request.seed for request in seen[12:]] == [request.seed for request in seen[:2]]
    assert {request.temperature for request in seen} == {0.7}


def test_models_that_read_other_words_are_refused():
    """The simulated model answers tasks alone."""
    with pytest.raises(TaskError, match="reads no words"):
        ModelReader("oracle:p=0.9", 1.0, 0)
