"""A study written into a folder: rows as CSV (and Parquet), the figure as PNG, each where its library is installed.

Rows of language models, measured once, are kept with the code in `data/NAME.csv` beside an experiment: they are the
rows that it wrote when it was run with `--model`, those of a further model below. So its table needs no model.

Not covered: how figures look (`figure.py`).
"""

from __future__ import annotations

import csv
import importlib
import importlib.util
from pathlib import Path

from maker.errors import TaskError
from maker.experiments.kit.figure import save
from maker.experiments.kit.study import Row, Study


def write(study: Study, folder: Path, *, parquet: bool = True) -> dict[str, str]:
    """Write rows and figure into a folder and return the paths by kind; what needs an extra is left out.

    Raises TaskError when the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        rows = folder / f"{study.name}.csv"
        with rows.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(study.rows[0]), lineterminator="\n")
            writer.writeheader()
            for row in study.rows:
                writer.writerow({key: f"{cell:.8g}" if isinstance(cell, float) else cell for key, cell in row.items()})
        study.files["csv"] = str(rows)
        if parquet and _write_parquet(rows.with_suffix(".parquet"), study.rows):
            study.files["parquet"] = str(rows.with_suffix(".parquet"))
        figure = folder / f"{study.name}.png"
        if study.draw is None:
            figure.unlink(missing_ok=True)  # one of before would be taken for this one's
        elif can_draw():
            study.files["figure"] = str(save(study, figure))
    except OSError as error:
        raise TaskError(f"--out {folder}: cannot be written: {error}. Give another folder.") from None
    return study.files


def kept(folder: Path, name: str) -> list[dict[str, str]]:
    """Return the rows of language models that are kept with an experiment's code, if any. folder: of the experiment."""
    path = folder / "data" / f"{name}.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def can_draw() -> bool:
    """Say whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def _write_parquet(path: Path, rows: list[Row]) -> bool:
    """Write rows as Parquet; return False where pyarrow is not installed."""
    if importlib.util.find_spec("pyarrow") is None:
        return False
    arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    parquet.write_table(arrow.Table.from_pylist(rows), path)
    return True
