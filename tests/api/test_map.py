"""maker.map: every item one voted step, journaled, resumable, in item order."""

from __future__ import annotations

import json
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import anyio
import anyio.lowlevel
import pytest
from pydantic import BaseModel

import maker
from maker.api.map import Items
from maker.decision.address import draw_seeds, seed_key
from maker.decision.race import first_to_ahead
from maker.decision.sample import Failure, Request, Sample
from maker.engine.result import Progress
from maker.errors import JournalError, ModelError, TaskError, Undecided
from maker.journal.story import Story
from maker.testing import FaultServer, Reply, ScriptedModel, check_journal, check_task


class Size(BaseModel):
    """An answer."""

    width: int


def double(request: Request) -> str:
    """Answer `item: N` with 2 N, always."""
    return str(2 * int(request.prompt.removeprefix("item: ")))


def doubled(items: Any = (3, 1, 4, 1, 5), script: Any = double, *, lockstep: bool = True, **settings: Any) -> Any:
    """Map over numbers."""
    settings = {"answer": int, "k": 2, **settings}
    return maker.map_sync("item: {item}", items, model=ScriptedModel(script, lockstep=lockstep), **settings)


def hard(*items: int, until: int = 8) -> Any:
    """Return a script that is in two minds about some items for `until` draws, and doubles the others."""

    def script(request: Request) -> str:
        if int(request.prompt.removeprefix("item: ")) in items and request.address.draw < until:
            return str(request.address.draw % 2)
        return double(request)

    return script


# -- the verdicts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lockstep", [True, False])
def test_every_item_is_one_voted_step(lockstep: bool):
    """There is one verdict for each item, in item order, equal items included."""
    verdicts = doubled(lockstep=lockstep)
    assert list(verdicts.answers()) == [6, 2, 8, 2, 10]
    assert [(v.step, v.answer, v.samples) for v in verdicts] == [(0, 6, 2), (1, 2, 2), (2, 8, 2), (3, 2, 2), (4, 10, 2)]
    assert (len(verdicts), verdicts.stopped, verdicts[2].answer, list(verdicts.missing())) == (5, None, 8, [])
    assert (verdicts.result.solved, verdicts.result.answer, verdicts.result.samples) == (True, 5, 10)


@pytest.mark.parametrize("lockstep", [True, False])
def test_item_order_is_not_the_order_of_decision(lockstep: bool, tmp_path: Path):
    """Items that take long come in their place, though the journal has them last."""
    verdicts = doubled(range(40), hard(0, 7), lockstep=lockstep, journal=tmp_path / "run.db")
    assert list(verdicts.answers()) == list(range(0, 80, 2))
    assert [verdict.step for verdict in verdicts.result.verdicts()] != list(range(40))
    assert verdicts[7].votes == {0: 4, 1: 4, 14: 6}


def test_verdicts_can_be_read_again_and_side_by_side():
    """Reading twice, or two readings at a time, do not disturb each other."""
    verdicts = doubled()
    pairs = [(left.step, right.step) for left, right in zip(verdicts, verdicts, strict=True)]
    assert pairs == [(i, i) for i in range(5)]
    assert sorted(verdicts.answers()) == sorted(verdicts.answers())


def test_prompts_may_be_made_by_a_function():
    """A callable makes each prompt of its item; what it is given is the item itself."""
    items = [{"name": "b", "size": 2}, {"name": "a", "size": 7}]
    model = ScriptedModel(lambda request: json.dumps({"width": int(request.prompt[-1])}))
    verdicts = maker.map_sync(
        lambda item: f"How wide is {item['name']}? {item['size']}", items, model=model, answer=Size
    )
    assert list(verdicts.answers()) == [Size(width=2), Size(width=7)]
    assert {request.prompt for request in model.requests} == {"How wide is b? 2", "How wide is a? 7"}


def test_templates_reach_into_items():
    """A template has {item}, its attributes and its entries; doubled braces are braces."""
    model = ScriptedModel(["1"])
    maker.map_sync('{{"{item[name]}": {item[size].real!r:>3}}}', [{"name": "b", "size": 2}], model=model, k=1)
    assert model.requests[0].prompt == '{"b":   2}'


def test_keys_hold_in_the_journal_too():
    """Answers with equal keys are one candidate; the verdicts have the answers and not the keys."""
    script = ["Paris", "paris", "Rome", "PARIS"]
    verdicts = maker.map_sync("Where is {item}?", ["x", "y"], model=ScriptedModel(script), key=str.casefold, k=2)
    assert list(verdicts.answers()) == ["Paris", "Paris"]
    assert verdicts[1].votes == {"PARIS": 2}
    with pytest.raises(Undecided) as error:
        maker.map_sync(
            "Where is {item}?", ["x", "y"], model=ScriptedModel(["Paris", "Rome", "paris", "rome"]), key=str.casefold,
            k=2, limits={"max_votes": 4},
        )[0]  # fmt: skip
    assert error.value.tally.votes.items() == [("Paris", 2), ("Rome", 2)]


def test_no_items():
    """Of nothing there are no verdicts, and nothing is asked."""
    for lockstep in (True, False):
        model = ScriptedModel(["1"], lockstep=lockstep)
        verdicts = maker.map_sync("{item}", [], model=model)
        assert (list(verdicts), list(verdicts.answers()), len(verdicts), verdicts.stopped) == ([], [], 0, None)
        assert verdicts.result.solved
        assert model.requests == []


def test_more_items_than_segments(monkeypatch: pytest.MonkeyPatch):
    """Above a number of items neighbours share a segment; the answers are the same."""
    monkeypatch.setattr(sys.modules["maker.api.map"], "MOST_SEGMENTS", 4)
    verdicts = doubled(range(30), hard(3, 11))
    assert list(verdicts.answers()) == list(range(0, 60, 2))
    assert verdicts.result.segments == 4


# -- resuming -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lockstep", [True, False])
def test_resume_goes_on_where_the_journal_ends(lockstep: bool, tmp_path: Path):
    """A map stopped by a limit keeps what is decided, and asks on resume about the rest alone."""
    settings: dict[str, Any] = {"journal": tmp_path / "run.db", "lockstep": lockstep, "concurrency": 2}
    first = doubled(range(120), limits={"max_steps": 50}, **settings)
    assert (first.stopped, len(first)) == ("max_steps", 50)
    assert all(verdict.answer == 2 * verdict.step for verdict in first)
    model = ScriptedModel(double, lockstep=lockstep)
    rest = maker.map_sync(
        "item: {item}", range(120), model=model, answer=int, k=2, journal=settings["journal"], concurrency=2
    )
    assert list(rest.answers()) == list(range(0, 240, 2))
    assert (rest.result.replayed, rest.result.samples, len(model.requests)) == (50, 240, 140)
    again = doubled(range(120), script=["unasked"], **settings)
    assert list(again.answers()) == list(rest.answers())


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"items": [3, 1, 4, 1, 6]}, "prompts"),
        ({"items": [3, 1, 4, 5, 1]}, "prompts"),
        ({"items": [3, 1, 4, 1]}, "steps"),
        ({"answer": float}, "answer"),
        ({"answer": None, "parse": int}, "parse"),
        ({"key": abs}, "key"),
        ({"seed": 1}, "seed"),
        ({"k": 3}, "k: journal 2, now 3"),
        ({"temperature": 0.5}, "temperature"),
    ],
)
def test_another_map_is_refused(change: dict[str, Any], field: str, tmp_path: Path):
    """A journal of other items, another way of reading or of voting is not gone on with; it says which."""
    doubled(journal=tmp_path / "run.db", limits={"max_steps": 2})
    with pytest.raises(JournalError, match=f"other settings.*{field}"):
        doubled(**{"journal": tmp_path / "run.db", **change})
    assert list(doubled(journal=tmp_path / "run.db").answers()) == [6, 2, 8, 2, 10]


@pytest.mark.parametrize("paraphrases", [None, ["{item} doubled: {item}"]])
def test_more_items_may_follow(paraphrases: Any, tmp_path: Path):
    """A list that begins with the journal's items goes on: what is decided stays, each new item is asked about."""
    settings: dict[str, Any] = {"journal": tmp_path / "run.db", "paraphrases": paraphrases, "lockstep": False}

    def script(request: Request) -> str:
        return str(2 * int(request.prompt.split(": ")[1]))

    doubled([3, 1, 4], script, limits={"max_steps": 2}, **settings)
    for items in ([3, 1, 4, 1, 5], [3, 1, 4, 1, 5, 9]):
        longer = doubled(items, script, **settings)
        assert list(longer.answers()) == [2 * item for item in items]
    assert (longer.result.replayed, longer.result.samples, longer.result.epochs) == (5, 12, 2)
    assert check_journal(tmp_path / "run.db", longer.result.task).solved
    for items in ([3, 1, 4, 1, 6, 9, 2], [1, 3, 4, 1, 5, 9, 2], [3, 1, 4]):
        with pytest.raises(JournalError, match="other settings"):
            doubled(items, script, **settings)
    with pytest.raises(JournalError, match="k: journal 2, now 3"):
        doubled([3, 1, 4, 1, 5, 9, 2], script, k=3, **settings)
    assert len(doubled([3, 1, 4, 1, 5, 9], ["unasked"], **settings)) == 6


def test_more_items_than_segments_do_not_follow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Where neighbours come to share a segment, a longer list would move items to other ones: it is refused."""
    monkeypatch.setattr(sys.modules["maker.api.map"], "MOST_SEGMENTS", 4)
    doubled(range(4), journal=tmp_path / "run.db")
    with pytest.raises(JournalError, match="steps: journal 4, now 5"):
        doubled(range(5), journal=tmp_path / "run.db")


def test_accepted_changes_begin_undecided_items_anew(tmp_path: Path):
    """With accept_change a map goes on under another k: decided items stay, the others are asked from the start."""
    settings: dict[str, Any] = {"journal": tmp_path / "run.db", "script": hard(3)}
    first = doubled(range(9), limits={"max_votes": 8}, **settings)
    assert [failed.item for failed in first.failed] == [3]
    rest = doubled(range(9), k=1, accept_change=["k"], **settings)
    assert list(rest.answers()) == [0, 2, 4, 0, 8, 10, 12, 14, 16]
    assert (rest[3].votes, rest[3].samples, rest[0].samples) == ({0: 1}, 1, 2)


def test_a_server_is_paid_once_for_each_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Over HTTP, by name, with a server that fails now and then: stopped and resumed, no sample is bought twice."""
    monkeypatch.setattr("maker.sending.dispatcher.FIRST_BACKOFF", 0.0)
    told = iter([503, "?", Reply(reset=True)])
    with FaultServer(lambda r: next(told, None) or str(2 * int(r.prompt.removeprefix("item: ")))) as server:
        settings: dict[str, Any] = {"model": server.spec("m"), "answer": int, "k": 2, "journal": tmp_path / "run.db"}
        first = maker.map_sync("item: {item}", range(12), concurrency=3, limits={"max_steps": 5}, **settings)
        assert first.stopped == "max_steps"
        assert len(first) <= 5
        rest = maker.map_sync("item: {item}", range(12), **settings)
        assert list(rest.answers()) == list(range(0, 24, 2))
        assert server.ledger.bills == rest.result.samples == 25
        assert rest.result.flags == {"malformed": 1}


_CHILD = '''
import os, resource, signal, sys
import maker
from maker import Sample

class Noisy:
    """Wrong one time in ten, cut off one time in 33: by the seed of the draw alone."""
    name, lockstep, simulated = "noisy", True, True
    async def draw(self, requests):
        return [self.reply(int(r.prompt), r.seed) for r in requests]
    def reply(self, item, seed):
        return Sample(str(item * 7 + (seed % 10 == 0)), finish_reason="length" if seed % 33 == 0 else "stop")

memory = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
journal, kill_at, items = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
early = []

def look(progress):
    if progress.steps >= kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
    if progress.steps >= 1_000 and not early:
        early.append(memory())

verdicts = maker.map_sync("{item}", range(items), model=Noisy(), answer=int, k=2, journal=journal, progress=look)
answers = [verdict.answer for verdict in verdicts]
print(verdicts.result.replayed, memory() - early[0], verdicts.result.flagged)
print(answers)
'''


def _one_at_a_time(item: int) -> int:
    """Return the answer that the child's model gives to an item, counted one vote at a time."""
    race, draw, answers = first_to_ahead(2, 100, 100), 0, {}
    next(race)
    try:
        while True:
            seed = draw_seeds(seed_key(0), item, draw // 8)[draw % 8]
            draw += 1
            if seed % 33:
                answer = item * 7 + (seed % 10 == 0)
                answers[answer] = answers.get(answer, 0) + 1
                best, *others = sorted(answers.values(), reverse=True)
                if best - sum(others) == 2:
                    return max(answers, key=answers.__getitem__)
    finally:
        race.close()


def test_ten_thousand_items_killed_and_resumed(tmp_path: Path):
    """SIGKILL in the middle, then the same call: every item exactly once, in order, and memory stays flat."""
    command = [sys.executable, "-c", _CHILD, str(tmp_path / "run.db")]
    killed = subprocess.run([*command, "3000", "10000"], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    done = subprocess.run([*command, "99999", "10000"], capture_output=True, text=True, check=True)
    told, answers = done.stdout.splitlines()
    replayed, grown, flagged = map(int, told.split())
    assert json.loads(answers) == [_one_at_a_time(item) for item in range(10_000)]
    assert 3000 <= replayed < 10_000
    assert flagged > 500
    assert grown < 16, f"{grown} MB more after 10,000 items than after 1,000"
    task = Items(str, range(10_000), maker.api.answers.reader_of("map", None, int, None))
    assert check_journal(tmp_path / "run.db", task).solved


# -- items that do not decide -------------------------------------------------------------------------------------


@pytest.mark.parametrize("lockstep", [True, False])
def test_an_undecided_item_is_a_named_stop(lockstep: bool, tmp_path: Path):
    """It has no answer; what is decided stays readable; the same call with a higher limit goes on."""
    settings: dict[str, Any] = {"script": hard(3, until=8), "journal": tmp_path / "run.db", "lockstep": lockstep}
    verdicts = doubled(range(20), limits={"max_votes": 8}, **settings)
    assert (verdicts.stopped, verdicts.result.exit_code, verdicts.result.solved) == (None, 4, False)
    assert "Raise max_votes and resume" in verdicts.result.detail
    assert 3 in list(verdicts.missing())
    assert len(list(verdicts)) == len(verdicts) == 20 - len(list(verdicts.missing()))
    assert all(verdict.answer == 2 * verdict.step for verdict in verdicts)
    with pytest.raises(Undecided, match="item 3 has no verdict: item 3 is undecided after"):
        verdicts.answers()
    with pytest.raises(Undecided) as error:
        verdicts[3]
    assert (error.value.step, error.value.limit, error.value.tally.votes) == (3, "undecided", {0: 4, 1: 4})
    resumed = doubled(range(20), limits={"max_votes": 20}, **settings)
    assert list(resumed.answers()) == list(range(0, 40, 2))
    assert resumed[3].votes == {0: 4, 1: 4, 6: 6}


@pytest.mark.parametrize("lockstep", [True, False])
def test_an_undecided_item_holds_up_no_other(lockstep: bool, tmp_path: Path):
    """All other items are decided, the map is through, and its failures are listed; a resume does not lose that."""
    for _ in range(2):
        verdicts = doubled(
            range(1500), hard(3, 7), limits={"max_votes": 8}, journal=tmp_path / "run.db", lockstep=lockstep
        )
        assert (verdicts.stopped, list(verdicts.missing())) == (None, [3, 7])
        votes = {0: 4, 1: 4}
        assert [(failed.item, failed.tally.votes) for failed in verdicts.failed] == [(3, votes), (7, votes)]
        assert verdicts.failed[1].reason.startswith("item 7 is undecided after 8 samples")


def test_flagged_draws_of_an_undecided_item_are_told():
    """The tally of an item that only brought flagged replies says how many."""
    verdicts = doubled([1, 2], lambda request: "2" if request.prompt == "item: 1" else "?", limits={"max_flags": 6})
    with pytest.raises(Undecided) as error:
        verdicts[1]
    assert (error.value.tally.total, error.value.tally.flagged) == (0, 6)


def test_the_summary_says_what_a_person_wants_to_know():
    """Items done, the first that failed with their reasons, flags, tokens and cost; the account is the run's."""

    def script(request: Request) -> str:
        return "?" if request.address.draw == 0 else hard(1, until=99)(request)

    verdicts = doubled([0, 1, 2], script, limits={"max_votes": 8}, lockstep=False)
    lines = verdicts.summary().split("\n")
    assert lines[0] == "2 of 3 items are decided, 1 failed"
    assert lines[1].startswith("failed: item 1 is undecided after 9 samples: votes 4, 4 (k = 2 ahead is needed)")
    assert lines[2:4] == ["flagged: malformed 3", "samples: 15, 3 flagged (20.00%), 7.500 an item"]
    assert lines[5].startswith("tokens: 0 in, 0 out, and at most ")
    assert (lines[4], lines[6][:6], lines[7:]) == ("calls: 15", "time: ", ["cost: not known"])
    assert (verdicts.usage, verdicts.cost) == (verdicts.result.usage, None)
    stopped = doubled(range(9), limits={"max_steps": 4})
    assert stopped.summary().split("\n")[0] == "4 of 9 items are decided"
    assert stopped.summary().split("\n")[-1].startswith("stopped: max_steps. 4 steps are decided")


def test_many_failures_are_not_all_in_the_summary():
    """A summary stays a few lines: the first failures, and how many more there are."""
    verdicts = doubled([1] * 9, hard(1, until=99), limits={"max_votes": 4})
    said = [line for line in verdicts.summary().split("\n") if line.startswith("failed")]
    assert (len(said), said[-1]) == (6, "failed: 4 more, see `failed`")


def test_a_resume_that_decides_nothing_says_how_it_ended(tmp_path: Path):
    """Samples without a verdict are followed by the run's last word too: the journal never looks like a killed one."""
    settings: dict[str, Any] = {"script": hard(0, until=99), "lockstep": False, "journal": tmp_path / "run.db"}
    for most in (4, 6, 6):
        doubled([0, 1], limits={"max_votes": most}, **settings)
        said = Story(tmp_path / "run.db").summary()
        assert (said.as_json()["stopped"], said.samples) == ("undecided", most + 2)
    records = said.records
    doubled([0, 1], limits={"max_votes": 6}, **settings)
    assert Story(tmp_path / "run.db").records == records


@pytest.mark.parametrize("position", [-1, 5])
def test_positions_that_are_no_items(position: int):
    """Beyond the items there is nothing to look up."""
    with pytest.raises(IndexError, match=f"no item {position}"):
        doubled()[position]


@pytest.mark.parametrize("limits", [{"max_calls": 6}, maker.Limits(max_calls=6)])
def test_limits_are_of_the_whole_map(limits: Any):
    """A limit met is named in `stopped`; nothing is sent beyond it."""
    verdicts = doubled(range(40), limits=limits, lockstep=False, concurrency=1)
    assert (verdicts.stopped, len(verdicts), verdicts.result.samples) == ("max_calls", 3, 6)
    with pytest.raises(Undecided, match="item 3 has no verdict, the run stopped: max_calls"):
        verdicts.answers()


# -- what does not fit --------------------------------------------------------------------------------------------


async def _asked(item: int) -> str:
    """Ask asynchronously, which a map cannot use."""
    return str(item)


@maker.reliable(model=ScriptedModel(["1"]))
def decorated(item: int) -> int:
    """Double {item}."""


@pytest.mark.parametrize(
    ("prompt", "items", "settings", "match"),
    [
        ("no place", [1], {}, "has {item} where the item goes"),
        ("{item} and {other}", [1], {}, "no other place"),
        ("{}", [1], {}, "has {item}"),
        ("{item", [1], {}, "no template"),
        (7, [1], {}, "prompt = 7"),
        (_asked, [1], {}, "plain function"),
        (decorated, [1], {}, r"give its \.prompt"),
        ("{item.colour}", [1, 2], {}, "step 0: prompt raised AttributeError"),
        (lambda item: 1 // item, [0], {}, "step 0: prompt raised ZeroDivisionError"),
        (lambda item: item, ["a", ""], {}, "step 1: prompt returned"),
        (lambda item: item, ["a", 7], {}, "step 1: prompt returned int"),
        ("{item}", "text", {}, "not a str"),
        ("{item}", {"a": 1}, {}, "not a dict"),
        ("{item}", {1, 2}, {}, "not a set"),
        ("{item}", iter([1]), {}, "not a list_iterator"),
        ("{item}", [1], {"k": "auto"}, "map: k = 'auto'"),
        ("{item}", [1], {"k": 0}, "k = 0"),
        ("{item}", [1], {"answer": int, "parse": int}, "not both"),
        ("{item}", [1], {"concurrency": 0}, "concurrency"),
        ("{item}", [1], {"limits": {"max_vote": 1}}, "max_vote"),
        ("{item}", [1], {"flags": "strict"}, "flags"),
    ],
)
def test_arguments_that_do_not_fit(prompt: Any, items: Any, settings: dict[str, Any], match: str, tmp_path: Path):
    """Wrong arguments are a TaskError that names them, before anything is sent or written."""
    model = ScriptedModel(["a"])
    with pytest.raises(TaskError, match=match):
        maker.map_sync(prompt, items, model=model, journal=tmp_path / "run.db", **settings)
    assert model.requests == []
    assert list(tmp_path.iterdir()) == []


def test_unusable_models():
    """A fatal failure, or a name that nobody knows, is a ModelError."""
    with pytest.raises(ModelError, match="401"):
        doubled(script=[Failure("fatal", "401")])
    with pytest.raises(TaskError, match="gpt-17"):
        maker.map_sync("{item}", [1], model="gpt-17")


# -- the model, the loop, the rest --------------------------------------------------------------------------------


def test_flags_and_seeds_are_passed_on():
    """The flags asked for judge; the seed makes the draws."""
    seeds = []
    for seed in (0, 1):
        model = ScriptedModel([Sample("2", finish_reason="length")])
        verdicts = maker.map_sync("{item}", [1], model=model, flags=[], seed=seed, k=1)
        assert (verdicts[0].answer, verdicts[0].flagged) == ("2", 0)
        seeds.append(model.requests[0].seed)
    assert seeds[0] != seeds[1]


def test_schema_of_the_answer_is_sent():
    """A model that can enforce a schema gets it."""
    model = ScriptedModel(['{"width": 1}'])
    maker.map_sync("{item}", [1], model=model, answer=Size, k=1)
    assert model.requests[0].schema == Size.model_json_schema()


def test_progress_counts_items():
    """Progress is told as in a run."""
    seen: list[Progress] = []
    doubled(range(10), progress=seen.append)
    assert seen
    assert {progress.total for progress in seen} == {10}


def test_concurrency_is_kept():
    """In free mode at most `concurrency` draws are under way, and items go side by side up to that."""
    active, most = 0, 0
    full = anyio.Event()

    class Slow(ScriptedModel):
        async def draw(self, requests: Sequence[Request]) -> list[Sample | Failure]:
            nonlocal active, most
            active += 1
            most = max(most, active)
            if active == 7:
                full.set()
            await full.wait()
            for _ in range(10):  # an eighth would have come by then
                await anyio.lowlevel.checkpoint()
            active -= 1
            return await super().draw(requests)

    verdicts = maker.map_sync("item: {item}", range(30), model=Slow(double, lockstep=False), answer=int, concurrency=7)
    assert (list(verdicts.answers()), most) == (list(range(0, 60, 2)), 7)


@pytest.mark.asyncio
async def test_map_inside_a_running_loop():
    """Both twins work where a loop is running already, as in a notebook."""
    model = ScriptedModel(double)
    verdicts = await maker.map("item: {item}", [1, 2], model=model, answer=int)
    assert list(verdicts.answers()) == list(doubled([1, 2]).answers()) == [2, 4]


def test_map_in_threads():
    """Threads map side by side, and each may read what another mapped."""
    found: dict[int, Any] = {}
    threads = [threading.Thread(target=lambda n=n: found.update({n: doubled([n, n + 1])})) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {n: list(verdicts.answers()) for n, verdicts in found.items()} == {n: [2 * n, 2 * n + 2] for n in range(6)}


@pytest.mark.asyncio
async def test_cancelled_map_resumes(tmp_path: Path):
    """A map cancelled while its model hangs keeps what was decided; the same call goes on."""
    hung = anyio.Event()

    class Hanging(ScriptedModel):
        async def draw(self, requests: Sequence[Request]) -> list[Sample | Failure]:
            if requests[0].prompt == "item: 5":
                hung.set()
                await anyio.sleep_forever()
            return await super().draw(requests)

    async def call() -> None:
        await maker.map("item: {item}", range(9), model=Hanging(double, lockstep=False), answer=int, k=2,
                        journal=tmp_path / "run.db", concurrency=1)  # fmt: skip

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await hung.wait()
        group.cancel_scope.cancel()
    resumed = doubled(range(9), journal=tmp_path / "run.db")
    assert (list(resumed.answers()), resumed.result.replayed) == (list(range(0, 18, 2)), 5)


@pytest.mark.parametrize("answer", [int, Literal["2", "4"]])
def test_journals_verify(answer: Any, tmp_path: Path):
    """The journal of a map is one of a run: it is re-checked with the task behind it."""
    verdicts = maker.map_sync(
        "item: {item}", [1, 2], model=ScriptedModel(double), answer=answer, journal=tmp_path / "a"
    )
    assert check_journal(tmp_path / "a", verdicts.result.task).solved
    check_task(verdicts.result.task)
    keyed = maker.map_sync("item: {item}", [1, 2], model=ScriptedModel(double), key=len, journal=tmp_path / "b")
    assert check_journal(tmp_path / "b", keyed.result.task).solved
    assert repr(keyed) == "<Verdicts on 2 of 2 items, stopped: None>"


def test_verdicts_say_what_to_pass_to_another_process() -> None:
    """Verdicts are not pickled, and say what is; a list of them is, and equal."""
    found = maker.map_sync("Even? {item}", [1, 2], model=ScriptedModel(lambda request: "no"), k=1)
    with pytest.raises(TypeError, match=r"list\(verdicts\)"):
        pickle.dumps(found)
    assert pickle.loads(pickle.dumps(list(found))) == list(found)


def test_a_map_has_no_workers() -> None:
    """Workers are refused in words, before anything is asked: they could not make the questions again."""
    with pytest.raises(maker.TaskError, match="have none"):
        maker.map_sync("{item}?", ["a"], model="oracle", workers="ray")  # type: ignore[call-overload]
