r"""A journal as a table: one row a step, or one row a sample, as Parquet, CSV or JSON lines.

Rows are read and written in groups of bounded number and size, so a million steps need no more memory than a
thousand. The file
appears under its name only when it is complete. Nothing is interpreted: answers are the texts that first
gave them; a text of which the journal has only a digest is null, its digest is there all the same.

Text is Unicode everywhere; a lone surrogate, which no UTF-8 file can hold, is written as \udXXX. CSV is read by
spreadsheets and shown by terminals: there a text that begins as a formula does (= + - @ tab CR) gets a quote before
it, unless it is a number, and control characters are written as \x1b; `raw` keeps both, but for NUL, which is
always \x00. Null is an empty field. JSON lines have control characters as JSON's own escapes. `flags` is JSON in
CSV and Parquet.

Not covered: states, prompts and times; a journal holds none of them. Samples of a calibration are counted
in the journal, not kept.
"""

from __future__ import annotations

import csv
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain as chained
from pathlib import Path
from typing import Any

from maker.decision.wave import FLAGGED, known
from maker.errors import TaskError
from maker.journal.steps import StoredStep, told
from maker.journal.story import Story
from maker.journal.views.items import ByItem, is_map
from maker.review.kinds import Kinds
from maker.task.cells import harmless
from maker.task.task import Task

GROUP_ROWS = 20_000  # a row group of Parquet
GROUP_BYTES = 8_000_000  # characters of text in one, at which it is closed
_UNESCAPED = re.compile("[\x7f-\x9f]")  # by JSON
Row = dict[str, Any]
COLUMNS: dict[str, dict[str, str]] = {  # column -> Arrow type
    "steps": {
        "step": "int64", "decided": "bool", "answer": "string", "votes": "int32", "runner_up": "int32",
        "margin": "int32", "answers": "int32", "entropy": "double", "samples": "int32", "flagged": "int32",
        "flags": "string", "waves": "int32", "tokens_in": "int64", "tokens_out": "int64", "state_digest": "string",
    },
    "samples": {
        "step": "int64", "draw": "int32", "wave": "int32", "candidate": "int32", "won": "bool", "flag": "string",
        "text": "string", "text_digest": "string", "tokens_in": "int64", "tokens_out": "int64", "finish": "string",
        "response_id": "string", "logprob": "double", "model": "string", "latency": "double",
        "source": "string",
    },
}  # fmt: skip


def rows(journal: str | Path, what: str = "steps", *, task: Task | None = None) -> Iterator[Row]:
    """Yield the rows of a journal, lazily, with plain Python values: decided steps first, in the order of decision.

    The rows of a map come in item order, decided or not.

    what: "steps" or "samples". A step's row has its winner (null while open), votes of the winner and of the
    runner-up, how many answers there were, vote entropy in nats, tokens where the model told them. A sample's
    row has its draw and wave, the number of the answer it voted for (null when flagged), whether that answer
    won (null while open), its flag, and all that the journal keeps of it; latency in seconds.
    task: the one of the journal: its code runs, and each row has the step's `kind` as well.
    Raises JournalError for a file that cannot be read, TaskError for another `what` and for a task that does not fit.
    """
    if what not in COLUMNS:
        raise TaskError(f"what = {what!r}: give one of {', '.join(COLUMNS)}")
    return _rows(journal, what, task)


def columns_of(what: str, *, kinds: bool) -> dict[str, str]:
    """Return the columns of a table, each with its Arrow type. kinds: with the kind of each step."""
    return COLUMNS[what] | ({"kind": "string"} if kinds else {})


def export(
    journal: str | Path,
    output: str | Path,
    *,
    what: str = "steps",
    raw: bool = False,
    progress: Callable[[int, int], None] | None = None,
    task: Task | None = None,
) -> int:
    """Write the rows of a journal to a file and return how many they are.

    output: FILE.parquet, FILE.csv or FILE.jsonl; one that exists is replaced, once the new one is complete.
    what, task: as in `rows`. raw: keep in CSV what a spreadsheet would run and what drives a terminal.
    progress: called now and then with the rows written and those there are (0: unknown).
    Raises JournalError for a journal that cannot be read, TaskError for a name, folder or task that does not fit.
    On failure nothing is left and an older file stays as it was.
    """
    output = Path(output)
    write = _WRITERS.get(output.suffix.lower())
    if write is None:
        raise TaskError(f"{output}: give a name that ends in {', '.join(_WRITERS)}")
    made = enumerate(rows(journal, what, task=task), 1)
    summary = Story(journal).summary()
    total = summary.steps if what == "steps" else 0
    count = 0

    def counted() -> Iterator[Row]:
        nonlocal count
        for count, row in made:
            if progress is not None and count % 10_000 == 0:
                progress(count, total)
            yield row

    with replacing(output, journal) as partial:
        write(partial, counted(), columns_of(what, kinds=task is not None), summary.header, raw)
    return count


@contextmanager
def replacing(output: Path, journal: str | Path) -> Iterator[Path]:
    """Give a temporary name to write to, and move it to `output` when the block ends well.

    Raises TaskError when that would replace the journal itself, or the folder is missing or cannot be written.
    On failure the temporary file is gone and `output` is as it was.
    """
    if output.exists() and output.samefile(journal):
        raise TaskError(f"{output}: is the journal itself. Give another name to write to.")
    partial = output.with_name(f"{output.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(output)
    except OSError as error:
        raise TaskError(f"{output}: cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _rows(journal: str | Path, what: str, task: Task | None) -> Iterator[Row]:
    make = _step_rows if what == "steps" else _sample_rows
    story = Story(journal)
    kinds = None if task is None else Kinds(story, task)
    for stored in ByItem(journal).steps() if is_map(story.latest) else story.steps():
        kind = {} if kinds is None else {"kind": _storable(kinds.take(stored))}
        for row in make(stored):
            yield row | kind


def _step_rows(stored: StoredStep) -> Iterator[Row]:
    tally, winner = stored.tally(), stored.winner
    votes = sorted(tally.counts.values(), reverse=True)
    yield {
        "step": stored.step, "decided": winner is not None,
        "answer": None if winner is None else _storable(stored.answer(winner)),
        "votes": votes[0] if votes else 0, "runner_up": votes[1] if len(votes) > 1 else 0, "margin": tally.margin,
        "answers": len(votes), "entropy": tally.entropy, "samples": len(stored.candidates), "flagged": tally.flagged,
        "flags": dict(stored.flags) if tally.flagged else {}, "waves": stored.rounds,
        "tokens_in": told(stored.tokens_in), "tokens_out": told(stored.tokens_out),
        "state_digest": stored.state_digest.hex() or None,
    }  # fmt: skip


def _sample_rows(stored: StoredStep) -> Iterator[Row]:
    waves = list(chained.from_iterable([number] * len(wave) for number, wave in enumerate(stored.waves)))
    for draw, candidate in enumerate(stored.candidates):
        facts, text = stored.facts.get(draw, {}), stored.text(draw)
        voted = candidate != FLAGGED
        yield {
            "step": stored.step, "draw": draw, "wave": waves[draw], "candidate": candidate if voted else None,
            "won": None if stored.winner is None else candidate == stored.winner,
            "flag": None if voted else _storable(stored.flag(draw)), "text": None if text is None else _storable(text),
            "text_digest": None if stored.silent(draw) else stored.digest(draw).hex(),
            "tokens_in": known(stored.tokens_in[draw]), "tokens_out": known(stored.tokens_out[draw]),
            "finish": _word(facts.get("finish", "stop")), "response_id": _word(facts.get("id")),
            "logprob": _number(facts.get("logprob")), "model": _word(facts.get("model")),
            "latency": _number(facts.get("latency")), "source": _word(facts.get("source")),
        }  # fmt: skip


def _storable(text: str) -> str:
    """Return text as UTF-8 can hold it."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _word(fact: object) -> str | None:
    return None if fact is None else _storable(str(fact))


def _number(fact: object) -> float | None:
    """Return a number that a double can hold; a fact that is none was the model's own invention."""
    if isinstance(fact, bool) or not isinstance(fact, (int, float)):
        return None
    with suppress(OverflowError):
        return float(fact) if math.isfinite(fact) else None  # JSON has no others
    return None


def _write_csv(path: Path, made: Iterator[Row], columns: dict[str, str], header: Row, raw: bool) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for row in made:
            writer.writerow([_field(value, raw) for value in row.values()])


def _field(value: Any, raw: bool) -> Any:
    """Return a value as CSV says it: true and false as JSON has them, no NUL, no text that runs."""
    if isinstance(value, bool):
        return "true" if value else "false"
    value = _flat(value)
    if not isinstance(value, str):
        return value
    if raw:
        return value.replace("\0", "\\x00")
    return harmless(value)


def _flat(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value


def _write_jsonl(path: Path, made: Iterator[Row], columns: dict[str, str], header: Row, raw: bool) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in made:
            line = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
            file.write(_UNESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", line) + "\n")


def _write_parquet(path: Path, made: Iterator[Row], columns: dict[str, str], header: Row, raw: bool) -> None:
    """Write row groups; the run's header goes into the file's metadata under "maker"."""
    try:
        import pyarrow as pa  # noqa: PLC0415 -- an extra: only this format needs it
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError:
        raise TaskError("a Parquet file needs pyarrow: pip install 'maker[parquet]', or write .csv or .jsonl") from None
    schema = pa.schema(
        [(name, pa.type_for_alias(kind)) for name, kind in columns.items()], metadata={"maker": json.dumps(header)}
    )
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for group in _groups({name: _flat(value) for name, value in row.items()} for row in made):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))


def _groups(made: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield rows in groups that are bounded in number and in text."""
    group: list[Row] = []
    size = 0
    for row in made:
        group.append(row)
        size += sum(len(value) for value in row.values() if isinstance(value, str))
        if len(group) >= GROUP_ROWS or size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


_WRITERS = {".parquet": _write_parquet, ".csv": _write_csv, ".jsonl": _write_jsonl}
