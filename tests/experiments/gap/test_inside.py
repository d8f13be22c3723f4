"""The child: a step that the kernel refuses ends it before the program begins."""

from __future__ import annotations

import io
import os

import pytest

from maker.experiments.gap import inside


@pytest.fixture
def steps(monkeypatch):
    """Take no step, and keep no bound: nothing of this process may change."""
    for name in ("setgroups", "setresgid", "setresuid", "chroot", "chdir"):
        monkeypatch.setattr(os, name, lambda *_: None)
    monkeypatch.setattr(os, "getuid", lambda: 7)
    monkeypatch.setattr(inside.Path, "write_text", lambda _self, _text: 0)
    monkeypatch.setattr(inside.resource, "setrlimit", lambda *_: None)

    class Kernel:
        """Says yes to all but one call."""

        no = ""

        def __getattr__(self, name):
            return lambda *_: -1 if name == self.no else 0

    kernel = Kernel()
    monkeypatch.setattr(inside, "_libc", kernel)
    return kernel


@pytest.mark.parametrize("no", ["unshare", "mount"])
def test_a_door_that_does_not_shut(steps, no, capsys, monkeypatch):
    """The step is named, and no process is made."""
    steps.no = no
    with pytest.raises(OSError, match=no):
        inside.shut_in("folder")
    monkeypatch.setattr(inside.sys, "argv", ["inside.py", "folder", "1"])
    monkeypatch.setattr(inside.sys, "stdin", io.StringIO(""))
    assert inside.main() == inside.REFUSED
    assert no in capsys.readouterr().err


def test_a_bound_that_does_not_hold(steps, monkeypatch, capsys):
    """Where a process could still be made, or privileges are left, the program does not begin."""
    monkeypatch.setattr(os, "fork", lambda: 5)
    with pytest.raises(OSError, match="number of processes is not bounded"):
        inside.bound(1)
    assert inside._first("print(1)", 1, -1) == inside.REFUSED
    steps.no = "capset"
    with pytest.raises(OSError, match="capset"):
        inside.bound(1)
    assert "not bounded" in capsys.readouterr().err


def test_what_a_program_comes_to(capsys):
    """0 for one that ended, also by itself, 1 for one with an error, which is named."""
    assert inside.program("print(1)\nraise SystemExit(3)") == 0
    assert inside.program("1 / 0") == inside.program("print(") == 1
    said = capsys.readouterr()
    assert said.out == "1\n" and "ZeroDivisionError" in said.err
