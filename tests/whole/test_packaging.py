"""What a user installs: a light import, built-in tasks in a checkout and in the wheel."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_import_is_light():
    """`import maker` loads none of the heavy libraries."""
    heavy = ["aiohttp", "numpy", "networkx", "matplotlib", "jinja2", "pyarrow", "ray", "typer", "starlette", "uvicorn"]
    script = f"import sys, maker; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install as the README says, from what the Dockerfile copies alone, into a folder of its own; return that."""
    assert "`pip install /path/to/this/folder`" in (ROOT / "README.md").read_text()
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for line in re.findall(r"^COPY (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE):
        *names, into = line.split()
        for name in names:
            target = source / Path(into).relative_to("/src")
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, target)
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), str(source)]
    subprocess.run(install, check=True, capture_output=True)
    return folder


def test_built_in_tasks_work_from_the_wheel_in_an_empty_folder(wheel, tmp_path):
    """The wheel carries the tasks: `maker run hanoi` works where there is no checkout."""
    code = f"""import sys; sys.path.insert(0, {str(wheel)!r})
import maker; print(maker.__file__)
sys.argv = ["maker", "run", "hanoi", "--disks", "4", "--model", "oracle:p=0.99", "--k", "2"]
from maker.cli import main; main()"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert str(wheel) in done.stdout and "result: solved" in done.stdout


def test_the_wheel_holds_the_package_and_nothing_beside_it(wheel):
    """Only `maker` and its metadata are installed: no top-level tests, tasks or examples."""
    assert {path.name for path in wheel.iterdir() if not path.name.endswith(".dist-info")} == {"maker", "bin"}
    for name in ("py.typed", "tasks/hanoi.py", "models/neural/data/neural.safetensors", "review/report/report.html"):
        assert (wheel / "maker" / name).exists(), name
    assert sum(path.stat().st_size for path in (wheel / "maker" / "models" / "neural" / "data").iterdir()) < 1_000_000


def test_the_version_is_one():
    """The package, its metadata, the citation and the newest release of the changelog name the same version."""
    told = {
        re.search(pattern, (ROOT / name).read_text(), re.MULTILINE)[1]  # type: ignore[index]
        for name, pattern in (
            ("pyproject.toml", r'^version = "(.*)"'), ("CITATION.cff", r"^version: (.*)"),
            ("CHANGELOG.md", r"^## \[(\d[^\]]*)\] - \d{4}-\d\d-\d\d$"),
            ("src/maker/__init__.py", r'^__version__ = "(.*)"'),
        )
    }  # fmt: skip
    assert len(told) == 1


def test_the_container_is_a_dozen_lines():
    """The Dockerfile stays short, and runs as nobody in particular."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert len(lines) <= 12 and "USER maker" in lines
