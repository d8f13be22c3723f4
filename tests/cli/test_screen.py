"""What a person sees fits a screen, says what is simulated, and cannot drive the terminal."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import pytest

import maker
from maker.cli.screen import hushed, note, print_rows, progress_bar, run_rows, safe


@pytest.fixture(scope="module")
def result() -> maker.RunResult:
    """Return the result of a small simulated run."""
    return maker.run_sync("hanoi", model="oracle:p=0.9,v=0.9", k=4)


def rows_of(result: maker.RunResult) -> dict[str, str]:
    """Return the summary as a mapping."""
    return dict(run_rows(result))


def test_the_summary_says_what_matters(result):
    """Result, model and that it is simulated, steps, k, segments, samples, observed p, v and rho are there."""
    rows = rows_of(result)
    assert rows["result"] == "solved" and rows["model"].endswith("(simulated)")
    assert rows["steps"] == "1,023" and rows["wrong steps"] == "0" and rows["k"] == "4"
    assert "p = 0.9" in rows["observed"] and "v = 0." in rows["observed"] and "rho = " in rows["observed"]
    assert "a step" in rows["samples"] and rows["segments"] == "1,023, side by side by plan"


@pytest.mark.parametrize(("seconds", "pace"), [(0.1, "10,230"), (100.0, "10"), (6820.0, "0.15")])
def test_a_slow_pace_is_no_nought(result, seconds, pace):
    """A model over a network may take seconds a step: it is no `0 steps/s`."""
    assert rows_of(replace(result, seconds=seconds))["time"].endswith(f"s, {pace} steps/s")


def test_a_long_race_does_not_fill_the_screen(result):
    """However many waves the longest step took, the line stays short and names the last."""
    shown = rows_of(replace(result, waves=Counter({1: 90, 2: 9, 300: 1})))["undecided"]
    assert shown.startswith("steps left after each wave: 10 > 1 > ") and shown.endswith("> 0 after 300")
    assert len(shown) < 120


def test_a_stop_says_what_to_do(result):
    """A stopped run shows its name and the remedy."""
    rows = rows_of(replace(result, solved=False, stopped="max_calls", detail="Raise max_calls and resume."))
    assert rows["result"] == "stopped: max_calls" and rows["what to do"] == "Raise max_calls and resume."


def test_rho_is_shown_only_where_a_collision_could_be_expected(result):
    """With hardly any error there is no estimate of rho, rather than a zero."""
    assert replace(result, first_wrong=1, collisions=0).observed["rho"] is None
    assert replace(result, first_wrong=100, collisions=0).observed["rho"] < 0
    assert replace(result, first_wrong=1, collisions=1).observed["rho"] > 0.9
    assert replace(result, first_wrong=None, collisions=None).observed["p"] is None


def test_what_a_model_wrote_cannot_drive_the_terminal(capsys):
    """Escape codes, carriage returns and markup are shown, not obeyed."""
    assert safe("\x1b[31mred\r[bold]") == "\\x1b\\[31mred\\r\\[bold]"
    print_rows([("answer", safe("\x1b]0;title\x07[red]x"))], "title")
    out = capsys.readouterr().out
    assert "\x1b" not in out and "\x07" not in out and "[red]x" in out


def test_a_narrow_terminal_without_colour(result, monkeypatch, capsys):
    """On 80 columns no line is wider, and NO_COLOR leaves no colour even where a terminal is forced."""
    for name, value in (("COLUMNS", "80"), ("NO_COLOR", "1"), ("FORCE_COLOR", "1")):
        monkeypatch.setenv(name, value)
    print_rows([*run_rows(result), ("long", "word " * 50)], "maker run")
    plain = re.sub(r"\x1b\[[013]?m", "", capsys.readouterr().out)
    assert "\x1b" not in plain and max(map(len, plain.splitlines())) <= 80


@pytest.mark.parametrize("quiet", [False, True])
def test_a_terminal_gets_a_bar_and_notes_unless_quiet_was_asked_for(quiet, monkeypatch, capsys):
    """With --quiet nothing goes to stderr while a command runs."""
    monkeypatch.setenv("FORCE_COLOR", "1")  # as if stderr were a terminal
    before = hushed.set(quiet)
    try:
        with progress_bar("run", quiet=False) as bar:
            bar.steps(3, 10)
        note("a note")
    finally:
        hushed.reset(before)
    said = capsys.readouterr().err
    assert ("3 steps" in said, "a note" in said) == (not quiet, not quiet)
