"""A journal as a table: all formats hold the same rows, hostile text included, and memory stays flat."""

from __future__ import annotations

import csv
import io
import json
import math
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import maker
from echo import Echo
from forged import FORGED, Content, held_by_a_run, sound_places, write
from maker.cli.app import main
from maker.decision.sample import Sample
from maker.decision.wave import Wave
from maker.errors import JournalError, TaskError
from maker.journal.bulk import plain
from maker.journal.records import encode_wave
from maker.journal.story import Story
from maker.journal.writer import Journal
from maker.review.export import COLUMNS, export, rows
from maker.testing import ScriptedModel

HOSTILE = [
    "=1+1", "a,b\"c\"", "two\nlines\r\nthree", "nul \0 in it", "\x1b[31mred", "\ud800 lone", "\u202egnp.exe",
    "<script>alert(1)</script>", "", "  ", "'; DROP TABLE groups; --", "é漢🙂",
]  # fmt: skip


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """Write a run whose replies are hostile text with odd facts."""
    path = tmp_path / "hostile.db"

    def reply(request: Any) -> Sample:
        text = HOSTILE[(request.address.step + request.address.draw // 2) % len(HOSTILE)]
        many = request.address.draw % 3
        return Sample(text, 3 if many else None, 2 if many else None, "odd\0" if many == 1 else "stop",
                      f"id\ud800{request.address.draw}", -1.5 if many else None, "m", 0.25)  # fmt: skip

    result = maker.run_sync(Echo(), model=ScriptedModel(reply), k=2, flags=[], journal=path, keep_samples="all")
    assert result.solved
    return path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Write a run of 63 steps with flags and wrong votes; texts of flagged samples are digests."""
    path = tmp_path / "run.db"
    task = maker.load_task("hanoi", disks=6)
    assert maker.run_sync(task, model="oracle:p=0.9,v=0.8", k=5, journal=path).solved
    return path


def storable(text: str) -> str:
    """Return text as the module's docstring says it is written."""
    return "".join(f"\\u{ord(c):04x}" if "\ud800" <= c <= "\udfff" else c for c in text)


# -- rows ------------------------------------------------------------------------------------------------------


def test_rows_of_steps_agree_with_the_verdicts(run):
    """A step's row says what its verdict says: votes, margin, entropy, samples, flags, waves."""
    table = list(rows(run))
    verdicts = list(Story(run).verdicts())
    assert [row["step"] for row in table] == [verdict.step for verdict in verdicts]
    for row, verdict in zip(table, verdicts, strict=True):
        counts = sorted(verdict.votes.values(), reverse=True)
        assert row["decided"] and row["answer"] == verdict.answer
        assert (row["votes"], row["runner_up"]) == (counts[0], counts[1] if len(counts) > 1 else 0)
        assert (row["margin"], row["samples"], row["flagged"]) == (verdict.margin, verdict.samples, verdict.flagged)
        assert (row["flags"], row["waves"], row["answers"]) == (verdict.flags, verdict.waves, len(counts))
        assert math.isclose(row["entropy"], verdict.entropy) and len(row["state_digest"]) == 32
    assert list(table[0]) == list(COLUMNS["steps"])


def test_rows_of_samples_add_up_to_the_steps(run):
    """Samples, votes, flags, tokens and waves of the sample rows sum to those of the step rows."""
    samples = list(rows(run, "samples"))
    for step in rows(run):
        own = [row for row in samples if row["step"] == step["step"]]
        assert [row["draw"] for row in own] == list(range(step["samples"]))
        assert sum(row["won"] for row in own) == step["votes"]
        assert sum(row["candidate"] is None for row in own) == sum(row["flag"] is not None for row in own)
        assert sum(row["flag"] is not None for row in own) == step["flagged"]
        assert sum(row["tokens_in"] for row in own) == step["tokens_in"]
        assert max(row["wave"] for row in own) + 1 == step["waves"]
        assert {row["text"] for row in own if row["won"]} == {step["answer"]}
    flagged = [row for row in samples if row["flag"]]
    assert flagged and all(row["text"] is None and len(row["text_digest"]) == 32 for row in flagged)
    assert list(samples[0]) == list(COLUMNS["samples"])


def test_an_open_step_has_a_row_without_a_winner(tmp_path):
    """A step that never decided is in the table, after the decided ones, without answer or digest of a state."""
    path = tmp_path / "run.db"
    model = ScriptedModel(lambda request: "a" if request.address.step < 2 or request.address.draw % 2 else "b")
    result = maker.run_sync(Echo(), model=model, k=2, journal=path, limits={"max_votes": 6})
    assert result.stopped == "undecided"
    table = list(rows(path))
    assert [row["decided"] for row in table] == [True, True, False]
    assert (table[2]["answer"], table[2]["state_digest"], table[2]["margin"]) == (None, None, 0)
    assert {row["won"] for row in rows(path, "samples") if row["step"] == 2} == {None}


def test_rows_come_one_by_one(run):
    """The first row is there before the end of the journal is read: damage at the end does not keep it back."""
    with Journal(run) as journal:
        list(journal.replay())
        journal.append(b"\x07 of no kind")
    lazy = rows(run)
    assert next(lazy)["decided"]
    with pytest.raises(JournalError):
        list(lazy)


# -- files -----------------------------------------------------------------------------------------------------


def from_csv(path: Path) -> list[dict[str, Any]]:
    """Read a CSV file back by the types of its columns."""
    with path.open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    kinds = {**COLUMNS["steps"], **COLUMNS["samples"]}
    read: dict[str, Callable[[str], Any]] = {
        "int64": int, "int32": int, "double": float, "bool": "true".__eq__, "string": str
    }  # fmt: skip
    return [
        {key: (json.loads(cell) if key == "flags" else read[kinds[key]](cell)) if cell else None
         for key, cell in row.items()} for row in table
    ]  # fmt: skip


@pytest.mark.parametrize("what", ["steps", "samples"])
@pytest.mark.parametrize("source", ["run", "hostile"])
def test_every_format_holds_the_rows(request, tmp_path, source, what):
    """Parquet, CSV and JSON lines give back the rows that were written, text included."""
    journal = request.getfixturevalue(source)
    table = list(rows(journal, what))
    files = {suffix: tmp_path / f"out.{suffix}" for suffix in ("parquet", "csv", "jsonl")}
    assert {export(journal, file, what=what, raw=True) for file in files.values()} == {len(table)}
    assert [json.loads(line) for line in files["jsonl"].read_text("utf-8").splitlines()] == table
    flat = [{**row, "flags": json.dumps(row["flags"])} if "flags" in row else row for row in table]
    assert pq.read_table(files["parquet"]).to_pylist() == flat
    # CSV knows no null: an empty text and none are one.
    said = [{key: None if value == "" else value for key, value in row.items()} for row in table]
    nul = [{k: v.replace("\0", "\\x00") if isinstance(v, str) else v for k, v in row.items()} for row in said]
    assert from_csv(files["csv"]) == nul


@pytest.mark.parametrize(("text", "cell"), [
    ("=1+1", "'=1+1"), ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"), ("-1+1", "'-1+1"), ("@SUM(A1)", "'@SUM(A1)"),
    ("\t=1", "'\t=1"), ("\r=1", "'\\x0d=1"), ("-5", "-5"), ("+1.5e-3", "+1.5e-3"), ("-", "'-"), ("a=b", "a=b"),
    ("\x1b[31mred", "\\x1b[31mred"), ("\x9b31m", "\\x9b31m"), ("two\nlines", "two\nlines"), ("a\x7f", "a\\x7f"),
])  # fmt: skip
def test_no_cell_runs(tmp_path, text, cell):
    """What a spreadsheet would take for a formula or a terminal for an order is text; numbers stay; raw keeps all."""
    path = tmp_path / "run.db"
    maker.run_sync(Echo(), model=ScriptedModel([text] * 100), k=2, flags=[], journal=path)
    for raw, expected in [(False, cell), (True, text)]:
        export(path, tmp_path / "out.csv", raw=raw)
        assert {row["answer"] for row in from_csv(tmp_path / "out.csv")} == {expected}
    export(path, tmp_path / "out.jsonl")
    said = (tmp_path / "out.jsonl").read_text("utf-8")
    assert not set(said) & set("\x1b\x9b\x7f")
    assert {json.loads(line)["answer"] for line in said.split("\n") if line} == {text}


def test_a_row_group_is_bounded_by_its_text(run, tmp_path, monkeypatch):
    """Long texts close a row group early, so that no number of them fills the memory."""
    monkeypatch.setattr(sys.modules["maker.review.export"], "GROUP_BYTES", 500)
    export(run, tmp_path / "out.parquet")
    file = pq.ParquetFile(tmp_path / "out.parquet")
    assert file.num_row_groups > 5 and file.metadata.num_rows == 63


def test_hostile_text_comes_back_as_it_was(hostile):
    """Every text is in the table unchanged, but for a lone surrogate, which is written as an escape."""
    said = {row["text"] for row in rows(hostile, "samples")}
    assert said == {storable(text) for text in HOSTILE}
    assert all("\\ud800" in row["response_id"] for row in rows(hostile, "samples"))


def test_parquet_is_written_in_row_groups_with_its_header(run, tmp_path, monkeypatch):
    """Groups have at most GROUP_ROWS rows; the file's metadata names run, task, and a simulated model."""
    monkeypatch.setattr(sys.modules["maker.review.export"], "GROUP_ROWS", 25)
    path = tmp_path / "out.parquet"
    export(run, path)
    file = pq.ParquetFile(path)
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [25, 25, 13]
    header = json.loads(file.schema_arrow.metadata[b"maker"])
    assert (header["task"], header["simulated"]) == ("hanoi", True)


def test_an_empty_run_is_an_empty_table(tmp_path):
    """A run without a step gives files with columns and no rows."""
    path = tmp_path / "run.db"
    maker.run_sync(Echo(), model=ScriptedModel(["a"]), k=2, journal=path, limits={"max_calls": 1})
    assert [export(path, tmp_path / f"out.{suffix}") for suffix in ("parquet", "csv", "jsonl")] == [0, 0, 0]
    assert pq.read_table(tmp_path / "out.parquet").column_names == list(COLUMNS["steps"])
    assert (tmp_path / "out.csv").read_text().strip() == ",".join(COLUMNS["steps"])


def test_a_failed_export_leaves_what_was_there(run, tmp_path):
    """A journal that turns out damaged at its end leaves an older file as it was, and nothing beside it."""
    old = tmp_path / "out.csv"
    export(run, old)
    before = old.read_bytes()
    with Journal(run) as journal:
        list(journal.replay())
        journal.append(encode_wave(Wave(99, 3, [0, 0, 1, 1])))  # its first three draws are not there
    for suffix in ("csv", "jsonl", "parquet"):
        with pytest.raises(JournalError, match="does not follow"):
            export(run, tmp_path / f"out.{suffix}")
    assert old.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir() if "out" in path.name) == ["out.csv"]


def test_names_that_do_not_fit_are_refused(run, tmp_path, monkeypatch):
    """An unknown ending, an unknown table, a missing folder, and the journal itself are TaskErrors with the remedy."""
    for output, what, words in [
        ("out.xlsx", "steps", ".parquet, .csv, .jsonl"), ("out.csv", "votes", "steps, samples"),
        ("none/out.csv", "steps", "No such file"), ("none/out.parquet", "steps", "No such file"),
    ]:  # fmt: skip
        with pytest.raises(TaskError, match=words):
            export(run, tmp_path / output, what=what)
    named = run.rename(tmp_path / "run.csv")
    before = named.read_bytes()
    with pytest.raises(TaskError, match="journal itself"):
        export(named, named)
    assert named.read_bytes() == before
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(TaskError, match=r"maker\[parquet\]"):
        export(named, tmp_path / "out.parquet")


def test_the_command_writes_and_says_what(run, tmp_path, monkeypatch, capsys):
    """`maker export` names rows, columns and a simulated model; --json prints one object; bad input exits with 2."""

    def command(*args: object) -> tuple[int, io.StringIO | str, str]:
        monkeypatch.setattr(sys, "argv", ["maker", "export", str(run), *map(str, args)])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    code, out, err = command("-o", tmp_path / "out.csv", "--what", "samples")
    assert (code, err) == (0, "") and "simulated" in out and "one a sample" in out
    said = json.loads(command("-o", tmp_path / "out.jsonl", "--json")[1])
    assert (said["rows"], said["simulated"], said["what"]) == (63, True, "steps")
    code, out, err = command("-o", tmp_path / "out.xls")
    assert code == 2 and err.count("\n") == 1
    assert command()[0] == 2
    assert command("-o", tmp_path / "out.csv", "--raw")[0] == 0


@pytest.mark.parametrize("what", ["steps", "samples"])
def test_rows_of_a_map_come_in_item_order(what: str, tmp_path: Path) -> None:
    """Items decided late, and those without a verdict, have their rows in their place; a run's come as decided."""

    def script(request: Any) -> str:
        slow = request.address.step in (0, 3)
        return str(request.address.draw % 2) if slow and request.address.draw < 4 * (request.address.step + 1) else "7"

    path = tmp_path / "run.db"
    maker.map_sync("{item}", range(6), model=ScriptedModel(script), k=2, journal=path, limits={"max_votes": 8})
    assert [stored.step for stored in Story(path).steps()] == [1, 2, 4, 5, 0, 3]
    found = [row["step"] for row in rows(path, what)]
    assert (found, set(found)) == (sorted(found), set(range(6)))
    assert {row["step"] for row in rows(path, what) if what == "steps" and not row["decided"]} <= {3}


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Content:
    """Return what a journal holds with plain steps, others, and a plain one that does not say its tokens."""
    found = held_by_a_run(tmp_path_factory.mktemp("held"))
    place = sound_places(found)[5]
    wave = found[place]
    assert isinstance(wave, Wave)
    wave.draws[3::4] = [2**32 - 1] * len(wave)
    return found


@pytest.mark.parametrize("what", COLUMNS)
@pytest.mark.parametrize("kind", ["", "a text that is none", "another count of tokens", "a vote more"])
def test_plain_steps_have_the_rows_that_they_have_one_by_one(
    tmp_path: Path, held: Content, what: str, kind: str
) -> None:
    """Rows of plain waves, made many at a time, and their order are those of each by itself; so are complaints."""
    place = sound_places(held)[9]
    wave = held[place]
    assert isinstance(wave, Wave)
    changed = FORGED[kind](wave, random.Random(0)) if kind else wave
    path = write(tmp_path / "run.db", [*held[:place], changed, *held[place + 1 :]])
    made: list[Any] = []
    for few in (1, 10**9):
        with pytest.MonkeyPatch().context() as patch:
            patch.setattr(plain, "FEW", few)
            try:
                made.append(list(rows(path, what)))
            except JournalError as error:
                made.append(str(error))
    assert made[0] == made[1]
    assert isinstance(made[0], str) == (kind == "a text that is none")
