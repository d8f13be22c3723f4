"""What an experiment leaves in a folder: figure, CSV and Parquet."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from maker.errors import TaskError
from maker.experiments.kit.files import kept, write
from maker.experiments.kit.study import Study


def test_figure_and_rows_are_written(outcomes, tmp_path):
    """The figure is a PNG of at least 800 pixels and few bytes; the CSV and the Parquet file hold every row."""
    image, parquet = pytest.importorskip("PIL.Image"), pytest.importorskip("pyarrow.parquet")
    outcome = replace(outcomes["decomposition"], files={})
    files = write(outcome, tmp_path)
    with image.open(files["figure"]) as picture:
        assert picture.format == "PNG" and picture.width >= 800
    assert Path(files["figure"]).stat().st_size < 150_000
    with Path(files["csv"]).open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [row["model"] for row in read] == [row["model"] for row in outcome.rows]
    assert [float(row["calls_a_step"]) for row in read] == pytest.approx([row["calls_a_step"] for row in outcome.rows])
    assert parquet.read_table(files["parquet"]).to_pylist() == outcome.rows


def test_a_folder_that_cannot_be_written_is_said(tmp_path, outcomes):
    """Rows that cannot be written are a TaskError that names the folder."""
    (tmp_path / "file").write_text("")
    with pytest.raises(TaskError, match="cannot be written"):
        write(replace(outcomes["scaling"], files={}), tmp_path / "file")


def test_where_nothing_was_measured_there_is_no_figure(tmp_path):
    """One of before is taken away; rows are written all the same."""
    (tmp_path / "x.png").write_bytes(b"of before")
    study = Study("x", "?", [{"p": 0.02}], [["p"]], None, "nothing to measure: p = 0.02.", "", "", "", 0)
    files = write(study, tmp_path, parquet=False)
    assert set(files) == {"csv"} and not (tmp_path / "x.png").exists()


def test_rows_that_are_kept_are_read_by_name(tmp_path):
    """From the folder `data` beside an experiment; where there is no file there are none."""
    assert kept(tmp_path, "x") == []
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.csv").write_text("model,p\nsome,0.5\n")
    assert kept(tmp_path, "x") == [{"model": "some", "p": "0.5"}]
