"""`maker experiment`: one object or one table, files, and one message for what is wrong."""

from __future__ import annotations

import json
import sys

import pytest

from maker.errors import TaskError
from maker.experiments.kit.study import Options
from tiny import Tiny


def test_the_command_prints_one_json_object(maker, tmp_path):
    """--json prints one object with rows, paragraphs and the files written, and nothing else anywhere."""
    command = ("experiment", "decomposition", "--quick", "--model", "oracle:p=1", "--out", tmp_path)
    code, out, err = maker(*command, "--json")
    said = json.loads(out)
    assert (code, err) == (0, "")
    assert said["rows"] and said["shows"] and said["seed"] == 0 and "simulated" in said["simulated"]
    assert sorted(map(str, tmp_path.iterdir())) == sorted(said["files"].values())
    assert set(said["files"]) == {"csv", "parquet", "figure"}


def test_the_command_prints_table_and_paragraphs(maker, tmp_path, monkeypatch):
    """Without --json: question, table, what it shows and does not, seed, what is simulated; progress on stderr."""
    monkeypatch.setattr(Options, "size", Tiny.size)
    code, out, err = maker("experiment", "convergence", "--quick", "--model", "oracle:p=0.9", "--out", tmp_path)
    assert code == 0 and "stay undecided" in err
    for part in ("How fast", "Not shown:", "seed 0", "simulated: all draws of oracle", "convergence.csv"):
        assert part in out


def test_without_matplotlib_rows_are_written_all_the_same(maker, tmp_path, monkeypatch):
    """Where matplotlib is missing the message names the extra, and table and rows are there."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr(Options, "size", Tiny.size)
    code, out, err = maker("experiment", "convergence", "--quick", "--model", "oracle:p=0.9", "--out", tmp_path)
    assert code == 0 and "maker[plots]" in err and "figure" not in out.split("simulated:")[1]
    assert (tmp_path / "convergence.csv").exists() and not (tmp_path / "convergence.png").exists()


def test_an_experiment_knows_its_folder(maker, tmp_path, monkeypatch):
    """What a model was asked can be kept where rows and figure will be."""
    known = []

    def experiment(options):
        """Note the options."""
        known.append(options)
        raise TaskError("enough")

    monkeypatch.setattr("maker.cli.commands.experiment.load", lambda name: experiment)
    assert maker("experiment", "any", "--out", tmp_path)[0] == 2
    assert known[0].out == tmp_path and not known[0].allow_code
    assert maker("experiment", "execution-gap", "--allow-code", "--out", tmp_path)[0] == 2
    assert known[1].allow_code


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nothing"], "there is no experiment 'nothing'. Known: error-rate"),
        ([], "which experiment?"),
        (["scaling", "--model", "oracle"], "asks no model"),
        (["stopping-rules", "--model", "oracle"], "asks no model"),
        (["error-rate", "--seed", "-1"], "--seed -1"),
        (["error-rate", "--model", "oracle:q=1"], "no parameter 'q'"),
        (["execution-gap", "--model", "oracle:p=0.9"], "reads no words"),
        (["scaling", "--allow-code"], "--allow-code is for execution-gap alone"),
    ],
)
def test_bad_input_is_one_message_and_exit_2(maker, tmp_path, args, said):
    """Unknown names, a model where none is asked, a bad seed or a bad model: one message, exit code 2."""
    code, out, err = maker("experiment", *args, "--out", tmp_path)
    assert code == 2 and out == "" and said in err and "Traceback" not in err
