"""The whole way through a real server: llama.cpp serves the bundled model's export, the engine runs Hanoi on it."""

from __future__ import annotations

import anyio
import pytest

import maker
from llama_server import llama_server
from maker.testing import FaultServer, Reply, check_journal

pytest.importorskip("gguf")
pytest.importorskip("xllamacpp")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Run a llama.cpp server with the exported weights, and slots for a few requests at once."""
    with llama_server(tmp_path_factory.mktemp("gguf"), slots=8) as address:
        yield address


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

    assert anyio.run(ask).answer == 5
