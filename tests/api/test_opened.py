"""Opening and closing: what a call has made is closed however the call ends, and nothing else is."""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest

import maker
from echo import Echo
from maker.api.opened import opened, task_for
from maker.decision.config import Config
from maker.decision.sample import Prices, Request, Sample, desk
from maker.errors import TaskError, Undecided
from maker.task.prompt import words_in
from maker.testing import ScriptedModel

CALLS: list[Callable[..., Any]] = [maker.run_sync, maker.estimate_sync, maker.solve_sync, maker.vote_sync]


class Closing(ScriptedModel):
    """A scripted model that counts how often it was closed, in the end and not only in the beginning."""

    closed = 0

    async def aclose(self) -> None:
        """Close slowly: a cancellation that is not held off would get in between."""
        await anyio.lowlevel.checkpoint()
        self.closed += 1


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Closing]:
    """Return the models that were made from a name."""
    models: list[Closing] = []

    def load(spec: str) -> Closing:
        models.append(Closing([spec]))
        return models[-1]

    monkeypatch.setattr("maker.api.opened.load_model", load)
    return models


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("wrong", [{"temperature": -1.0}, {"limits": {"max_calls": 0}}, {"limits": {"max_cost": 1.0}}])
def test_a_model_made_here_is_closed_where_settings_do_not_fit(
    made: list[Closing], call: Callable[..., Any], wrong: dict[str, Any]
) -> None:
    """A setting that cannot be meant costs no connection and no process: what was made for the call is closed."""
    with pytest.raises(TaskError):
        call("hanoi", model="named", **wrong)
    assert all(model.closed == 1 for model in made)
    given = Closing(["x"])
    with pytest.raises(TaskError):
        call("hanoi", model=given, **wrong)
    assert given.closed == 0


@pytest.mark.asyncio
async def test_a_cancelled_call_closes_to_the_end(made: list[Closing]) -> None:
    """Cancellation does not cut closing short, and all models of a call are closed."""
    with anyio.CancelScope() as scope:
        async with opened(maker.run, "named", {}, others={"other": "other"}, k=1):
            scope.cancel()
            await anyio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    assert [model.closed for model in made] == [1, 1]


@pytest.mark.parametrize("name", ["vote", "map", "run", "solve", "estimate"])
def test_a_twin_takes_what_its_original_takes(name: str) -> None:
    """The synchronous twins have the signature and the text of the asynchronous functions."""
    call, twin = getattr(maker, name), getattr(maker, f"{name}_sync")
    assert (twin.__name__, twin.__doc__) == (f"{name}_sync", call.__doc__)
    assert list(inspect.signature(twin).parameters) == list(inspect.signature(call).parameters)


@pytest.mark.asyncio
async def test_calls_that_share_a_model_pay_at_their_own_desks() -> None:
    """A model that two votes ask at once finds, in each draw, the desk of the vote that asked for it."""
    payers: dict[str, set[int]] = {"one": set(), "two": set()}
    both = anyio.Event()

    class Shared(ScriptedModel):
        async def draw(self, requests: Any) -> Any:
            """Note who would pay, before and after the other vote has asked."""
            seen = payers[requests[0].prompt]
            seen.add(id(desk.get()))
            if all(payers.values()):
                both.set()
            await both.wait()
            seen.add(id(desk.get()))
            return await super().draw(requests)

    model = Shared(["x"], lockstep=False)
    async with anyio.create_task_group() as group:
        for prompt in payers:
            group.start_soon(lambda prompt=prompt: maker.vote(prompt, model=model, k=2))
    assert [len(found) for found in payers.values()] == [1, 1]
    assert payers["one"] != payers["two"] and id(None) not in payers["one"] | payers["two"]
    assert desk.get() is None


class Asked(ScriptedModel):
    """A model that keeps what it was asked, over a network or not, and says the same to everybody."""

    def __init__(self, text: str = "7") -> None:
        super().__init__(self._keep, lockstep=False)
        self.text, self.seen = text, []

    def _keep(self, request: Request) -> str:
        self.seen.append(request)
        return self.text


@pytest.mark.parametrize("lockstep", [True, False])
def test_another_loop_than_that_of_asyncio_is_refused_in_one_line(lockstep: bool) -> None:
    """Under trio each call says what to do before anything is asked, and what it says to do works."""
    pytest.importorskip("trio")
    model = ScriptedModel(["7"] * 9, lockstep=lockstep)
    calls = [lambda: maker.vote("?", model=model), lambda: maker.map("{item}?", [1], model=model),
             lambda: maker.run(Odd(), model=model), lambda: maker.solve("?", model=model),
             lambda: maker.estimate(Odd(), model=model)]  # fmt: skip
    for call in calls:
        with pytest.raises(
            TaskError, match=r"^[a-z]+: this works in an asyncio loop only, .*anyio\.to_thread"
        ) as refused:
            anyio.run(call, backend="trio")
        assert "\n" not in str(refused.value)
    assert not model.requests

    async def beside() -> maker.Verdict[str]:
        return await anyio.to_thread.run_sync(lambda: maker.vote_sync("?", model=model))

    assert anyio.run(beside, backend="trio").answer == "7"


ASKED: dict[str, Any] = {"system": "Be brief.", "temperature": None, "max_tokens": 9, "stop": ["#"], "long_answer": 8}
ONE = [{"role": "user", "content": "Is {item} odd?"}]


def _reliable(model: Asked, **asking: Any) -> None:
    @maker.reliable(model=model, k=2, **asking)
    def odd(item: int) -> str:
        """Is {item} odd."""

    odd(3)


def _ways(model: Asked) -> dict[str, Callable[..., Any]]:
    """Return each way to ask one question, by its name."""
    return {
        "vote": lambda **asking: maker.vote_sync("Is 3 odd?", model=model, k=2, **asking),
        "map": lambda **asking: maker.map_sync("Is {item} odd?", [3], model=model, k=2, **asking),
        "map of messages": lambda **asking: maker.map_sync(ONE, [3], model=model, k=2, **asking),
        "reliable": lambda **asking: _reliable(model, **asking),
        "run": lambda **asking: maker.run_sync(Odd(), model=model, k=2, **asking),
        "solve": lambda **asking: maker.solve_sync("Is 3 odd?", model=model, k=2, limits={"max_flags": 2}, **asking),
        "estimate": lambda **asking: maker.estimate_sync(Odd(), model=model, **asking),
    }


class Odd(Echo):
    """A task of 30 steps whose questions are messages; in finer steps it asks itself."""

    name = "odd"

    def __init__(self) -> None:
        super().__init__(steps=30)

    def prompt(self, state: int, step: int) -> Any:
        return [{"role": "user", "content": [{"type": "text", "text": f"Is {state} odd?"}]}]

    def truth(self, state: int, step: int) -> str:
        return "7"


@pytest.mark.parametrize("way", _ways(Asked()))
def test_every_way_to_ask_takes_the_same_settings(way: str) -> None:
    """What is set of asking is in the request, whoever asks: before the question, its system message."""
    model = Asked()
    _ways(model)[way](**ASKED)
    for asked in model.seen:
        said = (asked.temperature, asked.max_tokens, asked.stop, asked.messages[0]["content"])
        assert said == (None, 9, ("#",), "Be brief.")
        assert len(asked.messages) == 2


@pytest.mark.parametrize("way", _ways(Asked()))
def test_a_setting_that_there_is_not_is_named_with_the_nearest(way: str) -> None:
    """A misspelt setting is one line of ours, before anything is asked."""
    model = Asked()
    with pytest.raises(TaskError, match=r"there is no setting 'temprature'. Did you mean temperature\?"):
        _ways(model)[way](temprature=1.0)
    assert not model.seen


def test_a_system_message_is_given_once() -> None:
    """Messages that begin with one refuse another."""
    told = [{"role": "system", "content": "Be long."}, {"role": "user", "content": "Is 3 odd?"}]
    with pytest.raises(TaskError, match=r"begin with one of 'system' already"):
        maker.vote_sync(told, model=Asked(), k=2, system="Be brief.")
    assert maker.vote_sync(told, model=Asked(), k=2).answer == "7"


def test_the_older_name_of_the_token_cap_holds() -> None:
    """token_cap means max_tokens; both at once are refused."""
    model = Asked()
    maker.run_sync(Odd(), model=model, k=1, token_cap=5)
    assert {asked.max_tokens for asked in model.seen} == {5}
    with pytest.raises(TaskError, match="older name"):
        maker.run_sync(Odd(), model=model, k=1, token_cap=5, max_tokens=5)
    with pytest.raises(TaskError, match="give a list of texts"):
        maker.vote_sync("?", model=model, stop="#")


def test_settings_of_asking_are_those_of_the_run(tmp_path: Path) -> None:
    """A journal is gone on with under the same system message only; a run without one has none in its header."""
    begun: dict[str, Any] = {"model": Asked(), "k": 1, "journal": tmp_path / "run.db"}
    maker.run_sync(Odd(), **begun, system="Be brief.", stop=["#"], limits={"max_steps": 3})
    with pytest.raises(maker.JournalError, match=r"system: journal 'Be brief\.', now None"):
        maker.run_sync(Odd(), **begun, stop=["#"])
    assert maker.run_sync(Odd(), **begun, system="Be brief.", stop=["#"]).replayed == 3
    assert not {"system", "stop"} & set(Config().told())


PLAIN = "Is {item} odd?"
OTHER_WORDS = [PLAIN.replace("odd", "uneven"), [{"role": "user", "content": "Odd, {item}?"}]]


def test_a_question_in_several_wordings() -> None:
    """The wordings are asked in turn, the prompt first, by vote, map and reliable alike; answers need no way back."""
    want = {"Is 3 odd?", "Is 3 uneven?", "Odd, 3?"}
    model = Asked()
    maker.map_sync(PLAIN, [3], model=model, k=3, paraphrases=OTHER_WORDS)
    assert {words_in(asked.prompt) for asked in model.seen} == want
    model = Asked()
    maker.map_sync(PLAIN, [3], model=model, k=2, paraphrases=lambda item: [f"Odd: {item}"])
    assert {asked.prompt for asked in model.seen} == {"Is 3 odd?", "Odd: 3"}
    model = Asked()
    maker.vote_sync(
        "Is 3 odd?", model=model, k=3, paraphrases=["Is 3 uneven?", [{"role": "user", "content": "Odd, 3?"}]]
    )
    assert {words_in(asked.prompt) for asked in model.seen} == want
    model = Asked()
    _reliable(model, paraphrases=["Is {item} uneven?"])
    assert {asked.prompt for asked in model.seen} == {"Is 3 odd.", "Is 3 uneven?"}
    with pytest.raises(TaskError, match="no argument"):
        _reliable(model, paraphrases=["Is {thing} uneven?"])


def test_other_wordings_are_another_map(tmp_path: Path) -> None:
    """A map is not gone on with under other paraphrases."""
    settings: dict[str, Any] = {"model": Asked(), "k": 2, "journal": tmp_path / "map.db"}
    maker.map_sync(PLAIN, [3, 4], **settings, paraphrases=["Odd: {item}"])
    with pytest.raises(maker.JournalError, match="paraphrases"):
        maker.map_sync(PLAIN, [3, 4], **settings, paraphrases=["Even: {item}"])


def test_a_sample_of_json_in_a_template_gets_the_hint() -> None:
    """Braces that are no place are told how to be written, in text and in messages."""
    sample = 'About {item}, like {"a": 1}'
    for prompt in (sample, [{"role": "system", "content": sample}, {"role": "user", "content": "{item}"}]):
        with pytest.raises(TaskError, match=r"Write \{\{ and \}\} for braces"):
            maker.map_sync(prompt, [1], model=Asked(), k=1)


@pytest.mark.parametrize("limits", [{"max_votes": 2}, {"max_calls": 1}, {"max_flags": 1}])
def test_a_vote_speaks_of_itself(limits: dict[str, int]) -> None:
    """An undecided vote has no step and nothing to go on with: its message does not speak of them."""
    script = itertools.cycle(["a", "b"] if "max_flags" not in limits else [None])
    with pytest.raises(maker.Undecided) as end:
        maker.vote_sync("Which?", model=ScriptedModel(lambda request: next(script), lockstep=False), k=3, limits=limits)
    assert not re.search("step|resume|  ", str(end.value)), end.value
    with pytest.raises(maker.ModelError) as lost:
        maker.vote_sync("Which?", model=ScriptedModel([maker.Failure("fatal", "401")]))
    assert str(lost.value) == "401"


@pytest.mark.parametrize("model", ["neural", "neural:workers=0"])
def test_a_model_says_which_style_it_reads(model: str) -> None:
    """A task with styles is made in that which the model reads, unless another was asked for."""
    assert task_for("hanoi", model, disks=3).parameters["style"] == "compact"
    assert task_for("hanoi", model, style="full").parameters["style"] == "full"
    assert task_for("hanoi", model, design="full").parameters["style"] == "full"
    assert task_for("hanoi", "oracle").parameters["style"] == "full"
    assert "style" not in task_for("multiplication", model).parameters


# -- one budget for many calls ---------------------------------------------------------------------------------


class Billed(ScriptedModel):
    """A paid model over a network that says "yes" for ten tokens, and keeps books of its own."""

    prices = Prices(input=1000.0, output=1000.0)

    def __init__(self) -> None:
        super().__init__(lambda _: Sample("yes", 7, 3), lockstep=False)


@pytest.mark.asyncio
async def test_calls_of_all_kinds_take_from_one_budget() -> None:
    """Votes, reliable functions, maps and runs, at once, stop by the name of its cap, and it is never passed."""
    budget, model = maker.Budget(max_cost=0.5), Billed()

    @maker.reliable(model=model, max_tokens=20, budget=budget)
    async def asked(question: str) -> str:
        """Answer: {question}."""

    stopped: list[str] = []

    async def vote(number: int) -> None:
        try:
            await (maker.vote(f"{number}?", model=model, max_tokens=20, budget=budget) if number % 2 else asked("?"))
        except Undecided as error:
            stopped.append(f"{error.limit}: {error}")

    async with anyio.create_task_group() as group:
        for number in range(10):
            group.start_soon(vote, number)
    assert (stopped, len(model.requests), budget.calls, round(budget.cost or 0, 6)) == ([], 30, 30, 0.3)
    result = (await maker.map("{item}?", range(50), model=model, max_tokens=20, budget=budget)).result
    assert result.stopped == "max_cost" and "of the budget shared by 11 calls are spent" in result.detail
    assert 0.5 - 0.2 < (budget.cost or 0) <= 0.5
    assert len(model.requests) * 0.01 == pytest.approx(budget.cost)
    for number in range(2):
        await vote(number)
    assert [said.split(": ")[0] for said in stopped] == ["max_cost"] * 2
    assert "resume" not in stopped[0]


def test_a_budget_of_calls_is_shared_by_threads() -> None:
    """Calls in threads and loops of their own never send more than it has."""
    budget, model = maker.Budget(max_calls=40), Billed()

    def one(number: int) -> bool:
        try:
            maker.vote_sync(f"{number}?", model=model, budget=budget)
        except Undecided:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(one, range(30)))
    assert (done.count(True), len(model.requests), budget.calls) == (13, 39, 39)


@pytest.mark.asyncio
async def test_what_an_earlier_process_paid_is_not_taken_again(tmp_path: Path) -> None:
    """A resumed run takes from a budget only what it sends itself; the run's own limits count all."""
    path, model = tmp_path / "map.db", Billed()
    await maker.map("{item}?", range(5), model=model, journal=path)
    budget = maker.Budget(max_calls=6)
    result = (await maker.map("{item}?", range(5), model=model, journal=path, budget=budget)).result
    assert (result.stopped, budget.calls, result.usage.dispatched) == (None, 0, 15)


@pytest.mark.parametrize("call", CALLS)
def test_what_is_no_budget_is_refused(call: Callable[..., Any]) -> None:
    """A dict of caps is for limits; it is said at once."""
    with pytest.raises(TaskError, match=r"budget = .*give a maker\.Budget"):
        call("hanoi", model=ScriptedModel(["1"]), budget={"max_calls": 3})


def test_a_budget_in_dollars_needs_prices() -> None:
    """As the limit of the same name does."""
    with pytest.raises(TaskError, match="max_cost: the model has no prices"):
        maker.vote_sync("?", model=ScriptedModel(["1"]), budget=maker.Budget(max_cost=1))
