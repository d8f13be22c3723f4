"""The way to a server: proxies and unix sockets are used when asked for."""

from __future__ import annotations

import pytest

from maker.models.openai.http.reach import Reach


def test_the_environments_proxy_is_used_only_when_asked_for(monkeypatch):
    """proxy="env" reads the environment, NO_PROXY included; a given proxy stands; nothing is used unasked."""
    for name in ("http_proxy", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://p:1")
    monkeypatch.setenv("no_proxy", "inner.example")
    assert Reach().proxy_for("http://h/v1") is None
    assert Reach(proxy="http://q:2").proxy_for("http://h/v1") == "http://q:2"
    assert Reach(proxy="env").proxy_for("http://h/v1") == "http://p:1"
    assert Reach(proxy="env").proxy_for("http://inner.example/v1") is None


@pytest.mark.parametrize(("headers", "key"), [({}, None), ({"X-A": "1"}, None), ({"Authorization": "Bearer k"}, "k")])
def test_a_key_in_a_header_is_the_key(headers, key):
    """The key that a header holds is known, so that it can be kept out of messages."""
    assert Reach(headers=headers).key == key
