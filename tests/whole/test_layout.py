"""The layout: every source file has its test file, and no file, folder or function outgrows its reader."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "maker"
TESTS = ROOT / "tests"
FILES = {path.relative_to(SOURCE).as_posix(): ast.parse(path.read_text()) for path in SOURCE.rglob("*.py")}

# Files whose test stands elsewhere: what they promise is seen only in company, or is seen best there.
ELSEWHERE = {
    "whole/test_run.py": ["api/run.py", "engine/book.py", "engine/course.py", "engine/front.py", "engine/loop.py"],
    "engine/crew/test_lead.py": ["engine/crew/launcher.py"],
    "engine/solve/test_solver.py": ["api/solve.py"],
    "engine/ladder/test_escalations.py": [
        "engine/senders.py",
        "journal/escalated.py",
        "journal/notes.py",
        "models/parts.py",
    ],
    "engine/ladder/test_ahead.py": ["review/checking/ahead.py"],
    "api/test_estimate.py": ["engine/probe.py"],
    "api/test_map.py": ["api/verdicts.py"],
    "decision/test_poll.py": ["decision/method.py"],
    "journal/test_records.py": ["decision/wave.py"],
    "sending/test_receipts.py": ["sending/account.py"],
    "models/openai/test_client.py": ["models/openai/health.py"],
    "models/openai/test_reply.py": ["models/openai/refusal.py"],
    "models/neural/test_model.py": ["models/neural/bundled.py", "models/neural/worker.py", "models/process.py"],
    "models/neural/test_sampler.py": ["models/neural/transformer.py"],
    "review/checking/test_checker.py": ["review/checking/verify.py"],
    "review/test_revote.py": ["journal/steps.py", "review/rejudge.py"],
    "review/report/test_page.py": ["review/report/figures.py", "review/report/steps.py"],
    "serving/test_app.py": ["serving/metrics.py", "serving/replies.py"],
    "serving/test_voting.py": ["serving/refused.py"],
    "testing/test_faults.py": ["testing/__init__.py", "testing/replies.py"],
    "experiments/test_registry.py": ["experiments/scaling.py", "experiments/kit/figure.py"],
    "experiments/test_error_rate.py": ["experiments/kit/exact.py"],
}
UNTESTED = "experiments/training/"  # scripts that need jax and hours; what they made is measured in docs/model-card.md
CROSSING = (
    "attacks",
    "benchmarks",
    "docs",
    "golden",
    "kit",
    "llm",
    "proof",
    "tasks",
    "whole",
)  # folders of tests that are no package's

MOST_ENTRIES = 15  # at the top: errors, log and thirteen packages
MOST_FILES = 12  # in a folder
MOST_LINES = 350  # of a file
LONGEST = 70  # lines of a function


def holds_code(tree: ast.Module) -> bool:
    """Say whether a file defines anything; the others hand on names or start what another file defines."""
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) for node in tree.body)


def own_test(file: str) -> str:
    """Return where the test of a source file belongs; that of a package's `__init__` has the package's name."""
    path = Path(file)
    name = path.parent.name if path.stem == "__init__" else path.stem
    return (path.parent / f"test_{name}.py").as_posix()


def test_every_source_file_has_its_test_file():
    """A file that holds code is tested in the file of its name, or where the table says."""
    elsewhere = {file for files in ELSEWHERE.values() for file in files}
    missing = [
        f"{file}: no tests/{own_test(file)}" for file, tree in FILES.items()
        if holds_code(tree) and not file.startswith(UNTESTED) and file not in elsewhere
        and not (TESTS / own_test(file)).exists()
    ]  # fmt: skip
    assert missing == []


def test_the_table_of_other_places_is_true():
    """Each place is there, and each file is, once and without a test file of its own name."""
    listed = [file for files in ELSEWHERE.values() for file in files]
    assert [place for place in ELSEWHERE if not (TESTS / place).exists()] == []
    assert [file for file in listed if file not in FILES or (TESTS / own_test(file)).exists()] == []
    assert [file for file, times in Counter(listed).items() if times > 1] == []


def test_every_test_file_has_its_source_file():
    """A test file beside those of a package is that of one file; what crosses files stands in tests/whole."""
    expected = {own_test(file) for file in FILES}
    found = {path.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    assert [str(path) for path in found if path.parts[0] not in CROSSING and path.as_posix() not in expected] == []


def test_the_top_of_the_package_is_seen_at_a_glance():
    """Beside what Python itself asks for there are few entries."""
    top = {path.name for path in SOURCE.iterdir()} - {"__init__.py", "__main__.py", "__pycache__", "py.typed"}
    assert len(top) <= MOST_ENTRIES, sorted(top)


def test_no_folder_is_a_heap():
    """No folder has more files than can be held in mind."""
    files = Counter(str(Path(file).parent) for file in FILES if not file.endswith("__init__.py"))
    assert {folder: n for folder, n in files.items() if n > MOST_FILES} == {}


def test_a_file_is_read_in_one_sitting():
    """No file is too long."""
    lines = {file: len((SOURCE / file).read_text().splitlines()) for file in FILES}
    assert {file: n for file, n in lines.items() if n > MOST_LINES} == {}


def test_a_function_fits_a_screen():
    """No function is too long, its docstring included."""
    long = [
        f"{file}: {node.name}" for file, tree in FILES.items() for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - node.lineno >= LONGEST
    ]  # fmt: skip
    assert long == []


def test_the_checks_before_a_commit_are_those_of_make_lint():
    """pre-commit runs what `make lint` runs, no more and no less."""
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    hooks = re.findall(r"entry: ([^,]+),", (ROOT / ".pre-commit-config.yaml").read_text())
    assert lint is not None
    assert hooks == [line.strip().replace("$(VENV)", ".venv") for line in lint[1].splitlines()]
