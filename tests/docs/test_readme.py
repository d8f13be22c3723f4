"""README.md: short, and every command and block of it does what it says."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from maker import theory
from maker.cli.app import app
from maker.models.providers import PROVIDERS
from maker.testing import FaultServer

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
SCRIPT = ["42", "42", "I'm sorry", "41", "42", "42"]  # of the first question


def reply(received: Any) -> str:
    """Reply to the README's questions; err twice in the first."""
    if "Charged" in received.prompt:
        return "true"
    if found := re.search(r"What is (\d) x (\d)\? The", received.prompt):
        return str(int(found[1]) * int(found[2]))
    return SCRIPT[received.number % len(SCRIPT)]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FaultServer]:
    """Be every provider, in an empty folder, with no key but one of a test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with FaultServer(reply, models=["qwen3"]) as server:
        for name in ("ollama", "openai"):
            monkeypatch.setitem(PROVIDERS, name, PROVIDERS[name]._replace(url=server.url))
        yield server


def test_it_is_read_in_a_few_minutes():
    """No more than 80 lines, the first of them three sentences."""
    assert len(PAGE.splitlines()) <= 80
    assert len(re.findall(r"\.(?:\s|$)", PAGE.split("\n\n")[1].replace("al. ", ""))) == 3


@pytest.mark.parametrize("code", BLOCKS, ids=["own", "paid"])
def test_a_block_prints_what_it_says(code: str, server: FaultServer):
    """Each line that is said to be printed is, in order, and nothing else."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, {})
    assert out.getvalue().splitlines() == re.findall(r"^print\(.*\)  # (.*)$", code, re.MULTILINE)


def test_the_commands_run_in_an_empty_folder(server: FaultServer):
    """Each in order, and the look at a model."""
    (block,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    commands = [*re.findall(r"`(maker check [^`]*)`", PAGE), *block.splitlines()]
    assert len(commands) == 4
    for command in commands:
        said = CliRunner().invoke(app, shlex.split(command)[1:])
        assert said.exit_code == 0, f"{command}: {said.output}"


def test_it_names_the_commands_of_the_makefile():
    """`make demo` and `make test` exist, and the plain commands beside them are theirs."""
    makefile = (ROOT / "Makefile").read_text()
    for target in ("demo", "test", "docs"):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE) and f"`make {target}`" in PAGE
    assert "pip install -e . && .venv/bin/maker demo" in PAGE and "maker demo" in makefile
    assert "pip install -e '.[dev]'" in PAGE and "'.[dev]'" in makefile


def test_the_table_of_votes_follows_from_the_theory():
    """Each cell is what `k_min` and `expected_votes` say for a target of .95."""
    for p, *cells in re.findall(r"^\| (\.\d+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", PAGE, re.MULTILINE):
        for steps, cell in zip((100, 1_000, 1_000_000), cells, strict=True):
            k = theory.k_min(float(p), steps, 0.95)
            assert cell == f"{theory.expected_votes(float(p), k):.1f}"


def test_what_was_measured_stands_where_it_is_told():
    """Each row of the first table has its counts in docs/proof.md."""
    proof = (ROOT / "docs" / "proof.md").read_text()
    rows = re.findall(r"^\| ([^|]*) \| (0 of 10)[^|]* \| \*\*(\d of \d)\*\*", PAGE, re.MULTILINE)
    assert len(rows) == 4
    for work, once, voted in rows:
        told = re.findall(rf"^\| {re.escape(work)} \| (.*?) \| (\d+ of \d+) ", proof, re.MULTILINE)
        assert once in {count for way, count in told if way.startswith("one call, ")}
        assert ("maker, k = 3", voted) in told
