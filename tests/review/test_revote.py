"""Counting again: what a recount says of a step is what a run with those settings does there."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import maker
from maker.decision.flags import DEFAULT, PAPER, RedFlag, copied
from maker.decision.race import Tally
from maker.decision.sample import Request, Sample
from maker.decision.wave import FLAGGED, Wave
from maker.errors import JournalError, TaskError
from maker.journal.bulk import plain as bulk
from maker.journal.database import read_records
from maker.journal.records import decode, encode_note, encode_wave
from maker.journal.story import Story
from maker.journal.writer import Journal
from maker.review.export import rows
from maker.review.revote import RULES, Steps, revote
from maker.task.canonical import digest
from maker.task.lines import Ambiguous
from maker.testing import ScriptedModel


class Level:
    """A task whose answers never change the state: a recount and a run with other winners see the same steps.

    An answer is [value, claim]; it is legal below 100 and consistent when value and claim agree.
    """

    name = "level"

    def __init__(self, steps: int = 30, *, lenient: bool = False) -> None:
        self.steps = steps
        self.lenient = lenient

    def initial_state(self) -> int:
        return 0

    def prompt(self, state: int, step: int) -> str:
        return f"Give {step}."

    def parse(self, text: str) -> list[int]:
        if self.lenient and not text.strip():
            return [3, 3]
        words = text.replace("or", " or ").split()
        if "or" in words:
            if not self.lenient:
                raise Ambiguous("two answers")
            words = words[:1]
        value, _, claim = words[-1].partition(";")
        return [int(value), int(claim or value)]

    def legal(self, state: int, action: list[int]) -> bool:
        return action[0] < 100

    def apply(self, state: int, action: list[int]) -> int:
        return state + 1

    def agrees(self, action: list[int], next_state: int) -> bool:
        return action[0] == action[1]

    def done(self, state: int) -> bool:
        return state == self.steps

    def answer(self, state: int) -> int:
        return state


REPLIES: list[Sample] = [
    *[Sample("7", 5, 1)] * 12,
    *[Sample("8", 5, 1)] * 4,
    Sample(" 7", 5, 2), Sample("it is 7", 5, 3), Sample("8 ", 5, 2), Sample("it is 8", 5, 3),
    Sample("150", 5, 1), Sample("150 ", 5, 1), Sample("7;9", 5, 2), Sample("x 7;9", 5, 2), Sample("7 or 8", 5, 3),
    Sample("nothing", 5, 1), Sample("", 5, 0), Sample("  ", 5, 1), Sample(None, 5, 0),
    Sample("7", 5, 1, "length"), Sample("it is 7", 5, 2000, "length"), Sample("8", 5, 900),
    Sample("8 and so on 8", 5, 900),
    Sample("I'm sorry, I can't", 5, 4), Sample("7", 5, 1, "content_filter"), Sample("it is 8", None, None),
    Sample("7", 5, 1, response_id="a"), Sample("7 ", 5, 1, response_id="a"),
    Sample("so 7", 5, 2, logprob=-50.0), Sample("so 8", 5, 2, logprob=-50.0),
    Sample("word " * 900 + "8", None, None),
]  # fmt: skip


def babble(seed: int = 0) -> ScriptedModel:
    """Return a model that gives all kinds of replies, as a function of step and draw."""

    def reply(request: Request) -> Sample:
        where = f"{seed}/{request.address.step}/{request.address.draw}".encode()
        return REPLIES[int.from_bytes(digest(where)[:4], "little") % len(REPLIES)]

    return ScriptedModel(reply)


def lucky(sample: Sample, step: Any, earlier: Any) -> RedFlag | None:
    """Flag a text with blanks in it."""
    return RedFlag("blank") if sample.text and " " in sample.text else None


CHAINS: dict[str, Any] = {"default": None, "paper": list(PAPER), "none": [], "own": [*DEFAULT, lucky]}


def carry_out(path: Path, *, k: int = 3, flags: Any = None, keep: Any = "all", task: Any = None, **more: Any) -> Path:
    """Run a task with the babbling model."""
    maker.run_sync(task or Level(), model=babble(), k=k, flags=flags, journal=path, keep_samples=keep, **more)
    return path


def steps_of(path: Path, parse: Any) -> dict[int, tuple[Any, int]]:
    """Return the answer and the number of samples of each decided step."""
    return {
        stored.step: (parse(stored.answer(stored.winner)), len(stored.candidates))
        for stored in Story(path).steps()
        if stored.winner is not None
    }


def same_as_live(found: Any, then: Path, now: Path, parse: Any) -> None:
    """Assert that a recount says of every step that it can decide what the live run did."""
    before, after = steps_of(then, parse), steps_of(now, parse)
    undecidable = {*found.missing, *found.unreadable, *found.tied}
    decidable = [step for step in before if step not in undecidable]
    assert found.steps == len(before)
    assert found.same + len(found.changed) == len(decidable)
    seen = [step for step in decidable if step in after]  # the live run may have stopped at a limit
    assert {step for step in seen if before[step][0] != after[step][0]} == set(found.changed).intersection(seen)
    if len(seen) == len(decidable):
        assert found.samples == sum(after[step][1] for step in seen)


# -- the recount equals a run -------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", ["all", "flagged", "none"])
@pytest.mark.parametrize("recorded", CHAINS)
@pytest.mark.parametrize("asked", CHAINS)
def test_other_flags_and_k_decide_as_a_live_run_does(tmp_path, recorded, asked, keep):
    """Stored samples under other flags and another k give each decidable step the live run's winner and count."""
    then = carry_out(tmp_path / "then.db", flags=CHAINS[recorded], keep=keep)
    wanted = DEFAULT if CHAINS[asked] is None else CHAINS[asked]
    # Ids that a run had no use for are not stored without their texts; the recount says so and sees no copies.
    blind = keep != "all" and copied in wanted and recorded in ("paper", "none")
    for k in (2, 3):
        live = [flag for flag in wanted if not (blind and flag is copied)]
        now = carry_out(tmp_path / f"now{k}.db", k=k, flags=live, limits={"max_votes": 1000})
        found = revote(then, k=k, flags=wanted, task=Level())
        same_as_live(found, then, now, Level().parse)
        assert bool(found.notes) == blind
        if keep == "all":
            assert not found.unreadable
        assert found.same > 0


@pytest.mark.parametrize("keep", ["all", "none"])
def test_another_parser_decides_as_a_live_run_does(tmp_path, keep):
    """Stored samples under another parser give each decidable step the winner of a run with that parser."""
    then = carry_out(tmp_path / "then.db", keep=keep)
    now = carry_out(tmp_path / "now.db", k=2, task=Level(lenient=True))
    found = revote(then, k=2, parse=Level(lenient=True).parse, task=Level())
    same_as_live(found, then, now, Level(lenient=True).parse)
    assert found.flags == found.flags_recorded
    assert bool(found.unreadable) == (keep == "none")


def test_texts_that_are_not_stored_make_steps_undecidable_and_nothing_else(tmp_path):
    """With digests alone fewer steps can be decided; those that can be are decided as with all texts."""
    whole = carry_out(tmp_path / "all.db")
    bare = carry_out(tmp_path / "none.db", keep="none")
    for flags in ("paper", "none"):
        full = revote(whole, k=2, flags=flags, task=Level())
        some = revote(bare, k=2, flags=flags, task=Level())
        assert not full.unreadable and some.unreadable
        assert set(some.changed) <= set(full.changed)
        assert set(full.changed) - set(some.changed) <= set(some.unreadable)


KNOWN = [
    # recorded, asked, the reply whose text is a digest, can it be judged again?
    ("default", "paper", Sample("150", 5, 1), False),  # legality is not asked any more, and the answer is not known
    ("default", "own", Sample("150", 5, 1), True),
    ("own", "default", Sample("150", 5, 1), True),
    ("own", "default", Sample("7 or 8", 5, 3), True),
    ("default", "none", Sample("nothing", 5, 1), True),  # nobody can read it
    ("default", "none", Sample("7 or 8", 5, 1), True),
    ("default", "none", Sample("I'm sorry", 5, 1), True),
    ("default", "none", Sample("it is 9", 5, 1, "content_filter"), False),
    ("default", "own", Sample("it is 9", 5, 1, "content_filter"), True),
    ("default", "none", Sample(None, 5, 0), True),
    ("default", "none", Sample("", 5, 0), True),
    ("default", "none", Sample("  ", 5, 0), False),  # a parser may read blanks
    ("default", "paper", Sample("9", 5, 900), True),  # its tokens are enough
    ("default", "none", Sample("9", 5, 900), False),
    ("default", "paper", Sample("9 " * 2000, None, None), True),  # the flag that spoke is asked again
    ("default", "none", Sample("7", 5, 900), True),  # the text of another draw
    ("default", "paper", Sample("9", 5, 1, "length"), False),
    ("default", "paper", Sample(" 7", 5, 1), True),  # a vote whose answer is known
    ("paper", "default", Sample(" 7", 5, 1), False),  # it might be blank, for all that its digest says
    ("default", "own", Sample(" 7", 5, 1), False),  # a flag of one's own may look at the text
    ("default", "parse", Sample("nothing", 5, 1), False),
    ("default", "parse", Sample(" 7", 5, 1), False),
    ("default", "parse", Sample("nothing", 5, 1, "length"), True),
    ("default", "parse", Sample("nothing", 5, 900), True),
    ("default", "parse", Sample(None, 5, 0), True),
]


@pytest.mark.parametrize(("recorded", "asked", "reply", "readable"), KNOWN)
def test_a_draw_without_its_text_is_judged_where_the_store_suffices(tmp_path, recorded, asked, reply, readable):
    """What tokens, finish reasons, kinds and answers settle is settled; what they do not is said to be undecidable."""
    script = [Sample("7", 5, 1), reply, *[Sample("7", 5, 1)] * 3]
    path = tmp_path / "run.db"
    maker.run_sync(
        Level(1), model=ScriptedModel(script), k=3, flags=CHAINS[recorded], journal=path, keep_samples="none"
    )
    if asked == "parse":
        found = revote(path, parse=Level(lenient=True).parse, task=Level(1))
    else:
        found = revote(path, flags=CHAINS[asked] if asked != "default" else "default", task=Level(1))
    assert list(found.unreadable) == ([] if readable else [0])
    assert found.same == readable


def test_receipts_of_a_paid_model_hold_the_texts_that_waves_lack(tmp_path):
    """A model that is called over a network has its texts in its receipts: nothing is unreadable."""
    path = tmp_path / "paid.db"
    model = babble()
    model.lockstep = False
    maker.run_sync(Level(15), model=model, k=3, journal=path, keep_samples="none")
    found = revote(path, k=2, flags="none", task=Level(15))
    assert found.steps == 15 and not found.unreadable
    found = revote(carry_out(tmp_path / "free.db", task=Level(15), keep="none"), k=2, flags="none", task=Level(15))
    assert found.steps == 15 and found.unreadable


@pytest.mark.parametrize("model", ["oracle:p=0.8,v=0.8,rivals=2", "oracle:p=0.95,copies=0.05", "oracle:p=0.9,rho=0.1"])
@pytest.mark.parametrize("segments", [1, 7, 1024])
@pytest.mark.parametrize("keep", ["all", "none"])
def test_the_same_settings_change_nothing(tmp_path, model, segments, keep):
    """The run's own k, rule and flags give the run's own winners from the run's own samples."""
    path = tmp_path / "run.db"
    task = maker.load_task("hanoi", disks=5)
    result = maker.run_sync(task, model=model, k=4, segments=segments, journal=path, keep_samples=keep)
    for again in ({}, {"flags": "default"}, {"k": 4, "rule": "ahead"}, {"flags": "default", "k": 4}):
        found = revote(path, **again)
        assert (found.steps, found.same, found.samples) == (result.steps, result.steps, result.samples)
        assert found.samples_recorded == result.samples
        assert found.undecidable == len(found.changed) == found.open == found.admitted == found.dropped.total() == 0
    assert found.simulated


def test_k_1_finds_the_steps_that_voting_saved(tmp_path):
    """At k = 1 the changed steps are those whose first valid sample was wrong, one sample each and the flagged."""
    path = tmp_path / "run.db"
    result = maker.run_sync("hanoi", model="oracle:p=0.9,v=0.9", k=5, journal=path)
    assert result.solved and result.first_wrong
    found = maker.revote(path, k=1)
    first: dict[int, bool] = {}
    for row in rows(path, "samples"):
        if row["candidate"] is not None:
            first.setdefault(row["step"], row["won"])
    assert set(found.changed) == {step for step, won in first.items() if not won}
    assert len(found.changed) == result.first_wrong and found.wrong == 0
    assert {change.step for change in found.changes} == set(islice(found.changed, len(found.changes)))
    assert all(change.recorded != change.now for change in found.changes)
    assert found.samples < result.samples


def test_a_larger_k_runs_out_of_draws(tmp_path):
    """A step decided at a margin of 3 is short of at least 2 votes at 5, each of them; ranges stay few."""
    path = tmp_path / "run.db"
    result = maker.run_sync(maker.load_task("hanoi", disks=8), model="oracle:p=0.97", k=3, journal=path)
    assert result.solved
    found = revote(path, k=5)
    assert found.missing.ranges() == [(0, result.steps - 1)]
    assert found.missing_votes == 2 * result.steps
    assert found.same == found.samples == 0


# -- rules ---------------------------------------------------------------------------------------------------


def written(path: Path, ballots: list[list[int]], k: int = 30) -> Path:
    """Write a journal of open steps with these ballots."""
    header = {"version": 1, "run": "run-1", "task": "t", "steps": None, "model": "m", "k": k, "segments": 1}
    with Journal(path) as journal:
        list(journal.replay())
        journal.append(encode_note({"header": {**header, "flags": [], "token_cap": 9, "long_answer": 9}}))
        for step, votes in enumerate(ballots):
            wave = Wave(step, 0)
            known: list[int] = []
            for position, vote in enumerate(votes):
                if vote < 0:
                    wave.extras[position] = {"flag": "odd"}
                    if not wave.texts:
                        wave.texts.append((True, b"x"))
                    wave.draws += [FLAGGED, 0, 1, 1]
                    continue
                if vote not in known:
                    known.append(vote)
                    wave.texts.append((True, b"%d" % vote))
                wave.draws += [known.index(vote), len(wave.texts) - 1, 1, 1]
            journal.append(encode_wave(wave))
    return path


@settings(max_examples=8, deadline=None)
@given(st.lists(st.lists(st.integers(-1, 3), min_size=1, max_size=25), min_size=20, max_size=60), st.integers(1, 4))
def test_rules_decide_as_their_words_say(tmp_path_factory, steps, k):
    """Rules ahead, first and majority decide exactly those steps that the plainest recount decides."""
    path = written(tmp_path_factory.mktemp("rules") / "run.db", steps)
    for rule in RULES:
        decided = {
            step
            for step, votes in enumerate(steps)
            if plain(rule, [vote for vote in votes if vote >= 0], k) is not None
        }
        assert set(revote(path, k=k, rule=rule).settled) == decided


def plain(rule: str, votes: list[int], k: int) -> int | None:
    """Return the winner that a rule finds, counted in the plainest way; None where it finds none."""
    for n in range(1, len(votes) + 1):
        ranked = Counter(votes[:n]).most_common()
        top, second = ranked[0][1], ranked[1][1] if len(ranked) > 1 else 0
        if (rule == "ahead" and top - second >= k) or (rule == "first" and top >= k):
            return ranked[0][0]
        if rule == "majority" and n == 2 * k - 1:
            return ranked[0][0] if top > second else None
    return None


def test_needs_are_never_too_small():
    """A rule that says it needs n more votes cannot decide with fewer."""
    tally = Tally()
    for ballot in (b"a", b"b", b"a", b"a"):
        tally.add(ballot)
    assert {rule: need(tally, 4, None) for rule, need in RULES.items()} == {"ahead": 2, "first": 1, "majority": 3}


def test_a_majority_can_tie(tmp_path):
    """A majority of 3 votes for 3 answers decides nothing, and says so of a decided step."""
    path = tmp_path / "run.db"
    script = ScriptedModel(["1", "2", "3", "3", "3"])
    assert maker.run_sync(Level(4), model=script, k=2, journal=path).solved
    found = revote(path, k=2, rule="majority")
    assert found.tied.ranges() == [(0, 3)] and found.same == 0


# -- open steps, epochs ---------------------------------------------------------------------------------------


def test_open_steps_can_be_settled_by_a_smaller_margin(tmp_path):
    """A step that met its limit is settled where a smaller k would have decided it; it stays open otherwise."""
    path = tmp_path / "run.db"
    model = ScriptedModel(["1", "1", "2", "1", "2", "2"])
    result = maker.run_sync(Level(4), model=model, k=5, journal=path, limits={"max_votes": 12})
    assert result.stopped == "undecided"
    found = revote(path, k=2)
    assert (found.steps, list(found.settled), found.open) == (0, [0], 0)
    found = revote(path)
    assert (found.steps, len(found.settled), found.open) == (0, 0, 1)


def test_each_epoch_is_counted_under_its_own_settings(tmp_path):
    """A run that went on with another k is unchanged by a recount, and its dropped ballots stay dropped."""
    path = tmp_path / "run.db"
    script = ScriptedModel(["7", "8", "7", "x", "7", "7"])
    first = maker.run_sync(Level(40), model=script, k=2, journal=path, limits={"max_calls": 63})
    assert first.stopped
    second = maker.run_sync(Level(40), model=script, k=4, journal=path, accept_change=["k"])
    assert second.solved and second.epochs == 1
    open_then = second.samples - sum(len(stored.candidates) for stored in Story(path).steps())
    assert open_then > 0, "the first epoch left a step open"
    for again in ({}, {"flags": "default", "task": Level(40)}):
        found = revote(path, **again)
        assert (found.same, found.undecidable, found.open) == (40, 0, 0)
        assert found.k_recorded == 4
    assert len(revote(path, k=4).missing) == first.steps


# -- what is refused ------------------------------------------------------------------------------------------


def test_bad_settings_are_refused_in_one_line(tmp_path):
    """Unknown rules, impossible margins, unknown flags and a missing task are TaskErrors that name the remedy."""
    path = carry_out(tmp_path / "run.db", flags=CHAINS["own"], task=Level(3))
    for wrong, words in [
        ({"rule": "best"}, "ahead, first, majority"), ({"k": 0}, "whole number"), ({"k": True}, "whole number"),
        ({"k": 10**6}, "30000"), ({"flags": "strict", "task": Level(3)}, "paper"), ({"flags": "paper"}, "--task"),
        ({"parse": int, "task": Level(3)}, "'lucky' is not built in"),
    ]:  # fmt: skip
        with pytest.raises(TaskError, match=words):
            revote(path, **wrong)
    with pytest.raises(JournalError, match="no such journal"):
        revote(tmp_path / "nothing.db")
    with pytest.raises(JournalError, match="does not fit"):
        revote(carry_out(tmp_path / "long.db", task=Level(9)), flags="paper", task=Level(3))


def test_code_that_gives_other_states_is_noticed(tmp_path):
    """States are rebuilt by the task's code; code that gives others than when the journal was written is refused."""

    class Other(Level):
        def apply(self, state: int, action: list[int]) -> int:
            return state + 2

    path = carry_out(tmp_path / "run.db", task=Level(5))
    with pytest.raises(JournalError, match="another result"):
        revote(path, flags="paper", task=Other(5))


def test_a_run_that_never_chose_k_has_nothing_to_count(tmp_path):
    """A journal that ends in its calibration is refused with the reason."""
    path = tmp_path / "run.db"
    maker.run_sync("hanoi", model="oracle:p=0.9", k="auto", journal=path, limits={"max_calls": 10})
    with pytest.raises(JournalError, match="before it chose k"):
        revote(path)


def test_what_a_journal_contradicts_is_damage_not_a_traceback(tmp_path):
    """Records that contradict each other, under a perfect hash chain, are JournalErrors that name the step."""
    path = carry_out(tmp_path / "run.db", task=Level(4))
    items = [decode(record) for record in read_records(path)]
    places = [i for i, item in enumerate(items) if isinstance(item, Wave) and item.texts]

    def forged(change: Any) -> Path:
        copy = [decode(record) for record in read_records(path)]
        change(copy[places[0]])
        out = tmp_path / f"forged{len(list(tmp_path.iterdir()))}.db"
        with Journal(out) as journal:
            list(journal.replay())
            for item in copy:
                journal.append(encode_wave(item) if isinstance(item, Wave) else encode_note(item))
        return out

    def set_draw(index: int, value: int) -> Any:
        return lambda wave: wave.draws.__setitem__(index, value)

    for change in (
        set_draw(0, 5), set_draw(1, 60), set_draw(0, -7), lambda wave: setattr(wave, "first", 2),
        lambda wave: wave.extras.update({9: {"flag": "x"}}), lambda wave: wave.texts.__setitem__(0, (False, b"d" * 16)),
        lambda wave: wave.draws.__setitem__(slice(0, 4), [FLAGGED, 0, 1, 1]),
    ):  # fmt: skip
        with pytest.raises(JournalError, match="step"):
            revote(forged(change), k=1)
    items[places[-1]].texts[0] = (True, b"\xff\xfe")
    out = tmp_path / "bytes.db"
    with Journal(out) as journal:
        list(journal.replay())
        for item in items:
            journal.append(encode_wave(item) if isinstance(item, Wave) else encode_note(item))
    with pytest.raises(JournalError, match=r"not text|contradicts itself"):
        revote(out, flags="none", task=Level(4))


@given(st.lists(st.integers(0, 40), unique=True))
def test_sets_of_steps_are_kept_as_ranges(numbers):
    """Steps added in any order come back sorted, in the fewest ranges."""
    steps = Steps()
    for number in numbers:
        steps.add(number)
    assert list(steps) == sorted(numbers) and len(steps) == len(numbers)
    assert all(b - a > 1 for (_, a), (b, _) in zip(steps.ranges(), steps.ranges()[1:], strict=False))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("k", [None, 1, 2, 3, 4])
def test_plain_steps_are_recounted_as_one_by_one(tmp_path: Path, rule: str, k: int | None) -> None:
    """Many at a time or each by itself, plain steps have the same winners, samples and missing votes; epochs too."""
    task, path = maker.load_task("hanoi", disks=6), tmp_path / "run.db"
    common: dict[str, Any] = {"model": "oracle:p=0.95", "journal": path, "segments": 4, "accept_change": ["k"]}
    maker.run_sync(task, k=2, limits={"max_steps": 30}, **common)
    maker.run_sync(task, k=3, **common)
    found = []
    for few in (1, 10**9):
        with pytest.MonkeyPatch().context() as patch:
            patch.setattr(bulk, "FEW", few)
            found.append(revote(path, k=k, rule=rule).as_json())
    assert found[0] == found[1]
    assert found[0]["steps"] == 63
