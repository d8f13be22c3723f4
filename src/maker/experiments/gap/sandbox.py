"""Python of a model's making, run in a child process that has nothing: no network, no files, little memory and time.

The child (`inside.py`) is held in by the kernel: namespaces of its own, an empty folder as the root of all files,
bounds on memory, time, output, open files and processes, and no privilege. Where the kernel does not give all of
that, nothing is run, and the reason is said.

Not covered: systems other than Linux; what a program computes (`programs.py`).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, NamedTuple

from maker.errors import TaskError
from maker.experiments.gap import inside

SECONDS = 5
_GRACE = 5  # seconds to start and to end in
_CHILD = Path(inside.__file__)
_NEEDS = (
    "--allow-code runs Python of a model's making, and only where it can be held in: Linux, with namespaces of its own "
    "for users, mounts, network and processes (sysctl user.max_user_namespaces; kernel.unprivileged_userns_clone or "
    "kernel.apparmor_restrict_unprivileged_userns; a container may forbid them). Without --allow-code programs are "
    "written in a language of five instructions."
)


class Ran(NamedTuple):
    """What became of a program. text: it printed. end: "" where it came to its end, "error", or "time"."""

    text: str
    end: str


def run(source: str, seconds: int = SECONDS) -> Ran:
    """Run a program for at most so long. Raises TaskError where it cannot be held in."""
    if sys.platform != "linux":
        raise TaskError(f"no code is run on {sys.platform}. {_NEEDS}")
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        Path(folder).chmod(0o755)
        command = [sys.executable, "-I", "-S", "-B", str(_CHILD), folder, str(seconds)]
        try:
            ended = subprocess.run(  # noqa: S603 -- our own child, by its full path
                command, input=source.encode(errors="replace"), stdout=out, stderr=errors, env={}, cwd=folder,
                check=False, timeout=seconds + _GRACE, start_new_session=True,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Ran(_text(out), "time")
        if ended.returncode not in (0, 1, inside.TIME):
            why = _text(errors).strip().splitlines()[-1:] or [f"it ended with {ended.returncode}"]
            raise TaskError(f"the child process was not held in, and nothing was run: {why[0]}. {_NEEDS}")
        return Ran(_text(out), {0: "", 1: "error"}.get(ended.returncode, "time"))


def _text(file: IO[bytes]) -> str:
    """Return what a child wrote."""
    file.seek(0)
    return file.read(inside.OUTPUT).decode(errors="replace")
