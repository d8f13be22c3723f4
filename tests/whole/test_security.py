"""Hostile input: no way to run code, to drive the terminal or to exhaust the memory; see SECURITY.md."""

from __future__ import annotations

import ast
import copy
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import typer
from typer.testing import CliRunner

import maker
from maker.cli import app as cli
from maker.decision.wave import Wave
from maker.errors import JournalError, MakerError
from maker.journal.database import read_records
from maker.journal.records import NOTE, decode, encode_note, encode_wave
from maker.journal.story import Story
from maker.journal.writer import Journal
from maker.review.checking.verify import verify
from scratch import scratch

SOURCES = sorted([*Path("src").rglob("*.py"), *Path("tasks").rglob("*.py")])
EVIL = "\x1b[2J\x1b]0;owned\x07\r\x9b31m\u202e[red]"
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "jsonpickle"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
HELD_IN = {
    "src/maker/experiments/gap/inside.py": ["exec", "compile"],  # in a child process that has nothing
    "src/maker/task/canonical.py": ["marshal"],  # writes, to tell built-in numbers from others; reads nothing
}

Item = Wave | dict[str, Any]


# -- the source -------------------------------------------------------------------------------------------


def offences(source: str) -> Iterator[str]:
    """Yield every way of running data as code that a source holds."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + (
                [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            )
            yield from (name for name in names if name.split(".")[0] in FORBIDDEN_MODULES)
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in FORBIDDEN_CALLS or called.startswith("builtins."):
                yield called
            if called.endswith((".load", ".load_all", "unsafe_load")) and "yaml" in called and "safe" not in called:
                yield called
            if called in ("os.system", "os.popen") or called.endswith("allow_pickle"):
                yield called
            for word in node.keywords:
                value = getattr(word.value, "value", None)
                if (word.arg == "shell" and value is not False) or (word.arg == "allow_pickle" and value is not False):
                    yield f"{called}({word.arg}={ast.unparse(word.value)})"


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_the_source_runs_no_data(path: Path) -> None:
    """No module unpickles, evaluates, unmarshals, loads unsafe YAML or hands a string to a shell."""
    source = path.read_text()
    assert list(offences(source)) == HELD_IN.get(path.as_posix(), [])
    assert "marshal.load" not in source


@pytest.mark.parametrize("source", [
    "import pickle", "from marshal import loads", "eval('1')", "exec(x)", "import yaml\nyaml.load(f)",
    "subprocess.run(x, shell=True)", "subprocess.run(x, shell=y)", "os.system(x)", "numpy.load(f, allow_pickle=True)",
])  # fmt: skip
def test_the_search_finds_what_it_looks_for(source: str) -> None:
    """The test of the test: each forbidden thing is found."""
    assert list(offences(source))


# -- journals received from others ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Return a folder in which syncing costs little."""
    with scratch() as path:
        yield path


@pytest.fixture(scope="module")
def content(folder: Path) -> list[Item]:
    """Return what a small good journal holds."""
    path = folder / "good.db"
    task = maker.load_task("hanoi", disks=3)
    maker.run_sync(task, model="oracle:p=0.8,v=0.8", segments=2, journal=path, keep_samples="all")
    return [decode(record) for record in read_records(path)]


def written(path: Path, items: list[Item]) -> Path:
    """Write a journal with a perfect hash chain."""
    path.unlink(missing_ok=True)
    with Journal(path) as journal:
        for item in items:
            journal.append(encode_wave(item) if isinstance(item, Wave) else encode_note(item))
    return path


def laced(value: Any) -> Any:
    """Return a copy in which every text carries what drives terminals."""
    if isinstance(value, str):
        return value + EVIL
    if isinstance(value, dict):
        return {key: item if key in ("task", "flags") else laced(item) for key, item in value.items()}
    return [laced(item) for item in value] if isinstance(value, list) else value


def journal_commands() -> list[str]:
    """Return the commands that take a journal and nothing else that must be given."""
    group = typer.main.get_command(cli.app)
    assert isinstance(group, click.Group) or hasattr(group, "commands")
    return sorted(
        name for name, command in group.commands.items()  # type: ignore[attr-defined]
        if any(p.name in ("journal", "journals") and p.param_type_name == "argument" for p in command.params)
        and name != "serve"
    )  # fmt: skip


@pytest.mark.parametrize("name", journal_commands())
@pytest.mark.parametrize("as_json", [False, True])
def test_no_command_lets_a_journal_drive_the_terminal(
    folder: Path, content: list[Item], monkeypatch: pytest.MonkeyPatch, name: str, as_json: bool
) -> None:
    """A journal whose every text is laced with control characters shows none of them, whatever the command."""
    items = copy.deepcopy(content)
    for item in items:
        if isinstance(item, Wave):
            item.texts = [(full, raw + EVIL.encode() if full else raw) for full, raw in item.texts]
            item.extras = {key: laced(facts) | {"flag": "malformed" + EVIL} for key, facts in item.extras.items()}
        else:
            item.update(laced(item))
    path = written(folder / "laced.db", items)
    monkeypatch.chdir(folder)
    arguments = [name, str(path)] + (["--json"] if as_json else []) + (["--k", "2"] if name == "revote" else [])
    said = CliRunner().invoke(cli.app, arguments)
    shown = said.output + str(said.exception or "")
    assert not isinstance(said.exception, AttributeError | KeyError | TypeError | ValueError), said.exception
    if said.exception is None or isinstance(said.exception, SystemExit):
        assert not set(said.output) & set("\x1b\x07\r\x9b\u202e"), f"{name}: {shown[:500]!r}"


def test_no_error_message_drives_the_terminal(folder: Path, content: list[Item]) -> None:
    """What a hostile journal makes a command complain of is escaped too, with the right exit code."""
    items = copy.deepcopy(content)
    assert isinstance(items[0], dict)
    items[0]["header"]["task"] = "evil" + EVIL
    path = written(folder / "named.db", items)
    done = subprocess.run(
        [sys.executable, "-m", "maker", "verify", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "evil" in done.stderr
    assert not set(done.stderr) & set("\x1b\x07\r\x9b\u202e")


JUNK: list[Any] = [None, True, -1, 0, 2**70, 1e308, "x", "9" * 5000, [], {}, [[]], {"a": 1}, [None] * 3, "auto", EVIL]


def mutated(items: list[Item], rng: random.Random) -> list[Item]:
    """Return the items with one thing changed that only a forger could: fields, kinds, numbers, order."""
    items = copy.deepcopy(items)
    number = rng.randrange(len(items))
    item = items[number]
    what = rng.randrange(6)
    if what == 0:
        kinds = ["header", "epoch", "close", "calibration", "usage", "reserve", "sample", "other"]
        items[number] = {rng.choice(kinds): rng.choice(JUNK)}
    elif what == 1:
        del items[number]
    elif isinstance(item, Wave):
        _mutate_wave(item, rng)
    else:
        kind = next(iter(item))
        inside = item[kind]
        if isinstance(inside, dict) and inside:
            inside[rng.choice(list(inside))] = rng.choice(JUNK)
    return items


def _mutate_wave(wave: Wave, rng: random.Random) -> None:
    what = rng.randrange(6)
    if what == 0 and wave.draws:
        wave.draws[rng.randrange(len(wave.draws))] = rng.choice([0, 1, 7, 30_000])
    elif what == 1:
        wave.step = rng.choice([0, 1, 10**6, 2**63, 2**64 - 1])
    elif what == 2:
        facts = ("flag", "finish", "id", "logprob", "silent")
        wave.extras = {rng.choice([0, 1, 99]): {key: rng.choice(JUNK) for key in facts}}
    elif what == 3:
        wave.texts = [(bool(rng.randrange(2)), rng.choice([b"", b"\xff\xfe", b"move = [1,0,2]", b"[" * 100_000]))] * 2
    elif what == 4:
        wave.verdict = rng.choice([None, (9, bytes(16), bytes(16)), (0, bytes(16), bytes(16))])
    else:
        wave.first = rng.choice([0, 1, 2**31])


def survives(folder: Path, content: list[Item], readers: list[Any], tries: int, seed: int) -> list[str]:
    """Return what befell the readers of so many forged journals that is not an error of our own."""
    rng = random.Random(seed)
    found = []
    for number in range(tries):
        path = written(folder / "forged.db", mutated(content, rng))
        for reader in readers:
            try:
                reader(path)
            except MakerError as error:
                if error.exit_code not in (2, 6):
                    found.append(f"forgery {number}: {error}")
            except Exception as error:
                found.append(f"forgery {number}: {type(error).__name__}: {error}")
    return found


def shown(path: Path) -> None:
    """Read a journal as `maker show --json` and `maker verify --json` do."""
    json.dumps(Story(path).summary().as_json())
    json.dumps(verify(path).as_json())


def gone_on(path: Path) -> None:
    """Resume a journal as `maker run` does."""
    task = maker.load_task("hanoi", disks=3)
    result = maker.run_sync(task, model="oracle:p=0.8,v=0.8", segments=2, journal=path, keep_samples="all")
    json.dumps(result.as_json())


def test_forged_journals_are_refused_in_words(folder: Path, content: list[Item]) -> None:
    """Whatever a forger writes under a perfect chain, show and verify take it or raise an error of our own."""
    assert survives(folder, content, [shown], 300, seed=1) == []


def test_forged_journals_are_not_resumed_by_accident(folder: Path, content: list[Item]) -> None:
    """The same of a resume."""
    assert survives(folder, content, [gone_on], 150, seed=2) == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_thousand_forged_journals(folder: Path, content: list[Item]) -> None:
    """The same ten thousand times."""
    assert survives(folder, content, [shown], 10_000, seed=3) == []


@pytest.mark.parametrize("record", [
    bytes((NOTE,)) + b"[" * 2_000_000, bytes((NOTE,)) + b'{"a":' * 500_000, bytes((NOTE,)) + b"9" * 100_000,
    bytes((NOTE,)) + b"\xff\xfe", b"", b"\x00", b"\x02", b"\x02" + b"\xff" * 18,
    b"\x02" + bytes(8) + bytes(4) + b"\xff\xff\xff\xff\xff",
])  # fmt: skip
def test_a_senseless_record_is_refused(record: bytes) -> None:
    """Records that are deep, huge, empty or cut off raise JournalError and nothing else."""
    with pytest.raises(JournalError):
        decode(record)


def test_a_forged_number_of_segments_takes_no_memory(folder: Path, content: list[Item]) -> None:
    """A header that claims a billion segments of a task of 2^60 steps is refused before a plan of it is made."""
    items = copy.deepcopy(content)
    assert isinstance(items[0], dict)
    items[0]["header"].update(segments=10**9, steps=2**60 - 1, parameters={"disks": 60, "style": "full"})
    path = written(folder / "many.db", items)
    limited = ["bash", "-c", 'ulimit -v 2000000; exec "$@"', "bash", sys.executable, "-m", "maker", "verify", str(path)]
    done = subprocess.run(limited, capture_output=True, text=True, check=False)
    assert done.returncode == 6 and "segments" in done.stderr
