"""The sandbox: a program computes and prints, and has nothing else; where it cannot be held in, nothing is run."""

from __future__ import annotations

import os
import socket
import sys

import pytest

from maker.errors import TaskError
from maker.experiments.gap import inside, sandbox
from maker.experiments.gap.sandbox import Ran, run


@pytest.fixture(scope="module")
def held_in():
    """Leave a test out where no program can be held in; the refusal itself is tested everywhere."""
    try:
        run("")
    except TaskError as error:
        pytest.skip(str(error))


def tried(*attempts):
    """Return what a program says of each attempt: the name of its error, or `done`."""
    each = "try:\n    {}\n    print('done')\nexcept BaseException as error:\n    print(type(error).__name__)"
    ran = run("\n".join(each.format(what) for what in ("import os, ctypes; libc = ctypes.CDLL(None)", *attempts)))
    said = ran.text.splitlines()
    assert (ran.end, len(said)) == ("", len(attempts) + 1)
    return said[1:]


@pytest.mark.usefixtures("held_in")
def test_a_program_prints():
    """It may import what a puzzle needs; what it prints comes back, also where it ends in an error or by itself."""
    assert run("import itertools, heapq, collections, re\nfor n in range(3): print([n, 0, 1])") == Ran(
        "[0, 0, 1]\n[1, 0, 1]\n[2, 0, 1]\n", ""
    )
    assert run("print(1)\n1 / 0") == Ran("1\n", "error")
    assert run("print(1)\nraise SystemExit") == Ran("1\n", "")
    assert run("print(") == Ran("", "error")


@pytest.mark.usefixtures("held_in")
def test_there_is_no_network():
    """A server of this machine, and its name, are out of reach."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        ran = run(f"import ctypes, sys\nprint('socket' in sys.modules)\nlibc = ctypes.CDLL(None, use_errno=True)\n"
                  f"s = libc.socket(2, 1, 0)\naddress = (2).to_bytes(2, 'little') + ({port}).to_bytes(2, 'big')\n"
                  f"address += bytes([127, 0, 0, 1]) + bytes(8)\n"
                  f"print(s >= 0, libc.connect(s, address, 16), ctypes.get_errno())")  # fmt: skip
        server.settimeout(0.01)
        with pytest.raises(TimeoutError):
            server.accept()
    assert ran == Ran(f"False\nTrue -1 {101}\n", "")  # network is unreachable


@pytest.mark.usefixtures("held_in")
def test_there_are_no_files():
    """Neither those of this machine nor new ones; its world is an empty folder, and `..` is it again."""
    reading = ("open('/etc/passwd')", "open('/proc/self/status')", f"open({__file__!r})", "open('../../etc/passwd')")
    assert tried(*reading) == ["FileNotFoundError"] * 4
    writing = ("open('mine', 'w')", "os.mkdir('mine')", "os.chmod('/', 0o777)", "os.symlink('/', 'mine')")
    assert set(tried(*writing)) <= {"OSError", "PermissionError"}
    assert tried("os.listdir('/')[0]", "os.listdir('..')[0]", "import socket", "import subprocess") == [
        "IndexError", "IndexError", "ModuleNotFoundError", "ModuleNotFoundError",
    ]  # fmt: skip


@pytest.mark.usefixtures("held_in")
def test_there_are_no_other_processes_and_no_privileges():
    """No child, nobody to signal, no way back up or out."""
    said = tried(
        "os.fork()", f"os.kill({os.getpid()}, 0)", "os.setuid(0)", "os.chroot('.')", "os.execv('/bin/sh', ['sh'])",
        "assert libc.unshare(0x10000000) == 0", "assert libc.mount(b'none', b'/', b'proc', 0, None) == 0",
        "import resource; resource.setrlimit(resource.RLIMIT_NPROC, (9, 9))",
    )  # fmt: skip
    assert said == ["BlockingIOError", "ProcessLookupError", "OSError", "PermissionError", "FileNotFoundError",
                    "AssertionError", "AssertionError", "ValueError"]  # fmt: skip


@pytest.mark.usefixtures("held_in")
def test_it_has_no_environment_and_no_open_files():
    """Nothing is inherited but input and output."""
    with open(__file__) as held:  # noqa: PTH123 -- a descriptor that might be passed on
        os.set_inheritable(held.fileno(), True)
        ran = run("import os\nprint([n for n in range(16) if n > 2 and os.path.exists(f'/dev/fd/{n}')])\n"
                  "for n in range(3, 16):\n    try:\n        os.fstat(n)\n        print('open', n)\n"
                  "    except OSError: pass\nprint({n for n in os.environ} - {'LC_CTYPE'})")  # fmt: skip
    assert ran == Ran("[]\nset()\n", "")


@pytest.mark.usefixtures("held_in")
def test_memory_is_bounded():
    """Twice its memory cannot be had, and half of it can."""
    assert tried(f"bytearray({2 * inside.MEMORY})", f"bytearray({inside.MEMORY // 2})") == ["MemoryError", "done"]


@pytest.mark.usefixtures("held_in")
def test_time_is_bounded():
    """Computing and sleeping alike, with what was printed until then."""
    for what in ("while True: pass", "import time; time.sleep(60)"):
        assert run(f"print(7, flush=True)\n{what}", 1) == Ran("7\n", "time")


@pytest.mark.usefixtures("held_in")
def test_what_is_printed_is_bounded():
    """More than fits ends the program."""
    ran = run(f"print('x' * {4 * inside.OUTPUT}, flush=True)")
    assert ran.end == "error" and len(ran.text) <= inside.OUTPUT


def test_where_it_cannot_be_held_in_nothing_is_run(monkeypatch, tmp_path):
    """Not on other systems, nor where the kernel says no; the message says what is missing, and what to do."""
    child = tmp_path / "child.py"
    child.write_text("import sys\nsys.stderr.write('unshare: Operation not permitted')\nsys.exit(70)")
    monkeypatch.setattr(sandbox, "_CHILD", child)
    with pytest.raises(TaskError, match=r"nothing was run: unshare: Operation not permitted\..*Without --allow-code"):
        run("print(1)")
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(TaskError, match="no code is run on darwin"):
        run("print(1)")
