"""The pages that are written by hand tell all that there is: exit codes, variables, keys of maker.toml, tables."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import maker
from maker import theory
from maker.cli import app
from maker.journal import database
from maker.models import providers

DOCS = Path(__file__).parents[2] / "docs"
named = importlib.import_module("maker.models.named")  # its package has a function of that name
ENVIRONMENT = (DOCS / "environment.md").read_text()
SOURCE = DOCS.parent / "src" / "maker"


def test_every_exit_code_is_told():
    """The codes of the errors, of the command line's docstring and no others, have a row; each error stands in its."""
    rows = dict(re.findall(r"^\| (\d+) \| (.*)$", ENVIRONMENT, re.MULTILINE))
    said = set(re.findall(r"\b(\d) ", (app.__doc__ or "").partition("Exit codes:")[2].partition("Messages")[0]))
    kinds = [kind for kind in vars(maker).values() if isinstance(kind, type) and issubclass(kind, maker.MakerError)]
    assert set(rows) == said | {str(kind.exit_code) for kind in kinds}
    for kind in set(kinds) - {maker.MakerError}:
        assert kind.__name__ in rows[str(kind.exit_code)]


def test_every_variable_is_told():
    """What the source reads of the environment stands on the page; what trains the bundled model is left out."""
    read = {provider.variable for provider in providers.PROVIDERS.values()} | {named.VARIABLE}
    for file in SOURCE.rglob("*.py"):
        if "experiments" not in file.parts:
            read |= set(re.findall(r'environ(?:\.get\(|\[)"(\w+)"', file.read_text()))
            read |= set(re.findall(r'_key\([^)]*"([A-Z_]+_KEY)"', file.read_text()))
    assert {name for name in read - {"PYTHONPATH"} if f"`{name}`" not in ENVIRONMENT} == set()


def test_every_key_of_a_model_is_told():
    """The table of maker.toml has the keys of a section, and no others."""
    table = ENVIRONMENT.partition("## maker.toml")[2]
    cells = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    assert {name for cell in cells for name in re.findall(r"`(\w+)`", cell)} == set(named.Entry.model_fields)


def test_every_table_of_a_journal_is_told():
    """The page of the journal's file knows its format and its tables."""
    page = (DOCS / "journal.md").read_text()
    assert f"format {database.FORMAT} " in page
    for _, name, _, sql in database._SCHEMAS[database.FORMAT]:
        row = re.search(rf"^\| `{name}` \| (.*)$", page, re.MULTILINE)
        assert row is not None
        columns = set(re.findall(r"[(,] ?(\w+) (?:INTEGER|BLOB)", sql)) - {"id", "records"}
        assert {column for column in columns if f"`{column}`" not in row[1]} == set()


def test_every_page_is_in_the_navigation():
    """A page of docs stands in mkdocs.yml, or the site is not built."""
    listed = (DOCS.parent / "mkdocs.yml").read_text()
    pages = [page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")]
    assert [page for page in pages if f": {page}\n" not in listed] == []


def test_the_table_of_the_race_follows_from_the_theory():
    """Each cell of the page on why the vote is right is what `step_success` says."""
    head, *table = re.findall(r"^\| (p|\.\d+) \| (.*) \|$", (DOCS / "why.md").read_text(), re.MULTILINE)
    margins = [int(cell.removeprefix("k = ")) for cell in head[1].split(" | ")]
    assert len(table) == 4
    for p, cells in table:
        said = [f"{theory.step_success(float(p), k):.6f}".removeprefix("0") for k in margins]
        assert cells.split(" | ") == said
