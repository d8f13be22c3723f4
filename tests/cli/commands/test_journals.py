"""The commands that read a journal: they agree with the run, and refuse what is none."""

from __future__ import annotations

import json
import sqlite3

import maker as package
from maker.review.report.data import collect
from maker.review.report.page import _facts
from maker.testing import FaultServer, Reply, ScriptedModel, error
from maker.theory.votes.tables import Table

FIELDS = {"solved", "steps", "samples", "flagged", "wrong", "answer", "state_digest", "chain", "stopped", "seconds"}


def test_run_show_and_verify_agree_on_one_journal(maker, tmp_path):
    """run, show and verify print one JSON object each, with the promised fields and the same facts."""
    path = tmp_path / "run.db"
    code, out, err = maker("run", "hanoi", "--disks", 5, "--model", "oracle:p=0.95,v=0.9", "--k", 4,
                           "--journal", path, "--json")  # fmt: skip
    ran = json.loads(out)
    assert (code, err) == (0, "")
    assert ran["solved"] is True and ran["steps"] == 31 and ran["answer"] == [[], [], [5, 4, 3, 2, 1]]
    shown = json.loads(maker("show", path, "--json")[1])
    code, out, _ = maker("verify", path, "--json")
    verified = json.loads(out)
    assert code == 0 and verified["problem"] is None
    for said in (ran, shown, verified):
        assert said.keys() >= FIELDS
        for field in ("solved", "steps", "samples", "flagged", "wrong", "answer", "state_digest", "chain", "stopped"):
            assert said[field] == ran[field], field


def test_a_foreign_or_damaged_journal_is_refused_and_left_alone(maker, tmp_path):
    """What is not this run's journal leaves with 6 and is not changed by a byte."""
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as db:
        db.execute("CREATE TABLE t (x)")
    db.close()
    text = tmp_path / "text.db"
    text.write_text("not a database at all, but long enough to have a header of one hundred bytes" * 3)
    other = tmp_path / "other.db"
    assert maker("run", "hanoi", "--disks", 3, "--model", "oracle:p=0.99", "--k", 3, "--journal", other)[0] == 0
    for path, words in (
        (foreign, "not a maker journal"),
        (text, "not a maker journal"),
        (other, "k: journal 3, now 2"),
    ):
        before = path.read_bytes()
        code, _, err = maker("run", "hanoi", "--disks", 3, "--model", "oracle:p=0.99", "--k", 2, "--journal", path)
        assert (code, words in err) == (6, True), err
        assert path.read_bytes() == before


def picky(received):
    """Answer under another name; refuse temperatures and logprobs."""
    if {"temperature", "logprobs"} & set(received.body):
        return error(400, "unsupported")
    return Reply("OK", fields={"model": "m-large"})


def test_what_was_negotiated_is_shown(maker, tmp_path):
    """What the server takes, and its other name, a line each, in `show` and in the report."""
    path = tmp_path / "map.db"
    with FaultServer(picky) as server:
        package.map_sync("{item}?", [1, 2], model=server.spec("m"), k=2, journal=path)
    told = "m takes no logprobs, no temperature: drawn at the server's own temperature"
    shown = maker("show", path)[1].splitlines()
    assert f"takes: {told}" in shown
    assert "answers as: m-large" in shown
    said = json.loads(maker("show", path, "--json")[1])
    assert (said["takes"], said["answers_as"]) == (told, "m-large")
    facts = dict(_facts(collect(path)))
    assert (facts["takes"], facts["answers as"]) == (told, "m-large")


def test_each_of_several_servers_is_shown(maker, tmp_path):
    """With the samples that it gave."""
    path = tmp_path / "map.db"
    with FaultServer() as one, FaultServer() as two:
        package.map_sync("{item}?", range(8), model=f"{one.url},{two.url}#m", k=2, journal=path)
        told = sorted(f"{server.url} {len(server.requests)}" for server in (one, two) if server.requests)
    assert f"servers: {', '.join(told)}" in maker("show", path)[1].splitlines()


def test_nothing_is_shown_where_nothing_was_negotiated(maker, tmp_path):
    """A server that takes all, under the name it is asked by, has no such lines."""
    path = tmp_path / "map.db"
    with FaultServer() as server:
        package.map_sync("{item}?", [1, 2], model=server.spec("m"), k=2, journal=path)
    assert not {"takes", "answers_as", "servers"} & set(json.loads(maker("show", path, "--json")[1]))


def test_show_of_a_map_speaks_of_items(maker, tmp_path):
    """Items, each failure with its reason, flags with examples, tokens; the same facts for a program."""

    class Real(ScriptedModel):
        simulated = False

    def script(request):
        text = "[red]?" if request.address.draw == 1 else str(request.address.step)
        return str(request.address.draw) if request.address.step == 2 else text

    path = tmp_path / "run.db"
    package.map_sync("{item}", [1, 2, 3, 4], model=Real(script, lockstep=False), answer=int, k=2, journal=path,
                     limits={"max_votes": 4})  # fmt: skip
    lines = maker("show", path)[1].splitlines()
    assert "items: 3 of 4 decided, 1 failed" in lines
    assert "flagged: malformed 3, such as '[red]?'" in lines
    assert "failed: item 2: undecided after 4 samples: votes 1, 1, 1, 1 (k = 2 ahead is needed), flagged none." in lines
    assert not any(line.startswith(("chain", "head", "state_digest", "stopped")) for line in lines)
    said = json.loads(maker("show", path, "--json")[1])
    assert (said["steps"], said["failed"][0]["item"], said["examples"]) == (3, 2, {"malformed": "[red]?"})
    package.map_sync("{item}", range(4), model=Real(["1"]), k=2, journal=tmp_path / "b.db", limits={"max_steps": 3})
    lines = maker("show", tmp_path / "b.db")[1].splitlines()
    assert "items: 3 of 4 decided, 1 open" in lines
    assert any(line.startswith("stopped: max_steps. ") for line in lines)


ADDITION = ("--design", "questions", "--x", 987654, "--y", 345678)


def test_kinds_of_steps_are_told_where_they_are_asked_for(maker, tmp_path):
    """Show has a row a kind, export a column, report a table; without --kinds no task code runs and none is there."""
    path, table, page = tmp_path / "run.db", tmp_path / "run.csv", tmp_path / "run.html"
    maker("run", "addition", *ADDITION, "--model", "oracle:p=0.8,v=0.9", "--k", 3, "--journal", path)
    rows = dict(line.split(": ", 1) for line in maker("show", path, "--kinds")[1].strip().splitlines())
    assert rows["kind digits"].startswith("6 steps decided, ")
    assert rows["kind carry"].endswith(" votes lost")
    said = json.loads(maker("show", path, "--kinds", "--json")[1])
    assert sum(kind["samples"] for kind in said["kinds"].values()) == said["samples"]
    own = json.loads(maker("show", path, "--task", "addition", "--json")[1])
    assert own == said
    assert "kinds" not in json.loads(maker("show", path, "--json")[1])
    assert maker("export", path, "-o", table, "--kinds")[0] == 0
    assert [line.rpartition(",")[2] for line in table.read_text().splitlines()][:3] == ["kind", "digits", "carry"]
    assert maker("report", path, "-o", page, "--kinds")[0] == 0
    assert "<h2>Kinds of steps</h2>" in page.read_text() and '<th scope="row">carry</th>' in page.read_text()
    maker("report", path, "-o", page)
    assert "Kinds of steps" not in page.read_text()


def test_kinds_that_nobody_can_tell_are_refused(maker, tmp_path):
    """A task without kinds, and one that is not built in: one line, and 2."""
    path = tmp_path / "run.db"
    maker("run", "hanoi", "--disks", 3, "--model", "oracle:p=0.9", "--k", 2, "--journal", path)
    for command in (("show", path), ("report", path), ("export", path, "-o", tmp_path / "run.csv")):
        code, _, err = maker(*command, "--kinds")
        assert (code, "names no kinds of its steps" in err) == (2, True), err
    package.map_sync("{item}", ["a"], model=ScriptedModel(lambda r: "b"), journal=tmp_path / "map.db")
    code, _, err = maker("show", tmp_path / "map.db", "--kinds")
    assert (code, "'map', is not built in" in err) == (2, True), err


def test_a_table_and_what_votes_are_worth_are_shown(maker, tmp_path):
    """The margins stand in a few words for a person and whole for a program; so does what the votes are worth."""
    path = tmp_path / "run.db"
    model = "oracle:p=0.97,rho=0.05,seed=5"
    assert "table: " in maker("run", "hanoi", "--disks", "6", "--model", model, "--k", "table", "--journal", path)[1]
    shown, said = maker("show", path)[1], json.loads(maker("show", path, "--json")[1])
    table = Table.of(said["table"], said["k"])
    assert f"table: a margin of {table}" in shown
    assert "independent ones, one more is worth" in shown
    assert 0 < said["effective_votes"] < said["samples"] / said["steps"]
    assert "verified: every check holds" in maker("verify", path)[1]
