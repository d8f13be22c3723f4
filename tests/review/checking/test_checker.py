"""What a journal proves: forgeries with a perfect hash chain are found by their meaning alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import maker
from maker.decision.sample import Request
from maker.decision.wave import FLAGGED, Wave, step_hash
from maker.errors import JournalError, TaskError
from maker.journal.database import read_records
from maker.journal.records import decode, encode_note, encode_wave
from maker.journal.story import Story
from maker.journal.writer import Journal
from maker.review.checking.checker import Audit
from maker.review.checking.verify import verify
from maker.task.canonical import canonical, digest
from maker.testing import ScriptedModel

Item = Wave | dict[str, Any]


class Sum:
    """Adds the numbers that it is told; not built in, without plan, truth or checker."""

    name = "sum"

    def __init__(self, steps: int = 5, *, known: bool = True, result: Any = "state") -> None:
        self.goal = steps
        self.steps: int | None = steps if known else None
        self.result = result

    def initial_state(self) -> list[int]:
        return [0, 0]

    def prompt(self, state: list[int], step: int) -> str:
        return f"Give {step}."

    def parse(self, text: str) -> int:
        return int(text)

    def legal(self, state: list[int], action: int) -> bool:
        return action < 100

    def apply(self, state: list[int], action: int) -> list[int]:
        return [state[0] + 1, state[1] + action]

    def done(self, state: list[int]) -> bool:
        return state[0] == self.goal

    def answer(self, state: list[int]) -> Any:
        return state[1] if self.result == "state" else self.result


def tell(request: Request) -> str:
    """Answer a step of the sum."""
    return str(request.address.step)


def items(path: Path) -> list[Item]:
    """Return what a journal holds."""
    return [decode(record) for record in read_records(path)]


def write(path: Path, content: list[Item]) -> Path:
    """Write a journal with a perfect hash chain."""
    with Journal(path) as journal:
        list(journal.replay())
        for item in content:
            journal.append(encode_wave(item) if isinstance(item, Wave) else encode_note(item))
    return path


def decided(content: list[Item], step: int) -> int:
    """Return the place of the wave that decided a step."""
    return next(i for i, w in enumerate(content) if isinstance(w, Wave) and w.step == step and w.verdict)


@pytest.fixture
def hanoi_run(tmp_path: Path) -> Path:
    """Write a solved run of four disks with errors and flags in it."""
    path = tmp_path / "run.db"
    result = maker.run_sync(
        maker.load_task("hanoi", disks=4), model="oracle:p=0.8,v=0.8", k=3, segments=1, journal=path, keep_samples="all"
    )
    assert result.solved
    return path


def forged(path: Path, change: Callable[[list[Item]], None], task: Any = None) -> Audit:
    """Change what a journal holds, write it anew with a right chain, and verify that."""
    content = items(path)
    change(content)
    return verify(write(path.with_name("forged.db"), content), task)


# -- good journals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["oracle:p=0.8,v=0.8,rivals=2", "oracle:p=0.95,copies=0.03"])
@pytest.mark.parametrize("segments", [1, 4, 1024])
@pytest.mark.parametrize("keep", ["all", "none"])
def test_good_journals_verify(tmp_path: Path, model: str, segments: int, keep: Any) -> None:
    """A solved run verifies, whatever its segments and whatever texts it kept, with the run's own figures."""
    path = tmp_path / "run.db"
    task = maker.load_task("hanoi", disks=5)
    result = maker.run_sync(task, model=model, k=5, segments=segments, journal=path, keep_samples=keep)
    assert result.solved
    audit = verify(path)
    assert audit.problem is None
    assert (audit.solved, audit.complete, audit.exit_code, audit.wrong) == (True, True, 0, 0)
    assert audit.answer == result.answer
    said, ours = audit.as_json(), result.as_json()
    for key in ("solved", "steps", "samples", "flagged", "flags", "wrong", "answer", "state_digest", "chain", "k"):
        assert said[key] == ours[key], key
    assert "independent checker" in audit.checked
    json.dumps(said)


@pytest.mark.parametrize("known", [True, False])
def test_user_task_verifies(tmp_path: Path, known: bool) -> None:
    """A user's journal is verified with the task given, and refused without it."""
    path, task = tmp_path / "run.db", Sum(known=known)
    assert maker.run_sync(task, model=ScriptedModel(tell), k=2, journal=path).answer == 10
    audit = verify(path, task)
    assert (audit.problem, audit.solved, audit.answer, audit.wrong) == (None, True, 10, None)
    with pytest.raises(TaskError, match="'sum', which is not built in: give it with --task"):
        verify(path)


def test_an_answer_of_none_is_an_answer(tmp_path: Path) -> None:
    """A solved task whose result is None verifies as solved."""
    path, task = tmp_path / "run.db", Sum(result=None)
    assert maker.run_sync(task, model=ScriptedModel(tell), k=1, journal=path).solved
    assert verify(path, task).solved


def test_unfinished_run(tmp_path: Path) -> None:
    """A stopped run verifies as far as it goes: no problem, not solved, exit 3."""
    path = tmp_path / "run.db"
    limits = {"max_steps": 9}
    maker.run_sync("hanoi", model="oracle:p=0.9", k=3, segments=1, journal=path, limits=limits)
    audit = verify(path)
    assert (audit.problem, audit.solved, audit.complete, audit.exit_code) == (None, False, False, 3)
    assert (audit.summary.steps, audit.answer, audit.as_json()["stopped"]) == (9, None, "max_steps")


def test_undecided_run(tmp_path: Path) -> None:
    """A run that stopped undecided has no problem in its journal either."""
    path = tmp_path / "run.db"
    maker.run_sync("hanoi", model="oracle:v=0", k=3, segments=1, journal=path)
    audit = verify(path)
    assert (audit.problem, audit.solved, audit.exit_code) == (None, False, 3)


def test_lost_run(tmp_path: Path) -> None:
    """A run that missed its goal is sound but not solved: exit 1, with the number of wrong steps."""
    path = tmp_path / "run.db"
    task = maker.load_task("hanoi", disks=5)
    result = maker.run_sync(task, model="oracle:p=0.5", k=1, segments=1, journal=path)
    audit = verify(path)
    assert (audit.problem, audit.solved, audit.complete, audit.exit_code) == (None, False, True, 1)
    assert audit.wrong == result.wrong
    assert audit.wrong


def test_join_mismatch(tmp_path: Path) -> None:
    """A run whose segments do not join is found out by the file alone."""
    path = tmp_path / "run.db"
    result = maker.run_sync("hanoi", model="oracle:p=0.5", k=1, segments=64, journal=path)
    assert result.stopped == "join_mismatch"
    audit = verify(path)
    assert not audit.solved
    assert audit.problem is not None
    assert "does not join" in audit.problem


def test_progress_is_told(tmp_path: Path) -> None:
    """A long check says now and then how far it is."""
    path = tmp_path / "run.db"
    maker.run_sync(maker.load_task("hanoi", disks=13), model="oracle:p=1", k=1, journal=path)
    told: list[tuple[int, int]] = []
    assert verify(path, progress=lambda done, total: told.append((done, total))).solved
    ((done, total),) = told
    assert (done // 4096, total) == (1, 8191)


# -- forgeries --------------------------------------------------------------------------------------------


def test_unchanged_copy_verifies(hanoi_run: Path) -> None:
    """The way the forgeries are written changes nothing by itself."""
    audit = forged(hanoi_run, lambda content: None)
    assert (audit.problem, audit.solved) == (None, True)


def other_move(step: int) -> Callable[[list[Item]], None]:
    """Return a change that lets another legal move win a step, with right hashes for its own state."""
    task = maker.load_task("hanoi", disks=4)

    def change(content: list[Item]) -> None:
        rival = task.rivals(task.state_at(step), step)[0]
        text = task.render(rival).encode()
        state_digest = digest(canonical(task.apply(task.state_at(step), rival)))
        verdict = (0, step_hash(step, canonical(rival), state_digest), state_digest)
        content[:] = [w for w in content if not (isinstance(w, Wave) and w.step == step and not w.verdict)]
        place = decided(content, step)
        content[place] = Wave(step, 0, [0, 0, 1, 1] * 3, [(True, text)], {}, verdict)

    return change


@pytest.mark.parametrize("step", [0, 6, 14])
def test_altered_winner(hanoi_run: Path, step: int) -> None:
    """Another legal winner with right hashes is found by what follows it, or by the end."""
    audit = forged(hanoi_run, other_move(step))
    assert not audit.solved
    assert audit.problem is not None or (audit.exit_code, audit.wrong) == (1, 1)


def test_winner_that_did_not_win(tmp_path: Path, hanoi_run: Path) -> None:
    """A verdict for the candidate with fewer votes does not follow from the ballots."""

    def change(content: list[Item]) -> None:
        for place, wave in enumerate(content):
            if isinstance(wave, Wave) and wave.verdict and set(wave.draws[0::4]) >= {0, 1}:
                content[place] = replace(wave, verdict=(1 - wave.verdict[0], *wave.verdict[1:]))
                return
            if isinstance(wave, Wave) and wave.verdict:
                content[place] = replace(wave, verdict=(1, *wave.verdict[1:]))
                return

    audit = forged(hanoi_run, change)
    assert (audit.solved, audit.exit_code) == (False, 6)
    assert "does not follow from the votes" in str(audit.problem)


@pytest.mark.parametrize("ballot", [FLAGGED, 1])
def test_altered_ballots(hanoi_run: Path, ballot: int) -> None:
    """A vote that was taken away or given to another does not fit the verdict."""

    def change(content: list[Item]) -> None:
        place = next(i for i, w in enumerate(content) if isinstance(w, Wave) and w.verdict and w.draws[0::4] == [0] * 3)
        wave = content[place]
        assert isinstance(wave, Wave)
        extras = {0: {"flag": "empty"}} if ballot == FLAGGED else {}
        content[place] = replace(wave, draws=[*wave.draws[:8], ballot, *wave.draws[9:]], extras=extras)

    audit = forged(hanoi_run, change)
    assert (audit.solved, audit.exit_code) == (False, 6)
    assert "step" in str(audit.problem)


def test_added_ballots(hanoi_run: Path) -> None:
    """More votes than the rule would have drawn are noticed, though they all agree."""

    def change(content: list[Item]) -> None:
        place = next(i for i, w in enumerate(content) if isinstance(w, Wave) and w.verdict and w.draws[0::4] == [0] * 3)
        wave = content[place]
        assert isinstance(wave, Wave)
        content[place] = replace(wave, draws=wave.draws + wave.draws[:4])

    assert "after the vote was decided" in str(forged(hanoi_run, change).problem)


@pytest.mark.parametrize("part", [1, 2])
def test_altered_digest(hanoi_run: Path, part: int) -> None:
    """An altered step hash or state digest is not the one of the answer and its state."""

    def change(content: list[Item]) -> None:
        wave = content[decided(content, 7)]
        assert isinstance(wave, Wave)
        assert wave.verdict is not None
        verdict = list(wave.verdict)
        verdict[part] = bytes(16)
        wave.verdict = tuple(verdict)  # type: ignore[assignment]

    audit = forged(hanoi_run, change)
    assert (audit.solved, audit.exit_code) == (False, 6)
    assert "step 7" in str(audit.problem)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"move = [4, 0, 2]\nnext_state = [[3, 2, 1], [], [4]]", "illegal"),
        (b"nonsense", "step 0"),
        (b"", "step 0"),
        (b"move = [1, 0, 9]\nnext_state = [[], [], []]", "illegal"),
    ],
)
def test_altered_winning_text(hanoi_run: Path, text: bytes, what: str) -> None:
    """A winning text that is illegal, or that nobody can read, is a finding that names the step, not a crash."""

    def change(content: list[Item]) -> None:
        for wave in content:
            if isinstance(wave, Wave) and wave.step == 0:
                wave.texts = [(True, text) for _ in wave.texts]

    audit = forged(hanoi_run, change)
    assert (audit.solved, audit.exit_code) == (False, 6)
    assert what in str(audit.problem)


def test_winning_text_left_out(hanoi_run: Path) -> None:
    """A winning answer of which only a digest is left proves nothing."""

    def change(content: list[Item]) -> None:
        for wave in content:
            if isinstance(wave, Wave) and wave.step == 3:
                wave.texts = [(False, digest(raw)) for _, raw in wave.texts]

    assert "step 3: the text of candidate 0 is missing" in str(forged(hanoi_run, change).problem)


@pytest.mark.parametrize("step", [0, 5])
def test_missing_step(hanoi_run: Path, step: int) -> None:
    """A step that was cut out is missed at once."""

    def change(content: list[Item]) -> None:
        content[:] = [item for item in content if not (isinstance(item, Wave) and item.step == step)]

    audit = forged(hanoi_run, change)
    assert audit.exit_code == 6
    assert f"step {step} was due" in str(audit.problem)


def test_missing_end(hanoi_run: Path) -> None:
    """Without its last step a run is not solved, whatever its closing note says."""

    def change(content: list[Item]) -> None:
        content[:] = [item for item in content if not (isinstance(item, Wave) and item.step == 14)]

    audit = forged(hanoi_run, change)
    assert audit.summary.close["solved"] is True
    assert (audit.solved, audit.complete) == (False, False)
    assert audit.exit_code != 0
    assert audit.as_json()["solved"] is False


def test_repeated_step(hanoi_run: Path) -> None:
    """A step that stands there twice is refused with its number."""

    def change(content: list[Item]) -> None:
        content.append(content[decided(content, 4)])

    try:
        problem = str(forged(hanoi_run, change).problem)
    except JournalError as error:
        problem = str(error)
    assert "step 4" in problem


@pytest.mark.parametrize("disks", [3, 5])
def test_wrong_task_parameter(hanoi_run: Path, disks: int) -> None:
    """A header that names another task than the one that was carried out is found out."""

    def change(content: list[Item]) -> None:
        assert isinstance(content[0], dict)
        content[0]["header"]["parameters"]["disks"] = disks
        content[0]["header"]["steps"] = 2**disks - 1

    audit = forged(hanoi_run, change)
    assert (audit.solved, audit.exit_code) == (False, 6)


def test_a_header_of_other_steps_than_its_task(hanoi_run: Path) -> None:
    """A header whose number of steps is not that of the task which it names is refused."""

    def change(content: list[Item]) -> None:
        assert isinstance(content[0], dict)
        content[0]["header"]["steps"] = 16

    with pytest.raises(JournalError, match="the header claims 16 steps, but its task has 15"):
        forged(hanoi_run, change)


@pytest.mark.parametrize("k", [2, 4])
def test_wrong_margin(hanoi_run: Path, k: int) -> None:
    """A header that names another margin than the votes were taken at is found out."""

    def change(content: list[Item]) -> None:
        assert isinstance(content[0], dict)
        content[0]["header"]["k"] = k

    assert forged(hanoi_run, change).exit_code == 6


def test_forged_close_note(tmp_path: Path) -> None:
    """A closing note that claims success is a finding where the steps do not lead there."""
    path = tmp_path / "run.db"
    maker.run_sync("hanoi", model="oracle", k=1, segments=1, journal=path, limits={"max_steps": 3})

    def change(content: list[Item]) -> None:
        content.append(
            {"close": {"solved": True, "stopped": None, "detail": "", "wrong": 0, "answer": [], "seconds": 1}}
        )

    audit = forged(path, change)
    assert (audit.solved, audit.as_json()["solved"], audit.exit_code) == (False, False, 6)
    assert "closing note" in str(audit.problem)


@pytest.mark.parametrize("field", [{"answer": [[], [], []]}, {"answer": float("nan")}, {"wrong": 3}], ids=str)
def test_closing_note_with_other_figures(hanoi_run: Path, field: dict[str, Any]) -> None:
    """A closing note of a solved run that claims another answer, or wrong steps there are not, is a finding."""

    def change(content: list[Item]) -> None:
        assert isinstance(content[-1], dict)
        content[-1]["close"] |= field

    assert "closing note" in str(forged(hanoi_run, change).problem)


def test_a_vote_that_says_something_else(hanoi_run: Path) -> None:
    """A vote whose stored text gives another answer than its candidate is found, though the count comes out right."""
    task = maker.load_task("hanoi", disks=4)

    def change(content: list[Item]) -> None:
        place = next(i for i, w in enumerate(content) if isinstance(w, Wave) and w.draws[0::4] == [0] * 3)
        wave = content[place]
        assert isinstance(wave, Wave)
        rival = task.rivals(task.state_at(wave.step), wave.step)[0]
        wave.texts.append((True, task.render(rival).encode()))
        wave.draws[5] = len(wave.texts) - 1

    assert "a vote for candidate 0 says something else" in str(forged(hanoi_run, change).problem)


def test_two_candidates_of_one_answer(hanoi_run: Path) -> None:
    """One answer that is counted as two candidates, in two wordings, is found."""

    def change(content: list[Item]) -> None:
        wave = next(w for w in content if isinstance(w, Wave) and not w.verdict and 1 in w.draws[0::4])
        wave.texts = [(True, b"\n" * n + wave.texts[0][1]) for n in range(len(wave.texts))]

    assert "two candidates are the same answer" in str(forged(hanoi_run, change).problem)


@pytest.mark.parametrize("step", [15, 2**40])
def test_a_step_after_the_end(hanoi_run: Path, step: int) -> None:
    """Draws of a step that the task does not have are found, though all that it has are decided."""

    def change(content: list[Item]) -> None:
        content.insert(-1, Wave(step, 0, [0, 0, 1, 1], [(True, b"move = [0,0,0]")]))

    assert f"step {step} was voted on" in str(forged(hanoi_run, change).problem)


def test_a_step_after_an_end_that_the_task_tells(tmp_path: Path) -> None:
    """The same where the task alone knows when it is done."""
    path, task = tmp_path / "run.db", Sum(known=False)
    maker.run_sync(task, model=ScriptedModel(tell), k=1, journal=path)
    audit = forged(path, lambda content: content.insert(-1, Wave(5, 0, [0, 0, 1, 1], [(True, b"5")])), task)
    assert "step 5 was voted on after the end" in str(audit.problem)


def test_a_round_that_no_note_begins(hanoi_run: Path) -> None:
    """Votes of a second round without an escalation are found."""

    def change(content: list[Item]) -> None:
        place = decided(content, 4)
        content.insert(place + 1, replace(content[place], step=5, first=65536, verdict=None))

    assert "drawn in round 1, which no note begins" in str(forged(hanoi_run, change).problem)


@pytest.mark.parametrize(
    "item",
    [
        Wave(0, 0, [0, 9, 1, 1], [(True, b"0")], {}, (0, bytes(16), bytes(16))),  # a text that is not there
        Wave(0, 0, [5, 0, 1, 1], [(True, b"0")], {}, (0, bytes(16), bytes(16))),  # a candidate nobody voted for
        Wave(0, 0, [-1, 0, 1, 1], [(True, b"0")], {}, None),  # flagged, without a reason
        Wave(99, 0, [0, 0, 1, 1], [(True, b"0")], {}, (0, bytes(16), bytes(16))),  # beyond the end
        {"header": {}},
        {"calibration": {}},
        {"close": []},
        {"usage": "lots"},
    ],
)
def test_senseless_records_are_findings(tmp_path: Path, item: Item) -> None:
    """Records that no engine writes are a finding or a JournalError, for every reader; never another exception."""
    path, task = tmp_path / "run.db", Sum()
    maker.run_sync(task, model=ScriptedModel(tell), k=1, journal=path)
    content = items(path)
    forgery = write(
        tmp_path / "forged.db", [content[0], item, *content[2:]] if isinstance(item, Wave) else [*content, item]
    )
    for reader in (
        lambda: verify(forgery, task),
        lambda: Story(forgery).summary().as_json(),
        lambda: maker.run_sync(task, model=ScriptedModel(tell), k=1, journal=forgery),
    ):
        try:
            seen = reader()
        except JournalError:
            continue
        if isinstance(seen, Audit) and isinstance(item, Wave):
            assert not seen.solved


# -- no code runs -------------------------------------------------------------------------------------------


def test_no_code_named_by_a_journal_is_loaded(hanoi_run: Path, tmp_path: Path) -> None:
    """A journal that names a file of code makes neither summarise nor verify run it."""
    marker = tmp_path / "marker"
    evil = tmp_path / "evil.py"
    evil.write_text(f"from pathlib import Path\nPath({str(marker)!r}).touch()\nclass Task: pass\n")
    for name in (f"{evil}:Task", str(evil), "../../../evil", "evil"):

        def change(content: list[Item], name: str = name) -> None:
            assert isinstance(content[0], dict)
            content[0]["header"]["task"] = name

        with pytest.raises(TaskError, match="not built in"):
            forged(hanoi_run, change)
        forgery = hanoi_run.with_name("forged.db")
        assert Story(forgery).summary().header["task"] == name
        forgery.unlink()
    assert not marker.exists()


def test_summarise_runs_no_task_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A summary counts what the journal says, without the task."""
    path = tmp_path / "run.db"
    result = maker.run_sync(Sum(), model=ScriptedModel(["0", "1"]), k=2, journal=path, limits={"max_votes": 2})
    for method in ("__init__", "parse", "apply", "legal", "done", "answer", "prompt", "initial_state"):
        monkeypatch.setattr(Sum, method, None)
    summary = Story(path).summary()
    assert (summary.steps, summary.samples, summary.k) == (result.steps, result.samples, 2)
    assert summary.as_json()["stopped"] == result.stopped == "undecided"


def test_summary_of_a_killed_run(hanoi_run: Path) -> None:
    """A journal without a closing note says so, with the counts it has."""
    content = [item for item in items(hanoi_run) if isinstance(item, Wave) or "close" not in item]
    summary = Story(write(hanoi_run.with_name("killed.db"), content)).summary()
    assert (summary.close, summary.as_json()["stopped"], summary.steps) == ({}, "running or killed", 15)


def test_summary_of_nothing(tmp_path: Path) -> None:
    """A journal without a header holds no run."""
    path = write(tmp_path / "run.db", [])
    with pytest.raises(JournalError, match="holds no run"):
        Story(path).summary()
    with pytest.raises(JournalError, match="no such journal"):
        verify(tmp_path / "none.db")


def test_calibration_is_in_the_summary(tmp_path: Path) -> None:
    """Calibration draws, and the k they chose, are part of what a journal says."""
    path = tmp_path / "run.db"
    result = maker.run_sync(maker.load_task("hanoi", disks=5), model="oracle:p=0.95,v=0.9", journal=path)
    summary = Story(path).summary()
    assert (summary.k, summary.samples, summary.flagged) == (result.k, result.samples, result.flagged)
    assert summary.calibration == result.calibration
    assert verify(path).solved
