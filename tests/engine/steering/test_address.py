"""Where a run is spoken to: addresses that fit, and what is said where nobody listens."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from maker.engine.steering.address import LONGEST_ADDRESS, address, socket_of, tell
from maker.errors import JournalError
from scratch import scratch


@pytest.mark.parametrize("name", ["run.db", "ü" * 100, "r" * 230])
def test_a_socket_has_a_short_name_beside_its_journal(tmp_path: Path, name: str) -> None:
    """Whatever a journal is called, its socket's name fits behind the address of a descriptor."""
    found = socket_of(tmp_path / name)
    assert found.parent == tmp_path
    assert len(os.fsencode(found.name)) <= 64
    assert found != socket_of(tmp_path / (name + "2"))


def test_a_link_leads_to_the_socket_of_its_file(tmp_path: Path) -> None:
    """Two names of one journal are one run's, as they are for its lock."""
    (tmp_path / "link.db").symlink_to(tmp_path / "run.db")
    assert socket_of(tmp_path / "link.db") == socket_of(tmp_path / "run.db")


def test_any_folder_has_an_address_that_fits(tmp_path: Path) -> None:
    """A socket deep down is bound and found through its folder, and its file stands where it belongs."""
    deep = tmp_path / ("d" * 120) / ("e" * 120)
    deep.mkdir(parents=True)
    path = deep / "run.db.ctl"
    with address(path) as name, socket.socket(socket.AF_UNIX) as own:
        assert len(os.fsencode(name)) <= LONGEST_ADDRESS
        own.bind(name)
    assert path.is_socket()


@pytest.fixture
def folder() -> Iterator[Path]:
    """Offer a folder with a short address."""
    with scratch() as found:
        yield found


def test_where_nobody_listens_it_is_said_why(folder: Path) -> None:
    """No file, no run, and a run that was killed are told apart, each with what to do."""
    with pytest.raises(JournalError, match="no such journal"):
        tell(folder / "run.db", {"order": "status"})
    (folder / "run.db").touch()
    with pytest.raises(JournalError, match=r"no run is under way.*resumes it"):
        tell(folder / "run.db", {"order": "status"})
    (folder / "run.db.lock").write_bytes(b"pid 1\nacknowledged 7\n")
    with pytest.raises(JournalError, match="was killed"):
        tell(folder / "run.db", {"order": "status"})


@pytest.mark.parametrize(
    ("answer", "why"),
    [(told, "is no run of maker's") for told in (b"[1]\n", b"hello\n", b"x" * 70_000)] + [(b"", "has ended meanwhile")],
    ids=["a list", "words", "too much", "nothing"],
)
def test_what_is_no_run_is_not_believed(folder: Path, answer: bytes, why: str) -> None:
    """Something else that listens there, or ends, is a JournalError, not a traceback and not a hang."""
    journal = folder / "run.db"

    def speak() -> None:
        line, _ = own.accept()
        with line:
            line.recv(100)
            line.sendall(answer)

    with socket.socket(socket.AF_UNIX) as own:
        own.bind(str(socket_of(journal)))
        own.listen()
        other = threading.Thread(target=speak)
        other.start()
        with pytest.raises(JournalError, match=why):
            tell(journal, {"order": "status"})
        other.join()
