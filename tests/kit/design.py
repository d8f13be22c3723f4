"""The map of the packages in docs/design.md, made of the files themselves.

    python tests/kit/design.py --write

writes it anew: a section for each package in import order, lowest first, and a row for each file with the first line
of its docstring. `tests/whole/test_design.py` compares.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "maker"
PAGE = ROOT / "docs" / "design.md"
BEGIN, END = "<!-- the map: python tests/kit/design.py --write -->\n", "<!-- the map ends -->\n"


def layers() -> list[str]:
    """Return the names at the top of the package in import order, lowest first, as import-linter checks it."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layered,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    return [name.strip() for layer in reversed(layered) for name in layer.split("|")]


def said(file: Path) -> str:
    """Return the first line of a file's docstring, as the cell of a table."""
    first = (ast.get_docstring(ast.parse(file.read_text())) or "").partition("\n")[0]
    return first.replace("|", "\\|")


def row(file: Path, name: str) -> str:
    """Return the row of a file."""
    return f"| [`{name}`](../src/maker/{file.relative_to(SOURCE).as_posix()}) | {said(file)} |\n"


def table(folder: Path) -> str:
    """Return the table of a folder: its files, then each folder in it with its own."""
    text = "| file | what it promises |\n|---|---|\n"
    for file in sorted(folder.glob("*.py")):
        if file.stem != "__init__":
            text += row(file, file.name)
    for inside in sorted(file.parent for file in folder.glob("*/__init__.py")):
        text += row(inside / "__init__.py", f"{inside.name}/")
        text += "".join(row(file, f"{inside.name}/{file.name}") for file in sorted(inside.glob("[!_]*.py")))
    return text


def made() -> str:
    """Return the map as it should be."""
    names = layers()
    files = [SOURCE / f"{name}.py" for name in names if (SOURCE / f"{name}.py").exists()]
    text = "### At the bottom\n\n| file | what it promises |\n|---|---|\n" + "".join(row(f, f.name) for f in files)
    for name in names:
        if (SOURCE / name).is_dir():
            sentence = said(SOURCE / name / "__init__.py").replace("\\|", "|")
            text += f"\n### {name}/\n\n{sentence}\n\n{table(SOURCE / name)}"
    return text


def kept() -> str:
    """Return the map as the page has it."""
    return PAGE.read_text().split(BEGIN)[1].split("\n" + END)[0]


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(__doc__)
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + made() + "\n" + END + rest.partition(END)[2])
