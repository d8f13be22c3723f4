"""`maker show`: what a journal holds."""

from __future__ import annotations

from maker.audit import summarise
from maker.commands.shared import JournalFile, Json, print_json
from maker.screen import print_rows, safe


def show(journal: JournalFile, as_json: Json = False) -> None:
    """Say what a journal holds, without running any task code."""
    said = summarise(journal).as_json()
    if as_json:
        print_json(said)
        return
    shown = {key: value for key, value in said.items() if value is not None and key not in ("answer", "parameters")}
    shown["task"] = f"{said['task']} {said['parameters'] or ''}"
    print_rows([(key, safe(str(value))) for key, value in shown.items()], str(journal))
