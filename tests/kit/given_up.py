"""A map in a process of its own, whose caller gives up: `given_up.py HOW JOURNAL`. `test_sync.py` looks on."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import maker
from maker.models.own import from_callable

ITEMS, K, AT_ONCE = 600, 2, 8
FOR_GOOD = 60.0  # seconds: so long that some call is out whenever the caller gives up, on any machine


def ask(journal: Path, seconds: float = 0.05, begun: Any = None) -> Any:
    """Ask about all items. begun: set when some calls were made; none after that answers before it is given up."""
    calls = 0

    async def agree(prompt: str) -> str:
        nonlocal calls
        calls += 1
        if begun is not None and calls == 4 * AT_ONCE:
            begun.set()
        await asyncio.sleep(seconds if begun is None or calls < 4 * AT_ONCE else FOR_GOOD)
        return "yes"

    model = from_callable(agree, name="agrees")
    return maker.map_sync("{item}?", range(ITEMS), model=model, k=K, concurrency=AT_ONCE, journal=journal)


class Said:
    """Tells the parent that all is under way."""

    @staticmethod
    def set() -> None:
        """Say so."""
        print("under way", flush=True)


async def in_a_loop(journal: Path) -> None:
    """Ask where a loop is running, and say what was raised."""
    try:
        ask(journal, begun=Said)
    except BaseException as error:
        print(type(error).__name__, flush=True)
        raise


def noted(number: int, frame: Any) -> None:
    """Take a note of Ctrl-C, as a server does that ends in its own time."""


def divide(number: int, frame: Any) -> None:
    """Come over whoever waits."""
    raise ZeroDivisionError


def main(how: str, journal: Path) -> None:
    """Begin, and leave it to the parent, or to the end of this process, to end it."""
    if how == "asyncio":
        asyncio.run(in_a_loop(journal))
    elif how in ("notebook", "server", "exception"):
        signal.signal(signal.SIGINT, signal.default_int_handler if how == "notebook" else noted)
        signal.signal(signal.SIGALRM, divide)
        asyncio.new_event_loop().run_until_complete(in_a_loop(journal))
    else:
        begun = threading.Event()
        work = partial(ask, journal, begun=begun)
        if how == "pool":
            ThreadPoolExecutor(1).submit(work)
        else:
            threading.Thread(target=work).start()
        begun.wait()
        Said.set()


if __name__ == "__main__":
    try:
        main(sys.argv[1], Path(sys.argv[2]))
    except KeyboardInterrupt:
        if sys.argv[1] == "asyncio":
            print("KeyboardInterrupt")
    except (asyncio.CancelledError, ZeroDivisionError):
        pass
