"""What each item of a map took, from its journal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import maker
from maker.decision.race import VoteUsage
from maker.decision.sample import Failure, Prices, Request, Sample
from maker.errors import Undecided
from maker.journal.records import encode_receipt
from maker.journal.story import Story
from maker.journal.writer import Journal
from maker.sending import dispatcher
from maker.testing import ScriptedModel

PRICES = Prices(input=1e6, output=2e6)


def mapped(path: Path, script: Any, *, prices: Prices | None = PRICES, lockstep: bool = False, **settings: Any) -> Any:
    """Map over four numbers."""
    model = ScriptedModel(script, lockstep=lockstep)
    model.prices = prices  # type: ignore[attr-defined]
    settings = {"k": 2, "limits": {"max_votes": 4}, "answer": int, **settings}
    return maker.map_sync("item: {item}", range(4), model=model, journal=path, **settings)


def append(path: Path, whose: str, *notes: dict[str, dict[str, Any]]) -> None:
    """Append receipts to a run's journal. whose: what is added to the run's name."""
    run = Story(path).latest["run"] + whose
    with Journal(path) as journal:
        for _ in journal.replay():
            pass
        for note in notes:
            journal.append(encode_receipt({kind: {"run": run, **said} for kind, said in note.items()}))


def answer(request: Request) -> Sample:
    """Double the number, in two minds about 3; the input grows with the number."""
    item = int(request.prompt.split()[-1])
    text = request.address.draw % 2 if item == 3 else 2 * item
    return Sample(str(text), 10 * item, 1, cost=0.5)


def test_each_item_says_what_it_took_and_all_together_took_what_the_map_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls with those that failed, samples, tokens, dollars; items without a verdict, too; a second call sees both."""
    monkeypatch.setattr(dispatcher, "FIRST_BACKOFF", 0.0)
    failed = iter([Failure("transient", "503", tokens_in=5, tokens_out=0)])

    def first(request: Request) -> Any:
        return next(failed, answer(request)) if request.prompt == "item: 1" else answer(request)

    verdicts = mapped(tmp_path / "a.db", first)
    assert verdicts[0].usage == VoteUsage(calls=2, samples=2, tokens_in=0, tokens_out=2, assumed=0)
    assert verdicts[1].usage == VoteUsage(calls=3, samples=2, tokens_in=25, tokens_out=2, assumed=0)
    assert (verdicts[0].cost, verdicts[1].cost) == (4.0, 29.0)
    assert [verdict.usage for verdict in verdicts] == [verdicts[item].usage for item in range(3)]
    (lost,) = verdicts.failed
    assert (lost.usage.samples, lost.cost) == (4, 128.0)
    assert sum(verdict.cost for verdict in verdicts) + lost.cost == verdicts.cost
    assert "It took 3 calls, 25 tokens in, 2 out, $29" in verdicts[1].explain()

    again = mapped(tmp_path / "a.db", lambda _: "6", limits={"max_votes": 8})
    assert [again[item].usage for item in range(3)] == [verdict.usage for verdict in verdicts]
    assert again[3].usage.samples > 4
    assert again[3].usage.tokens_in == 120


@pytest.mark.parametrize("lockstep", [True, False])
def test_without_prices_the_dollars_are_not_known(tmp_path: Path, *, lockstep: bool) -> None:
    """Tokens are told all the same, of a model in this process too."""
    verdicts = mapped(tmp_path / "a.db", lambda _: Sample("6", 7, 2), prices=None, lockstep=lockstep)
    assert [verdict.usage for verdict in verdicts] == [VoteUsage(2, 2, 14, 4, 0)] * 4
    assert {verdict.cost for verdict in verdicts} == {None}


@pytest.mark.parametrize("cost", [0.25, 0.0])
def test_what_a_router_says_it_charged_is_known_also_where_that_is_nothing(tmp_path: Path, cost: float) -> None:
    """Of the items as of the map, at once as from its journal; a reply that says nothing leaves both unknown."""
    for _ in range(2):
        verdicts = mapped(tmp_path / "a.db", lambda _: Sample("6", 7, 2, cost=cost), prices=None)
        assert (verdicts.cost, {verdict.cost for verdict in verdicts}) == (8 * cost, {2 * cost})
    some = mapped(tmp_path / "b.db", lambda r: Sample("6", 7, 2, cost=None if "2" in r.prompt else cost), prices=None)
    assert (some.cost, [verdict.cost for verdict in some]) == (None, [2 * cost, 2 * cost, None, 2 * cost])


def test_a_call_without_a_reply_counts_as_the_most_it_can_have_taken(tmp_path: Path) -> None:
    """What a killed process had out is in the item's account, as in the run's."""
    path = tmp_path / "a.db"
    mapped(path, answer, limits={"max_votes": 4, "max_steps": 1})
    reserve = {"step": 1, "draws": [0], "tokens": [500], "cost": [0.5]}
    append(path, "", {"reserve": reserve}, {"reserve": reserve})
    verdicts = mapped(path, answer)
    assert verdicts[1].usage == VoteUsage(calls=4, samples=2, tokens_in=20, tokens_out=2, assumed=1000)
    assert verdicts[1].cost == 25.0
    with pytest.raises(Undecided):
        verdicts[3]


def test_probes_are_no_items(tmp_path: Path) -> None:
    """What was spent on the server itself is in the map's account and in no item's."""
    path = tmp_path / "a.db"
    mapped(path, answer, limits={"max_votes": 4, "max_steps": 1})
    failure = {"step": 0, "draw": 0, "detail": "not a draw", "spent": [3, 1, 0, 5.0, 0]}
    reserve = {"step": 0, "draws": [0], "tokens": [500], "cost": [0.5]}
    append(path, "/probe", {"reserve": reserve}, {"failure": failure})
    verdicts = mapped(path, answer)
    assert verdicts[0].usage.calls == 2
    assert verdicts.cost == sum(verdict.cost for verdict in verdicts) + verdicts.failed[0].cost + 5.0
