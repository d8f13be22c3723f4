"""Steps that do not decide, in a run: what each rung does, that nothing is guessed, and that a resume is the same."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import maker
from corrupt import cut
from counting import GOAL, Counting
from maker.cli.app import main
from maker.cli.commands.run import read_ladder
from maker.decision.address import ROUND, draw_seeds, seed_key
from maker.decision.sample import Failure, Prices, Request, Sample, Traits
from maker.decision.wave import Wave
from maker.engine.ladder import rungs as ladder
from maker.errors import JournalError, TaskError
from maker.journal.chain import Fold
from maker.journal.database import read_records
from maker.journal.escalated import Escalation
from maker.journal.records import decode, encode_note
from maker.journal.story import Story
from maker.journal.writer import Journal
from maker.models.parts import InParts
from maker.review.export import rows as rows_of
from maker.task.canonical import DIGEST_SIZE
from maker.task.prompt import View
from maker.testing import ScriptedModel, check_journal

HARD = 7
Script = Callable[[Request], Any]


class Count(Counting):
    """Its question can be put in other words, and its truth is known."""

    name = "count"

    def paraphrases(self, state: tuple[int, ...], step: int) -> list[View]:
        return [View(f"what follows {step}?", lambda text: text)]

    def truth(self, state: tuple[int, ...], step: int) -> int:
        return step + 1


class Sound(Count):
    """The same with an invariant: numbers grow by one."""

    def sound(self, state: tuple[int, ...]) -> bool:
        return state == tuple(range(1, len(state) + 1))


def right(request: Request) -> str:
    """Answer rightly."""
    return str(request.address.step + 1)


def hard(at: dict[int, Script], **kind: Any) -> ScriptedModel:
    """Return a model that answers rightly except at hard steps, where it does as told."""
    return ScriptedModel(lambda request: at.get(request.address.step, right)(request), **kind)


def spread(request: Request) -> str:
    """Answer at random among twenty answers, the right one among them."""
    return str(request.address.step + request.seed % 20)


def rejected(request: Request) -> str:
    """Give the same answer against the rules, always."""
    return "-1"


def named(name: str, script: Script, **kind: Any) -> ScriptedModel:
    """Return a model with a name."""
    model = ScriptedModel(script, **kind)
    model.name = name
    return model


def carry(model: Any, rungs: Any, path: Path | None = None, task: Any = None, **settings: Any) -> maker.RunResult:
    """Run the task at k = 3."""
    return maker.run_sync(task or Count(), model=model, **{"k": 3, "journal": path, "ladder": rungs, **settings})


def notes(path: Path) -> list[dict[str, Any]]:
    """Return the escalations that a journal holds."""
    found = (decode(record) for record in read_records(path))
    return [note["escalation"] for note in found if isinstance(note, dict) and "escalation" in note]


def balanced(result: maker.RunResult) -> bool:
    """Say whether every draw is accounted for."""
    usage = result.usage
    return usage.in_flight == 0 and usage.voted + usage.flagged == result.samples


# -- off, and each rung alone ---------------------------------------------------------------------------------


@pytest.mark.parametrize("lockstep", [True, False])
@pytest.mark.parametrize(
    ("script", "diagnosis"), [(rejected, "rejected"), (lambda r: "?" + str(r.seed), "flagged"), (spread, "tied")]
)
def test_without_a_ladder_it_is_a_named_stop(script: Script, diagnosis: str, lockstep: bool) -> None:
    """With no rungs, and with the default, a step that does not decide ends the run with its diagnosis."""
    limits = {"max_votes": 12} if diagnosis == "tied" else {}
    for rungs in ([], None):
        result = carry(hard({HARD: script}, lockstep=lockstep), rungs, k=6, limits=limits)
        assert (result.stopped, result.exit_code, result.steps, result.escalations) == ("undecided", 4, HARD, {})
        assert f"Diagnosis: {diagnosis}." in result.detail
        assert f"step {HARD} is undecided" in result.detail


@pytest.mark.parametrize("lockstep", [True, False])
def test_another_model_rescues(tmp_path: Path, lockstep: bool) -> None:
    """A step whose favourite the rules refuse is decided by another model; that one is asked there and nowhere else."""
    other = named("other", right, lockstep=not lockstep)
    result = carry(hard({HARD: rejected}, lockstep=lockstep), [ladder.another_model(other)], tmp_path / "run.db")
    assert (result.solved, result.wrong, result.escalations) == (True, 0, {"another_model(other)": 1})
    assert [request.address.step for request in other.requests] == [HARD] * 3
    assert [request.address.draw for request in other.requests] == [ROUND, ROUND + 1, ROUND + 2]
    assert balanced(result)
    (note,) = notes(tmp_path / "run.db")
    assert (note["step"], note["rung"], note["reason"]) == (HARD, "another_model(other)", "rejected")
    assert note["change"] == {"model": "other"}
    verdict = list(result.verdicts())[HARD]
    assert (verdict.answer, verdict.samples, verdict.flagged, verdict.waves) == (HARD + 1, 3, 0, 1)
    assert check_journal(tmp_path / "run.db", Count()).solved


def test_other_words_rescue(tmp_path: Path) -> None:
    """A step that is refused in the task's own words is decided in its paraphrase."""

    def touchy(request: Request) -> str:
        return "I'm sorry" if request.prompt.startswith("after") else right(request)

    model = hard({HARD: touchy})
    result = carry(model, [ladder.reword], tmp_path / "run.db")
    assert (result.solved, result.escalations) == (True, {"reword": 1})
    assert {request.prompt for request in model.requests[-1:]} == {f"after {GOAL - 1}"}
    assert "poison_step" not in result.detail
    assert notes(tmp_path / "run.db")[0]["reason"] == "refused"
    assert check_journal(tmp_path / "run.db", Count()).solved


def test_by_neither_it_stops(tmp_path: Path) -> None:
    """Where other words and another model are of no use, the run stops, names what was tried, and guesses nothing."""
    rungs = [ladder.more_votes, ladder.refine, ladder.reword, ladder.another_model(named("b", rejected))]
    result = carry(hard({HARD: rejected}), rungs, tmp_path / "run.db")
    assert (result.stopped, result.steps, result.wrong, result.exit_code) == ("undecided", HARD, 0, 4)
    assert "Tried in vain: reword, another_model(b). Diagnosis: rejected." in result.detail
    assert result.escalations == {"reword": 1, "another_model(b)": 1}
    assert result.flags["illegal"] == 300
    assert balanced(result)
    assert check_journal(tmp_path / "run.db", Count()).problem is None


def test_refining_draws_warmer_and_longer() -> None:
    """The refined attempt has the temperature and token cap of its change, draws of its own, and the same k."""

    def cold(request: Request) -> Any:
        return right(request) if request.temperature > 0.5 else f"? {request.seed}"

    model = hard({HARD: cold})
    result = carry(model, [ladder.refine], token_cap=64, limits={"max_flags": 20})
    assert (result.solved, result.escalations) == (True, {"refine": 1})
    asked = [request for request in model.requests if request.address.step == HARD]
    assert [request.temperature for request in asked] == [0.1] * 20 + [0.6] * 3
    assert [request.max_tokens for request in asked] == [64] * 20 + [128] * 3
    assert [request.address.draw for request in asked] == [*range(20), ROUND, ROUND + 1, ROUND + 2]
    assert len({request.seed for request in asked}) == 23
    assert asked[20].seed == draw_seeds(seed_key(0, 0, 1), HARD, ROUND // 8)[0], "the round is part of the seeds"
    assert {request.temperature for request in model.requests if request.address.step != HARD} == {0.1}


def test_a_longer_reply_is_judged_again_as_it_was(tmp_path: Path) -> None:
    """Replies of a refined attempt may be longer; a re-vote under the same flags knows that."""

    def wordy(request: Request) -> Sample:
        return Sample(right(request), 5, 100) if request.max_tokens > 64 else Sample("?", 5, 1)

    path = tmp_path / "run.db"
    result = carry(hard({HARD: wordy}), [ladder.refine], path, token_cap=64, limits={"max_flags": 5})
    assert result.solved
    judged = maker.revote(path, flags="default", task=Count())
    assert (judged.same, judged.dropped) == (GOAL, {})


def leading(request: Request) -> str:
    """Answer rightly six times, then nothing of use for long: ahead beyond chance, and not by enough."""
    return right(request) if not 6 <= request.address.draw < 250 else "?"


def test_more_votes_go_on_with_the_race(tmp_path: Path) -> None:
    """The default lifts a limit that nobody set for a leader: the same race goes on, no draw is made twice."""
    model = hard({HARD: leading})
    result = carry(model, None, tmp_path / "run.db", k=10)
    assert (result.solved, result.escalations) == (True, {"more_votes": 1})
    draws = [request.address.draw for request in model.requests if request.address.step == HARD]
    assert draws == list(range(len(draws)))
    verdict = list(result.verdicts())[HARD]
    assert (verdict.samples, verdict.margin, verdict.flagged) == (len(draws), 10, 244)
    stopped = carry(hard({HARD: leading}), None, k=10, limits={"max_flags": 200})
    assert (stopped.stopped, stopped.escalations) == ("undecided", {})
    assert check_journal(tmp_path / "run.db", Count()).solved


def test_a_ladder_is_climbed_in_order() -> None:
    """Rungs are tried one after another until one helps; k and the flags are the same on all of them."""

    def ended(request: Request) -> str:
        return right(request) if request.address.draw >= 3 * ROUND else rejected(request)

    rungs = [ladder.another_model(named(name, ended)) for name in "abcd"]
    result = carry(hard({HARD: rejected}), rungs)
    assert result.solved
    assert list(result.escalations) == [f"another_model({name})" for name in "abc"]


def test_a_refused_step_among_others_in_lock_step() -> None:
    """In a batch of many segments each step in trouble is tried on its own; the others go on undisturbed."""
    task = maker.load_task("hanoi", disks=6)
    oracle = maker.load_model("oracle:p=0.95")
    oracle.bind(task)

    class Moody:
        name, lockstep, simulated = "moody", True, True

        async def draw(self, requests: Any) -> Any:
            made = await oracle.draw(requests)
            return [Sample("[9,9,9]", 1, 1) if request.address.step in (5, 40) and request.address.draw < ROUND
                    else sample for request, sample in zip(requests, made, strict=True)]  # fmt: skip

    plain = maker.run_sync(task, model=oracle, k=5, segments=8)
    again = ladder.another_model(Moody())  # type: ignore[arg-type]
    result = maker.run_sync(task, model=Moody(), k=5, segments=8, ladder=[again])  # type: ignore[arg-type]
    assert (result.solved, result.wrong, result.escalations) == (True, 0, {"another_model(moody)": 2})
    assert result.chain == plain.chain


@pytest.mark.parametrize("lockstep", [True, False])
def test_a_request_that_always_fails_is_tried_elsewhere(tmp_path: Path, lockstep: bool) -> None:
    """A poisonous request brings the ladder in, not only a stop; what came beside it is paid for once, and dropped."""

    def poisonous(request: Request) -> Any:
        return Failure("poison", "bad request") if request.address.draw == 1 else right(request)

    other = ladder.another_model(named("other", right, lockstep=lockstep))
    path = tmp_path / "run.db"
    result = carry(hard({HARD: poisonous}, lockstep=lockstep), [other], path)
    assert (result.solved, result.escalations, result.stopped) == (True, {"another_model(other)": 1}, None)
    assert balanced(result)
    again = carry(hard({}, lockstep=lockstep), [other], path)
    assert (again.chain, again.usage) == (result.chain, result.usage)
    off = carry(hard({HARD: poisonous}, lockstep=lockstep), [])
    assert (off.stopped, off.steps) == ("poison_step", HARD)


class Served:
    """A model over a network that says who it is, or one in this process that counts who is with it at once."""

    def __init__(self, name: str, script: Script, *, lockstep: bool = False) -> None:
        self.name, self.lockstep, self._script = name, lockstep, script
        self.prices = None if lockstep else Prices(input=1e5, output=1e5 * len(name))
        self.inside = self.most = 0

    async def draw(self, requests: Any) -> Any:
        self.inside += 1
        self.most = max(self.most, self.inside)
        await anyio.lowlevel.checkpoint()
        self.inside -= 1
        return [Sample(self._script(request), 10, 10, "stop",
                       f"{request.address}", None, self.name) for request in requests]  # fmt: skip


def test_two_models_over_a_network(tmp_path: Path) -> None:
    """Each has its own prices and says its own name: the change between them is none of a server, nor at a resume."""
    path = tmp_path / "run.db"
    settings: dict[str, Any] = {"path": path, "limits": {"max_cost": 1e9, "concurrency": 1}}
    result = carry(Served("a", lambda r: rejected(r) if r.address.step in (4, HARD) else right(r)),
                   [ladder.another_model(Served("beta", right))], **settings)  # fmt: skip
    assert (result.solved, result.stopped, result.escalations) == (True, None, {"another_model(beta)": 2})
    assert result.cost == pytest.approx(2 * 3 * (1 + 4) + (result.samples - 6) * (1 + 1))
    again = carry(Served("a", right), [], **settings)
    assert (again.stopped, again.usage, again.cost) == (None, result.usage, result.cost)
    dear = Served("d" * 1000, right)
    stopped = carry(Served("a", rejected), [ladder.another_model(dear)], limits={"max_cost": 5e4, "concurrency": 1})
    assert (stopped.stopped, dear.most) == ("max_cost", 0), "held at its own prices before it is asked"
    free = Served("c", right)
    free.prices = None
    with pytest.raises(TaskError, match="max_cost: the model has no prices"):
        carry(Served("a", right), [ladder.another_model(free)], limits={"max_cost": 1.0})  # type: ignore[arg-type]


def test_a_model_in_this_process_has_its_turn() -> None:
    """However many segments are in trouble at once, an in-process model beside a served one is called by one."""
    plan = maker.Plan.chain(GOAL, lambda step: tuple(range(1, step + 1)), GOAL)
    task = Count()
    task.plan = lambda segments: plan  # type: ignore[attr-defined]
    local = Served("local", right, lockstep=True)
    served = Served("a", rejected)
    result = carry(served, [ladder.another_model(local)], task=task)  # type: ignore[arg-type]
    assert (result.solved, result.escalations) == (True, {"another_model(local)": GOAL})
    assert served.most > 1
    assert local.most == 1


def test_independent_steps_are_put_aside_at_the_end_of_the_ladder() -> None:
    """Items of a map that no rung decides hold up no other; each is tried first."""
    plan = maker.Plan.chain(GOAL, lambda step: tuple(range(1, step + 1)), GOAL, independent=True)
    task = Count()
    task.plan = lambda segments: plan  # type: ignore[attr-defined]
    result = carry(hard({3: rejected, HARD: rejected}), [ladder.another_model(named("b", rejected))], task=task)
    assert (result.stopped, result.escalations, result.steps) == ("undecided", {"another_model(b)": 2}, GOAL - 2)
    assert "2 of 12 steps are without a verdict" in result.detail


# -- rolling back ---------------------------------------------------------------------------------------------


def unlucky(request: Request) -> str:
    """Answer wrongly at first, and rightly once the step is planned again."""
    return right(request) if request.address.draw >= ROUND else "3"


def shaken(request: Request) -> str:
    """Answer rightly where the state is sound, and nothing of use where it is not."""
    state = request.state
    return right(request) if state == tuple(range(1, len(state) + 1)) else f"? {request.seed}"


BACK = {5: unlucky, HARD: shaken}


@pytest.mark.parametrize("lockstep", [True, False])
@pytest.mark.parametrize("keep", ["all", "none"])
def test_steps_are_given_up_where_the_state_is_broken(tmp_path: Path, lockstep: bool, keep: str) -> None:
    """A wrong step that the invariant shows is rolled back and planned again; what was given up counts no more."""
    path = tmp_path / "run.db"
    result = carry(hard(BACK, lockstep=lockstep), [ladder.go_back(3)], path, Sound(), keep_samples=keep)
    assert (result.solved, result.wrong, result.steps) == (True, 0, GOAL)
    assert result.escalations == {"go_back(3)": 1}
    assert result.state == tuple(range(1, GOAL + 1))
    (note,) = notes(path)
    assert (note["step"], note["change"], note["branch"], note["reason"]) == (HARD, {"back": 3}, 1, "unsound")
    assert balanced(result)
    verdicts = list(result.verdicts())
    assert [verdict.step for verdict in verdicts] == list(range(GOAL))
    assert [verdict.answer for verdict in verdicts] == list(range(1, GOAL + 1))
    audit = check_journal(path, Sound())
    assert (audit.solved, audit.wrong) == (True, 0)
    assert (audit.summary.steps, audit.summary.samples, audit.summary.fold.chain) == (
        GOAL,
        result.samples,
        result.chain,
    )
    assert audit.summary.as_json()["escalations"] == {"go_back(3)": 1}
    assert dict(audit.summary.waves) == dict(result.waves)


@pytest.mark.parametrize(("before", "kept"), [(2, 2), (6, HARD - 3)])
def test_what_an_earlier_process_decided_after_a_rollback(tmp_path: Path, before: int, kept: int) -> None:
    """Only steps of an earlier process that were not rolled back count as its own."""
    path = tmp_path / "run.db"
    first = carry(hard(BACK), [], path, Sound(), limits={"max_steps": before})
    result = carry(hard(BACK), [ladder.go_back(3)], path, Sound())
    assert (first.steps, result.steps, result.replayed, result.solved) == (before, GOAL, kept, True)


def test_what_was_decided_before_a_rollback_is_replayed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening a run that was rolled back takes each step that counts once, and none that was given up."""
    path = tmp_path / "run.db"
    carry(hard(BACK), [ladder.go_back(3)], path, Sound())
    taken: list[int] = []
    applied: list[Any] = []
    add, apply = Fold.add, Sound.apply

    def seen(fold: Fold, step: int, hashes: bytes, state_digest: bytes) -> None:
        taken.extend(range(step, step + len(hashes) // DIGEST_SIZE))
        add(fold, step, hashes, state_digest)

    def counted(task: Any, state: Any, action: Any) -> Any:
        applied.append(state)
        return apply(task, state, action)

    monkeypatch.setattr(Fold, "add", seen)
    monkeypatch.setattr(Sound, "apply", counted)
    again = carry(hard(BACK), [ladder.go_back(3)], path, Sound())
    assert (again.solved, again.replayed, taken, len(applied)) == (True, GOAL, list(range(GOAL)), GOAL)


def test_without_going_back_a_broken_state_stops_the_run() -> None:
    """Nothing but a rollback is tried on a state that is broken, and the stop says so."""
    result = carry(hard(BACK), [ladder.refine, ladder.another_model(named("b", right))], None, Sound())
    assert (result.stopped, result.steps, result.escalations) == ("undecided", HARD, {})
    assert "Diagnosis: unsound" in result.detail


def test_a_rollback_that_is_of_no_use_ends_in_the_stop(tmp_path: Path) -> None:
    """A step rolls back once for each place of the ladder; then it is a named stop like any other."""
    path = tmp_path / "run.db"
    model = hard({5: lambda request: "3", HARD: shaken})
    result = carry(model, [ladder.go_back(3), ladder.go_back(5)], path, Sound())
    assert (result.stopped, result.steps, result.wrong) == ("undecided", HARD, 1)
    assert result.escalations == {"go_back(3)": 1, "go_back(5)": 1}
    assert [note["branch"] for note in notes(path)] == [1, 2]
    assert "Tried in vain: go_back(3), go_back(5)" in result.detail
    assert check_journal(path, Sound()).problem is None
    assert len({(request.address.step, request.address.draw) for request in model.requests}) == len(model.requests)


def test_only_the_segment_is_rolled_back(tmp_path: Path) -> None:
    """A rollback gives up steps of its own segment alone; the others keep theirs, and all joins hold."""
    plan = maker.Plan.chain(GOAL, lambda step: tuple(range(1, step + 1)), 3)
    task = Sound()
    task.plan = lambda segments: plan  # type: ignore[attr-defined]
    path = tmp_path / "run.db"
    result = carry(hard(BACK), [ladder.go_back(100)], path, task, segments=3)
    assert (result.solved, result.segments, result.escalations) == (True, 3, {"go_back(100)": 1})
    assert notes(path)[0]["change"] == {"back": HARD - 4}
    assert check_journal(path, task).solved


def test_planning_again_with_another_model() -> None:
    """A change of going back and of something else holds for all the steps that are planned again."""

    def pivot(trouble: ladder.Trouble) -> ladder.Change | None:
        return ladder.Change(back=2, model="b") if trouble.unsound else None

    other = named("b", right)
    pivot.model = other  # type: ignore[attr-defined]
    result = carry(hard({5: lambda request: "3", HARD: shaken}), [pivot], None, Sound())
    assert (result.solved, result.escalations) == (True, {"pivot": 1})
    assert sorted({request.address.step for request in other.requests}) == [5, 6, 7]


def test_what_was_given_up_is_passed_over_by_all_readers(tmp_path: Path) -> None:
    """Export, re-vote, map's verdicts and stored steps show each step once: as it was decided in the end."""
    path = tmp_path / "run.db"
    rungs = [ladder.another_model(named("b", right)), ladder.go_back(3)]
    result = carry(hard({**BACK, 9: rejected}), rungs, path, Sound())
    assert result.escalations == {"go_back(3)": 1, "another_model(b)": 1}
    stored = list(Story(path).steps())
    assert [(step.step, step.answer(step.winner or 0)) for step in stored] == [(i, str(i + 1)) for i in range(GOAL)]
    found = maker.revote(path, k=2)
    assert (found.steps, found.same, found.open) == (GOAL, GOAL, 0)
    judged = maker.revote(path, flags="default", task=Sound())
    assert (judged.same, judged.undecidable) == (GOAL, 0)
    rows = list(rows_of(path))
    assert [row["step"] for row in rows] == list(range(GOAL))


# -- resumes --------------------------------------------------------------------------------------------------


def slow(request: Request) -> str:
    """Answer rightly from the tenth draw on."""
    return right(request) if request.address.draw % ROUND >= 9 else rejected(request)


def longer_race(trouble: ladder.Trouble) -> ladder.Change | None:
    """Let the race at step 9 go on, though the limit was set on purpose."""
    return ladder.Change(more=4) if trouble.step == 9 else None


@pytest.mark.parametrize(("paid", "back"), [(False, True), (True, True), (True, False)])
def test_killed_anywhere_it_resumes_to_the_same_chain(tmp_path: Path, paid: bool, back: bool) -> None:
    """Cut anywhere, in the middle of escalations and rollbacks too, the run goes on to the same decisions."""
    at = {2: rejected, 9: slow, **(BACK if back else {})}

    def made() -> tuple[Any, Any]:
        rungs = [longer_race, ladder.another_model(named("b", right, lockstep=not paid)), ladder.go_back(3)]
        return hard(at, lockstep=not paid), rungs

    settings: dict[str, Any] = {"task": Sound(), "limits": {"max_flags": 6, "concurrency": 1}}
    model, rungs = made()
    whole = carry(model, rungs, tmp_path / "whole.db", **settings)
    assert (whole.solved, len(whole.escalations)) == (True, 2 + back)
    records = list(read_records(tmp_path / "whole.db"))
    for length in range(1, len(records), 5 if paid else 1):
        path = cut(tmp_path / "whole.db", records[:length], tmp_path / f"{length}.db")
        model, rungs = made()
        result = carry(model, rungs, path, **settings)
        assert (result.chain, result.solved, result.escalations) == (whole.chain, True, whole.escalations), length
        assert balanced(result)
        assert check_journal(path, Sound()).solved
        model, rungs = made()
        again = carry(model, rungs, path, **settings)
        assert (again.usage, again.samples, model.requests) == (result.usage, result.samples, [])


KILLED = """
import os, signal, sys
sys.path[:0] = {folders!r}
from test_escalations import BACK, Sound, carry, hard, ladder, named, rejected, right
draws = 0

def dying(request):
    global draws
    draws += 1
    if draws == {after}:
        os.kill(os.getpid(), signal.SIGKILL)
    return right(request)

at = {{step: (lambda r, do=do: dying(r) if r.address.draw >= 65536 else do(r)) for step, do in BACK.items()}}
carry(hard({{**at, 2: rejected}}), [ladder.another_model(named("b", dying)), ladder.go_back(3)], {path!r}, Sound())
"""


@pytest.mark.parametrize("after", [2, 5])
def test_a_process_that_is_killed_while_it_tries_again(tmp_path: Path, after: int) -> None:
    """SIGKILL at a draw of another model, and after a rollback: the next process ends in the same decisions."""
    path = tmp_path / "run.db"
    code = KILLED.format(
        folders=[str(Path(__file__).parent), str(Path(__file__).parents[2] / "kit")], path=str(path), after=after
    )
    killed = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    rungs = [ladder.another_model(named("b", right)), ladder.go_back(3)]
    result = carry(hard({**BACK, 2: rejected}), rungs, path, Sound())
    whole = carry(hard({**BACK, 2: rejected}), rungs, None, Sound())
    assert (result.solved, result.chain, result.escalations) == (True, whole.chain, whole.escalations)
    assert check_journal(path, Sound()).solved


def test_limits_in_the_middle_of_an_escalation(tmp_path: Path) -> None:
    """Stopped call by call, an escalated run is resumed to where one that was never stopped ends."""
    hard_steps = {2: lambda r: rejected(r) if r.address.draw < 4 else right(r), 5: unlucky, HARD: shaken}
    other = named("other", right)
    rungs = [ladder.another_model(other), ladder.reword, ladder.go_back(3)]
    settings: dict[str, Any] = {"task": Sound()}
    whole = carry(hard(hard_steps), rungs, **settings)
    assert whole.solved
    path = tmp_path / "run.db"
    for calls in itertools.count(3, 3):
        result = carry(hard(hard_steps), rungs, path, limits={"max_calls": calls}, **settings)
        assert result.usage.dispatched <= calls
        if result.stopped is None:
            break
        assert result.stopped == "max_calls"
    assert (result.chain, result.escalations, result.samples) == (whole.chain, whole.escalations, whole.samples)


def test_a_resume_follows_the_journal_and_not_its_own_ladder(tmp_path: Path) -> None:
    """What was changed is changed at a resume too, whatever ladder it has; only new trouble climbs the new one."""
    path = tmp_path / "run.db"
    first = carry(hard({HARD: rejected}), [ladder.another_model(named("b", rejected))], path)
    assert first.stopped == "undecided"
    second = carry(hard({HARD: rejected}), [ladder.another_model(named("c", right))], path)
    assert (second.solved, list(second.escalations)) == (True, ["another_model(b)", "another_model(c)"])
    assert carry(hard({}), [], path).chain == second.chain


def test_a_model_that_the_resume_does_not_name(tmp_path: Path) -> None:
    """A step that is being asked of another model needs it at a resume; the error says how to name it."""
    path = tmp_path / "run.db"
    other = named("b", right, lockstep=False)
    stopped = carry(hard({HARD: rejected}, lockstep=False), [ladder.another_model(other)], path,
                    limits={"max_calls": 3 * HARD + 101})  # fmt: skip
    assert stopped.stopped == "max_calls"
    with pytest.raises(TaskError, match=r"step 7 is being asked of the model 'b'.*another_model\('b'\)"):
        carry(hard({HARD: rejected}, lockstep=False), [], path)
    assert carry(hard({HARD: rejected}, lockstep=False), [ladder.another_model(other)], path).solved


def test_the_same_however_it_is_carried_out() -> None:
    """Segments, lock-step and free mode try the same steps in the same way and decide the same."""
    plan = {count: maker.Plan.chain(GOAL, lambda step: tuple(range(1, step + 1)), count) for count in (1, 4, 12)}
    found = set()
    for count, lockstep in itertools.product(plan, (True, False)):
        task = Sound()
        task.plan = plan.get  # type: ignore[attr-defined]
        model = hard({1: rejected, HARD: rejected}, lockstep=lockstep)
        rungs = [ladder.another_model(named("b", spread)), ladder.another_model(named("c", right))]
        result = carry(model, rungs, None, task, segments=count, k=5, limits={"max_votes": 8})
        assert result.solved
        found.add((result.chain, result.samples, tuple(sorted(result.escalations.items()))))
    assert len(found) == 1


def test_new_settings_begin_the_ladder_anew(tmp_path: Path) -> None:
    """In a new epoch an open step begins in the plain way, and its rungs can be used once more."""
    path = tmp_path / "run.db"
    rungs = [ladder.another_model(named("b", rejected))]
    assert carry(hard({HARD: rejected}), rungs, path).stopped == "undecided"
    asked: list[int] = []

    def later(request: Request) -> str:
        asked.append(request.address.draw)
        return rejected(request)

    rungs = [ladder.another_model(named("b", right))]
    result = carry(hard({HARD: later}), rungs, path, k=4, accept_change=["k"])
    assert (result.solved, result.epochs, result.escalations) == (True, 1, {"another_model(b)": 2})
    assert asked[0] == 0
    assert check_journal(path, Count()).solved
    assert [v.step for v in result.verdicts()] == list(range(GOAL))
    assert carry(hard({}), rungs, path, k=4).samples == result.samples


# -- damage ---------------------------------------------------------------------------------------------------

WRONG_NOTES: list[dict[str, Any]] = [
    {"step": "x"}, {"change": {"more": 0}}, {"change": {"colour": 1}}, {"change": 5}, {"change": {"back": 99}},
    {"branch": -1}, {"change": {"back": "x"}},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG_NOTES)
def test_a_note_that_makes_no_sense(tmp_path: Path, wrong: dict[str, Any]) -> None:
    """A forged or damaged escalation is a JournalError to whoever reads it, never a traceback."""
    path = tmp_path / "run.db"
    carry(hard({HARD: rejected}), [ladder.another_model(named("b", rejected))], path)
    records = list(read_records(path))
    place = next(i for i, record in enumerate(records) if b"escalation" in record[:20])
    note = decode(records[place])
    assert isinstance(note, dict)
    note["escalation"].update(wrong)
    forged = cut(path, [*records[:place], encode_note(note), *records[place + 1 :]], tmp_path / "forged.db")
    for read in (
        lambda: Story(forged).summary(),
        lambda: carry(hard({}), [], forged),
        lambda: list(Story(forged).steps()),
    ):
        with pytest.raises(JournalError):
            read()


def test_a_rollback_that_was_taken_out_is_noticed(tmp_path: Path) -> None:
    """Without the note of a rollback the journal decides a step twice, and is refused."""
    path = tmp_path / "run.db"
    carry(hard(BACK), [ladder.go_back(3)], path, Sound())
    records = [record for record in read_records(path) if b'{"escalation"' not in record[:20]]
    forged = cut(path, records, tmp_path / "forged.db")
    with pytest.raises(JournalError):
        Story(forged).summary()
    with pytest.raises(JournalError):
        carry(hard({}), [], forged, Sound())


def test_runs_without_trouble_are_as_before(tmp_path: Path) -> None:
    """A ladder that is never needed changes no record of the journal."""
    for name, rungs in (("off", []), ("on", [ladder.refine, ladder.go_back(2)])):
        carry(hard({}), rungs, tmp_path / f"{name}.db")
    records = [list(read_records(tmp_path / f"{name}.db"))[:-1] for name in ("off", "on")]
    assert records[0] == records[1]
    assert all(not wave.first for wave in map(decode, records[0]) if isinstance(wave, Wave))


# -- finer steps ------------------------------------------------------------------------------------------------


class Digits(Count):
    """Counts in numbers of two digits, which can be asked for one digit at a time."""

    def render(self, answer: int) -> str:
        return str(answer)

    def finer(self, state: tuple[int, ...], step: int) -> OneByOne:
        return OneByOne(step + 1)


class OneByOne:
    """The digits of a number, the last one first."""

    steps = 2

    def __init__(self, number: int) -> None:
        self.number = number

    def initial_state(self) -> list[int]:
        return []

    def prompt(self, state: list[int], step: int) -> str:
        return f"digit {step} of {self.number}"

    def parse(self, text: str) -> int:
        return int(text)

    def legal(self, state: list[int], action: int) -> bool:
        return 0 <= action <= 9

    def apply(self, state: list[int], action: int) -> list[int]:
        return [*state, action]

    def done(self, state: list[int]) -> bool:
        return len(state) == 2

    def answer(self, state: list[int]) -> int:
        return state[0] + 10 * state[1]


def digits(request: Request) -> Any:
    """Answer whole numbers against the rules, and digits rightly in three cases of four, with as many tokens."""
    if not request.prompt.startswith("digit"):
        return rejected(request)
    number = request.address.step + 1
    digit = number % 10 if request.prompt.startswith("digit 0") else number // 10
    return Sample(str(digit if request.seed % 4 else 7), 10, 1 + int(request.prompt[6]))


@pytest.mark.parametrize("lockstep", [True, False])
def test_a_step_is_split(tmp_path: Path, lockstep: bool) -> None:
    """A step that is too hard as a whole is decided in parts: its samples are put together, and voted on as ever."""
    path = tmp_path / "run.db"
    model = hard({HARD: digits}, lockstep=lockstep)
    result = carry(model, [ladder.finer], path, Digits(), k=4)
    assert (result.solved, result.wrong, result.escalations) == (True, 0, {"finer": 1})
    verdict = list(result.verdicts())[HARD]
    assert verdict.answer == HARD + 1
    assert verdict.samples > 4
    asked = [request for request in model.requests if request.prompt.startswith("digit")]
    assert len({request.seed for request in asked}) == len(asked) == 2 * verdict.samples
    assert result.usage.dispatched == len(model.requests)
    assert result.usage.failed == verdict.samples, "the part that is not the longest is a call beside the sample"
    assert (result.usage.tokens_in, result.usage.tokens_out) == (10 * len(asked), 3 * verdict.samples)
    assert balanced(result)
    assert check_journal(path, Digits()).solved
    assert carry(hard({}, lockstep=lockstep), [], path, Digits(), k=4).usage == result.usage


def failing_part(request: Request) -> Any:
    """Bring no reply to the second part of the first draw."""
    if request.prompt.startswith("digit 1") and request.address.draw == ROUND:
        return Failure("poison", "bad part")
    return digits(request)


@pytest.mark.parametrize(
    ("script", "stopped"),
    [
        (lambda r: "12" if r.prompt.startswith("digit") else "-1", "undecided"),  # a part against the rules
        (lambda r: "x" if r.prompt.startswith("digit") else "-1", "undecided"),
        (lambda r: None if r.prompt.startswith("digit") else "-1", "undecided"),
        (failing_part, "poison_step"),
    ],
)
def test_parts_that_are_of_no_use(script: Script, stopped: str) -> None:
    """A part that cannot be read, or fails, flags or fails the whole sample; it is never taken for an answer."""
    result = carry(hard({HARD: script}), [ladder.finer], None, Digits())
    assert (result.stopped, result.wrong, result.escalations) == (stopped, 0, {"finer": 1})
    assert result.steps == HARD
    assert balanced(result)
    if stopped == "undecided":
        assert result.flags["empty"] == 100


def test_parts_have_the_room_for_thoughts_that_their_model_needs() -> None:
    """What a model says of its thoughts holds for the questions that a step is cut into, too."""
    model = hard({})
    model.room = lambda: 7  # type: ignore[attr-defined]
    assert Traits.of(InParts(model, Digits())).room is model.room  # type: ignore[attr-defined]


def test_a_task_that_splits_into_nonsense() -> None:
    """What `finer` returns must be a task; parts that never end leave the sample without text."""
    task = Digits()
    task.finer = lambda state, step: 5  # type: ignore[method-assign,assignment,return-value]
    with pytest.raises(TaskError, match="step 7: finer returned int, not a task"):
        carry(hard({HARD: rejected}), [ladder.finer], None, task)

    class Endless(OneByOne):
        def done(self, state: list[int]) -> bool:
            return False

    task = Digits()
    task.finer = lambda state, step: Endless(5)  # type: ignore[method-assign]
    script = lambda r: "5" if r.prompt.startswith("digit") else "-1"  # noqa: E731 -- one line says it
    result = carry(hard({HARD: script}), [ladder.finer], None, task, limits={"max_flags": 3})
    assert (result.stopped, result.flags["empty"]) == ("undecided", 3)


# -- command line -----------------------------------------------------------------------------------------------


def test_rungs_are_named_on_the_command_line() -> None:
    """Rungs are read in order, a model's own commas are no ends, and unknown ones are named."""
    found = read_ladder("more-votes, refine,another-model=oracle:p=0.99,v=0.9,reword,finer,go-back=10")
    assert found is not None
    assert [ladder.rung_name(rung) for rung in found] == [
        "more_votes", "refine", "another_model(oracle:p=0.99,v=0.9)", "reword", "finer", "go_back(10)",
    ]  # fmt: skip
    assert (read_ladder(None), read_ladder("none")) == (None, [])
    for wrong in ("refines", "go-back", "go-back=0", "go-back=-3", "another-model", "refine=3", "", "refine,p=0.9"):
        with pytest.raises(TaskError):
            read_ladder(wrong)


def test_a_ladder_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command takes a ladder, says how often it was used, and its journal verifies."""

    def maker_command(*words: str) -> tuple[Any, str, str]:
        monkeypatch.setattr(sys, "argv", ["maker", *words])
        with pytest.raises(SystemExit) as end:
            main()
        return (end.value.code, *capsys.readouterr())

    path = str(tmp_path / "run.db")
    command = ["run", "hanoi", "--disks", "3", "--model", "oracle:p=0.5,v=0", "--k", "3", "--journal", path]
    code, out, _ = maker_command(*command, "--ladder", "another-model=oracle:p=0.99,v=1")
    assert code == 0
    assert "tried again: another_model(oracle:p=0.99,v=1) 7" in out
    said = json.loads(maker_command("show", path, "--json")[1])
    assert said["escalations"] == {"another_model(oracle:p=0.99,v=1)": 7}
    assert maker_command("verify", path)[0] == 0
    code, _, err = maker_command(*command, "--ladder", "refines")
    assert code == 2
    assert "'refines' is no rung" in err


def test_a_forged_rollback_of_countless_steps_is_refused_at_once(tmp_path: Path) -> None:
    """A journal of a task of unknown length cannot make a resume walk through steps that it never had."""
    path, task = tmp_path / "run.db", Count()
    task.steps = None  # type: ignore[assignment]
    assert carry(hard({}), [], path, task, limits={"max_steps": 2}).steps == 2
    note = Escalation(2**62, 1, 0, "go_back", "unsound", ladder.Change(back=2**62 - 2)).as_note()
    with Journal(path) as journal:
        list(journal.replay())
        journal.append(encode_note(note))
    with pytest.raises(JournalError, match="which is not possible"):
        carry(hard({}), [], path, task)
