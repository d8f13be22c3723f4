"""`maker estimate`: one screen, one object, and an exit code."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from maker.cli.app import app


def shell(*arguments: str) -> tuple[int, str]:
    """Run the command line in this process."""
    result = CliRunner().invoke(app, ["estimate", *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_the_command_prints_one_object() -> None:
    """With --json one object, with everything a planner needs; 0 when feasible."""
    code, out = shell("hanoi", "--disks", "8", "--model", "oracle:p=0.97,v=0.9", "--steps", "200", "--json")
    said = json.loads(out)
    assert code == said["exit_code"] == 0
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


def test_the_command_prints_one_screen() -> None:
    """For a person: at most 24 lines, verdict first, simulated models called so."""
    code, out = shell("hanoi", "--disks", "8", "--model", "oracle:p=0.97,v=0.9,confusion=0.05", "--steps", "200")
    lines = out.strip().splitlines()
    assert code == 0
    assert len(lines) <= 24
    assert lines[0].startswith("verdict: feasible, not proven: k = ")
    assert any(line.startswith("model:") and "(simulated)" in line for line in lines)
    assert any(line.startswith("cost: not known") for line in lines)


def test_kinds_stand_on_the_screen_the_worst_first() -> None:
    """A row each with p, v and tokens; then wrong replies of the worst kind, and what was right."""
    options = ["--design", "questions", "--x", "9" * 40, "--y", "1", "--steps", "80"]
    code, out = shell("addition", *options, "--model", "oracle:p=0.8,v=0.9")
    rows = dict(line.split(": ", 1) for line in out.strip().splitlines())
    assert code == 0
    assert {name for name in rows if name.startswith("kind")} == {"kind digits", "kind carry"}
    assert "tokens a reply" in rows["kind digits"]
    assert '", right was ' in rows["wrong replies"]
    code, out = shell("hanoi", "--disks", "5", "--steps", "30", "--model", "oracle:p=0.8")
    assert not any(word in out for word in ("kind", "wrong replies"))
