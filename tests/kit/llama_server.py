"""A real llama.cpp server, with the bundled model's export or another file, for tests that need one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# One thread and full-precision keys and values; port 0 takes a free one; ends when its input does.
_SERVER = """
import sys, xllamacpp
p = xllamacpp.CommonParams()
slots, context = int(sys.argv[2]), int(sys.argv[3])
p.model.path, p.n_ctx, p.n_parallel, p.warmup, p.port, p.n_gpu_layers = sys.argv[1], context * slots, slots, False, 0, 0
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(p)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@contextmanager
def llama_server(folder: Path, slots: int) -> Iterator[str]:
    """Serve the exported weights on loopback; yield the address."""
    from maker.models.neural.gguf import export

    path = folder / "neural.gguf"
    export(path)
    with serving(path, slots, 256) as address:
        yield address


@contextmanager
def serving(path: Path, slots: int, context: int) -> Iterator[str]:
    """Serve a GGUF file on loopback in a child process that is ended by its id; yield its address.

    context: tokens of each of the slots.
    """
    child = subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(path), str(slots), str(context)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        address = child.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), f"the server did not start: {address!r}"
        yield address
    finally:
        child.kill()
        child.communicate()
