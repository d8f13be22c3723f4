"""What a server takes is one line for a person, whatever a journal says of it."""

from __future__ import annotations

import pytest

from maker.models.takes import of_servers, refused_in, served_as, told


def test_what_is_taken_is_said_on_one_line() -> None:
    """Fields that are refused, the limit's other name, and how far a schema binds."""
    takes = {"tokens_name": "max_completion_tokens", "refused": ["logprobs", "temperature"], "form": "object"}
    assert told("m", takes) == (
        "m takes no logprobs, no temperature and calls the token limit max_completion_tokens and enforces a schema as "
        "far as that it is some object: drawn at the server's own temperature"
    )
    assert told("m", {"tokens_name": None, "refused": [], "form": "strict"}) == "m takes no token limit"
    assert told("m", {}) == "m takes all fields"


@pytest.mark.parametrize("refused", [None, 3, "seed", {"seed": 1}, [1, None, ["seed"]]])
def test_what_is_no_list_of_fields_is_left_out(refused: object) -> None:
    """A note from elsewhere names nothing that is not text."""
    assert refused_in({"refused": refused}) == []
    assert told("m", {"refused": refused, "form": refused}) == "m takes all fields"


@pytest.mark.parametrize(
    ("model", "said", "other"),
    [
        ("http://h:1/v1#a/b:c", "a/b:c", None), ("http://h:1/v1#a", "A", "A"), ("openai:gpt", "gpt", None),
        ("openai:gpt", "gpt-2024", "gpt-2024"), ("http://h/v1#a+extra:0a1b", "a", None),
        ("mine", "gpt", None), ("openai:a", "", None), ("openai:a", None, None),
    ],
)  # fmt: skip
def test_another_name_is_one_that_was_not_asked_for(model: str, said: str | None, other: str | None) -> None:
    """The address before the name is no part of it."""
    assert served_as(model, said) == other


def test_several_servers_have_a_line_together() -> None:
    """Each by its name; one that takes all and answers under its own name is not in it."""
    takes = {"http://h/v1#a": {"refused": ["seed"]}, "openai:b": {"refused": ["stop"]}}
    assert of_servers("http://h/v1#a", takes, {"": "a", "openai:b": "b-2"}, {"B": 2000, "A": 1}) == {
        "takes": "http://h/v1#a takes no seed; openai:b takes no stop", "answers as": "b-2",
        "servers": "A 1, B 2,000",
    }  # fmt: skip
    assert of_servers("http://h/v1#a", {}, {"": "a"}, {}) == {}
