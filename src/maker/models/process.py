"""The processes that run maker: how they collect garbage, and fresh interpreters for those that help.

No `if __name__ == "__main__"` is needed in the caller's script.

Not covered: what is said over their pipes (`engine/crew/processes.py`, `models/neural/worker.py`).
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


def collect_seldom() -> None:
    """Collect garbage seldom: a run makes and drops many small objects and no cycles, and it is a tenth of its time."""
    gc.set_threshold(50_000, 20, 20)


def fresh_interpreter(
    module: str, *, buffered: bool = True, variables: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start Python with this very package on a module's `main`, with pipes for its input and output.

    buffered: this side of the pipes. variables: of the environment, beside this process's own.
    Raises OSError. -P keeps the caller's folder off the import path.
    """
    home = str(Path(__file__).parents[2])
    search = os.pathsep.join([home, *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(  # noqa: S603 -- this very interpreter, and arguments that the package writes
        [sys.executable, "-P", "-c", f"from {module} import main; main()"], bufsize=-1 if buffered else 0,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, **(variables or {}), "PYTHONPATH": search},
    )  # fmt: skip
