"""`maker repair`: cut the torn tail of a damaged journal."""

from __future__ import annotations

from maker.commands.shared import JournalFile, Json, print_json
from maker.repair import repair as repaired
from maker.screen import print_rows, safe


def repair(journal: JournalFile, as_json: Json = False) -> None:
    """Cut the torn tail of a damaged journal, after making a copy; a sound one is left as it is."""
    done = repaired(journal)
    if as_json:
        copy = str(done.copy) if done.copy else None
        print_json({"repaired": done.problem is not None, "kept": done.kept, "problem": done.problem, "copy": copy})
        return
    if done.problem is None:
        print_rows([("result", f"nothing to repair: all {done.kept:,} records are sound")], "maker repair")
        return
    print_rows([
        ("result", f"kept the first {done.kept:,} records, cut what followed"),
        ("why", safe(done.problem)),
        ("copy", f"{safe(str(done.copy))}: the journal as it was"),
        ("next", "resume the run: the steps that were cut are decided anew"),
    ], "maker repair")  # fmt: skip
