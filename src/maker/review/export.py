r"""A journal as a table: one row a step, or one row a sample, as Parquet, CSV or JSON lines.

Rows are read and written in groups of bounded number and size, so a million steps need no more memory than a
thousand. The file appears under its name only when it is complete. Nothing is interpreted: answers are the texts that
first gave them; a text of which the journal has only a digest is null, its digest is there all the same.

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
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from maker.decision.wave import FLAGGED, known
from maker.errors import TaskError
from maker.journal.bulk.plain import Run
from maker.journal.steps import StoredStep, steps_of, told
from maker.journal.story import Story
from maker.journal.views.items import ByItem, is_map
from maker.review.kinds import Kinds
from maker.task.canonical import DIGEST_SIZE, digest
from maker.task.cells import harmless
from maker.task.task import Task

GROUP_ROWS = 20_000  # a row group of Parquet
GROUP_BYTES = 8_000_000  # characters of text in one, at which it is closed
_UNESCAPED = re.compile("[\x7f-\x9f]")  # by JSON
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
Row = dict[str, Any]
Cells = tuple[Any, ...]  # of a row, in the order of the columns
_PLAIN: Row = {}  # what is unusual about a plain draw
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
    names = tuple(columns_of(what, kinds=task is not None))
    return (dict(zip(names, cells, strict=True)) for cells in _rows(journal, what, task))


def columns_of(what: str, *, kinds: bool) -> dict[str, str]:
    """Return the columns of a table, each with its Arrow type. kinds: with the kind of each step.

    Raises TaskError for a table that is none.
    """
    if what not in COLUMNS:
        raise TaskError(f"what = {what!r}: give one of {', '.join(COLUMNS)}")
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
    progress: called now and then with the rows written and those of a finished run (0: unknown).
    Raises JournalError for a journal that cannot be read, TaskError for a name, folder or task that does not fit.
    On failure nothing is left and an older file stays as it was.
    """
    output = Path(output)
    write = _WRITERS.get(output.suffix.lower())
    if write is None:
        raise TaskError(f"{output}: give a name that ends in {', '.join(_WRITERS)}")
    columns, story = columns_of(what, kinds=task is not None), Story(journal)
    header, count = story.header(), 0
    total = int(header["steps"] or 0) if what == "steps" else 0

    def counted() -> Iterator[Cells]:
        nonlocal count
        for count, cells in enumerate(_rows(story, what, task), 1):
            if progress is not None and count % 10_000 == 0:
                progress(count, total)
            yield cells

    with replacing(output, journal) as partial:
        write(partial, counted(), columns, header, raw)
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


def _rows(journal: str | Path | Story, what: str, task: Task | None) -> Iterator[Cells]:
    make = _step_rows if what == "steps" else _sample_rows
    story = journal if isinstance(journal, Story) else Story(journal)
    if task is None and not is_map(story.latest):
        for found in story.steps_in_turn():
            yield from _plain_rows(found, what) if isinstance(found, Run) else make(found, ())
        return
    kinds = None if task is None else Kinds(story, task)
    for stored in ByItem(story).steps() if is_map(story.latest) else story.steps():
        yield from make(stored, () if kinds is None else (_storable(kinds.take(stored)),))


def _plain_rows(run: Run, what: str) -> Iterator[Cells]:
    """Yield the rows of plain waves, as they would come of each by itself."""
    make = _step_rows if what == "steps" else _sample_rows
    for number, ((raw, votes, verdict), tokens) in enumerate(zip(run.rows, run.tokens(), strict=True)):
        step = run.first + number
        try:
            text = _storable(raw.decode("utf-8", "surrogatepass"))
        except UnicodeDecodeError:
            yield from make(next(steps_of([run.wave(number)])), ())  # which says so
            continue
        if what == "steps":
            state = verdict[DIGEST_SIZE:].hex()
            yield step, True, text, votes, 0, votes, 1, 0.0, votes, 0, {}, 1, *tokens, state
            continue
        hashed, counts = digest(raw).hex(), run.wave(number).draws
        for draw, (tokens_in, tokens_out) in enumerate(zip(counts[2::4], counts[3::4], strict=True)):
            said = text, hashed, known(tokens_in), known(tokens_out)
            yield step, draw, 0, 0, True, None, *said, "stop", None, None, None, None, None


def _step_rows(stored: StoredStep, kind: tuple[str, ...]) -> Iterator[Cells]:
    tally, winner = stored.tally(), stored.winner
    votes = sorted(tally.counts.values(), reverse=True) or [0]
    yield (
        stored.step, winner is not None, None if winner is None else _storable(stored.answer(winner)),
        votes[0], votes[1] if len(votes) > 1 else 0, tally.margin, len(tally.counts), tally.entropy,
        len(stored.candidates), tally.flagged, dict(stored.flags) if tally.flagged else {}, stored.rounds,
        told(stored.tokens_in), told(stored.tokens_out), stored.state_digest.hex() or None, *kind,
    )  # fmt: skip


def _sample_rows(stored: StoredStep, kind: tuple[str, ...]) -> Iterator[Cells]:
    step, winner = stored.step, stored.winner
    texts: dict[int, tuple[str | None, str]] = {}  # by number: the text and its digest
    waves = (number for number, wave in enumerate(stored.waves) for _ in range(len(wave)))
    columns = waves, stored.candidates, stored.numbers, stored.tokens_in, stored.tokens_out
    for draw, (wave, candidate, number, tokens_in, tokens_out) in enumerate(zip(*columns, strict=True)):
        facts, voted = stored.facts.get(draw, _PLAIN), candidate != FLAGGED
        said: tuple[str | None, str | None] = (None, None)
        if not facts.get("silent"):
            if number not in texts:
                text = stored.text(draw)
                texts[number] = None if text is None else _storable(text), stored.digest(draw).hex()
            said = texts[number]
        yield (
            step, draw, wave, candidate if voted else None, None if winner is None else candidate == winner,
            None if voted else _storable(stored.flag(draw)), *said, known(tokens_in), known(tokens_out),
            _word(facts.get("finish", "stop")), _word(facts.get("id")), _number(facts.get("logprob")),
            _word(facts.get("model")), _number(facts.get("latency")), _word(facts.get("source")), *kind,
        )  # fmt: skip


def _storable(text: str) -> str:
    """Return text as UTF-8 can hold it."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _word(fact: object) -> str | None:
    return None if fact is None else _storable(str(fact))


def _number(fact: object) -> float | None:
    """Return a number that a double can hold; a fact that is none was the model's own invention."""
    if isinstance(fact, bool) or not isinstance(fact, (int, float)):
        return None
    with suppress(OverflowError):
        return float(fact) if math.isfinite(fact) else None  # JSON has no others
    return None


def _write_csv(path: Path, made: Iterator[Cells], columns: dict[str, str], header: Row, raw: bool) -> None:
    says = [_SAYS.get(kind) for kind in columns.values()]  # a text of each value that is no number
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for cells in made:
            writer.writerow([
                cell if say is None or cell is None else say(cell, raw) for say, cell in zip(says, cells, strict=True)
            ])  # fmt: skip


def _truth(value: bool, raw: bool) -> str:
    return "true" if value else "false"  # as JSON has them


def _text(value: str | Row, raw: bool) -> str:
    """Return text as CSV says it: no NUL, none that runs."""
    text = value if isinstance(value, str) else _flat(value)
    return text.replace("\0", "\\x00") if raw else harmless(text)


_SAYS: dict[str, Callable[[Any, bool], str]] = {"bool": _truth, "string": _text}


def _flat(flags: Row) -> str:
    return json.dumps(flags, ensure_ascii=False)


def _write_jsonl(path: Path, made: Iterator[Cells], columns: dict[str, str], header: Row, raw: bool) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for cells in made:
            line = _json(dict(zip(columns, cells, strict=True)))
            file.write(_UNESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", line) + "\n")


def _write_parquet(path: Path, made: Iterator[Cells], columns: dict[str, str], header: Row, raw: bool) -> None:
    """Write row groups; the run's header goes into the file's metadata under "maker"."""
    try:
        import pyarrow as pa  # noqa: PLC0415 -- an extra: only this format needs it
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError:
        raise TaskError("a Parquet file needs pyarrow: pip install 'maker[parquet]', or write .csv or .jsonl") from None
    kinds = {name: pa.type_for_alias(kind) for name, kind in columns.items()}
    schema = pa.schema(list(kinds.items()), metadata={"maker": json.dumps(header)})
    texts = [at for at, kind in enumerate(columns.values()) if kind == "string"]
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for group in _groups(made, texts):
            arrays = [
                pa.array(map(_flat, column) if name == "flags" else column, kind, size=len(group))
                for (name, kind), column in zip(kinds.items(), zip(*group, strict=True), strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _groups(made: Iterable[Cells], texts: Sequence[int]) -> Iterator[list[Cells]]:
    """Yield rows in groups that are bounded in number and in text. texts: the places of texts in a row."""
    group: list[Cells] = []
    size = 0
    for cells in made:
        group.append(cells)
        for at in texts:
            if cells[at]:
                size += len(cells[at])
        if len(group) >= GROUP_ROWS or size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


_WRITERS = {".parquet": _write_parquet, ".csv": _write_csv, ".jsonl": _write_jsonl}
