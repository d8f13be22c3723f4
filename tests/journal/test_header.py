"""The header of a journal outlives the code that wrote it: edits of maker's own files, and settings that came later."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import maker
from maker.api.map import Items
from maker.decision.config import Config
from maker.decision.sample import Failure, Request
from maker.errors import JournalError, ModelError, TaskError
from maker.journal.database import read_records
from maker.journal.header import changed_fields, check_accepted, make_header
from maker.journal.notes import note_of
from maker.journal.writer import Journal
from maker.task.coarse import _Coarse
from maker.testing import ScriptedModel, check_journal


class Count:
    """Counts to six."""

    name = "count"
    steps = 6

    def initial_state(self) -> int:
        return 0

    def prompt(self, state: int, step: int) -> str:
        return f"{state} + 1 ="

    def paraphrases(self, state: int, step: int) -> list[maker.View]:
        return [maker.View(self.prompt(state, step), str)]

    def parse(self, text: str) -> int:
        return int(text)

    def legal(self, state: int, action: int) -> bool:
        return True

    def apply(self, state: int, action: int) -> int:
        return action

    def done(self, state: int) -> bool:
        return state == self.steps

    def answer(self, state: int) -> int:
        return state


def right(request: Request) -> str:
    """Answer rightly."""
    return str(request.address.step + 1)


def carry(path: Path, *, lockstep: bool = True, **settings: Any) -> maker.RunResult:
    """Run the task at k = 3."""
    model = ScriptedModel(right, lockstep=lockstep)
    return maker.run_sync(Count(), model=model, journal=path, **{"k": 3, **settings})


def rewritten(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Return the journal as another version would have begun it: with another header, and the run's name from it."""
    records = list(read_records(path))
    header = json.loads(records[0][1:])["header"]
    before = header["run"].encode()
    change(header)
    header["run"] = "run-" + "0" * 16
    out = path.with_name(f"rewritten-{path.name}")
    with Journal(out) as journal:
        list(journal.replay())
        journal.append(records[0][:1] + json.dumps({"header": header}).encode())
        for record in records[1:]:
            journal.append(record.replace(before, header["run"].encode()))
    return out


def without(field: str) -> Callable[[dict[str, Any]], None]:
    """Return a change that drops a field."""
    return lambda header: header.pop(field, None)


LATER = sorted(set(Config.model_fields) - {"k", "segments"})  # those two are needed to read a journal at all
OTHER = {
    "target": 0.9, "seed": 1, "temperature": 0.2, "first_temperature": 0.0, "token_cap": 512, "long_answer": 700,
    "flags": "paper", "keep_samples": "none", "paraphrase": True, "system": "Be brief.", "stop": ["x"],
    "examples": [["1?", "1"]],
    "worst_case": True,
}  # fmt: skip


@pytest.mark.parametrize("field", LATER)
@pytest.mark.parametrize("lockstep", [True, False])
def test_a_journal_from_before_a_setting_is_resumed(tmp_path: Path, field: str, lockstep: bool) -> None:
    """A header without a field of Config is that of a run with its default: it goes on, and no epoch begins."""
    settings = {"keep_samples": "all", "flags": [], "lockstep": lockstep}
    carry(tmp_path / "run.db", limits={"max_steps": 3, "concurrency": 1}, **settings)
    result = carry(rewritten(tmp_path / "run.db", without(field)), **settings)
    assert (result.solved, result.replayed, result.epochs, result.samples) == (True, 3, 0, 18)


@pytest.mark.parametrize("field", sorted({*LATER} - {"weights"}))  # those need a pool: tests/whole/test_weights.py
def test_a_setting_that_came_later_is_refused_where_it_is_no_default(tmp_path: Path, field: str) -> None:
    """The header that lacks a field is not that of a run with another value of it: refused with the default."""
    settings = {"keep_samples": "all", "flags": []}
    carry(tmp_path / "run.db", limits={"max_steps": 3}, **settings)
    old = rewritten(tmp_path / "run.db", without(field))
    default = Config().model_dump(mode="json")[field]
    with pytest.raises(JournalError) as refused:
        carry(old, **{**settings, field: OTHER[field]})
    assert f"{field}: journal {default!r}, now " in str(refused.value)


def test_a_change_to_accept_that_is_misspelt_is_named() -> None:
    """Every field of a header, and the server's fingerprint, may be named; anything else is said with what there is."""
    header = make_header(Count(), ScriptedModel(right), Config(k=3))
    check_accepted([*(set(header) - {"run"}), "fingerprint"])
    with pytest.raises(
        TaskError, match=r"there is no 'temprature'\. Known are: version, task, .*temperature,.*fingerp"
    ):
        maker.run_sync(Count(), model=ScriptedModel(right), k=3, accept_change=["k", "temprature"])


@pytest.mark.parametrize("key", ["code", "prompt", "simulated", "parameters"])
def test_what_else_a_header_lacks_is_refused(tmp_path: Path, key: str) -> None:
    """Only settings have defaults: any other key that is missing is a difference."""
    carry(tmp_path / "run.db", limits={"max_steps": 3})
    with pytest.raises(JournalError, match=rf"{key}: journal None"):
        carry(rewritten(tmp_path / "run.db", without(key)))


def test_what_nobody_knows_is_refused(tmp_path: Path) -> None:
    """A header with a key that this version does not write is another run's."""
    carry(tmp_path / "run.db", limits={"max_steps": 3})
    with pytest.raises(JournalError, match="odd: journal 1, now None"):
        carry(rewritten(tmp_path / "run.db", lambda header: header.update(odd=1)))


def test_an_old_solve_pays_for_nothing_twice(tmp_path: Path) -> None:
    """A solve whose header lacks a field goes on under the name that its receipts bear."""
    asked: list[tuple[int, int]] = []

    def script(request: Request) -> str | Failure:
        if len(asked) == 5 and not old.exists():
            return Failure("fatal", "it is gone")
        asked.append((request.address.step, request.address.draw))
        role = json.loads(request.prompt.splitlines()[-1])["role"]
        return '{"split": null}' if role == "decomposer" else '{"answer": "6"}'

    def solve(path: Path) -> maker.RunResult:
        model = ScriptedModel(script, lockstep=False)
        return maker.solve_sync("2 * 3", model=model, journal=path, limits={"concurrency": 1})

    old = tmp_path / "rewritten-run.db"
    with pytest.raises(ModelError, match="it is gone"):
        solve(tmp_path / "run.db")
    result = solve(rewritten(tmp_path / "run.db", without("paraphrase")))
    assert (result.answer, result.solved) == ("6", True)
    assert len(set(asked)) == len(asked) == 6
    assert check_journal(old).problem is None


@pytest.mark.parametrize("kind", [Items, _Coarse])
def test_a_map_outlives_edits_of_the_file_that_carries_it_out(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code in the header of maker's own tasks is what they say; a task of anybody else's is its file."""
    tasks = {
        Items: Items(str, [1], maker.api.answers.reader_of("map", None, None, None)),
        _Coarse: maker.coarse(Count(), 2),
    }
    model, config = ScriptedModel(["1"]), Config()
    assert make_header(tasks[kind], model, config)["code"] == kind.__code_digest__
    monkeypatch.setattr(kind, "__module__", __name__)
    assert make_header(tasks[kind], model, config)["code"] == make_header(Count(), model, config)["code"]


def test_fields_that_nothing_lacks_are_told_in_order() -> None:
    """The fields that an epoch notes come in the order of the journal's header, then of ours."""
    stored = {"run": "a", **Config(k=3).model_dump(mode="json"), "code": "x"}
    assert changed_fields(stored, {**stored, "code": "y", "k": 4, "new": 1, "run": "b"}) == ["k", "code", "new"]


# -- the function that a map was given ------------------------------------------------------------------------


def mapped(path: Path, key: Callable[[str], object] | None, **settings: Any) -> maker.Verdicts[str]:
    """Map four items, two of them before the first stop."""
    model = ScriptedModel(["Rome", "ROME", "Oslo", "rome"], lockstep=False)
    limits = {"concurrency": 1, "max_steps": settings.pop("most", 4)}
    return maker.map_sync("{item}?", list("abcd"), model=model, k=2, key=key, journal=path, limits=limits, **settings)


def test_a_key_is_known_whatever_stands_around_it(tmp_path: Path) -> None:
    """A lambda on a line that was edited since is the same key: nothing is refused, asked again or begun anew."""
    held = 3
    for key in (lambda answer: answer.casefold()[:held],):  # (some remark
        assert mapped(tmp_path / "run.db", key, most=2).stopped == "max_steps"
    result = mapped(tmp_path / "run.db", lambda text: text.casefold()[:held]).result
    assert (result.solved, result.replayed, result.epochs) == (True, 2, 0)


def test_a_key_that_differs_is_named_and_can_be_accepted(tmp_path: Path) -> None:
    """Another key is refused by its name; accepted, it is for the items that are open, as other settings are."""
    mapped(tmp_path / "run.db", lambda answer: answer.casefold(), most=2)
    with pytest.raises(JournalError, match=r"\(key: journal '.*<lambda> .*', now 'str.casefold'\).*--accept-change"):
        mapped(tmp_path / "run.db", str.casefold)
    result = mapped(tmp_path / "run.db", str.casefold, accept_change=["key"]).result
    assert (result.solved, result.replayed, result.epochs) == (True, 2, 1)
    again = mapped(tmp_path / "run.db", str.casefold)
    assert (again.result.epochs, again.result.replayed, list(again.answers())) == (1, 4, ["Rome"] * 4)
    assert check_journal(tmp_path / "run.db", again.result.task).solved


def test_an_accepted_key_may_not_contradict_what_is_decided(tmp_path: Path) -> None:
    """Decided items are counted anew under the key of now: where that differs, the journal is refused in words."""
    mapped(tmp_path / "run.db", str.casefold, most=2)
    for key in (str.swapcase, None):
        with pytest.raises(JournalError, match="another result than when the journal was written"):
            mapped(tmp_path / "run.db", key, accept_change=["key"])


def test_a_journal_that_knows_a_key_by_its_source_goes_on(tmp_path: Path) -> None:
    """Headers of before, without the code of a lambda: the same source is the same key."""
    key = lambda answer: answer.casefold()  # noqa: E731
    mapped(tmp_path / "run.db", key, most=2)

    def older(header: dict[str, Any]) -> None:
        header["parameters"]["key"] = header["parameters"]["key"].rpartition(" ")[0]

    old = rewritten(tmp_path / "run.db", older)
    assert mapped(old, key).result.epochs == 0
    with pytest.raises(JournalError, match="key: journal"):
        mapped(old, lambda answer: answer.lower())


def test_other_parameters_than_a_function_cannot_be_accepted(tmp_path: Path) -> None:
    """Other prompts, or a parser in the place of a type, are another run altogether, whatever is accepted."""
    mapped(tmp_path / "run.db", None, most=2)
    for other in ({"parse": str.strip}, {"answer": int}):
        with pytest.raises(JournalError, match=r"\(parameters: journal .*give another --journal"):
            mapped(tmp_path / "run.db", None, accept_change=["key", "parse"], **other)


# -- what no run has written ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("field", "value"), [
    ("flags", 5), ("flags", [5]), ("steps", -1), ("steps", 2**64), ("steps", "6"), ("steps", True), ("parameters", []),
    ("k", 0), ("k", "some"), ("seed", 2**64), ("temperature", -1), ("segments", 0), ("version", None), ("model", 3),
])  # fmt: skip
def test_a_field_out_of_its_range_is_refused(field: str, value: object) -> None:
    """A forged header is an error in words where it becomes a type, whoever reads it."""
    header = make_header(Count(), ScriptedModel(["1"]), Config(k=2))
    assert note_of({"header": header}, "run.db")
    with pytest.raises(JournalError, match=f"run.db: a header note .*{field}"):
        note_of({"header": header | {field: value}}, "run.db")


@pytest.mark.parametrize("value", [-1, 2**63, 1.5, True, "1", None])
@pytest.mark.parametrize("note", ["usage", "sample", "close"])
def test_a_count_out_of_its_range_is_refused(note: str, value: object) -> None:
    """What is no count is refused in every kind of note."""
    notes: dict[str, Any] = {
        "usage": {"failed": value, "cancelled": 0, "lost_in": 0, "lost_out": 0},
        "sample": {"run": "r", "step": value, "draw": 0, "spent": [0, 0, 0, 0.0, 0]},
        "close": {"solved": True, "stopped": None, "detail": "", "wrong": value, "answer": None, "seconds": 1},
    }
    if (note, value) == ("close", None):
        return
    with pytest.raises(JournalError, match=r"run\.db: a .* note contradicts itself"):
        note_of({note: notes[note]}, "run.db")
