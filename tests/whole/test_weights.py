"""Weights of a pool's votes from end to end: given, calibrated, journaled, decided by, resumed, verified, recounted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import maker
from adding import Adding
from maker.decision.race import Verdict
from maker.decision.wave import Wave
from maker.errors import Infeasible, JournalError, TaskError
from maker.journal.database import read_records
from maker.journal.records import decode, encode_note, encode_wave
from maker.journal.story import Story
from maker.journal.writer import Journal
from maker.models.oracle import Oracle
from maker.review.checking.verify import verify
from maker.review.report.data import collect
from maker.review.revote import revote
from maker.testing import ScriptedModel

WEIGHED: dict[str, Any] = {"weights": (4, 2, 1), "k": 12}


def pool(*chances: float, **settings: Any) -> list[Oracle]:
    """Return simulated models that are right so often, each with errors of its own."""
    return [Oracle(p=p, seed=seed, **settings) for seed, p in enumerate(chances or (0.95, 0.8, 0.7))]


def hanoi(disks: int = 4) -> Any:
    """Return the built-in task."""
    return maker.load_task("hanoi", disks=disks)


def said(path: Path) -> list[Any]:
    """Return what a journal holds, but for how the run ended."""
    content = [decode(record) for record in read_records(path)]
    return [item for item in content if not (isinstance(item, dict) and {"close", "usage"} & set(item))]


def forged(path: Path, change: Callable[[list[Any]], None]) -> Path:
    """Change what a journal holds and write it anew, with a right chain."""
    content = [decode(record) for record in read_records(path)]
    change(content)
    path.with_name("forged.db").unlink(missing_ok=True)
    with Journal(path.with_name("forged.db")) as journal:
        list(journal.replay())
        for item in content:
            journal.append(encode_wave(item) if isinstance(item, Wave) else encode_note(item))
    return path.with_name("forged.db")


@pytest.fixture
def weighed_run(tmp_path: Path) -> Path:
    """Write a solved run of weighed votes."""
    result = maker.run_sync(hanoi(), model=pool(), journal=tmp_path / "run.db", **WEIGHED)
    assert (result.solved, result.wrong) == (True, 0)
    return tmp_path / "run.db"


def test_each_step_is_decided_by_the_sum_of_its_weights(weighed_run: Path) -> None:
    """Counts of a verdict are those of the stored draws by their turns; it leads by k, by less before the last draw."""
    contested = 0
    for step in Story(weighed_run).steps():
        counts: dict[int, int] = {}
        margins = []
        for draw, candidate in enumerate(step.candidates):
            counts[candidate] = counts.get(candidate, 0) + (4, 2, 1)[draw % 3]
            first, second, *_ = [*sorted(counts.values(), reverse=True), 0]
            margins.append(first - second)
        assert margins[-1] >= 12
        assert all(margin < 12 for margin in margins[:-1])
        found: Verdict[Any] = step.verdict()
        assert (found.margin, sorted(found.votes.values()), found.weights) == (
            margins[-1], sorted(counts.values()), (4, 2, 1),
        )  # fmt: skip
        contested += len(counts) > 1
    assert contested


def test_weights_of_one_are_no_weights(tmp_path: Path) -> None:
    """The journal has the same records as that of a run that was told none, header and chain included."""
    paths = [tmp_path / "one.db", tmp_path / "other.db"]
    for path, weights in zip(paths, [(1, 1, 1), ()], strict=True):
        maker.run_sync(hanoi(), model=pool(), k=3, weights=weights, journal=path)
    assert said(paths[0]) == said(paths[1])
    assert Story(paths[0]).summary().fold.chain == Story(paths[1]).summary().fold.chain


def test_calibrated_weights_follow_from_the_draws_of_each_model(tmp_path: Path) -> None:
    """They stand in the journal with the counts they come from, models alike weigh 1 each, and steps go by them."""
    path = tmp_path / "run.db"
    result = maker.run_sync(hanoi(6), model=pool(0.97, 0.7), weights="calibrated", journal=path)
    assert result.calibration is not None
    found = result.calibration["weights"]
    heavy, light = found["votes"]
    assert heavy > light
    assert {name[:13] for name in found["models"]} == {"oracle:p=0.97", "oracle:p=0.7,"}
    assert all(n == 300 for n, _ in found["models"].values())
    assert all(step.verdict().weights == (heavy, light) for step in Story(path).steps())
    checked = verify(path)
    assert (checked.problem, checked.solved, checked.wrong) == (None, True, 0)
    alike = maker.run_sync(hanoi(), model=pool(1.0, 1.0), weights="calibrated")
    assert alike.calibration is not None
    assert alike.calibration["weights"]["votes"] == [1, 1]


def test_given_weights_with_a_calibrated_k(tmp_path: Path) -> None:
    """A calibrated k is one of votes that weigh so, and the weights are the header's."""
    path = tmp_path / "run.db"
    result = maker.run_sync(hanoi(6), model=pool(0.97, 0.8), weights=(6, 6), journal=path)
    assert result.k % 6 == 0
    assert Story(path).summary().weights == (6, 6)
    assert verify(path).problem is None


@pytest.mark.parametrize("settings", [WEIGHED, {"weights": "calibrated"}])
def test_a_resumed_run_is_the_one_that_was_not_broken_off(tmp_path: Path, settings: dict[str, Any]) -> None:
    """Replayed from the journal, weights included, it goes on to the same records; with other weights it does not."""
    whole, broken = tmp_path / "whole.db", tmp_path / "broken.db"
    maker.run_sync(hanoi(5), model=pool(), journal=whole, segments=1, **settings)
    stopped = maker.run_sync(hanoi(5), model=pool(), journal=broken, segments=1, limits={"max_steps": 9}, **settings)
    assert stopped.stopped == "max_steps"
    with pytest.raises(JournalError, match="weights"):
        maker.run_sync(hanoi(5), model=pool(), journal=broken, segments=1, **{**settings, "weights": (2, 2, 3)})
    resumed = maker.run_sync(hanoi(5), model=pool(), journal=broken, segments=1, **settings)
    assert (resumed.solved, resumed.replayed) == (True, 9)
    assert Story(broken).summary().fold.chain == Story(whole).summary().fold.chain
    assert Story(broken).summary().samples == Story(whole).summary().samples


def test_other_weights_accepted_begin_a_new_epoch(tmp_path: Path) -> None:
    """What is decided stands as it was counted then, what follows is counted by the new ones; all of it verifies."""
    path = tmp_path / "run.db"
    maker.run_sync(hanoi(), model=pool(), journal=path, segments=1, limits={"max_steps": 5}, **WEIGHED)
    result = maker.run_sync(
        hanoi(), model=pool(), journal=path, segments=1, weights=(3, 1, 1), k=9, accept_change=["weights", "k"]
    )
    assert result.solved
    weights = [step.verdict().weights for step in Story(path).steps()]
    assert weights == [(4, 2, 1)] * 5 + [(3, 1, 1)] * 10
    assert verify(path).problem is None


def test_a_recount_goes_by_the_recorded_weights(weighed_run: Path) -> None:
    """With nothing else asked for every step has its winner and its draws; a smaller margin takes fewer of them."""
    found = revote(weighed_run)
    assert (found.same, found.steps, found.undecidable) == (15, 15, 0)
    assert found.samples == found.samples_recorded
    assert any("4, 2, 1" in note for note in found.notes)
    assert revote(weighed_run, k=4).samples < found.samples
    assert revote(weighed_run, flags="none", task=hanoi()).same == 15


@pytest.mark.parametrize("weights", [(4, 2, 1), "calibrated"])
def test_readers_in_bulk_count_votes_and_not_draws(tmp_path: Path, weights: Any) -> None:
    """Where all draws of many steps agree, a report's counts are still those of the votes by turn."""
    path = tmp_path / "run.db"
    settings = {"weights": weights, "k": 12} if weights != "calibrated" else {"weights": weights}
    assert maker.run_sync(hanoi(7), model=pool(1.0, 0.9, 0.8), journal=path, **settings).solved
    found = collect(path)
    votes = Counter(step.tally().total for step in Story(path).steps())
    assert (found.votes, found.signs.votes) == (votes, sum(size * count for size, count in votes.items()))


@pytest.mark.parametrize("weights", [[4, 4, 4], [1, 2, 4], [12, 1, 1], [4, 2]])
def test_a_verifier_refuses_wrong_weights(weighed_run: Path, weights: list[int]) -> None:
    """A header with others, or too few: a verdict does not follow, or draws came after it, or there are not enough."""

    def change(content: list[Any]) -> None:
        content[0]["header"]["weights"] = weights

    assert verify(forged(weighed_run, change)).problem is not None


def test_a_verifier_refuses_weights_that_the_calibration_does_not_give(tmp_path: Path) -> None:
    """Also where the votes would follow all the same; and those that no calibration could give."""
    path = tmp_path / "run.db"
    maker.run_sync(hanoi(5), model=pool(1.0, 1.0), weights="calibrated", journal=path)

    def swap(votes: list[int], models: list[int] | None = None) -> Callable[[list[Any]], None]:
        def change(content: list[Any]) -> None:
            note = next(item["calibration"] for item in content if isinstance(item, dict) and "calibration" in item)
            note["weights"]["votes"] = votes
            if models is not None:
                note["weights"]["models"] = dict.fromkeys(note["weights"]["models"], models)

        return change

    assert verify(forged(path, swap([1, 1]))).problem is None
    assert "weights [2, 2], where [1, 1] were due" in str(verify(forged(path, swap([2, 2]))).problem)
    assert "allows none" in str(verify(forged(path, swap([1, 1], [300, 150]))).problem)


@pytest.mark.parametrize(("settings", "told"), [
    ({"weights": (4, 2), "k": 3}, "3 turns: give a weight for each"),
    ({"weights": "calibrated", "k": 3}, "only the calibration knows"),
    ({"weights": (4, 2, 1), "k": "table"}, "count one each"),
    ({"weights": (4, 2, 1), "worst_case": True}, "count one each"),
    ({"weights": (4, 0, 1), "k": 3}, "greater than or equal to 1"),
    ({"weights": "heavy", "k": 3}, "weights = 'heavy'"),
    ({"weights": (4, 2, 1), "k": 9, "ladder": [maker.ladder.another_model("oracle")]}, "another model has none"),
])  # fmt: skip
def test_what_does_not_go_together_is_said_before_anything_is_asked(settings: dict[str, Any], told: str) -> None:
    """One line, with what to do."""
    with pytest.raises(TaskError, match=told):
        maker.run_sync(hanoi(), model=pool(), **settings)


def test_one_model_has_nothing_to_weigh() -> None:
    """Alone, or several times the same; all at 1 are no weights, and do no harm."""
    with pytest.raises(TaskError, match="the model is no pool"):
        maker.run_sync(hanoi(), model=Oracle(), weights="calibrated")
    assert maker.run_sync(hanoi(), model=Oracle(), k=3, weights=[1]).solved


def test_a_model_no_better_than_chance_stops_a_calibration() -> None:
    """It cannot weigh 0 and still have its turns: its name is told, and that it is to be left out."""
    with pytest.raises(Infeasible, match=r"p=0\.5.*Leave the model out of the pool"):
        maker.run_sync(hanoi(6), model=pool(0.99, 0.99, 0.5), weights="calibrated")


def test_a_single_vote_and_a_map_go_by_weights(tmp_path: Path) -> None:
    """One heavy model outvotes two light ones; the verdict says how many votes there were, and how a draw counted."""
    models = [lambda _: "56", lambda _: "54", lambda _: "54"]
    for path in (None, tmp_path / "votes.db"):
        step = {} if path is None else {"journal": path, "step": "one"}
        found = maker.vote_sync("What is 7 x 8?", model=models, weights=(4, 1, 1), k=6, answer=int, **step)  # type: ignore[call-overload]
        assert (found.answer, dict(found.votes), found.margin, found.samples) == (56, {56: 8, 54: 2}, 6, 4)
        assert "A draw counted 4, 1, 1 votes" in found.explain()
    mapped = maker.map_sync("What is {item}?", ["7 x 8", "56"], model=models, weights=(4, 1, 1), k=6, answer=int)
    assert [verdict.answer for verdict in mapped] == [56, 56]


def test_limits_of_votes_are_of_what_they_count() -> None:
    """A tie that heavy votes keep up ends at the votes it has come to, not at as many draws."""
    models = [lambda _: "a", lambda _: "b"]
    with pytest.raises(maker.Undecided) as ended:
        maker.vote_sync("Which?", model=models, weights=(5, 5), k=10, limits={"max_votes": 40})
    assert dict(ended.value.tally.votes) == {"a": 20, "b": 20}
    assert ended.value.limit == "max_votes"


def test_without_a_truth_weights_are_calibrated_by_agreement() -> None:
    """The draws are graded by what votes decide; a model that mostly agrees weighs more."""

    def replies(wrong: int) -> ScriptedModel:
        def reply(request: Any) -> str:
            right = str(request.state + 1)
            return "0" if wrong and request.seed % wrong == 0 else right

        return ScriptedModel(reply)

    result = maker.run_sync(Adding(40), model=[replies(0), replies(4), replies(0)], weights="calibrated")
    assert result.calibration is not None
    votes = result.calibration["weights"]["votes"]
    assert votes[0] == votes[2] > votes[1]
