"""The reading and the bookkeeping of the proof; its rows need a real model, and are no test."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import maker

spec = importlib.util.spec_from_file_location("proof_script", Path(__file__).parent / "proof.py")
proof: Any = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = proof
spec.loader.exec_module(proof)


@pytest.mark.parametrize("name", sorted(set(proof.ROWS) - {"hanoi"}))
def test_a_row_has_the_same_problems_for_both(name):
    """A number makes the same problem each time, and the answer that a single call must give is the task's own."""
    row = proof.ROWS[name]
    task, again = proof.task_of(row, 1), proof.task_of(row, 1)
    assert task.parameters == again.parameters != proof.task_of(row, 2).parameters
    result = maker.run_sync(task, model="oracle:p=1", k=1)
    assert result.solved
    answer = result.answer if isinstance(result.answer, list) else [result.answer]
    assert row.right(task) == answer


def test_the_moves_wanted_of_one_call_are_a_solution():
    """The numbers that a reply must hold are the shortest way of the tower, move by move, numbered lines or not."""
    row = proof.ROWS["hanoi"]
    task = proof.task_of(row, 0)
    right = row.right(task)
    moves = [tuple(right[at : at + 3]) for at in range(0, len(right), 3)]
    tower = maker.load_task("hanoi", disks=7)
    state = tower.initial_state()
    for move in moves:
        assert tower.legal(state, move)
        state = tower.apply(state, move)
    assert tower.done(state)
    lines = [f"{disk} {source} {target}" for disk, source, target in moves]
    assert proof.holds("Here they are:\n" + "\n".join(lines), right)
    assert proof.holds("\n".join(f"{at}. [{line}]" for at, line in enumerate(lines, 1)), right)
    assert not proof.holds("\n".join(lines[:-1]), right)


def test_what_was_tried_is_not_tried_again(tmp_path, monkeypatch):
    """A run that is done stands in the file, and the table counts it with its interval."""
    monkeypatch.setattr(proof, "FOLDER", tmp_path)
    row = replace(proof.ROWS["product"], runs=2)
    proof.voted("product", row, "oracle:p=0.98")
    before = (tmp_path / "results.jsonl").read_text()
    proof.voted("product", row, "oracle:p=0")
    assert (tmp_path / "results.jsonl").read_text() == before
    assert [said["right"] for said in proof.tried()["product", "maker"]] == [True, True]
    assert [line for line in proof.table() if "2 of 2 | 0.16 to 1.00" in line]


def test_the_figure_has_a_row_for_what_was_tried_in_every_way(tmp_path, monkeypatch):
    """A row with tries of both ways to ask once and of maker is drawn; one that lacks a way is not."""
    monkeypatch.setattr(proof, "FOLDER", tmp_path)
    for name, ways in (("sum", (*proof.prompts(), "maker")), ("sort", ("maker",))):
        for way in ways:
            proof.note(row=name, way=way, right=way == "maker", tokens=1, seconds=1, **{"try": 0})
    proof.figure(tmp_path / "proof.svg")
    drawn = (tmp_path / "proof.svg").read_text()
    assert "sum of two 40-digit numbers" in drawn and "60 numbers" not in drawn
