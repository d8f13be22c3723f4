"""A model is kept under a name: the file says what it said before, and the one section more."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from maker.api.check.saving import checked_name, nearest, save, section_of
from maker.errors import TaskError
from maker.models.named import named

SECTION = {"url": "http://127.0.0.1:8080/v1", "name": 'a "b"', "concurrency": 4}
OTHERS = '# mine\n[tool]\nx = 1  # one\n\n[models.old]\nurl = "u"\nname = "o"\n'


def test_the_rest_of_the_file_stays(tmp_path: Path) -> None:
    """A new section is added at the end, and the text before it is as it was, comments too."""
    file = tmp_path / "maker.toml"
    file.write_text(OTHERS)
    save(file, "new", SECTION)
    assert file.read_text().startswith(OTHERS)
    assert tomllib.loads(file.read_text())["models"] == {"old": {"url": "u", "name": "o"}, "new": SECTION}
    assert list(tmp_path.iterdir()) == [file]


def test_a_new_file_holds_the_section(tmp_path: Path) -> None:
    """Where there is no file one is made."""
    save(tmp_path / "maker.toml", "new", SECTION)
    assert tomllib.loads((tmp_path / "maker.toml").read_text()) == {"models": {"new": SECTION}}


def test_a_section_is_replaced_where_it_stands(tmp_path: Path) -> None:
    """With its parts, and nothing of what follows."""
    file = tmp_path / "maker.toml"
    tail = '\n[models.other]\nurl = "v"\n'
    file.write_text(OTHERS + '[models.old.headers]\na = "b"\n' + tail)
    save(file, "old", SECTION)
    text = file.read_text()
    assert text.startswith("# mine\n[tool]\nx = 1  # one\n\n[models.old]\n")
    assert tomllib.loads(text)["models"] == {"old": SECTION, "other": {"url": "v"}}
    save(file, "old", SECTION)
    assert file.read_text() == text


@pytest.mark.parametrize(
    "text", ['models = {old = {url = "u"}}\n', 'x = """\n[models.old]\n"""\n[models]\nold.url = "u"\n']
)
def test_what_is_not_safe_to_change_is_left(tmp_path: Path, text: str) -> None:
    """A file that writes its models in another form is not touched, and the section is told."""
    file = tmp_path / "maker.toml"
    file.write_text(text)
    with pytest.raises(TaskError, match=r"by hand:\n\[models.old\]\nurl"):
        save(file, "old", SECTION)
    assert file.read_text() == text


@pytest.mark.parametrize("name", ["a b", "", "a.b", "openai", "groq", "neural", "azure", "a]\n[b"])
def test_a_name_is_one_that_nothing_else_has(name: str) -> None:
    """Of letters, digits, - and _; not that of a model or provider."""
    with pytest.raises(TaskError, match="give a name"):
        checked_name(name)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """It is not replaced by a good one."""
    file = tmp_path / "maker.toml"
    file.write_text("[[[")
    with pytest.raises(TaskError, match="Mend it"):
        save(file, "new", SECTION)
    assert file.read_text() == "[[["


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Its folder is not there."""
    with pytest.raises(TaskError, match="cannot be written"):
        save(tmp_path / "none" / "maker.toml", "new", SECTION)


def test_the_file_is_the_nearest_upward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the one that the environment names; a new one is made here."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    monkeypatch.delenv("MAKER_CONFIG", raising=False)
    assert nearest() == inner / "maker.toml"
    (tmp_path / "maker.toml").touch()
    assert nearest() == tmp_path / "maker.toml"
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.other]")
    assert nearest() == tmp_path / "maker.toml"
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.maker]")
    assert nearest() == tmp_path / "a" / "pyproject.toml"
    (tmp_path / "elsewhere.toml").touch()
    monkeypatch.setenv("MAKER_CONFIG", str(tmp_path / "elsewhere.toml"))
    assert nearest() == tmp_path / "elsewhere.toml"


def test_a_saved_model_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written is what the reader of names takes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MAKER_CONFIG", raising=False)
    save(nearest(), "mine", section_of("http://127.0.0.1:9/v1#m") | {"concurrency": 5})
    assert named("mine") == ("http://127.0.0.1:9/v1#m", {"concurrency": 5})


def test_a_project_holds_it_among_its_tools(tmp_path: Path) -> None:
    """A pyproject.toml has tables of others, which stay."""
    file = tmp_path / "pyproject.toml"
    file.write_text('[project]\nname = "p"\n[tool.maker.models.old]\nurl = "u"\n[tool.z]\n')
    save(file, "new", SECTION)
    save(file, "old", SECTION)
    assert tomllib.loads(file.read_text()) == {
        "project": {"name": "p"}, "tool": {"maker": {"models": {"new": SECTION, "old": SECTION}}, "z": {}},
    }  # fmt: skip


def test_a_section_names_the_variable_of_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """And never the key; a server of one's own needs none."""
    monkeypatch.delenv("MAKER_API_KEY", raising=False)
    assert section_of("http://h:1/v1#a/b:c") == {"url": "http://h:1/v1", "name": "a/b:c"}
    assert section_of("ollama:q:7b") == {"url": "http://127.0.0.1:11434/v1", "name": "q:7b"}
    groq = {"url": "https://api.groq.com/openai/v1", "name": "x", "api_key_env": "GROQ_API_KEY"}
    assert section_of("groq:x") == groq
    assert section_of("http://a/v1,http://b/v1#m") == {"url": "http://a/v1,http://b/v1", "name": "m"}
    monkeypatch.setenv("MAKER_API_KEY", "canary")
    assert section_of("http://h:1/v1#a")["api_key_env"] == "MAKER_API_KEY"


def test_a_deployment_of_azure_is_kept_as_its_specification(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the variable of its key; its address stays with the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MAKER_CONFIG", raising=False)
    save(nearest(), "mine", section_of("azure:prod chat") | {"concurrency": 5})
    assert named("mine") == ("azure:prod chat", {"api_key_env": "AZURE_OPENAI_API_KEY", "concurrency": 5})


@pytest.mark.parametrize("spec", ["oracle:p=1", "neural", "mine"])
def test_only_a_model_at_an_address_is_saved(spec: str) -> None:
    """Of others the specification says all."""
    with pytest.raises(TaskError, match="all that there is to say"):
        section_of(spec)
