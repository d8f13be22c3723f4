"""All that is asked is kept, a file a time, and no file is ever lost."""

from __future__ import annotations

import stat
from pathlib import Path

import orjson
import pytest

from maker.errors import JournalError, JournalFull
from maker.serving import record
from maker.serving.record import Record


def test_lines_are_kept_in_files_that_do_not_outgrow_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A full file is put aside under the next number, and read in order they hold everything once."""
    monkeypatch.setattr(record, "MOST_BYTES", 40)
    path = tmp_path / "asked"
    for part in (range(5), range(5, 12)):  # a restarted proxy goes on
        kept = Record(path)
        for number in part:
            kept.keep({"number": number})
        kept.close()
    files = [*sorted(tmp_path.glob("asked.*"), key=lambda file: int(file.suffix[1:])), path]
    assert len(files) > 3 and all(file.stat().st_size <= 40 for file in files)
    lines = [orjson.loads(line) for file in files for line in file.read_bytes().splitlines()]
    assert lines == [{"number": number} for number in range(12)]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path):
    """It is found out before anything is served."""
    with pytest.raises(JournalError, match="no/where"):
        Record(tmp_path / "no" / "where")


def test_a_full_disk_is_told():
    """Nothing is answered that is not kept."""
    kept = Record(Path("/dev/full"))
    with pytest.raises(JournalFull, match="No space"):
        kept.keep({"number": 1})
    kept.close()
