"""How a model over HTTP is reached from the command line: the same options on run, estimate and solve."""

from __future__ import annotations

import json

import pytest

from maker.cli.screen import hushed
from maker.testing import FaultServer, error

CANARY = "sk-canary-77aa5f1e"
COMMANDS = {
    "run": ["run", "hanoi", "--disks", "2", "--k", "1"],
    "estimate": ["estimate", "hanoi", "--disks", "7", "--steps", "30"],
    "solve": ["solve", "1 * 1"],
}
REACHING = ["--header", "X-Team: a: b", "--header", "X-Gate:1", "--extra", 'effort="low"', "--extra", "top={\"p\": 1}",
            "--query", "api-version=2=1"]  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Stand in an empty folder, without keys."""
    for name in ("MAKER_CONFIG", "MAKER_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_headers_fields_and_query_are_sent(maker, command):
    """--header, --extra and --query, each given as often as wanted, go with every request."""
    seen = []
    with FaultServer(lambda received: seen.append(received) or error(401, "no")) as server:
        assert maker(*COMMANDS[command], "--model", server.spec("m"), *REACHING)[0] == 5
    assert (seen[0].headers["X-Team"], seen[0].headers["X-Gate"]) == ("a: b", "1")
    assert (seen[0].body["effort"], seen[0].body["top"]) == ("low", {"p": 1})
    assert seen[0].query == {"api-version": "2=1"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--header", CANARY], "--header: give NAME:VALUE, in quotes"),
        (["--header", f": {CANARY}"], "--header: give NAME:VALUE"),
        (["--query", CANARY], "--query: give NAME=VALUE"),
        (["--extra", f"a={CANARY}"], "--extra a: the value is no JSON; a text is written 'a=\"...\"'"),
        (["--extra", "a"], "--extra: give NAME=VALUE"),
    ],
)
def test_an_option_that_cannot_be_read_is_told_without_its_value(maker, options, says):
    """Exit code 2 and one line; what could be a secret is not repeated."""
    code, out, err = maker(*COMMANDS["run"], "--model", "http://h:1/v1#m", *options)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert says in err
    assert CANARY not in err


def test_examples_are_sent_before_every_question(maker, tmp_path):
    """--examples FILE: turns of a chat; a file that holds none is refused with its name, before anything is asked."""
    (tmp_path / "shots.json").write_text('[["1 * 2?", "2"], ["2 * 3?", "6"]]')
    (tmp_path / "odd.json").write_text('[["1 * 2?"]]')
    (tmp_path / "no.json").write_text("1 * 2?")
    seen = []
    with FaultServer(lambda received: seen.append(received) or error(401, "no")) as server:
        asked = [*COMMANDS["estimate"], "--model", server.spec("m"), "--examples"]
        assert maker(*asked, str(tmp_path / "shots.json"))[0] == 5
        for file, says in (("odd", "examples"), ("no", "no.json: no JSON"), ("none", "none.json")):
            code, _, err = maker(*asked, str(tmp_path / f"{file}.json"))
            assert (code, says in err) == (2, True)
    for received in seen:
        said = [(message["role"], message["content"]) for message in received.body["messages"]]
        assert said[:4] == [("user", "1 * 2?"), ("assistant", "2"), ("user", "2 * 3?"), ("assistant", "6")]
        assert [role for role, _ in said[4:]] == ["user"]


def test_a_model_in_this_process_takes_none_of_them(maker):
    """Exit code 2, with the options that were given."""
    code, _, err = maker(*COMMANDS["run"], "--model", "oracle:p=0.9", "--timeout", "3", "--extra", "a=1")
    assert code == 2
    assert "--timeout, --extra: for models over HTTP only" in err


def test_a_name_of_the_projects_file_takes_them_all(maker, folder):
    """--model NAME is asked with the section's settings and the command's; a table of prices knows it by its name."""
    (folder / "prices.json").write_text(json.dumps({"fast": {"input": 1, "output": 2}}))
    with FaultServer() as server:
        (folder / "maker.toml").write_text(f'[models.fast]\nurl = "{server.url}"\nname = "m"\nextra = {{a = 1}}\n')
        maker(*COMMANDS["run"], "--model", "fast", "--prices", "prices.json", "--extra", "b=2", "--max-cost", "1")
        asked = server.requests[0].body
    assert (asked["model"], asked["a"], asked["b"]) == ("m", 1, 2)


@pytest.mark.parametrize("model", ["groq:m", "ollama:m", "azure:m"])
def test_every_provider_takes_prices_and_a_timeout(maker, monkeypatch, model):
    """What only models over HTTP take is taken by all of them: the complaint, if any, is about the key."""
    for name in ("GROQ_API_KEY", "AZURE_OPENAI_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    code, _, err = maker(*COMMANDS["run"], "--model", model, "--prices", "1,2", "--timeout", "0")
    assert code == 5
    assert "over HTTP only" not in err


def test_a_section_that_cannot_be_used_is_one_line_and_exit_code_2(maker, folder):
    """File and key are named."""
    (folder / "maker.toml").write_text('[models.fast]\nurl = "http://h/v1"\nname = "m"\nprice = 1\n')
    code, _, err = maker(*COMMANDS["run"], "--model", "fast")
    assert (code, err.count("\n")) == (2, 1)
    assert f"{folder / 'maker.toml'}: [models.fast] price: there is no such key. Did you mean prices?" in err


def test_every_command_with_a_bar_can_be_quiet(maker):
    """What shows a bar takes --quiet, and the next command begins anew."""
    bars = {"run", "demo", "solve", "estimate", "compare", "check", "verify", "audit", "revote", "report", "export"}
    for name in sorted(bars):
        _, out, _ = maker(name, "--help")
        assert "--quiet" in out, name
    assert maker("run", "hanoi", "--disks", "2", "--model", "oracle:p=0.99", "--k", "1", "--quiet")[0] == 0
    assert hushed.get()
    assert maker("run", "hanoi", "--disks", "2", "--model", "oracle:p=0.99", "--k", "1")[0] == 0
    assert not hushed.get()


def test_a_model_may_be_repeated(maker):
    """Models take turns, one that is given twice has two; a comma is of one model, as ever: two servers of it."""
    a, b = "oracle:p=1,v=1", "oracle:p=1,v=0.999"
    code, out, _ = maker("run", "hanoi", "--disks", 4, "--k", 4, "--model", a, "--model", b, "--model", a,
                         "--journal", "j", "--json")  # fmt: skip
    assert code == 0
    names = json.loads(out)["model"].removeprefix("pool: ").split(" | ")
    assert (len(names), names[0]) == (3, names[2])
    told = json.loads(maker("show", "j", "--json")[1])["pooled"]
    assert {name: counts["samples"] > 0 for name, counts in told.items()} == dict.fromkeys(names[:2], True)
    assert f"samples of {names[0]}" in maker("show", "j")[1].replace("\n", "")
    assert maker("run", "hanoi", "--model", a, "--weights", "4,x", "--k", 4)[0] == 2
    with FaultServer(lambda _: error(401, "no")) as one, FaultServer(lambda _: error(401, "no")) as two:
        both = f"{one.url},{two.url}#m"
        assert maker("run", "hanoi", "--disks", 2, "--k", 1, "--model", both)[0] == 5


def test_each_model_of_a_pool_is_asked_at_its_own_address(maker):
    """The options for reaching a model are for all of them."""
    asked = []
    with FaultServer(lambda received: asked.append(received.body["model"]) or "no move") as server:
        maker("run", "hanoi", "--disks", 2, "--k", 2, "--max-calls", 4, "--model", server.spec("a"),
              "--model", server.spec("b"), "--extra", "x=1", "--json")  # fmt: skip
    assert {"a", "b"} == set(asked)


def test_votes_of_a_pool_may_weigh_differently(maker):
    """Given as numbers, which the journal shows, or left to the calibration; estimate finds them, on one line."""
    models = ("--model", "oracle:p=0.99,v=1", "--model", "oracle:p=0.8,v=1")
    assert maker("run", "hanoi", "--disks", 4, *models, "--k", 6, "--weights", "4,1", "--journal", "j")[0] == 0
    assert json.loads(maker("show", "j", "--json")[1])["weights"] == [4, 1]
    assert "4, 1 votes a draw, by turn" in maker("show", "j")[1]
    assert maker("verify", "j")[0] == 0
    code, out, _ = maker("run", "hanoi", "--disks", 4, *models, "--weights", "calibrated", "--json")
    assert code == 0
    assert len(json.loads(out)["calibration"]["weights"]["votes"]) == 2
    _, out, _ = maker("estimate", "hanoi", "--disks", 6, *models, "--steps", 63)
    assert " by turn, with k = " in " ".join(out.split())
