"""`maker estimate`: one screen, one object, and an exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from maker.cli.app import app
from maker.errors import JournalError, TaskError


def shell(*arguments: str) -> tuple[int, str]:
    """Run the command line in this process."""
    result = CliRunner().invoke(app, ["estimate", *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_the_command_prints_one_object() -> None:
    """With --json one object, with everything a planner needs; 3 when voting can do it as far as is known."""
    code, out = shell("hanoi", "--disks", "8", "--model", "oracle:p=0.97,v=0.9", "--steps", "200", "--json")
    said = json.loads(out)
    assert code == said["exit_code"] == 3
    assert said["verdict"] == "feasible unless errors cluster"
    assert set(said["worst_case"]) == {"lost_low", "lost_high", "success_low", "by"}
    wanted = {
        "p", "p_low", "p_high", "v", "v_low", "v_high", "rho", "rho_low", "rho_high", "k", "samples", "samples_low",
        "samples_high", "success", "feasible", "proven", "reason", "tokens", "cost", "seconds", "kinds", "flags",
        "lengths", "n", "against", "simulated", "steps", "target", "draws",
    }  # fmt: skip
    assert wanted <= set(said)
    assert said["simulated"] is True
    assert said["flags"]["malformed"]["count"] > 0
    assert said["samples_low"] <= said["samples"] <= said["samples_high"]


def test_the_command_leaves_with_two_when_infeasible() -> None:
    """An infeasible task leaves with 2, and its object is printed all the same."""
    code, out = shell("hanoi", "--disks", "8", "--model", "oracle:p=0.4", "--steps", "100", "--json")
    said = json.loads(out)
    assert (code, said["feasible"], said["k"], said["samples"]) == (2, False, None, None)


def test_the_command_leaves_with_zero_when_it_is_shown() -> None:
    """A run of one step on 600 clean draws is feasible whatever the shape, and no step of it is likely to be lost."""
    code, out = shell("hanoi", "--disks", "1", "--model", "oracle:p=1", "--steps", "600")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].startswith("verdict: feasible: k = 1")
    assert lines[2].startswith("whatever its shape: between 0 and 0.0")


def test_what_would_settle_it_is_said_with_its_cost() -> None:
    """An open verdict comes with one line of which draws would settle it; a shown or a refused one has none."""
    _, out = shell("hanoi", "--disks", "6", "--model", "oracle:p=1", "--steps", "100")
    (line,) = [line for line in out.splitlines() if line.startswith("to settle it: ")]
    assert "steps drawn on once with errors as seen" in line
    assert "at this pace" in line
    assert "to settle it" not in shell("hanoi", "--disks", "8", "--model", "oracle:p=0.4", "--steps", "100")[1]


def test_the_worst_case_is_planned_by_where_it_is_asked_for() -> None:
    """With --worst-case a short run has a k that is promised (0), and a long one has none, which stays open (3)."""
    code, out = shell("hanoi", "--disks", "2", "--model", "oracle:p=1", "--steps", "900", "--worst-case")
    assert (code, out.splitlines()[0]) == (0, "verdict: feasible: k = 1 for target 0.95")
    assert "by the worst case, not by a Beta" in out
    code, out = shell("hanoi", "--disks", "8", "--model", "oracle:p=1", "--steps", "900", "--worst-case")
    assert (code, out.splitlines()[0]) == (
        3,
        "verdict: feasible unless errors cluster: no k is promised for target 0.95",
    )
    assert "No k promises 0.95 whatever the shape of difficulty" in out


def test_the_command_prints_one_screen() -> None:
    """For a person: at most 24 lines, verdict and what holds for which shapes first, simulated models called so."""
    code, out = shell("hanoi", "--disks", "8", "--model", "oracle:p=0.97,v=0.9,confusion=0.05", "--steps", "200")
    lines = out.strip().splitlines()
    assert code == 3
    assert len(lines) <= 24
    assert lines[0].startswith("verdict: feasible unless errors cluster: k = ")
    assert lines[1].startswith("if difficulty is spread smoothly (Beta): success 9")
    assert lines[2].startswith("whatever its shape: between 0 and ")
    assert " of 255 steps lost at any k, success at least 0" in lines[2]
    assert any(line.startswith("model:") and "(simulated)" in line for line in lines)
    assert any(line.startswith("cost: not known") for line in lines)


def test_kinds_stand_on_the_screen_the_worst_first() -> None:
    """A row each with p, v and tokens; then wrong replies of the worst kind, and what was right."""
    options = ["--design", "questions", "--x", "9" * 40, "--y", "1", "--steps", "80"]
    code, out = shell("addition", *options, "--model", "oracle:p=0.8,v=0.9")
    rows = dict(line.split(": ", 1) for line in out.strip().splitlines())
    assert code == 3
    assert {name for name in rows if name.startswith("kind")} == {"kind digits", "kind carry"}
    assert "tokens a reply" in rows["kind digits"]
    assert '", right was ' in rows["wrong replies"]
    code, out = shell("hanoi", "--disks", "5", "--steps", "30", "--model", "oracle:p=0.8")
    assert not any(word in out for word in ("kind", "wrong replies"))


LATE = """
import maker

Addition = type(maker.load_task("addition"))


class Late:
    \"\"\"An addition whose plain design no reply can answer.\"\"\"

    designs = {"mute": "never read", "lines": "", "questions": ""}

    def __init__(self, design="mute"):
        self._task = Addition(9 * 10**29, 1, "lines" if design == "lines" else "questions")
        self._design = design
        self.name, self.parameters, self.steps = "late", {"design": design}, self._task.steps

    def __getattr__(self, name):
        return getattr(self._task, name)

    def parse(self, text):
        if self._design == "mute":
            raise ValueError("no")
        return self._task.parse(text)
"""


def test_designs_are_compared_the_cheapest_feasible_first(tmp_path: Path) -> None:
    """Each is measured; those that cannot do it stand last with the reason, and one that can is enough for 3."""
    (tmp_path / "late.py").write_text(LATE)
    asked = [f"{tmp_path / 'late.py'}:Late", "--steps", "60", "--model", "oracle:p=0.97"]
    code, out = shell(*asked, "--designs", "all", "--json")
    said = json.loads(out)
    assert (code, said["exit_code"]) == (3, 3)
    assert list(said["designs"]) == ["questions", "lines", "mute"]
    questions, lines, mute = said["designs"].values()
    assert questions["tokens"] < lines["tokens"]
    assert (questions["steps"], lines["steps"]) == (60, 30)
    assert mute["feasible"] is False
    assert "0 of 30 samples could vote" in mute["reason"]
    code, out = shell(*asked, "--designs", "mute,lines")
    rows = out.strip().splitlines()
    assert (code, len(rows)) == (3, 2)
    assert "rho = 0.0" in rows[0]
    assert rows[0].startswith("lines: feasible unless errors cluster: k = ")
    assert rows[1].startswith("mute: INFEASIBLE: only 0 of 30")
    assert shell(*asked, "--designs", "mute")[0] == 2


def test_windows_are_compared_on_the_same_states() -> None:
    """Each has p of its own, in an object under its name; the pairs are told on the screen."""
    asked = ["dict-sum", "--steps", "40", "--model", "oracle:p=0.9"]
    code, out = shell(*asked, "--windows", "0,2", "--json")
    said = json.loads(out)
    assert (code, list(said["windows"])) == (3, ["window 0", "window 2"])
    none, two = said["windows"].values()
    assert none["p"] == two["p"] < 1
    assert none["tokens"] < two["tokens"]
    assert "pairs: window 0, window 2: 40 of the same states" in shell(*asked, "--windows", "0,2")[1]


def test_designs_that_are_not_there_are_refused() -> None:
    """An unknown one is answered with the list; so is the option where a task has none."""
    result = CliRunner().invoke(app, ["estimate", "addition", "--model", "oracle:p=1", "--designs", "lines,odd"])
    assert isinstance(result.exception, TaskError)
    assert "no design 'odd'. It has: lines: " in str(result.exception)
    result = CliRunner().invoke(app, ["estimate", "template", "--model", "oracle:p=1", "--designs", "all"])
    assert "template has one design" in str(result.exception)


def test_a_pool_has_a_row_for_each_model_and_each_two() -> None:
    """With p, v and rho of each, and at how many steps two are wrong together."""
    a, b = "oracle:p=0.9,v=0.9", "oracle:p=0.8,v=0.9"
    said = shell("hanoi", "--model", a, "--model", b, "--steps", "60")[1]
    assert f"of {a}" in said
    assert f"of {b}" in said
    assert "both wrong at" in said


def test_the_run_goes_on_with_the_journal_of_its_estimate(tmp_path: Path) -> None:
    """`maker run` takes over the k, says what was drawn to find it, and a second estimate needs another file."""
    journal, asked = tmp_path / "run.journal", ["hanoi", "--disks", "5", "--model", "oracle:p=0.97"]
    _, out = shell(*asked, "--journal", str(journal))
    assert "`maker run` with the same settings goes on with it" in " ".join(out.split())
    result = CliRunner().invoke(app, ["run", *asked, "--journal", str(journal)])
    assert result.exit_code == 0 and "to calibrate" in result.stdout
    with pytest.raises(JournalError, match="was planned already"):
        shell(*asked, "--journal", str(journal))
    with pytest.raises(TaskError, match="leave --journal out"):
        shell(*asked, "--designs", "all", "--journal", str(journal))
