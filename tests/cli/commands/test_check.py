"""`maker check`: one screen, one remedy, the documented exit codes, and a section that is kept."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from maker.testing import FaultServer, error
from maker.testing.replies import Received

Call = Callable[..., tuple[int, str, str]]


def well(received: Received) -> str:
    """Answer as a good server does, and differently each time."""
    return "4" if "2 + 2" in received.prompt else f"pear, word {received.number}"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, without a key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MAKER_API_KEY", raising=False)
    monkeypatch.delenv("MAKER_CONFIG", raising=False)
    return tmp_path


def test_a_usable_model_fits_a_screen(maker: Call) -> None:
    """A verdict first, a line of code last, with the name that the server is asked by."""
    with FaultServer(well) as server:
        code, out, err = maker("check", server.spec("m"))
    lines = out.splitlines()
    assert (code, err, lines[0]) == (0, "", "verdict: usable")
    assert len(lines) <= 22
    assert lines[-1] == f'code: maker.vote_sync("What is 6 x 7?", model="{server.spec("m")}", answer=int)'
    assert "seeds: not obeyed: the same seed gave other texts" in lines


def test_an_unusable_model_leaves_with_five(maker: Call) -> None:
    """And with the one remedy; nothing is said of what did not show."""
    with FaultServer(lambda _: error(401, "who are you?")) as server:
        code, out, _ = maker("check", server.spec("m"), "--save", "mine")
    assert code == 5
    assert [line.partition(":")[0] for line in out.splitlines()] == ["verdict", "what to do", "model", "asked"]
    assert "set OPENAI_API_KEY" in out
    assert not Path("maker.toml").exists()


@pytest.mark.parametrize(
    "args", [("nothing",), ("neural",), ("oracle:p=1",), ("neural", "--save", "mine"), ("http://h/v1#m", "--what")]
)
def test_bad_input_leaves_with_two(maker: Call, args: tuple[str, ...]) -> None:
    """One line that says what to do."""
    code, out, err = maker("check", *args)
    assert (code, out, err.count("\n")) == (2, "", 1)


def test_a_name_that_cannot_be_is_told_before_anything_is_asked(maker: Call) -> None:
    """A look costs calls; what is wrong with the command is said first."""
    with FaultServer(well) as server:
        assert maker("check", server.spec("m"), "--save", "a.b")[0] == 2
        assert server.requests == []


def test_a_program_reads_one_object(maker: Call) -> None:
    """With all that was found, and the exit code."""
    with FaultServer(well) as server:
        code, out, _ = maker("check", server.spec("m"), "--json")
    said = json.loads(out)
    assert (code, said["exit_code"], said["usable"], said["calls"]) == (0, 0, True, 14)
    assert said["takes"] == {}


def test_a_model_is_kept_under_a_name(maker: Call, elsewhere: Path) -> None:
    """With as many at once as were served, and the line to copy names it."""
    crowd = 0

    def crowded(received: Received) -> object:
        nonlocal crowd
        crowd += received.body["seed"] > 2
        return error(429, "slower") if crowd > 5 else well(received)

    with FaultServer(crowded) as server:  # type: ignore[arg-type]
        code, out, _ = maker("check", server.spec("m"), "--save", "mine")
    assert code == 0
    assert 'model="mine"' in out.splitlines()[-1]
    assert "at once: 8 asked: 3 failed or were refused" in out
    saved = tomllib.loads((elsewhere / "maker.toml").read_text())
    assert saved == {"models": {"mine": {"url": server.url, "name": "m", "concurrency": 5}}}


def test_what_a_server_says_cannot_drive_the_terminal(maker: Call) -> None:
    """Its words are shown with their control characters escaped."""
    with FaultServer(lambda _: error(401, "a\x1b[2Jb")) as server:
        assert "\x1b" not in maker("check", server.spec("m\x1b[2J"))[1]
