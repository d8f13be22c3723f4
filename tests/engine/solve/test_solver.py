"""Whole solves: exact, stopped by name, resumed to the same tree."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

import maker
from maker.decision.flags import DEFAULT, RedFlag
from maker.decision.sample import Request, Sample
from maker.decision.wave import Wave
from maker.engine.result import RunResult
from maker.engine.solve.roles import ROLES, SOLVER
from maker.engine.solve.tree import address
from maker.errors import JournalError, ModelError, TaskError
from maker.journal.database import read_records
from maker.journal.records import decode, encode_note, encode_wave
from maker.journal.story import Story
from maker.journal.writer import Journal
from maker.models.oracle import Oracle
from maker.review.checking.solve import recheck
from maker.testing import ScriptedModel
from solve_failures import failures
from solve_model import TRUTH, NoisySolver, problems

PROBLEM, ANSWER = "4608 * 42098765", str(4608 * 42098765)


def state_of(request: Request) -> dict[str, Any]:
    """Return what the last line of a prompt tells the model."""
    said: dict[str, Any] = json.loads(request.prompt.splitlines()[-1])
    return said


def scripted(**replies: Any) -> ScriptedModel:
    """Return a model with replies by role (spaces as underscores): a text, a list by draw, or a function of it."""

    def say(request: Request) -> Any:
        state = state_of(request)
        reply = replies[state["role"].replace(" ", "_")]
        if isinstance(reply, list):
            return reply[request.address.draw % len(reply)]
        return reply(state) if callable(reply) else reply

    return ScriptedModel(say)


def answer(text: str) -> str:
    """Return a solver's reply."""
    return json.dumps({"answer": text})


def roles_asked(model: Any) -> set[str]:
    """Return the roles that a model was asked to play."""
    return {state_of(request)["role"] for request in model.requests}


def same_end(one: RunResult, other: RunResult) -> bool:
    """Say whether two solves ended alike, whatever ran first."""
    return (one.answer, one.state, one.chain, one.state_digest) == (
        other.answer, other.state, other.chain, other.state_digest,
    )  # fmt: skip


def test_fifty_products_are_exact_at_three_ahead_and_not_at_one():
    """With errors of 5% a decision, half of them repeated, k = 3 gets all 50 products right and k = 1 does not."""
    exact = {1: 0, 3: 0}
    for number, (problem, product) in enumerate(problems(50)):
        for k in exact:
            result = maker.solve_sync(problem, model=NoisySolver(0.05, 0.03), k=k, seed=number)
            assert result.stopped is None
            exact[k] += result.answer == product
            if k == 3:
                assert result.solved and result.exit_code == 0
                check_tree(result.state, problem)
    assert exact[3] == 50
    assert exact[1] < 45


def check_tree(node: dict[str, Any], problem: str) -> None:
    """Check by plain arithmetic that each answer is right and each part is what its split says."""
    assert node["problem"] == problem and node["answer"] == TRUTH.truth(problem)
    split = node["split"]
    assert len(node["parts"]) == (0 if split is None else 2)
    for part, name in zip(node["parts"], ("p1", "p2"), strict=False):
        check_tree(part, split[name])
    if split is not None:
        composed = TRUTH.compose(split["compose"], node["parts"][0]["answer"], node["parts"][1]["answer"])
        assert composed == node["answer"]


def test_a_judge_is_asked_only_where_proposals_do_not_agree():
    """Proposals that agree k ahead need no judge; one that differs brings it in."""
    agreed = scripted(decomposer='{"split": null}', solver=answer("4"))
    result = maker.solve_sync("2 + 2", model=agreed)
    assert (result.answer, result.steps, result.samples) == ("4", 2, 6)
    assert roles_asked(agreed) == {"decomposer", "solver"}
    split = scripted(
        decomposer='{"split": null}', solver=[answer("4"), answer("5"), answer("6")], solution_judge=pick("4")
    )
    result = maker.solve_sync("2 + 2", model=split)
    assert (result.answer, result.steps, result.samples) == ("4", 2, 9)


def pick(wanted: str) -> Any:
    """Return a judge that chooses an answer wherever it is shown, or none."""

    def judge(state: dict[str, Any]) -> str:
        numbers = [item["number"] for item in state["candidates"] if item["proposal"] == {"answer": wanted}]
        return json.dumps({"choice": numbers[0] if numbers else 0})

    return judge


def test_no_more_than_one_round_of_proposals_is_drawn():
    """Two against one may still be decided by two more; three against two may not, and goes to the judge."""
    replies = [answer(text) for text in ("4", "5", "4", "5", "4", "4", "4", "4")]
    model = scripted(decomposer='{"split": null}', solver=replies, solution_judge=pick("5"))
    result = maker.solve_sync("2 + 2", model=model)
    proposals = [request for request in model.requests if state_of(request)["role"] == "solver"]
    assert len(proposals) == 5 and result.answer == "5"


def test_a_judge_that_looks_at_places_decides_nothing():
    """Draws show the candidates turned by one place each: always choosing the first never gets k ahead."""
    model = scripted(
        decomposer='{"split": null}', solver=[answer("4"), answer("5"), answer("6")], solution_judge='{"choice": 1}'
    )
    result = maker.solve_sync("2 + 2", model=model)
    assert result.stopped == "undecided" and result.exit_code == 4 and result.answer is None
    assert "solution judge of problem 1" in result.detail


def test_what_a_judge_refuses_is_told_and_proposed_again():
    """If the judge says none, the proposer is told what was refused, and another proposal can win."""

    def solver(request: Request) -> str:
        state = state_of(request)
        if state["role"] == "decomposer":
            return '{"split": null}'
        if "candidates" in state:
            return pick("4")(state)
        return answer("4" if state["refused"] else str(5 + request.address.draw % 3))

    model = ScriptedModel(solver)
    result = maker.solve_sync("2 + 2", model=model)
    assert result.solved and result.answer == "4"
    second = [r for r in model.requests if state_of(r).get("refused")]
    assert [item["answer"] for item in state_of(second[0])["refused"]] == ["5", "6", "7"]
    assert {request.address.step for request in second} == {address(1, 1, SOLVER)}


def test_rounds_are_bounded_and_the_bound_can_be_raised(tmp_path):
    """A judge that refuses everything ends in a named stop; with a higher max_votes the solve goes on."""

    def reply(request: Request) -> str:
        state = state_of(request)
        if state["role"] == "decomposer":
            return '{"split": null}'
        if "candidates" in state:
            return pick("4")(state)
        return answer("4" if len(state["refused"]) >= 9 else f"{len(state['refused'])}/{request.address.draw}")

    def solve(votes: int) -> RunResult:
        return maker.solve_sync("2 + 2", model=ScriptedModel(reply), journal=tmp_path / "s.db",
                                limits={"max_votes": votes})  # fmt: skip

    stopped = solve(15)
    assert (stopped.stopped, stopped.exit_code) == ("undecided", 4)
    assert "solver of problem 1" in stopped.detail and "Raise max_votes and resume" in stopped.detail
    assert solve(20).answer == "4"


@pytest.mark.parametrize("role", ROLES)
def test_a_role_that_always_rambles_stops_with_its_name(role, tmp_path):
    """Whichever role rambles, the solve stops as undecided, names role and problem, and can be resumed."""
    path = tmp_path / "s.db"
    settings: dict[str, Any] = {"journal": path, "limits": {"max_flags": 12}, "seed": 4}
    # Errors make the solvers disagree, so that the judges are asked.
    stopped = maker.solve_sync(PROBLEM, model=NoisySolver(0.15, roles=[role]), k=3, **settings)
    assert (stopped.stopped, stopped.exit_code, stopped.answer) == ("undecided", 4, None)
    assert stopped.detail.startswith(f"{role} of problem ") and "malformed 12" in stopped.detail
    assert stopped.usage.dispatched == stopped.usage.voted + stopped.usage.flagged
    again = maker.solve_sync(PROBLEM, model=NoisySolver(0.15, roles=[role]), k=3, **settings)
    assert same_end(again, stopped) and again.stopped == "undecided" and again.samples == stopped.samples
    settings["limits"] = {}
    assert maker.solve_sync(PROBLEM, model=NoisySolver(0.0), k=3, **settings).answer == ANSWER


@pytest.mark.parametrize("flags", ["paper", []])
def test_impossible_choices_are_flagged_whatever_the_flags(flags):
    """A judge that chooses a candidate there is not has no vote, even where no flag was asked for."""
    model = scripted(
        decomposer='{"split": null}', solver=[answer("4"), answer("5"), answer("6")],
        solution_judge=lambda state: next(turns) if next(calls) % 2 else pick("5")(state),
    )  # fmt: skip
    calls, turns = iter(range(1000)), iter(['{"choice": 99}', '{"choice": -1}'] * 100)
    result = maker.solve_sync("2 + 2", model=model, flags=flags)
    assert result.answer == "5" and result.flags == {"illegal": 2}


def test_a_tie_is_never_broken():
    """A judge torn between two answers ends undecided at its limit, never with the one that leads."""
    votes = iter(range(10_000))

    def torn(state: dict[str, Any]) -> str:
        return pick("45"[next(votes) % 2])(state)

    model = scripted(decomposer='{"split": null}', solver=[answer("4"), answer("5"), answer("6")], solution_judge=torn)
    result = maker.solve_sync("2 + 2", model=model, limits={"max_votes": 21})
    assert (result.stopped, result.answer) == ("undecided", None)
    assert "max_votes" in result.detail


@pytest.mark.parametrize("limits", [{"max_calls": 40}, {"max_steps": 9}, {"max_tokens": 8_000}])
def test_a_limit_stops_and_a_resume_ends_as_if_undisturbed(limits, tmp_path):
    """Stopped by a limit and resumed without it, the tree is the one of an undisturbed solve."""
    path = tmp_path / "s.db"
    plain = maker.solve_sync(PROBLEM, model=NoisySolver(0.1, 0.05))
    (name,) = limits
    stopped = maker.solve_sync(PROBLEM, model=NoisySolver(0.1, 0.05), journal=path, limits=limits)
    assert (stopped.stopped, stopped.exit_code) == (name, 3) and not stopped.solved
    resumed = maker.solve_sync(PROBLEM, model=NoisySolver(0.1, 0.05), journal=path)
    assert same_end(resumed, plain) and resumed.samples == plain.samples
    assert resumed.replayed == stopped.steps


def test_interrupted_at_every_moment_a_solve_ends_the_same(tmp_path):
    """Interrupted before its n-th wave, for every n, and resumed, a solve ends as the undisturbed one."""
    problem = "38 * 97"
    plain = maker.solve_sync(problem, model=NoisySolver(0.2, 0.1), seed=5)
    for n in range(12):
        path = tmp_path / f"{n}.db"
        asked = iter(range(1000))
        first = maker.solve_sync(problem, model=NoisySolver(0.2, 0.1), seed=5, journal=path,
                                 interrupted=lambda: next(asked) >= n)  # fmt: skip  # noqa: B023
        assert first.stopped == "interrupted"
        assert same_end(maker.solve_sync(problem, model=NoisySolver(0.2, 0.1), seed=5, journal=path), plain)


def test_lockstep_and_free_models_grow_the_same_tree():
    """How the model is called changes the order of waves, not the tree."""
    one = maker.solve_sync(PROBLEM, model=NoisySolver(0.1, 0.05, lockstep=True))
    other = maker.solve_sync(PROBLEM, model=NoisySolver(0.1, 0.05, lockstep=False))
    assert same_end(one, other) and one.samples == other.samples


async def pairs(request: Request, waiting: dict[int, anyio.Event]) -> None:
    """Wait until the other part of the same split is in flight too."""
    number = request.address.step >> 18
    if number > 1:
        waiting.setdefault(number, anyio.Event()).set()
        await waiting.setdefault(number ^ 1, anyio.Event()).wait()


@pytest.mark.asyncio
async def test_the_parts_of_a_problem_are_solved_at_the_same_time():
    """Each part's draws wait for its sibling's to be in flight: a solve that took them in turn would never end."""
    waiting: dict[int, anyio.Event] = {}

    class Meeting(NoisySolver):
        async def draw(self, requests):
            await pairs(requests[0], waiting)
            return await super().draw(requests)

    with anyio.fail_after(20):
        result = await maker.solve(PROBLEM, model=Meeting(lockstep=False))
    assert result.answer == ANSWER and len(waiting) >= 4


@pytest.mark.asyncio
async def test_a_cancelled_solve_keeps_what_was_acknowledged(tmp_path):
    """Cancelled in the middle, the journal holds every committed wave and a resume ends the same."""
    path = tmp_path / "s.db"

    class Slow(NoisySolver):
        async def draw(self, requests):
            if len(self.requests) > 40:
                scope.cancel()
                await anyio.sleep_forever()
            return await super().draw(requests)

    with anyio.CancelScope() as scope:
        await maker.solve(PROBLEM, model=Slow(0.1, lockstep=False), journal=path)
    kept = recheck(Story(path))
    assert kept.audit.problem is None and 0 < sum(kept.samples.values()) <= 41 and not kept.audit.complete
    resumed = await maker.solve(PROBLEM, model=NoisySolver(0.1, lockstep=False), journal=path)
    assert same_end(resumed, await maker.solve(PROBLEM, model=NoisySolver(0.1)))


@pytest.mark.asyncio
async def test_paid_samples_of_an_unfinished_wave_are_used_again(tmp_path):
    """Cancelled while a wave is half in, a resume asks only for the draws that had not come."""
    path = tmp_path / "s.db"
    asked: list[tuple[int, int]] = []

    class Slow(NoisySolver):
        async def draw(self, requests):
            address = requests[0].address
            asked.append((address.step, address.draw))
            if len(asked) == 6:  # the third draw of the second decision
                scope.cancel()
                await anyio.sleep_forever()
            return await super().draw(requests)

    with anyio.CancelScope() as scope:
        await maker.solve("4 * 5", model=Slow(lockstep=False), journal=path, limits={"concurrency": 1})
    lost = asked[-1]
    model = NoisySolver(lockstep=False)
    result = await maker.solve("4 * 5", model=model, journal=path)
    assert result.answer == "20"
    assert [(r.address.step, r.address.draw) for r in model.requests] == [lost]
    assert result.usage.cancelled == 1 and result.usage.in_flight == 0


@pytest.mark.asyncio
async def test_a_server_that_changes_its_model_stops_the_solve(tmp_path):
    """A change of model in mid-solve is a named stop with exit code 5, and goes on where it is accepted."""
    path = tmp_path / "s.db"

    class Changing(NoisySolver):
        async def draw(self, requests):
            (sample,) = await super().draw(requests)
            sample.model = "new" if len(self.requests) > 4 else "old"
            return [sample]

    changed = await maker.solve("4 * 5", model=Changing(lockstep=False), journal=path)
    assert (changed.stopped, changed.exit_code) == ("model_changed", 5)
    result = await maker.solve("4 * 5", model=Changing(lockstep=False), journal=path, accept_change=["model"])
    assert result.answer == "20"
    with pytest.raises(TaskError, match="only a server's model and fingerprint"):
        await maker.solve("4 * 5", model=Changing(lockstep=False), journal=path, accept_change=["k"])


def test_flags_see_only_what_the_model_sees():
    """The state in a flag's hands is the last line of the prompt: no truth, nothing besides."""
    seen = []

    def watch(sample: Sample, step: Any, earlier: Any) -> RedFlag | None:
        seen.append((step.index, step.state))
        return None

    model = NoisySolver(0.1)
    maker.solve_sync(PROBLEM, model=model, flags=[*DEFAULT, watch])
    shown = {request.address.step: state_of(request) for request in model.requests if request.address.draw == 0}
    assert seen and all(shown[step] == state for step, state in seen)


def test_the_account_balances_and_says_what_was_sent():
    """Draws sent are voted plus flagged ones, and the result counts both."""
    model = NoisySolver(0.1, 0.2)
    result = maker.solve_sync(PROBLEM, model=model)
    usage = result.usage
    assert usage.dispatched == usage.voted + usage.flagged == len(model.requests) == result.samples
    assert result.flagged == result.flags["malformed"] > 0
    assert sum(result.waves.values()) == result.steps == len(list(result.verdicts()))


def test_progress_shows_decisions_as_they_are_acknowledged(tmp_path, monkeypatch):
    """Progress counts committed decisions, never falling back."""
    monkeypatch.setattr("maker.engine.result.REPORT_SECONDS", 0.0)
    seen: list[int] = []
    maker.solve_sync(PROBLEM, model=NoisySolver(lockstep=False), journal=tmp_path / "s.db",
                     progress=lambda glimpse: seen.append(glimpse.steps))  # fmt: skip
    assert seen == sorted(seen) and seen[-1] > 5


@pytest.mark.parametrize(
    "settings",
    [{"problem": "5 * 5"}, {"k": 4}, {"depth": 4}, {"seed": 1}, {"temperature": 1.0}, {"flags": "paper"}],
)
def test_a_journal_of_another_solve_is_refused(settings, tmp_path):
    """Whatever can change a decision belongs to the journal; a resume with another value is refused."""
    path = tmp_path / "s.db"
    same: dict[str, Any] = {"problem": "4 * 5", "k": 3, "depth": 5, "journal": path}
    maker.solve_sync(model=NoisySolver(), **same)
    with pytest.raises(JournalError, match="other settings"):
        maker.solve_sync(model=NoisySolver(), **{**same, **settings})


def test_a_run_and_a_solve_do_not_share_a_journal(tmp_path):
    """The journal of a run is refused."""
    path = tmp_path / "r.db"
    maker.run_sync("hanoi", model="oracle:p=0.99", k=3, journal=path, limits={"max_steps": 3})
    with pytest.raises(JournalError, match="task: journal 'hanoi', now 'solve'"):
        maker.solve_sync("4 * 5", model=NoisySolver(), journal=path)


def forge(path: Path, other: Path, change: Any) -> None:
    """Copy a journal with its waves changed, and with calls that failed."""
    failed = {"failed": 1, "cancelled": 0, "lost_in": 0, "lost_out": 0, "assumed": 0}
    with Journal(other) as book:
        list(book.replay())
        for record in read_records(path):
            item = decode(record)
            book.append(encode_wave(change(item)) if isinstance(item, Wave) else record)
            if "header" in record.decode("latin-1"):
                book.append(encode_note({"usage": failed}))


@pytest.mark.parametrize("what", ["another step", "another winner", "no verdict"])
def test_a_journal_that_contradicts_itself_is_refused(what, tmp_path):
    """A wave of a decision that was not open, and a verdict that does not follow, end the resume and change nothing."""

    def change(wave: Wave) -> Wave:
        if what == "another step":
            wave.step += 1 << 18
        elif what == "no verdict":
            wave.verdict = None
        elif wave.verdict is not None:
            wave.verdict = (wave.verdict[0], bytes(16), wave.verdict[2])
        return wave

    maker.solve_sync("4 * 5", model=NoisySolver(), journal=tmp_path / "s.db")
    forge(tmp_path / "s.db", tmp_path / "forged.db", change)
    before = list(read_records(tmp_path / "forged.db"))
    with pytest.raises(JournalError, match=r"was not open|does not follow"):
        maker.solve_sync("4 * 5", model=NoisySolver(), journal=tmp_path / "forged.db")
    assert list(read_records(tmp_path / "forged.db")) == before, "a refused journal was written to"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"problem": "  "}, "not empty"),
        ({"problem": 12}, "must be text"),
        ({"k": "auto"}, "give a whole number"),
        ({"k": 0}, "k = 0"),
        ({"k": True}, "k = True"),
        ({"depth": -1}, "depth = -1"),
        ({"depth": 33}, "depth = 33"),
        ({"depth": True}, "depth = True"),
        ({"limits": {"max_votes": 4}}, "one round of 5"),
        ({"model": Oracle()}, "reads text"),
        ({"limits": {"max_everything": 4}}, "max_everything"),
    ],
)
def test_bad_input_is_one_clear_message(settings, message, tmp_path):
    """What cannot be meant is refused before anything is sent or written."""
    path = tmp_path / "s.db"
    with pytest.raises(TaskError, match=message):
        maker.solve_sync(**{"problem": "1 * 1", "model": NoisySolver(), "journal": path, **settings})
    assert not path.exists()


def test_a_model_that_only_refuses_is_a_poison_step():
    """Ten refusals without a valid reply stop the solve by name, long before the flags run out."""
    result = maker.solve_sync("4 * 5", model=ScriptedModel(["I'm sorry, I can't help with that."]))
    assert (result.stopped, result.exit_code) == ("poison_step", 4)
    assert result.detail.startswith("decomposer of problem 1") and result.samples < 20


def test_a_server_that_repeats_itself_is_found_out():
    """Samples with the ids of earlier ones are no votes; too many of them end the solve with exit code 5."""

    def copy(request: Request) -> Sample:
        return Sample('{"split": null}', response_id="always the same")

    result = maker.solve_sync("4 * 5", model=ScriptedModel(copy), limits={"max_flags": 1000})
    assert (result.stopped, result.exit_code) == ("copied", 5)


def test_a_stop_lets_the_other_branch_finish_its_wave(tmp_path):
    """When one part of a problem is undecided, what the other part has in flight is still counted; no more is sent."""

    def say(request: Request) -> str:
        state = state_of(request)
        if state["problem"] == "46 * 12" and state["role"] == "decomposer":
            return json.dumps({"split": {"p1": "46 * 6", "p2": "6 * 46", "compose": "answer1 + answer2"}})
        return "hm" if state["problem"] == "46 * 6" else '{"split": null}' if "answer1" not in state else answer("1")

    result = maker.solve_sync("46 * 12", model=ScriptedModel(say, lockstep=False), limits={"max_flags": 3})
    assert result.stopped == "undecided" and "decomposer of problem 2" in result.detail
    assert result.usage.in_flight == 0 and result.usage.cancelled == 0


def test_an_unusable_model_is_raised():
    """A model that cannot answer at all ends the solve with ModelError."""

    class Broken:
        lockstep = False

        async def draw(self, requests):
            raise NotImplementedError("no weights")

    with pytest.raises(ModelError, match="no weights"):
        maker.solve_sync("1 * 1", model=Broken())


def test_wrong_answers_have_a_cause(tmp_path):
    """At k = 1 and many errors, every wrong answer has a problem in its tree that failed by its own fault."""
    wrong = 0
    for number, (problem, product) in enumerate(problems(20, seed=1)):
        path = tmp_path / f"{number}.db"
        result = maker.solve_sync(problem, model=NoisySolver(0.15), k=1, seed=number, journal=path)
        found = failures(recheck(Story(path)).tree, TRUTH)
        if result.solved and result.answer != product:
            wrong += 1
            assert found
    assert wrong > 5


CHILD = """
import sys
sys.path.insert(0, sys.argv[2])
import maker, maker.engine.result
from solve_model import NoisySolver
maker.engine.result.REPORT_SECONDS = 0.0
def show(progress):
    print(progress.steps, flush=True)
    sys.stdin.readline()
result = maker.solve_sync(sys.argv[3], model=NoisySolver(0.1, 0.05, lockstep=False), journal=sys.argv[1], progress=show)
print("end", result.chain, flush=True)
"""


def test_killed_in_the_middle_a_solve_ends_in_the_same_tree(tmp_path):
    """After SIGKILLs at several moments nothing acknowledged is lost, and the tree is that of an undisturbed solve."""
    path = tmp_path / "s.db"
    plain = maker.solve_sync(PROBLEM, model=NoisySolver(0.1, 0.05))
    promised = 0
    for lines in (3, 9, 14):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path), str(Path(__file__).parents[2] / "kit"), PROBLEM],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert child.stdin is not None and child.stdout is not None
        for _ in range(lines):  # it waits for a line of ours after each of its own
            promised = max(promised, int(child.stdout.readline()))
            print(file=child.stdin, flush=True)
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
        assert child.returncode == -signal.SIGKILL
        kept = recheck(Story(path))
        assert kept.audit.problem is None and not kept.audit.complete and len(kept.tree.hashes) >= promised
    resumed = maker.solve_sync(PROBLEM, model=NoisySolver(0.1, 0.05), journal=path)
    assert same_end(resumed, plain) and resumed.replayed >= promised > 0
    assert resumed.usage.dispatched == plain.usage.dispatched, "a journaled sample was drawn again"


def test_votes_of_a_pool_weigh_in_a_solve(tmp_path):
    """Two models that disagree never decide as equals; where one's votes count twice it wins, and a recount says so."""
    right, wrong = (
        scripted(decomposer='{"split": null}', solver=answer(said), solution_judge=pick(said)) for said in ("6", "7")
    )
    path = tmp_path / "s.db"
    limits = {"max_votes": 20}
    equal = maker.solve_sync("2 * 3", model=[right, wrong], limits=limits)
    weighed = maker.solve_sync("2 * 3", model=[wrong, right], weights=(1, 2), limits=limits, journal=path)
    assert (equal.stopped, weighed.answer) == ("undecided", "6")
    kept = recheck(Story(path))
    assert kept.audit.problem is None and kept.audit.complete
    again = maker.solve_sync("2 * 3", model=[wrong, right], weights=(1, 2), limits=limits, journal=path)
    assert same_end(again, weighed) and again.usage.dispatched == weighed.usage.dispatched
