"""`maker revote`: what would have changed, and parsers from a file."""

from __future__ import annotations

import json

from maker import load_task, run_sync


def test_the_command_says_what_would_have_changed(tmp_path, maker):
    """`maker revote` prints counts and steps, names a simulated model, and prints one object with --json."""
    path = tmp_path / "run.db"
    run_sync(load_task("hanoi", disks=7), model="oracle:p=0.9,v=0.9", k=5, journal=path)
    code, out, err = maker("revote", path, "--k", 1)
    assert (code, err) == (0, "")
    for words in ("simulated", "first to be ahead by 1", "other winner: ", "the vote saved them", "->", "saved ("):
        assert words in out, words
    said = json.loads(maker("revote", path, "--k", 1, "--json")[1])
    assert said["changed"] == sum(last - first + 1 for first, last in said["changed_steps"]) > 0
    assert said["same"] + said["changed"] == said["steps"] == 127
    assert "draws run out: 127 (step 0-126); at least 127 more votes" in maker("revote", path, "--k", 6)[1]
    assert "majority of 9 votes" in maker("revote", path, "--rule", "majority")[1]


def test_the_command_takes_a_parser_from_a_file_and_refuses_what_is_none(tmp_path, maker):
    """--parse FILE.py:NAME is used; a missing file or name, and an unknown flag set or option, exit with 2."""
    path = tmp_path / "run.db"
    run_sync(load_task("hanoi", disks=3), model="oracle:p=0.9", k=2, journal=path, keep_samples="all")
    parser = tmp_path / "mine.py"
    parser.write_text("def never(text):\n    raise ValueError(text)\n")
    (tmp_path / "broken.py").write_text("1 / 0")
    code, out, _ = maker("revote", path, "--parse", f"{parser}:never")
    assert code == 0 and "votes are flagged now (malformed" in out
    for wrong in (
        ["--parse", f"{parser}:nope"], ["--parse", "none.py:x"], ["--parse", f"{tmp_path}/broken.py:x"],
        ["--flags", "odd"], ["--rule", "best"], ["--disks", "3"],
    ):  # fmt: skip
        code, _, err = maker("revote", path, *wrong)
        assert code == 2 and err.startswith("maker: ") and err.count("\n") == 1, wrong
