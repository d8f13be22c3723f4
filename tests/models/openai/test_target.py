"""Where a model is: addresses are read, and what could hold a key is refused."""

from __future__ import annotations

import pytest

from maker.errors import ModelError
from maker.models.openai.target import OPENAI, Target

CANARY = "sk-canary-5f1e77"


@pytest.mark.parametrize(
    ("url", "api", "posts_to", "name"),
    [
        (
            "http://127.0.0.1:8080/v1",
            "chat",
            "http://127.0.0.1:8080/v1/chat/completions",
            "http://127.0.0.1:8080/v1#m-1",
        ),
        ("http://h/v1/", "chat", "http://h/v1/chat/completions", "http://h/v1#m-1"),
        ("https://h/v1/chat/completions", "chat", "https://h/v1/chat/completions", "https://h/v1#m-1"),
        ("http://h/v1/completions", "completions", "http://h/v1/completions", "http://h/v1/completions#m-1"),
        ("http://[::1]:9/v1", "chat", "http://[::1]:9/v1/chat/completions", "http://[::1]:9/v1#m-1"),
        (OPENAI, "chat", "https://api.openai.com/v1/chat/completions", "openai:m-1"),
    ],
)
def test_addresses_are_read(url, api, posts_to, name):
    """The base URL gives the route and the name of the fingerprint; one that ends in a route names the API."""
    target = Target.of(url, "m-1")
    assert (target.api, target.url, target.name) == (api, posts_to, name)


@pytest.mark.parametrize(
    "url", ["http://h/v1", "http://h/v1/", "http://h/v1/chat/completions", "http://h/v1/completions"]
)
def test_models_are_listed_beside_the_route(url):
    """Whichever API is named."""
    assert Target.of(url, "m").listing == "http://h/v1/models"


@pytest.mark.parametrize(
    "url",
    [f"http://{CANARY}@h/v1", f"http://u:{CANARY}@h/v1", f"https://h/v1?api_key={CANARY}", "http://h/v1?", "ftp://h/v1",
     "h:8080/v1", "http:///v1", "http://h:99999/v1", "http://[::1/v1", "", f"{CANARY}", "http://a b/v1"],
)  # fmt: skip
def test_addresses_that_could_hold_a_key_are_refused(url):
    """User names, queries and what is no URL are refused without being repeated."""
    with pytest.raises(ModelError) as caught:
        Target.of(url, "m-1")
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_missing_model_name_is_asked_for():
    """An address without #NAME says how to give one."""
    with pytest.raises(ModelError, match="#NAME"):
        Target.of("http://h/v1", "")
