"""What a user installs: a light import, built-in tasks in a checkout and in the wheel, a README that works."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import zipfile
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
    """Return the wheel unpacked in a folder of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


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
    assert {path.name for path in wheel.iterdir() if not path.name.endswith(".dist-info")} == {"maker"}
    for name in ("py.typed", "tasks/hanoi.py", "models/neural/data/neural.safetensors", "review/report/report.html"):
        assert (wheel / "maker" / name).exists(), name
    assert sum(path.stat().st_size for path in (wheel / "maker" / "models" / "neural" / "data").iterdir()) < 1_000_000


def test_every_command_in_the_readme_works(tmp_path):
    """The commands of the README run as they stand there, in order, in an empty folder."""
    block = re.search(r"## Commands\n\n```\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block is not None
    for line in block.group(1).strip().splitlines():
        command = [sys.executable, "-m", *shlex.split(line)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        expected = 3 if "estimate" in line or "compare" in line else 0  # so few steps leave the worst case open
        assert done.returncode == expected, f"{line}: {done.stdout}{done.stderr}"


def test_the_code_in_the_readme_works():
    """The Python of the README runs and prints what it says."""
    block = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block is not None
    done = subprocess.run([sys.executable, "-c", block.group(1)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("42 {42: 4, 41: 1} 1\n42 6\n0 42\n1 42\nTrue 255 0 ")


def test_the_readme_names_the_commands_of_the_makefile():
    """`make demo` and `make test` exist, and the plain commands beside them are theirs."""
    makefile, readme = (ROOT / "Makefile").read_text(), (ROOT / "README.md").read_text()
    for target in ("demo", "test"):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE) and f"`make {target}`" in readme
    assert "pip install -e . && .venv/bin/maker demo" in readme and "maker demo" in makefile
    assert "pip install -e '.[dev]'" in readme and "'.[dev]'" in makefile
