"""A person fills a column; rows that a spreadsheet has moved, marked or reformatted are still read, others refused."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from adding import Adding
from maker.api.audit.decisions import Decision
from maker.api.audit.sheet import Sheet
from maker.errors import TaskError

HEAD = "0123456789abcdef" * 2


def decisions(count: int, answer: str = "1") -> list[Decision]:
    """Return some decisions of a task that adds."""
    return [Decision(step, 1, "sum", step, step, step, int(answer == "1"), answer, 3, 1) for step in range(count)]


def rows(path: Path) -> list[dict[str, str]]:
    """Read the file as a spreadsheet would."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def filled(path: Path, said: list[str]) -> None:
    """Fill the first rows in."""
    found = rows(path)
    for row, right in zip(found, said, strict=False):
        row["right"] = right
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(found[0]))
        writer.writeheader()
        writer.writerows(found)


async def judged(path: Path, count: int, of: str = HEAD) -> list[bool | None]:
    """Return what the file says of the first of ten decisions."""
    found = await Sheet(path, Adding(), of).judge(decisions(10), count)
    assert (found.stopped is None) is (None not in found.opinions)
    return [opinion and opinion.right for opinion in found.opinions]


@pytest.mark.asyncio
async def test_a_file_is_written_filled_and_read(tmp_path: Path) -> None:
    """Empty it is open and says what to do; half filled it is open; filled it is read, in any usual word."""
    path = tmp_path / "sheet.csv"
    found = await Sheet(path, Adding(), HEAD).judge(decisions(4), 4)
    assert found.stopped == "to be filled" and "write yes or no" in found.detail and str(path) in found.detail
    assert rows(path)[2] == {
        "run": f"head {HEAD[:12]}", "step": "2", "kind": "sum", "votes": "3 for, 1 against", "prompt": "2 + 1 =",
        "answer": "1", "right": "",
    }  # fmt: skip
    filled(path, ["yes", "No"])
    assert await judged(path, 4) == [True, False, None, None]
    filled(path, ["TRUE", "0", " y ", "false"])
    assert await judged(path, 4) == [True, False, True, False]


@pytest.mark.asyncio
async def test_a_larger_sample_adds_rows_and_touches_none(tmp_path: Path) -> None:
    """Rows are added at the end in the file's own columns, also where a spreadsheet has moved them."""
    path = tmp_path / "sheet.csv"
    await judged(path, 2)
    filled(path, ["yes", "no"])
    head = ";".join(["mine", *path.read_text().splitlines()[0].split(",")])
    moved = [f"x;head {HEAD[:12]};{step};sum;v;p;1;{said}" for step, said in ((1, "no"), (0, "yes"))]
    path.write_text("\ufeff" + "\n".join([head, *moved]))
    before = path.read_text()
    assert await judged(path, 3) == [True, False, None]
    assert path.read_text().startswith(before)
    assert path.read_text().splitlines()[-1] == f";head {HEAD[:12]};2;sum;3 for, 1 against;2 + 1 =;1;"
    assert await judged(path, 3) == [True, False, None]


@pytest.mark.asyncio
async def test_no_cell_runs(tmp_path: Path) -> None:
    """An answer that begins as a formula, or drives a terminal, is written harmlessly."""
    path = tmp_path / "sheet.csv"
    await Sheet(path, Adding(), HEAD).judge(decisions(1, "=cmd|' /C calc'!A0\x1b[2J\ud800"), 1)
    assert rows(path)[0]["answer"] == r"'=cmd|' /C calc'!A0\x1b[2J\udd800".replace("udd", "ud")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "has no column 'right'"), ("", "has no column 'right'"),
        ("run,step,right\nhead x,0,yes\n", "line 2: is of run 'head x'"),
        (f"run,step,right\nhead {HEAD[:12]},one,yes\n", "line 2: step = 'one'"),
        (f"run,step,right\nhead {HEAD[:12]},0,maybe\n", "line 2: right = 'maybe': write yes or no"),
        (f"run,step,right\nhead {HEAD[:12]}\n", "step = ''"),
    ],
)  # fmt: skip
async def test_another_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """What is no sheet of this run, and what says neither yes nor no, is named with its line and left as it is."""
    path = tmp_path / "sheet.csv"
    path.write_text(text)
    with pytest.raises(TaskError, match=said):
        await judged(path, 1)
    assert path.read_text() == text


@pytest.mark.asyncio
async def test_a_file_that_cannot_be_read_or_written_is_named(tmp_path: Path) -> None:
    """Bytes that are no UTF-8, a folder that is not there."""
    path = tmp_path / "sheet.csv"
    path.write_bytes(b"run,step,right\n\xff\xfe\n")
    with pytest.raises(TaskError, match=r"sheet\.csv: cannot be read"):
        await judged(path, 1)
    with pytest.raises(TaskError, match=r"sheet\.csv: cannot be written"):
        await judged(tmp_path / "none" / "sheet.csv", 1)
