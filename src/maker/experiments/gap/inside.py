"""The child process of `sandbox.py`: it shuts itself in, and then runs the Python program that stands on its input.

In this order: an ordinary user where it was root; namespaces of its own (users, mounts, network, processes); an empty
folder that cannot be written to as the root of all files; as the first process of its namespace bounds on memory,
time, files and processes; no privilege left. Each step that fails ends it with REFUSED before the program begins, and
with the reason on its error output.

It is started as a script of its own and imports nothing of this package. What a program may import is loaded before
the door is shut, since behind it there are no files.

Not covered: faults of the kernel, which is what holds the program in.
"""

# ruff: noqa: F401
from __future__ import annotations

import bisect
import collections
import copy
import ctypes
import dataclasses
import enum
import fractions
import functools
import heapq
import itertools
import json
import math
import operator
import os
import queue
import random
import re
import resource
import select
import signal
import string
import sys
import time
import typing
from pathlib import Path

REFUSED, TIME = 70, 71  # exit codes; 0 is a program that came to its end, 1 one that did not
MEMORY, OUTPUT, FILES = 256 << 20, 256 << 10, 16  # bytes, bytes, open files

_NOBODY = 65534
_INSIDE = 1000  # who the program is, in its own namespace
_NAMESPACES = 0x10000000 | 0x00020000 | 0x40000000 | 0x20000000 | 0x08000000 | 0x04000000  # user mnt net pid ipc uts
_PRIVATE, _BARE = 0x4000 | 0x40000, 0x1 | 0x2 | 0x4 | 0x8  # mounts: not shared; read-only, no setuid, devices, programs
_DEATH_SIGNAL, _DUMPABLE, _NO_NEW_PRIVILEGES = 1, 4, 38  # of prctl
_CAPABILITIES = 0x20080522  # version of capset

_libc = ctypes.CDLL(None, use_errno=True)


def _must(result: int, what: str) -> None:
    """Raise OSError where the kernel says no."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def shut_in(folder: str) -> None:
    """Leave everything but an empty folder behind. Raises OSError where that cannot be had."""
    if os.getuid() == 0:  # bounds on processes do not hold for root
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        _must(_libc.prctl(_DUMPABLE, 1, 0, 0, 0), "prctl")  # or its own /proc is not its own
    user, group = os.getuid(), os.getgid()
    _must(_libc.unshare(_NAMESPACES), "unshare, namespaces of users and the network")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{_INSIDE} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{_INSIDE} {group} 1")
    _must(_libc.mount(b"none", b"/", None, _PRIVATE, None), "mount, private")
    bare = b"size=4k,nr_inodes=2,mode=555"
    _must(_libc.mount(b"tmpfs", folder.encode(), b"tmpfs", _BARE, bare), "mount, an empty folder")
    os.chroot(folder)
    os.chdir("/")


def bound(seconds: int) -> None:
    """Bound what this process may use, and drop its privileges. Raises OSError where that cannot be had."""
    _must(_libc.prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0), "prctl, death")
    for what, most in (
        (resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, seconds + 1), (resource.RLIMIT_FSIZE, OUTPUT),
        (resource.RLIMIT_NOFILE, FILES), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_NPROC, 0),
    ):  # fmt: skip
        resource.setrlimit(what, (most, most))
    _must(_libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0), "prctl, privileges")
    none = (ctypes.c_uint32 * 6)()
    _must(_libc.capset((ctypes.c_uint32 * 2)(_CAPABILITIES, 0), none), "capset")
    try:
        child = os.fork()
    except BlockingIOError:
        return
    if child == 0:
        os._exit(0)
    raise OSError(0, "the number of processes is not bounded")


def program(source: str) -> int:
    """Run a program; return the exit code."""
    try:
        exec(compile(source, "program", "exec"), {"__name__": "__main__"})  # noqa: S102 -- behind a shut door
        sys.stdout.flush()
    except SystemExit:
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001 -- whatever a program raises ended it
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.stdout.flush()
        return 1
    return 0


def _first(source: str, seconds: int, begins: int) -> int:
    """Be the first process of the namespace: say that the program begins once all is bounded, and run it."""
    try:
        bound(seconds)
    except OSError as error:
        sys.stderr.write(f"{error.strerror}\n")
        return REFUSED
    os.write(begins, b"1")
    os.close(begins)
    return program(source)


def main() -> int:
    """Run the program of the input; return the exit code."""
    folder, seconds = sys.argv[1], int(sys.argv[2])
    source = sys.stdin.read()
    try:
        shut_in(folder)
    except OSError as error:
        sys.stderr.write(f"{error.strerror}\n")
        return REFUSED
    begun, begins = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(begun)
        code = 1
        try:
            code = _first(source, seconds, begins)
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(begins)
    return _ended(child, os.read(begun, 1) == b"1", seconds)


def _ended(child: int, begun: bool, seconds: int) -> int:
    """Wait for the program, at most so long; return the exit code. begun: whether it began at all."""
    late = not select.select([os.pidfd_open(child)], [], [], seconds)[0]
    if late:
        os.kill(child, signal.SIGKILL)  # and with it every process of its namespace
    _, status = os.waitpid(child, 0)
    if not begun:
        return REFUSED
    return TIME if late else int(status != 0)


if __name__ == "__main__":
    sys.exit(main())
