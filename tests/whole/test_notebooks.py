"""The notebooks run from top to bottom against a server, in an empty folder, and are short.

Their cells are run as one program, which needs no tools of notebooks; and in a real kernel, whose event loop is
running, where nbclient and ipykernel are installed (the extra `notebooks`).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from maker.testing import FaultServer
from maker.testing.faults import Received

ROOT = Path(__file__).parents[2]
BOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))
SAYS = {  # what the cells print or show
    "estimate_before_paying": "feasible", "first_vote": "42 won with 3 votes of 3",
    "map_to_pandas": "2 of 4 were in the journal", "read_a_journal": "True",
}  # fmt: skip

RUNNER = """
import ast, json, sys
space = {}
for code in json.load(sys.stdin):
    body = ast.parse(code).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "cell", "exec"), space)
    if last:  # what a notebook shows below the cell
        print(repr(eval(compile(ast.Expression(last.value), "cell", "eval"), space)))
"""


def told(request: Received) -> str:
    """Answer the questions of the notebooks as a good model would."""
    if sums := re.search(r"(\d+) \+ (\d+)\?", request.prompt):
        return str(int(sums[1]) + int(sums[2]))
    if column := re.search(r"(\d) \+ (\d) \+ (\d)\s*$", request.prompt):
        total = sum(map(int, column.groups()))
        return f"digit = {total % 10}\ncarry = {total // 10}"
    topics = {"parcel": "delivery", "password": "account", "": "money"}
    topic = next(topic for word, topic in topics.items() if word in request.prompt)
    return json.dumps({"topic": topic, "urgent": "!" in request.prompt})


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the notebooks ask a server of our own."""
    with FaultServer(told) as server:
        monkeypatch.setenv("MAKER_MODEL", server.spec("m"))
        yield


def cells(book: Path) -> list[str]:
    """Return the code of a notebook."""
    return ["".join(cell["source"]) for cell in json.loads(book.read_text())["cells"] if cell["cell_type"] == "code"]


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_its_cells_run_as_one_program(book: Path, tmp_path: Path):
    """Each cell runs, its last value is shown as a notebook shows it, and the result is there."""
    pytest.importorskip("pandas")
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", RUNNER], input=json.dumps(cells(book)), cwd=tmp_path, env=env,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert SAYS[book.stem] in done.stdout


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_it_runs_in_a_kernel(book: Path, tmp_path: Path):
    """In a kernel, where a loop is running, each cell runs, and what is shown is what the page holds."""
    client, format_ = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    page = format_.read(book, as_version=4)
    client.NotebookClient(page, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert SAYS[book.stem] in json.dumps(page)


def test_each_is_short_and_shows_what_came():
    """All are listed here, none is longer than a few screens, and the stored output is there and holds no error."""
    assert [book.stem for book in BOOKS] == sorted(SAYS)
    for book in BOOKS:
        text = book.read_text()
        assert len(text) < 12_000 and SAYS[book.stem] in text and '"output_type": "error"' not in text
