"""The public names: what users import, and what our own tasks, examples and pages import."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import maker

ROOT = Path(__file__).parents[2]
MODULES = {"maker", "maker.errors", "maker.models", "maker.testing", "maker.theory"}  # each has public names only
FILES = [*ROOT.glob("tasks/*.py"), *ROOT.glob("examples/*.py"), *ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


def codes(path: Path) -> Iterator[str]:
    """Yield the Python of a file: all of it, or the blocks of a page."""
    text = path.read_text()
    yield from [text] if path.suffix == ".py" else re.findall(r"```python\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_users_read_imports_public_names_only(path: Path):
    """A task, an example or a page of ours never reaches behind the public names, so that users need not either."""
    for code in codes(path):
        for node in ast.walk(ast.parse(code)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "maker":
                assert node.module in MODULES, ast.unparse(node)
                public = importlib.import_module(node.module)
                assert node.module != "maker" or set(names) <= set(public.__all__), ast.unparse(node)
            elif isinstance(node, ast.Import):
                assert {name for name in names if name.split(".")[0] == "maker"} <= MODULES, ast.unparse(node)


def test_every_public_name_is_there():
    """All that `maker.__all__` promises can be imported, and stands there once."""
    assert len(set(maker.__all__)) == len(maker.__all__)
    assert [name for name in maker.__all__ if not hasattr(maker, name)] == []
