"""A real llama.cpp server with the bundled model's export, for tests that need one."""

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
slots = int(sys.argv[2])
p.model.path, p.n_ctx, p.n_parallel, p.warmup, p.port, p.n_gpu_layers = sys.argv[1], 256 * slots, slots, False, 0, 0
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(p)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@contextmanager
def llama_server(folder: Path, slots: int) -> Iterator[str]:
    """Serve the exported weights on loopback in a child process that is ended by its id; yield its address."""
    from maker.models.gguf_export import export

    path = folder / "neural.gguf"
    export(path)
    child = subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(path), str(slots)],
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
