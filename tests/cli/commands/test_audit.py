"""`maker audit`: a bound in the first lines, the judges by name, and exit codes that say what is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from maker import load_task, map_sync, run_sync
from maker.testing import ScriptedModel

HARD = "oracle:p=0.99,hard=0.03,p_hard=0.2"


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the journal of a run of 255 steps, some of them decided wrongly."""
    path = tmp_path_factory.mktemp("audit") / "run.db"
    assert run_sync(load_task("hanoi", disks=8), model=HARD, k=3, journal=path, segments=1).wrong == 10
    return path


def test_the_truth_finds_the_wrong_steps(journal: Path, maker: Any) -> None:
    """All steps judged: as many are wrong as the run counted, the first are shown, and it leaves with 1."""
    code, out, err = maker("audit", journal, "--by", "truth", "--sample", 255)
    assert (code, err) == (1, "") and "result: decisions seen that are wrong" in out and "(simulated model)" in out
    assert "of the run's 255 steps: 10 to 10, about 10" in out and out.count("  step ") == 10
    said = json.loads(maker("audit", journal, "--by", "truth", "--sample", 255, "--json")[1])
    assert (said["wrong"], said["low"], said["high"], said["exit_code"]) == (10, 10, 10, 1)
    assert {one["step"] for one in said["disputed"]} and said["judge"] == "the task's truth"


def test_a_bound_is_shown_refuted_or_open(journal: Path, maker: Any) -> None:
    """Exit codes 0, 1 and 3, each with its word."""
    code, out, _ = maker("audit", journal, "--by", "truth", "--bound", 0.2)
    assert code == 0 and "at most 20.0000% wrong: shown" in out
    code, out, _ = maker("audit", journal, "--by", "truth", "--bound", 0.005)
    assert code == 1 and "at most 0.5000% wrong: REFUTED, there are more" in out
    code, out, _ = maker("audit", journal, "--by", "truth", "--bound", 0.03, "--sample", 254)
    assert code in (0, 1, 3) and ("shown" in out, "REFUTED" in out, "open" in out).index(True) == (0, 1, 3).index(code)


def test_a_checker_from_a_file_is_used_and_a_bad_one_is_refused(journal: Path, maker: Any, tmp_path: Path) -> None:
    """FILE.py:FUNCTION with state, step and answer; what is missing, or says neither true nor false, exits with 2."""
    checker = tmp_path / "mine.py"
    checker.write_text("def fine(state, step, answer):\n    return True\n\ndef odd(state, step, answer):\n    pass\n")
    code, out, err = maker("audit", journal, "--by", f"{checker}:fine")
    assert (code, err) == (0, "") and "none seen that is wrong" in out and "judge: the checker fine" in out
    for by in (f"{checker}:odd", f"{checker}:none", "none.py:x"):
        code, _, err = maker("audit", journal, "--by", by)
        assert code == 2 and err.startswith("maker: ") and err.count("\n") == 1, by


def test_a_model_is_stopped_by_a_limit_and_gone_on_with(journal: Path, maker: Any) -> None:
    """It says that disagreement is what it counts, what it took and where it is kept; the same command goes on."""
    by = ["--by", "oracle:p=0.99,seed=5", "--sample", 140]
    code, out, err = maker("audit", journal, *by, "--max-calls", 400)
    assert (code, err) == (3, "") and "stopped: max_calls" in out and "not known yet" in out
    code, out, err = maker("audit", journal, *by)
    assert (code, err) == (1, "") and "disagreed with: at most" in out and "what it means: a model errs, too" in out
    assert f"kept in: {journal}.audit" in out and " calls, " in out and " | move = " in out
    code, out, err = maker("audit", journal, "--by", "oracle:p=0.98", "--sample", 140)
    assert code == 6 and "needs another --to" in err and err.count("\n") == 1


def test_a_person_is_given_a_file(journal: Path, maker: Any, tmp_path: Path) -> None:
    """The file is named, with what to write into it."""
    sheet = tmp_path / "sheet.csv"
    code, out, err = maker("audit", journal, "--by", "csv", "--sample", 5, "--to", sheet)
    assert (code, err) == (3, "") and "write yes or no into the column right" in out and sheet.exists()
    sheet.write_text(sheet.read_text().replace(",\n", ",yes\n"))
    assert sheet.read_text().startswith("run,step,kind,votes,prompt,answer,right")


def test_what_a_person_said_corrects_a_model(journal: Path, maker: Any, tmp_path: Path) -> None:
    """The numbers are then of wrong decisions, with how often the judge was mistaken."""
    sheet = tmp_path / "sheet.csv"
    maker("audit", journal, "--by", "csv", "--sample", 40, "--to", sheet)
    sheet.write_text(sheet.read_text().replace(",\n", ",yes\n"))
    by = ["--by", "oracle:p=1", "--sample", 140, "--to", tmp_path / "judge.db"]
    code, out, err = maker("audit", journal, *by, "--known", sheet)
    assert (code, err) == (3, "") and " of 40 that a person judged, too" in out and "by the person alone" in out
    assert "if it misses no more than" in out and "what it means" not in out
    assert maker("audit", journal, "--by", "truth", "--known", sheet)[0] == 2


@pytest.mark.parametrize(
    "wrong",
    [
        ["--by", "truth", "--bound", "0.001", "--sample", "20"], ["--by", "truth", "--bound", "2"], ["--by", "nobody"],
        ["--by", "truth", "--sample", "0"], ["--by", "truth", "--timeout", "3"], ["--by", "truth", "--to", "x.db"],
        ["--by", "truth", "--task", "none.py:X"], [],
    ],
)  # fmt: skip
def test_what_does_not_fit_exits_with_2(journal: Path, maker: Any, wrong: list[str]) -> None:
    """One line each, before anything is asked."""
    code, out, err = maker("audit", journal, *wrong)
    assert (code, out) == (2, "") and err.startswith("maker: ") and err.count("\n") == 1


def test_a_task_of_ones_own_is_given(maker: Any, tmp_path: Path) -> None:
    """--task names its class; the parameters are those of the journal."""
    file = tmp_path / "own.py"
    file.write_text((Path(__file__).parents[2] / "kit" / "adding.py").read_text() + "\n"
                    "    @property\n    def parameters(self):\n        return {'steps': self.goal}\n\n"
                    "    def truth(self, state, step):\n        return state + 1\n")  # fmt: skip
    path = tmp_path / "run.db"
    run_sync(load_task(f"{file}:Adding", steps=30), model="oracle:p=1", k=1, journal=path)
    assert maker("audit", path, "--by", "truth")[0] == 2
    code, out, _ = maker("audit", path, "--by", "truth", "--task", f"{file}:Adding")
    assert code == 0 and "0 to 0, about 0" in out


def test_a_map_is_audited_with_its_items(maker: Any, tmp_path: Path) -> None:
    """--items and --prompt make the questions again; the journal alone is not enough, and other items are refused."""
    path, items, checker = tmp_path / "map.db", tmp_path / "items.txt", tmp_path / "mine.py"
    words = [f"w{number}" for number in range(40)]
    map_sync("Say {item}.", words, model=ScriptedModel(lambda request: request.prompt[4:-1]), k=1, journal=path)
    items.write_text("\n".join(words))
    checker.write_text("def same(item, position, answer):\n    return item == answer\n")
    by = ["--by", f"{checker}:same"]
    code, out, err = maker("audit", path, *by, "--items", items, "--prompt", "Say {item}.")
    assert (code, err) == (0, "") and "40 of 40 decided steps were judged" in out
    code, _, err = maker("audit", path, *by)
    assert code == 2 and "--items and --prompt" in err
    assert maker("audit", path, *by, "--items", items)[0] == 6
