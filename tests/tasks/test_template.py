"""The task to copy: a copy works from anywhere, by the command that its docstring names."""

import json
import re
import shutil
import subprocess
import sys

import maker
from maker.task.load import builtin_folder
from maker.testing import check_task

TEMPLATE = builtin_folder() / "template.py"


def test_a_copy_runs_by_the_command_in_its_docstring(tmp_path):
    """Copied under another name into an empty folder, the documented command solves it; so does another model."""
    shutil.copy(TEMPLATE, tmp_path / "my_task.py")
    command = re.search(r"maker (run my_task\.py:Shift .*)", TEMPLATE.read_text()).group(1)
    args = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', command)]
    done = subprocess.run(
        [sys.executable, "-m", "maker", *args, "--json"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["answer"] == "khoor zruog"


def test_the_check_that_it_names_passes_on_a_copy(tmp_path):
    """`check_task` passes, for steps there and back in the alphabet."""
    shutil.copy(TEMPLATE, tmp_path / "copied_task.py")
    for by in (-25, 0, 3, 25):
        check_task(maker.load_task(f"{tmp_path / 'copied_task.py'}:Shift", text="abc xyz", by=by))


def test_it_is_small_and_uses_public_names_only():
    """A person reads it in a minute, and it imports nothing that is not promised."""
    text = TEMPLATE.read_text()
    assert len(text.splitlines()) < 120
    assert re.findall(r"^(?:from|import) (\S+)", text, re.MULTILINE) == ["__future__", "string", "maker"]


def test_shifting_wraps_round_and_keeps_spaces():
    """The answer is Caesar's, and an answer that puts a letter for a space is against the rules."""
    task = maker.load_task("template", text="xyz a", by=3)
    assert maker.run_sync(task, model="oracle:p=1", k=1).answer == "abc d"
    assert not task.legal("abc", "d") and task.legal("abc", " ") and not task.legal("", " ")
