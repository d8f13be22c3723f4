"""Shared test set-up: the long proofs run only when asked for, and one real llama.cpp server serves all who want it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import hypothesis
import pytest

from llama_server import llama_server
from maker.models.openai.negotiate import FOUND

if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` has it ignored, by what tests start, too

hypothesis.settings.register_profile("untimed", deadline=None)  # a busy machine is no fault
hypothesis.settings.load_profile("untimed")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests marked slow unless -m names them."""
    if config.getoption("-m"):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a llama.cpp server with the exported weights, and slots for a few requests at once."""
    with llama_server(tmp_path_factory.mktemp("gguf"), slots=8) as address:
        yield address


@pytest.fixture(autouse=True)
def forgotten() -> None:
    """Forget what servers of earlier tests took: ports are used again."""
    FOUND.clear()
