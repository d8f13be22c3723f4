"""The answers that the page of experiments begins with."""

from maker.experiments.answers import ANSWERS
from maker.experiments.registry import NAMES


def test_each_experiment_has_its_answer_in_a_sentence():
    """None is missing and none is left over; each is one sentence that ends, without the name of its experiment."""
    assert list(ANSWERS) == list(NAMES)
    for name, answer in ANSWERS.items():
        assert answer.endswith(".") and ". " not in answer and answer[0].isupper(), name
