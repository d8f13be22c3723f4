"""What a client names stays within the root."""

from __future__ import annotations

from pathlib import Path

import pytest

from maker.errors import TaskError
from maker.serving.toolserver.inside import parameters_written, run_named, task_within


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a root with a task file, beside a file that is outside."""
    root = tmp_path / "root"
    (root / "mine").mkdir(parents=True)
    (root / "mine" / "task.py").write_text("")
    (tmp_path / "outside.py").write_text("")
    (root / "link.py").symlink_to(tmp_path / "outside.py")
    (root / "folder").symlink_to(tmp_path)
    (root / "inner.py").symlink_to(root / "mine" / "task.py")
    return root


def test_built_in_tasks_and_files_below_the_root_are_run(root: Path):
    """Each is named as `maker run` takes it."""
    assert [task_within(root, name) for name in ("hanoi", "dict_sum")] == ["hanoi", "dict_sum"]
    assert task_within(root, "mine/task.py:Mine") == f"{root}/mine/task.py:Mine"


@pytest.mark.parametrize(
    "name",
    [
        "../outside.py:T", "mine/../../outside.py:T", "mine/../mine/task.py:T", "/etc/task.py:T", "link.py:T",
        "folder/outside.py:T", "inner.py:T", "mine/none.py:T", "mine/task.py", "mine/task.py:not a name",
        "mine/task.py:a:b", "mine\0/task.py:T", "mine\n/task.py:T", ".py:T", "mine:T.py", "", "hanio", "--help",
        "-m.py:T", "~/task.py:T", "file:///etc/task.py:T", "mine/task.py/x.py:T",
    ],
)  # fmt: skip
def test_nothing_else_is(root: Path, name: str):
    """Neither `..` nor a symbolic link leads anywhere, not even to what is inside."""
    with pytest.raises(TaskError, match=r"."):
        task_within(root, name)


@pytest.mark.parametrize("name", ["", "..", "abc", "../../../../x", "0123456789AB", "0123456789ab/", "0123456789ab\n"])
def test_a_run_has_a_name_without_a_path(name: str):
    """Only twelve hex digits name a run."""
    assert run_named("0123456789ab") == "0123456789ab"
    with pytest.raises(TaskError, match="list_runs"):
        run_named(name)


def test_parameters_are_single_words():
    """A value stays behind its own name; what could be more than a parameter is refused."""
    assert parameters_written({"disks": 3, "data_seed": "--journal=x", "b": True}) == [
        "--disks=3", "--data-seed=--journal=x", "--b=True",
    ]  # fmt: skip
    for bad in ({"a b": 1}, {"journal=x": 1}, {"": 1}, {"x": "\0"}, {"x": "y" * 10_001}, {"-x": 1}):
        with pytest.raises(TaskError, match="parameter"):
            parameters_written(bad)
