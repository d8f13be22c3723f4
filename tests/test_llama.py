"""The whole way through a real server: llama.cpp serves the bundled model's export, the engine runs Hanoi on it."""

from __future__ import annotations

import subprocess
import sys

import pytest

import maker
from maker.testing import FaultServer, Reply, check_journal

pytest.importorskip("gguf")
pytest.importorskip("xllamacpp")

# One thread, a slot for each of a few requests at once; port 0 takes a free one; ends when its input does.
_SERVER = """
import sys, xllamacpp
p = xllamacpp.CommonParams()
p.model.path, p.n_ctx, p.n_parallel, p.warmup, p.port, p.n_gpu_layers = sys.argv[1], 8 * 128, 8, False, 0, 0
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(p)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Serve the exported weights on loopback, in a child process that is ended by its id."""
    from maker.models.gguf_export import export

    path = tmp_path_factory.mktemp("gguf") / "neural.gguf"
    export(path)
    child = subprocess.Popen([sys.executable, "-c", _SERVER, str(path)], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # fmt: skip
    try:
        address = child.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), f"the server did not start: {address!r}"
        yield address
    finally:
        child.kill()
        child.communicate()


@pytest.mark.timeout(110)
@pytest.mark.parametrize("disks", [6, pytest.param(10, marks=pytest.mark.slow)])
def test_hanoi_through_a_real_llama_server(address, tmp_path, disks):
    """The bundled model behind a real llama.cpp server solves Hanoi; the journal verifies."""
    path = tmp_path / "llama.db"
    task = maker.load_task("hanoi", disks=disks, style="compact")
    result = maker.run_sync(task, model=f"{address}/v1#neural", k=2, temperature=1.0, token_cap=100, journal=path,
                            limits={"concurrency": 8})  # fmt: skip
    assert result.solved and result.wrong == 0, result.detail
    assert result.usage.in_flight == 0
    assert check_journal(path).solved


def test_a_misbehaving_server_is_survived(tmp_path):
    """Refusals to serve, broken replies and a rambling one change nothing about the verdict."""
    script = [Reply(status=503), Reply(text="5"), Reply(status=429, headers={"retry-after": "0"}), Reply(text="5")]

    async def ask() -> maker.Verdict[int]:
        async with FaultServer(script) as server:
            return await maker.vote("2 + 3?", model=f"{server.url}#any", answer=int, k=2)

    import anyio

    assert anyio.run(ask).answer == 5
