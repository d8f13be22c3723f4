"""A person as judge: a CSV file with a row for each decision, and a column `right` to be filled with yes or no.

The file is all that is kept: rows that are needed later are added at its end, and what was filled is never touched.
Rows may stand in any order, other columns may be added, and commas may have become semicolons.

Not covered: prompts and answers as they were, character by character: a spreadsheet would run some of them.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from maker.api.audit.decisions import STRATA, Decision
from maker.api.audit.judges import Judgement, Opinion
from maker.errors import TaskError
from maker.task.cells import harmless
from maker.task.prompt import render, words_in
from maker.task.task import Task

COLUMNS = ("run", "step", "kind", "votes", "prompt", "answer", "right")
_SAID = {"yes": True, "y": True, "true": True, "1": True, "no": False, "n": False, "false": False, "0": False}


class Sheet:
    """The file, and the task whose questions are in it. of: the head of the journal, which each row names.

    Raises TaskError for a file that cannot be read or written, or is not of this journal.
    """

    words = "wrong"

    def __init__(self, path: Path, task: Task, of: str) -> None:
        self._path, self._task, self._of = path, task, f"head {of[:12]}"  # never a number to a spreadsheet

    def __str__(self) -> str:
        return f"a person, by {self._path}"

    async def judge(self, decisions: Sequence[Decision], count: int) -> Judgement:
        """Read what is filled, add the rows that are missing, and say what is to be done."""
        decisions = decisions[:count]
        said = self.read() if self._path.exists() else {}
        missing = [decision for decision in decisions if decision.step not in said]
        if missing:
            self._add(missing)
        found = [said.get(decision.step) for decision in decisions]
        opinions = [None if right is None else Opinion(right) for right in found]
        if left := opinions.count(None):
            told = f"{left:,} of {count:,} decisions are to be judged: write yes or no into the column right of"
            return Judgement(opinions, "to be filled", f"{told} {self._path}, and give the same command again.")
        return Judgement(opinions)

    def read(self) -> dict[int, bool | None]:
        """Return what each row says, by step; None where nothing is filled in."""
        try:
            with self._path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file, delimiter=self._delimiter())
                lacking = {"run", "step", "right"} - set(reader.fieldnames or ())
                if lacking:
                    raise TaskError(f"{self._path}: has no column {min(lacking)!r}: it is not what an audit wrote")
                return dict(self._row(row, reader.line_num) for row in reader if any(row.values()))
        except (OSError, ValueError, csv.Error) as error:
            raise TaskError(f"{self._path}: cannot be read: {error}. It must be CSV in UTF-8.") from None

    def _row(self, row: dict[str, Any], line: int) -> tuple[int, bool | None]:
        where = f"{self._path}, line {line}"
        if (row["run"] or "").strip() != self._of:
            raise TaskError(f"{where}: is of run {row['run']!r:.40}, not {self._of!r}: give another --to, or remove it")
        step, right = (row["step"] or "").strip(), (row["right"] or "").strip().lower()
        if not (step.isascii() and step.isdigit()):
            raise TaskError(f"{where}: step = {step!r:.40}: the number of a step was there")
        if right and right not in _SAID:
            raise TaskError(f"{where}: right = {right!r:.40}: write yes or no, or leave it empty")
        return int(step), _SAID[right] if right else None

    def _add(self, decisions: Sequence[Decision]) -> None:
        """Write rows at the end, in the file's own columns; begin the file where there is none."""
        try:
            new = not self._path.exists() or not self._path.stat().st_size
            columns, delimiter = list(COLUMNS), ","
            if not new:
                delimiter = self._delimiter()
                with self._path.open(encoding="utf-8-sig", newline="") as file:
                    columns = next(csv.reader(file, delimiter=delimiter))
                ended = self._path.read_bytes().endswith(b"\n")
            with self._path.open("a", encoding="utf-8", errors="backslashreplace", newline="") as file:
                if not new and not ended:
                    file.write("\r\n")
                writer = csv.DictWriter(file, columns, extrasaction="ignore", delimiter=delimiter)
                if new:
                    writer.writeheader()
                writer.writerows(self._cells(decision) for decision in decisions)
        except (OSError, ValueError) as error:
            raise TaskError(f"{self._path}: cannot be written: {error}. Give another --to.") from None

    def _cells(self, decision: Decision) -> dict[str, object]:
        prompt = words_in(render(self._task, decision.state, decision.step))
        votes = f"{decision.votes} for, {STRATA[decision.stratum].replace(' votes', '').replace(' vote', '')}"
        return {
            "run": self._of, "step": decision.step, "kind": harmless(decision.kind), "votes": votes,
            "prompt": harmless(prompt), "answer": harmless(decision.text), "right": "",
        }  # fmt: skip

    def _delimiter(self) -> str:
        with self._path.open(encoding="utf-8-sig") as file:
            first = file.readline()
        return ";" if first.count(";") > first.count(",") else ","
