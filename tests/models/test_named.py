"""Models by names of a project's own: what a section means, where it is looked for, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import maker
from maker.errors import TaskError
from maker.models import load_model, spelled
from maker.models.named import Entry, named, names
from maker.models.providers import from_spec
from maker.testing import FaultServer

CANARY = "sk-canary-77aa5f1e"
SECTION = 'url = "http://h:1/v1"\nname = "m"\n'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Stand in an inner folder of a project."""
    monkeypatch.delenv("MAKER_CONFIG", raising=False)
    monkeypatch.delenv("MAKER_API_KEY", raising=False)
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    return tmp_path


def write(file: Path, *sections: str, table: str = "models", name: str = "fast") -> None:
    """Write a file with one model."""
    file.write_text(f"[{table}.{name}]\n" + "\n".join(sections))


def test_a_name_means_all_that_its_section_says(folder, monkeypatch):
    """Address, name, headers, fields, query, key variable and prices of the section reach the server."""
    monkeypatch.setenv("TEAM_KEY", CANARY)
    with FaultServer() as server:
        write(
            folder / "maker.toml", f'url = "{server.url}"', 'name = "m"', 'headers = {X-Team = "blue"}',
            'extra = {reasoning_effort = "low"}', 'query = {api-version = "1"}', 'api_key_env = "TEAM_KEY"',
            "timeout = 7", "prices = {input = 1, output = 2.5}", "concurrency = 3",
        )  # fmt: skip
        assert maker.vote_sync("what?", model="fast", k=1).answer == "OK"
        received = server.requests[0]
    assert (received.body["model"], received.body["reasoning_effort"]) == ("m", "low")
    assert (received.headers["X-Team"], received.headers["Authorization"]) == ("blue", f"Bearer {CANARY}")
    model = load_model("fast")
    assert (model.timeout, model.prices) == (7.0, maker.Prices(input=1, output=2.5))
    assert model._wire._reach.query == {"api-version": "1"}
    assert CANARY not in f"{model!r} {vars(model)} {named('fast')}"


def test_what_a_call_says_stands_before_the_section(folder):
    """Settings of the call replace the section's; headers, fields and query are merged name by name."""
    write(folder / "maker.toml", SECTION, "timeout = 7", 'headers = {X-A = "1", X-B = "1"}', "extra = {a = 1, b = 1}")
    model = load_model("fast", timeout=3, headers={"x-a": "2"}, extra={"b": 2})
    assert (model.timeout, model._wire._reach.headers) == (3, {"x-a": "2", "X-B": "1"})
    assert model._extra == {"a": 1, "b": 2}


def test_a_section_may_name_a_provider(folder, monkeypatch):
    """A specification, "PROVIDER:NAME", stands for url and name; its key may come from another variable."""
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    monkeypatch.setenv("TEAM_KEY", CANARY)
    write(folder / "maker.toml", 'model = "groq:llama"', 'api_key_env = "TEAM_KEY"')
    model = load_model("fast")
    assert (model.name, model._wire.key) == ("https://api.groq.com/openai/v1#llama", CANARY)


def test_a_section_may_name_several_servers(folder):
    """Addresses are joined by commas as in a specification; fields of one's own mark the name of them all."""
    write(folder / "maker.toml", 'url = "http://b:1/v1,http://a:1/v1"', 'name = "m"', "extra = {a = 1}")
    assert re.fullmatch(r"http://a:1/v1,http://b:1/v1#m\+extra:[0-9a-f]{12}", load_model("fast").name)


def test_the_nearest_file_counts(folder, monkeypatch):
    """From the working folder upward, maker.toml before pyproject.toml, and MAKER_CONFIG before all; none is fine."""
    assert (named("fast"), names()) == (None, [])
    write(folder / "pyproject.toml", SECTION, table="tool.maker.models", name="far")
    assert names() == ["far"]
    (folder / "a" / "pyproject.toml").write_text("[tool.other]\nx = 1\n")
    assert names() == ["far"]
    write(folder / "a" / "maker.toml", SECTION, name="near")
    assert (names(), named("far")) == (["near"], None)
    write(folder / "other.toml", SECTION, name="told")
    monkeypatch.setenv("MAKER_CONFIG", str(folder / "other.toml"))
    assert names() == ["told"]


def test_files_are_found_from_the_folder_of_the_file(folder):
    """Certificates and sockets are named relative to the file that names them."""
    write(folder / "maker.toml", SECTION, 'ca_file = "ca.pem"', 'uds = "s"')
    assert named("fast").settings == {"ca_file": str(folder / "ca.pem"), "uds": str(folder / "s")}


def test_names_that_say_what_they_mean_need_no_file(folder):
    """A broken file hinders no model that is named in full."""
    (folder / "maker.toml").write_text("[")
    load_model("oracle:p=0.9")
    load_model("http://h:1/v1#m")
    with pytest.raises(TaskError, match="it is no TOML"):
        load_model("fast")


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([SECTION, "timeuot = 3"], ["timeuot", "Did you mean timeout?"]),
        ([SECTION, "system = 'x'"], ["system", "Known are: url"]),
        ([SECTION, "timeout = 'x'"], ["timeout", "number"]),
        ([SECTION, "timeout = 0"], ["timeout", "greater than 0"]),
        ([SECTION, "concurrency = true"], ["concurrency"]),
        ([SECTION, "headers = {X-A = 1}"], ["headers.X-A", "string"]),
        ([SECTION, "extra = {a = 2020-01-01}"], ["extra.a"]),
        ([SECTION, "prices = {input = 1}"], ["prices.output", "required"]),
        ([SECTION, "prices = {input = -1, output = 1}"], ["prices.input"]),
        ([SECTION, f"api_key = '{CANARY}'"], ["api_key", "api_key_env"]),
        ([SECTION, f"headers = {{Authorization = 'Bearer {CANARY}'}}"], ["headers.Authorization", "api_key_env"]),
        (["name = 'm'"], ["url = ", "PROVIDER:NAME"]),
        ([SECTION, "model = 'groq:x'"], ["url = ", "PROVIDER:NAME"]),
        (["model = 'oracle:p=1'"], ["PROVIDER:NAME"]),
    ],
)
def test_a_section_that_cannot_be_used_is_refused(folder, lines, says):
    """One line names file, section and key, and what to do; it repeats no value, which could be a key."""
    write(folder / "maker.toml", *lines)
    with pytest.raises(TaskError) as caught:
        load_model("fast")
    told = str(caught.value)
    assert all(words in told for words in [str(folder / "maker.toml"), "[models.fast]", *says])
    assert "\n" not in told
    assert CANARY not in told


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("maker.toml", "fast = 1"), ("maker.toml", "models = 1"), ("maker.toml", "[models]\nfast = 1"),
        ("maker.toml", "[models.oracle]"), ("maker.toml", "[models.'a:b']"), ("maker.toml", "[tool.maker.models.fast]"),
        ("pyproject.toml", "[tool]\nmaker = 1"), ("pyproject.toml", "[tool.maker]\nk = 3"),
    ],
)  # fmt: skip
def test_a_file_that_holds_something_else_is_refused(folder, file, text):
    """What is no section of a model, and names that other models have, are told with the file."""
    (folder / file).write_text(text)
    with pytest.raises(TaskError) as caught:
        load_model("fast")
    assert str(folder / file) in str(caught.value)


def test_a_file_that_is_not_there_is_told(folder, monkeypatch):
    """MAKER_CONFIG may be misspelt."""
    monkeypatch.setenv("MAKER_CONFIG", "nowhere.toml")
    with pytest.raises(TaskError, match=r"nowhere\.toml: No such file.*MAKER_CONFIG"):
        load_model("fast")


def test_an_unknown_name_is_told_with_those_there_are(folder):
    """The names of the file stand among the known ones."""
    write(folder / "maker.toml", SECTION)
    with pytest.raises(TaskError, match=r"no model 'fats'.*neural, oracle, openai, http, fast"):
        load_model("fats")


def test_every_setting_of_the_maker_of_models_has_its_key():
    """What `openai_model` takes can be said in a section, but for a key itself and for draws that share a call."""
    settings = set(maker.openai_model.__kwdefaults__)
    assert set(Entry.model_fields) - {"url", "name", "model"} == settings - {"api_key", "n"}


def test_a_name_is_told_to_where_there_is_no_file(folder, monkeypatch):
    """What it means travels as JSON, without a key, and makes the same model; other specifications mean themselves."""
    monkeypatch.setenv("TEAM_KEY", CANARY)
    write(folder / "maker.toml", SECTION, 'api_key_env = "TEAM_KEY"', "timeout = 7", "prices = {input = 1, output = 2}")
    spec, settings = json.loads(json.dumps(spelled("fast", 3)))
    (folder / "maker.toml").unlink()
    model = from_spec(spec, **settings)
    assert (model.name, model.timeout, model.prices) == ("http://h:1/v1#m", 7.0, maker.Prices(input=1, output=2))
    assert CANARY not in json.dumps([spec, settings])
    assert spelled("oracle:p=1", 3) == ("oracle:p=1", {})
    assert spelled("http://h:1/v1#m") == ("http://h:1/v1#m", {})
