"""Random histories: the journal as a state machine, whole runs under seeded faults, parsers fed with anything."""

from __future__ import annotations

import hashlib
import os
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import maker
from maker.decision.flags import RedFlag, chain, judge
from maker.decision.sample import Failure, Request, Sample
from maker.decision.step import Rules, Step
from maker.errors import MakerError
from maker.journal.database import read_chain, read_records
from maker.journal.writer import Journal
from maker.task.load import builtin_tasks, load_task
from maker.testing import ScriptedModel
from scratch import MEMORY, scratch

# -- the journal as a state machine ----------------------------------------------------------------------------


class JournalMachine(RuleBasedStateMachine):
    """Opens, appends, commits, closes and abandons a journal in any order, beside a list of what it must hold."""

    @initialize()
    def begin(self) -> None:
        """Begin with no file."""
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None)
        self.path = Path(self.folder.name) / "run.db"
        self.journal: Journal | None = None
        self.durable: list[bytes] = []
        self.appended: list[bytes] = []

    @rule()
    def open(self) -> None:
        """Open the journal, as a new process does; it must hold what was durable, in order."""
        if self.journal is None:
            self.journal = Journal(self.path)
            assert list(self.journal.replay()) == self.durable
            assert self.journal.acknowledged == self.journal.appended == len(self.durable)
            self.appended = []

    @rule(records=st.lists(st.binary(max_size=300), max_size=5))
    def append(self, records: list[bytes]) -> None:
        """Append some records: none of them is durable by that."""
        if self.journal is not None:
            for record in records:
                self.journal.append(record)
            self.appended += records

    @rule()
    def flush(self) -> None:
        """Commit: all that was appended is durable."""
        if self.journal is not None:
            self.journal.flush()
            self.durable, self.appended = self.durable + self.appended, []
            assert self.journal.acknowledged == len(self.durable)

    @rule()
    def close(self) -> None:
        """Close: what was appended is durable, and one plain file is left."""
        if self.journal is not None:
            self.journal.close()
            self.journal.close()
            self.durable, self.appended, self.journal = self.durable + self.appended, [], None
            assert [left.name for left in self.path.parent.iterdir()] == ["run.db"]

    @rule()
    def copy(self) -> None:
        """Go on with a copy of the file and its -wal, as after a crash: what was not committed is gone."""
        if self.journal is not None:
            other = Path(self.folder.name) / "copied"
            other.mkdir()
            for part in ("", "-wal"):
                source = self.path.with_name(self.path.name + part)
                if source.exists():
                    (other / source.name).write_bytes(source.read_bytes())
            with Journal(other / "run.db") as journal:
                assert list(journal.replay()) == self.durable
            for left in other.iterdir():
                left.unlink()
            other.rmdir()

    @invariant()
    def a_reader_sees_what_is_durable(self) -> None:
        """Whoever reads meanwhile sees the durable records and their chain, and nothing else."""
        if getattr(self, "folder", None) is None or not self.path.exists():
            return
        head = bytes(16)
        seen = list(read_chain(self.path))
        assert [record for _, record in seen] == self.durable
        for stored, record in seen:
            head = hashlib.blake2b(head + record, digest_size=16).digest()
            assert stored == head

    def teardown(self) -> None:
        """Close what is open."""
        if getattr(self, "journal", None) is not None:
            self.journal.close()
        if getattr(self, "folder", None) is not None:
            self.folder.cleanup()


JournalMachine.TestCase.settings = settings(
    max_examples=30, stateful_step_count=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
TestJournal = JournalMachine.TestCase


# -- a whole run under seeded faults ---------------------------------------------------------------------------


class Weather:
    """Seeded trouble: what the model answers to a request, and when the process dies."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.task = load_task("hanoi", disks=5)
        self.trace: list[str] = []

    def reply(self, request: Request) -> str | Sample | Failure | None:
        """Answer by the address alone, right or wrong or not at all; note that it was asked."""
        at = request.address
        rng = random.Random(f"{self.seed}/{at.step}/{at.draw}")
        self.trace.append(f"{at.step}.{at.draw}")
        kind = rng.random()
        right = self.task.render(self.task.truth(request.state, at.step))  # type: ignore[attr-defined]
        if kind < 0.8:
            return right
        if kind < 0.86:
            return self.task.render(self.task.rivals(request.state, at.step)[0])  # type: ignore[attr-defined]
        return rng.choice([None, "", "I'm sorry, I can't", right + right[:20], "[" * 5000, "\ud800\x00",
                           Sample(right, tokens_out=1024), Sample(right, finish_reason="length")])  # fmt: skip

    def run(self, path: Path, *, lockstep: bool = True) -> maker.RunResult:
        """Carry the run out in pieces of random length, as if the process were stopped again and again."""
        rng = random.Random(self.seed)
        model = ScriptedModel(self.reply, lockstep=lockstep)
        calls, segments = 0, 1 + self.seed % 3
        while True:
            calls += rng.randrange(5, 60)
            limits = {"max_calls": calls}
            result = maker.run_sync(self.task, model=model, k=4, segments=segments, journal=path, limits=limits)
            assert result.stopped in (None, "max_calls"), result.detail
            if result.stopped is None:
                return result


@pytest.mark.parametrize("seed", range(6))
def test_the_same_seed_gives_the_same_trace(seed: int) -> None:
    """Run, model and journal under seeded faults are deterministic, and end as the undisturbed run does."""
    with scratch() as folder:
        one, two, free, calm = (Weather(seed) for _ in range(4))
        first, second = one.run(folder / "one.db"), two.run(folder / "two.db")
        assert one.trace == two.trace
        assert (first.chain, first.samples, first.flags) == (second.chain, second.samples, second.flags)
        whole = maker.run_sync(calm.task, model=ScriptedModel(calm.reply), k=4, segments=1)
        assert (first.chain, first.solved) == (whole.chain, whole.solved)
        assert first.usage.in_flight == 0
        assert free.run(folder / "free.db", lockstep=False).chain == whole.chain  # draws in whatever order


# -- parsers fed with anything ---------------------------------------------------------------------------------


def fuzzed(good: list[str], rng: random.Random) -> str:
    """Return an answer as no model should give it: a good one that was cut, spliced, repeated, laced; or rubbish."""
    text = rng.choice(good)
    for _ in range(rng.choice([1, 1, 2, 4])):
        at, to = sorted((rng.randrange(len(text) + 1), rng.randrange(len(text) + 1)))
        change = rng.randrange(9)
        if change == 0:
            text = text[:at]
        elif change == 1:
            text = text[:at] + text[to:]
        elif change == 2:
            text = text[:to] + text[at:]
        elif change == 3:
            text = text[:at] + rng.choice(good)[at:]
        elif change == 4:
            text = text[:at] + rng.choice(PIECES) + text[at:]
        elif change == 5:
            text = text[:at] + chr(rng.choice([rng.randrange(128), rng.randrange(0x110000)])) + text[at + 1 :]
        elif change == 6:
            text = text[:at] + rng.choice(PIECES) * rng.choice([2, 50, 2000]) + text[to:]
        elif change == 7:
            text = text.replace(rng.choice("0123456789[]=,:\n "), rng.choice(PIECES))
        else:
            text = "".join(rng.choice(PIECES) for _ in range(rng.randrange(30)))
        text = text[:70_000]
    return text


PIECES = [
    *"[]{},:=0123456789", '"', "'", "\n", " ", "-1", "1e9", "1.0", "9" * 30, "9" * 4400, "null", "true", "NaN",
    "Infinity",
    "\x00", "\x1b[2J", "\ud800", "\u0661", "\uff11", "\u202e", "\\", "\\u0000", "move = ", "next_state = ", "```",
    "I'm sorry",
]  # fmt: skip


def steps_of(name: str) -> list[tuple[Callable[[], Step], list[str]]]:
    """Return the first steps of a task, each made anew when asked, with good answers to begin from."""
    task: Any = load_task(name)
    state, found = task.initial_state(), []
    for index in range(4):
        good = task.truth(state, index)
        texts = [task.render(good), *(task.render(rival) for rival in task.rivals(state, index)[:3])]
        found.append(((lambda index=index, state=state: Step(index, state, Rules.of(task))), texts))
        state = task.apply(state, task.parse(task.render(good)))
        if task.done(state):
            break
    return found


def feed(name: str, answers: int, seed: int) -> float:
    """Feed a task's parser and the flags; return the longest that one answer took, in seconds of this process."""
    rng = random.Random(seed)
    steps, flags, longest = steps_of(name), chain(None), 0.0
    for number in range(answers):
        make, good = rng.choice(steps)
        text = fuzzed(good, rng)
        step = make()
        begun = time.process_time()
        red = judge(Sample(text), step, [], flags)
        took = time.process_time() - begun
        assert red is None or isinstance(red, RedFlag), f"answer {number} of seed {seed}"
        if took > 0.05:  # once more: it may have been the collector
            begun = time.process_time()
            judge(Sample(text), make(), [], flags)
            took = time.process_time() - begun
            assert took < 0.05, f"answer {number} of seed {seed} took {took:.3f} s: {text[:200]!r}"
        longest = max(longest, took)
    return longest


FED = int(os.environ.get("MAKER_FUZZED", "100000"))  # over all tasks; `make fuzz` asks for a million


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", builtin_tasks())
def test_any_answer_is_judged_at_once(name: str) -> None:
    """No answer, however broken, makes a built-in task's parser or a flag raise, or takes more than 50 ms."""
    feed(name, FED // len(builtin_tasks()), seed=FED)


def test_a_run_of_rubbish_ends_in_words() -> None:
    """A model that only ever answers rubbish ends a run undecided, not with an exception."""
    rng = random.Random(3)
    good = steps_of("hanoi")[0][1]
    model = ScriptedModel(lambda request: fuzzed(good, rng)[:2000] + "x")
    try:
        result = maker.run_sync("hanoi", model=model, k=3, segments=1, limits={"max_calls": 400})
    except MakerError as error:
        pytest.fail(f"raised {error}")
    assert result.stopped in ("max_calls", "undecided", "poison_step")


def test_records_of_a_simulated_run_are_the_same_bytes() -> None:
    """Two runs of the same settings write the same decisions; only their times may differ."""
    with scratch() as folder:
        chains = []
        for name in ("one.db", "two.db"):
            result = maker.run_sync("hanoi", model="oracle:p=0.9", k=3, segments=1, journal=folder / name)
            chains.append((result.chain, sum(1 for _ in read_records(folder / name))))
        assert chains[0] == chains[1]
