"""Models over HTTP by provider or address: where they are asked, with what, and that keys stay where they belong."""

from __future__ import annotations

import asyncio

import pytest

import maker
from maker.errors import JournalError, ModelError
from maker.models import load_model
from maker.models.providers import OVER_HTTP, PROVIDERS, from_spec
from maker.testing import FaultServer, error

CANARY = "sk-canary-77aa5f1e"


def asked(url: str, name: str, prompt: str = "what?", **settings: object) -> maker.Verdict[str]:
    """Vote with a model that is closed afterwards."""

    async def main() -> maker.Verdict[str]:
        model = maker.openai_model(url, name, **settings)  # type: ignore[arg-type]
        try:
            return await maker.vote(prompt, model=model, k=1)
        finally:
            await model.aclose()

    return asyncio.run(main())


@pytest.mark.parametrize("prefix", PROVIDERS)
def test_each_provider_is_asked_at_its_address_with_its_own_key(prefix, monkeypatch):
    """PROVIDER:NAME posts to the provider's chat completions, with the key of its variable alone."""
    for row in PROVIDERS.values():
        monkeypatch.delenv(row.variable, raising=False)
    row = PROVIDERS[prefix]
    if row.needed:
        with pytest.raises(ModelError, match=f"set {row.variable}"):
            load_model(f"{prefix}:org/m")
    else:
        assert load_model(f"{prefix}:org/m")._wire.key is None
    monkeypatch.setenv(row.variable, f" {CANARY}\n")
    model = load_model(f"{prefix}:org/m")
    assert (model._target.url, model._wire.key) == (f"{row.url}/chat/completions", CANARY)
    assert model.name == ("openai:org/m" if prefix == "openai" else f"{row.url}#org/m")
    assert prefix in OVER_HTTP


def test_azure_takes_the_deployment_in_the_path_and_the_key_in_its_header(monkeypatch):
    """azure:NAME asks NAME's own path under api-version, with api-key and no bearer token."""
    monkeypatch.delenv("AZURE_OPENAI_ENDPOINT", raising=False)
    with pytest.raises(ModelError, match="set AZURE_OPENAI_ENDPOINT"):
        from_spec("azure:prod chat")
    with FaultServer() as server:
        monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", f"http://127.0.0.1:{server.port}/")
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", CANARY)
        monkeypatch.setenv("OPENAI_API_VERSION", "2025-01-01")
        assert maker.vote_sync("what?", model="azure:m", k=1).answer == "OK"
        received = server.requests[0]
    assert received.path.partition("?")[0] == "/openai/deployments/m/chat/completions"
    assert received.headers["api-key"] == CANARY
    assert "Authorization" not in received.headers
    assert received.query == {"api-version": "2025-01-01"}


def test_azure_takes_headers_and_a_query_of_ones_own(monkeypatch):
    """They are merged with its own, whatever the case of a header's name, and stand before them."""
    monkeypatch.setenv("TEAM_KEY", CANARY)
    monkeypatch.delenv("AZURE_OPENAI_API_KEY", raising=False)
    with FaultServer() as server:
        monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", f"http://127.0.0.1:{server.port}")
        ours = {"headers": {"X-Team": "blue"}, "query": {"api-version": "preview", "a": "b"}}
        assert maker.vote_sync("what?", model=from_spec("azure:m", api_key_env="TEAM_KEY", **ours), k=1).answer == "OK"
        theirs = from_spec("azure:m", api_key_env="TEAM_KEY", headers={"API-Key": "other"})
        received = server.requests[0]
    assert received.query == {"api-version": "preview", "a": "b"}
    assert (received.headers["X-Team"], received.headers["api-key"]) == ("blue", CANARY)
    assert theirs._wire._reach.headers == {"API-Key": "other"}


def test_headers_and_extra_fields_are_sent(monkeypatch):
    """Headers go with each request; fields of extra are in the body and replace ours."""
    monkeypatch.setenv("SOME_KEY", CANARY)
    with FaultServer() as server:
        extra = {"reasoning_effort": "low", "seed": 1}
        asked(server.url, "m", headers={"X-Team": "blue"}, extra=extra, api_key_env="SOME_KEY")
        received = server.requests[0]
    assert (received.headers["X-Team"], received.headers["Authorization"]) == ("blue", f"Bearer {CANARY}")
    assert (received.body["reasoning_effort"], received.body["seed"]) == ("low", 1)


@pytest.mark.parametrize("name", ["Authorization", "api-key", "X-API-Key"])
def test_a_key_in_a_header_is_never_repeated(name):
    """What a server says of a key that a header brought is told without it, and no repr holds it."""
    with FaultServer(lambda r: error(401, f"bad key {CANARY}")) as server:
        with pytest.raises(ModelError) as caught:
            asked(server.url, "m", headers={name: CANARY})
        model = maker.openai_model(server.url, "m", headers={name: CANARY})
    assert CANARY not in f"{caught.getrepr()} {model!r} {model._wire._reach!r} {model.name}"


@pytest.mark.parametrize(
    "settings",
    [{"api_key": CANARY, "api_key_env": "X"}, {"headers": {"X-A": f"{CANARY}\r\nX-B: 1"}},
     {"headers": {f"{CANARY}:": "1"}},
     {"headers": {"Content-Length": "1"}}, {"proxy": f"socks5://me:{CANARY}@h"}, {"ca_file": "/nowhere.pem"}],
)  # fmt: skip
def test_settings_that_cannot_be_used_are_refused_without_a_key(settings):
    """One line says what is wrong; it does not repeat what could be a key."""
    with pytest.raises(ModelError) as caught:
        maker.openai_model("http://h/v1", "m", **settings)
    assert CANARY not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_resume_with_another_extra_is_refused(tmp_path):
    """Fields of one's own are part of the run: others are told by the model's name, and can be accepted."""

    def asked(extra, **more):
        model = maker.openai_model(server.url, "m", extra=extra)
        return maker.map_sync("{item}?", [1, 2], model=model, k=1, parse=str, journal=tmp_path / "run.db", **more)

    with FaultServer() as server:
        asked({"reasoning_effort": "low"}, limits={"max_steps": 1})
        for extra in ({"reasoning_effort": "high"}, {}, None):
            with pytest.raises(JournalError, match=r"model: journal '.*#m\+extra:[0-9a-f]{12}', now"):
                asked(extra)
        assert asked({"reasoning_effort": "low"}, limits={"max_steps": 1}).stopped == "max_steps"
        assert asked({"reasoning_effort": "high"}, accept_change=["model"]).stopped is None
        assert server.requests[-1].body["reasoning_effort"] == "high"


def test_what_a_model_takes_with_one_extra_says_nothing_of_another():
    """A model that takes no temperature while it thinks is sent one where it does not."""

    def picky(received):
        thinks = received.body["effort"] == "high" and "temperature" in received.body
        return error(400, "temperature is not taken", param="temperature") if thinks else None

    with FaultServer(picky) as server:
        for effort in ("high", "none", "high"):
            assert asked(server.url, "m", extra={"effort": effort}).answer == "OK"
        sent = [(received.body["effort"], "temperature" in received.body) for received in server.requests]
    assert sent == [("high", True), ("high", False), ("none", True), ("high", False)]
