"""The pages: the map of the packages is that of the files, and every link leads to a file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from design import PAGE, ROOT, kept, made

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
FIRST_PAGE = 60  # lines


def test_the_map_is_made_of_the_files():
    """docs/design.md has a row for each file, with what the file itself promises."""
    assert kept() == made(), "python tests/kit/design.py --write"


def test_the_walk_of_a_sample_is_one_page():
    """What comes before the map fits a page and leads through the folders."""
    before = PAGE.read_text().partition("## The map")[0]
    assert len(before.splitlines()) <= FIRST_PAGE
    for folder in ("cli", "api", "engine", "task", "decision", "sending", "models", "journal", "review"):
        assert f"(../src/maker/{folder}/" in before, folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path):
    """A relative link of a page names a file or a folder that is there."""
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "log.md"], ids=lambda page: page.name)
def test_every_file_that_is_named_is_there(page: Path):
    """A file of the repository that a page names in code exists; the log may name what was."""
    text = re.sub(r"\[`[^`]*`\]\(", "(", page.read_text())  # the words of links, which have a test of their own
    named = set(re.findall(r"`(?:python )?((?:[a-z_]+/)+[\w.-]+\.(?:py|md|toml))\b", text)) - {"path/to/file.py"}
    missing = [name for name in named if not ((ROOT / name).exists() or (ROOT / "src" / "maker" / name).exists())]
    alone = set(re.findall(r"`(test_\w+\.py)", text))
    there = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    assert (missing, sorted(alone - there)) == ([], [])
