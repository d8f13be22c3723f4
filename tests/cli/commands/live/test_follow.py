"""`maker show --follow`: the run as it goes on, in a terminal; quiet in a pipe."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import maker
from maker.cli import app as cli
from maker.cli.commands.live import follow as module
from maker.cli.commands.live.follow import glimpses, rows_of
from maker.engine.steering.address import tell
from maker.errors import JournalError
from maker.serving.watching.reading import Reading
from maker.testing import ScriptedModel
from scratch import scratch


@pytest.fixture
def folder() -> Iterator[Path]:
    """Offer a folder in memory."""
    with scratch() as found:
        yield found


def ask(journal: Path, **limits: Any) -> threading.Thread:
    """Have some items decided, in a thread."""
    model = ScriptedModel(["yes", "no", "yes\x1b[2J", "yes", "yes"], lockstep=False)
    run = threading.Thread(
        target=lambda: maker.map_sync("{item}?", range(4), model=model, k=2, journal=journal, limits=limits)
    )
    run.start()
    return run


def soon(_seconds: float) -> None:
    """Sleep next to nothing."""
    threading.Event().wait(0.001)


def test_it_follows_to_the_end(folder: Path) -> None:
    """A run is shown from wherever it is until it has said how it ended, and not one glimpse longer."""
    journal = folder / "run.db"
    run = ask(journal, max_calls=6, on_limit="pause")
    state = ""
    while state != "asking":
        with suppress(JournalError):
            state = tell(journal, {"order": "status"})["state"]
    reading, states = Reading(journal, wait=0.001), []
    for said in glimpses(reading, soon):
        states.append(said["state"])
        if said["state"] == "paused":
            tell(journal, {"order": "set", "limits": {"max_calls": None}})
    reading.close()
    run.join()
    assert states[-1] == "solved"
    assert "paused" in states


def test_a_killed_run_is_not_waited_for(folder: Path) -> None:
    """Where nobody writes any more, it says so and ends; so it does at a file that is no journal."""
    journal = folder / "run.db"
    ask(journal, max_calls=6).join()
    Path(f"{journal}.lock").write_bytes(b"pid 999999999\nacknowledged 3\n")
    reading = Reading(journal, wait=0.001)
    assert list(glimpses(reading, soon))[-1]["state"] == "stopped: max_calls"
    reading.close()
    journal.write_bytes(b"no journal at all")
    reading = Reading(journal, wait=0.001)
    assert "not a maker journal" in list(glimpses(reading, soon))[-1]["state"]
    reading.close()


def test_what_is_shown_drives_no_terminal(folder: Path) -> None:
    """Names and kinds of a journal are escaped in every row."""
    journal = folder / "run.db"
    ask(journal).join()
    reading = Reading(journal, wait=0.001)
    said = list(glimpses(reading, soon))[-1]
    reading.close()
    rows = rows_of(said | {"model": "\x1b[2Jm", "flags": [["\x1b[31m", 2]]})
    assert "\x1b" not in str(rows)
    assert dict(rows)["steps"] == "4 of 4 (100%)"


def test_in_a_pipe_it_is_quiet_until_the_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A program that reads gets what `maker show` prints, once, when the run is over."""
    journal = folder / "run.db"
    ask(journal).join()
    monkeypatch.setattr(module, "POLL_SECONDS", 0.001)
    for more in ([], ["--follow"]):
        monkeypatch.setattr(sys, "argv", ["maker", "show", str(journal), "--json", *more])
        with pytest.raises(SystemExit):
            cli.main()
    plain, followed = capsys.readouterr().out.splitlines()
    assert plain == followed
