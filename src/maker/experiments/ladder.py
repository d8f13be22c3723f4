"""What does each rung of the ladder rescue? `maker experiment ladder`.

Runs of a small ledger task, each with one planted hard step of a known kind, voted on by the engine. The arms switch
rungs on one by one, so each row of the table shows what the rung that it adds brings. Everything is simulated: the
kinds are caricatures, made so that each has a cure, and one has none.

Not covered: how often real models have which kind of trouble, and steps whose favourite is wrong and legal: a
vote decides for it, and no ladder is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from maker.api.run import run_sync
from maker.decision.sample import Request, Sample
from maker.engine.ladder import rungs as ladder
from maker.engine.ladder.rungs import Rung
from maker.experiments.kit.study import Options, Row, Share, Study
from maker.task.canonical import digest
from maker.task.prompt import View

if TYPE_CHECKING:
    from matplotlib.figure import Figure


STEPS = 20
K = 8
VIEW, PART = "In other words: ", "Digit "
Says = Callable[[Request, float, int, bool], object]  # request, its share of 0..1, right answer, is it model B -> reply
KINDS: dict[str, Says] = {
    # 4% of the samples can be read, and they are right
    "rare": lambda request, share, right, _: right if share < 0.04 else f"it depends {request.seed}",
    # rambles below a temperature of .4
    "cold": lambda request, share, right, other: (
        right if share < (0.9 if (request.temperature or 0) > 0.4 or other else 0.02) else f"it depends {request.seed}"
    ),
    # refuses the task's own words
    "touchy": lambda request, share, right, other: (
        right if share < (0.95 if other or request.prompt.startswith(VIEW) else 0.0) else "I'm sorry"
    ),
    # p_s = .03: a favourite that the rules refuse; another model has none
    "stubborn": lambda _request, share, right, other: right if share < (0.95 if other else 0.03) else 0,
    # one of fifty answers at random; single digits are easy
    "too big": lambda request, _share, right, _: right + request.seed % 50,
    # an even chance of a wrong step; where the books do not balance the model is lost
    "unlucky": lambda _request, share, right, _: right if share < 0.5 else right + 1,
    # the favourite that the rules refuse, with every model and in all words
    "hopeless": lambda *_: 0,
}


class Ledger:
    """Add seeded amounts one after another: the state is (entries so far, total)."""

    name = "ledger"
    steps: int | None = STEPS

    def __init__(self, seed: int) -> None:
        self.amounts = [10 + digest(b"%d %d" % (seed, i))[0] % 90 for i in range(STEPS)]
        self.parameters = {"seed": seed}

    def initial_state(self) -> tuple[int, int]:
        """Return the empty books."""
        return (0, 0)

    def prompt(self, state: tuple[int, int], step: int) -> str:
        """Ask for one more entry."""
        return f"{state[1]} + {self.amounts[step]} ="

    def paraphrases(self, state: tuple[int, int], step: int) -> list[View]:
        """Ask the same in other words."""
        return [View(VIEW + self.prompt(state, step), lambda text: text)]

    def finer(self, state: tuple[int, int], step: int) -> Digits:
        """Split the sum into its digits."""
        return Digits(state[1] + self.amounts[step])

    def parse(self, text: str) -> int:
        """Read a total."""
        return int(text)

    def render(self, answer: int) -> str:
        """Write a total."""
        return str(answer)

    def legal(self, state: tuple[int, int], action: int) -> bool:
        """Totals grow."""
        return action > state[1]

    def apply(self, state: tuple[int, int], action: int) -> tuple[int, int]:
        """Enter a total."""
        return (state[0] + 1, action)

    def done(self, state: tuple[int, int]) -> bool:
        """Say whether all is entered, and the books balance."""
        return state == (STEPS, sum(self.amounts))

    def answer(self, state: tuple[int, int]) -> int:
        """Return the total."""
        return state[1]

    def sound(self, state: tuple[int, int]) -> bool:
        """Cast out nines: a check that is weaker than the sum itself."""
        return (state[1] - sum(self.amounts[: state[0]])) % 9 == 0

    def truth(self, state: tuple[int, int], step: int) -> int:
        """Return the right total after this entry."""
        return state[1] + self.amounts[step]


class Digits:
    """A sum, asked for digit by digit from the last one: the parts that `Ledger.finer` makes."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.steps: int | None = len(str(total))

    def initial_state(self) -> str:
        """Return no digits."""
        return ""

    def prompt(self, state: str, step: int) -> str:
        """Ask for one digit; the model is simulated, so the question may hold its answer."""
        return f"{PART}{step} from the end: {str(self.total)[-1 - step]}"

    def parse(self, text: str) -> str:
        """Read a digit."""
        return str(int(text))

    def legal(self, state: str, action: str) -> bool:
        """Say whether it is a single digit."""
        return len(action) == 1

    def apply(self, state: str, action: str) -> str:
        """Put a digit before the others."""
        return action + state

    def done(self, state: str) -> bool:
        """Say whether all digits are there."""
        return len(state) == self.steps

    def answer(self, state: str) -> int:
        """Return the number."""
        return int(state)


class Clerk:
    """A simulated model: p = .98 at plain steps, and one hard step at `at`, of a kind of KINDS. other: model B."""

    simulated = True
    lockstep = True

    def __init__(self, task: Ledger, at: int, kind: str, *, other: bool = False) -> None:
        self.name = "clerk-b" if other else "clerk-a"
        self._task, self._at, self._kind, self._other = task, at, kind, other

    async def draw(self, requests: Sequence[Request]) -> list[Sample]:
        """Answer every request, by its seed alone."""
        return [Sample(self._text(request), len(request.prompt) // 4, 4) for request in requests]

    def _text(self, request: Request) -> str:
        share = request.seed / 2**64
        if request.prompt.startswith(PART):
            return request.prompt[-1] if share < 0.97 and self._kind == "too big" else "10"
        step, state = request.address.step, request.state
        right = self._task.truth(state, step)
        if self._kind == "unlucky" and step >= self._at and not self._task.sound(state):
            return str(right + request.seed % 50)
        if step != self._at - 3 * (self._kind == "unlucky"):
            return str(right if share < 0.98 else right + 1)
        return str(KINDS[self._kind](request, share, right, self._other))


@dataclass(slots=True)
class Tried:
    """How the runs of one arm and one kind ended. finished: with the goal reached; wrong: with a wrong step decided."""

    n: int = 0
    finished: int = 0
    wrong: int = 0
    ended_wrong: int = 0
    calls: int = 0


def arms(other: Clerk) -> dict[str, list[Rung]]:
    """Return the ladders, each with one rung more than the one before."""
    rungs: dict[str, list[Rung]] = {
        "off": [], "+ more votes": [ladder.more_votes], "+ refine": [ladder.refine], "+ reword": [ladder.reword],
        "+ another model": [ladder.another_model(other)], "+ finer": [ladder.finer],
        "+ go back, twice": [ladder.go_back(6), ladder.go_back(6)],
    }  # fmt: skip
    return dict(zip(rungs, accumulate(rungs.values()), strict=True))


def run(options: Options) -> Study:
    """Run every kind of trouble under every arm."""
    options.no_model("ladder")
    n = options.size(100, 8)
    found: dict[str, dict[str, Tried]] = {}
    for kind in KINDS:
        for number in range(n):
            _one(kind, options.seed * 10_000 + number, found)
        options.say(f"{kind}: {', '.join(f'{arm} {kinds[kind].finished}' for arm, kinds in found.items())} of {n}")
    rows = [_row(arm, kind, tried) for arm, kinds in found.items() for kind, tried in kinds.items()]
    return Study(
        "ladder", "What does each rung of the ladder rescue?", rows, _table(found),
        lambda figure: _draw(figure, found), _shows(found, n),
        "How often a real model has which kind of trouble: the kinds are planted, each with a cure that was planted "
        "too. Nor a step whose favourite is wrong and legal: the vote decides for that one, whatever the ladder. An "
        "`unlucky` step is such a one in half of the runs; it is mended only because the task has an invariant.",
        f"{n} runs of {STEPS} steps for each arm and kind, one hard step each, k = {K}; the same seeds in all arms",
        "all of it: task, models and troubles", options.seed, (9.6, 4.4),
    )  # fmt: skip


def _one(kind: str, seed: int, found: dict[str, dict[str, Tried]]) -> None:
    """Carry out one task with one hard step, under every arm."""
    task = Ledger(seed)
    at = 6 + digest(b"at %d" % seed)[0] % (STEPS - 6)
    for arm, rungs in arms(Clerk(task, at, kind, other=True)).items():
        result = run_sync(task, model=Clerk(task, at, kind), k=K, seed=seed, ladder=rungs)
        tried = found.setdefault(arm, {}).setdefault(kind, Tried())
        tried.n += 1
        tried.finished += result.solved
        tried.wrong += bool(result.wrong)
        tried.ended_wrong += result.stopped is None and not result.solved
        tried.calls += result.usage.dispatched


def _row(arm: str, kind: str, tried: Tried) -> Row:
    return {"arm": arm, "kind": kind, "simulated": True, **Share(tried.finished, tried.n).row("finished"),
            "with_wrong_step": tried.wrong, "ended_wrong": tried.ended_wrong,
            "calls": tried.calls / tried.n}  # fmt: skip


def _table(found: dict[str, dict[str, Tried]]) -> list[list[str]]:
    table = [["rungs", *KINDS, "all", "wrong steps", "calls a run"]]
    for arm, kinds in found.items():
        n = sum(tried.n for tried in kinds.values())
        finished = sum(tried.finished for tried in kinds.values())
        wrong = [f"{kind} {tried.wrong}" for kind, tried in kinds.items() if tried.wrong]
        table.append([
            arm, *(f"{tried.finished}/{tried.n}" for tried in kinds.values()), Share(finished, n).text(),
            ", ".join(wrong) or "0", f"{sum(tried.calls for tried in kinds.values()) / n:,.0f}",
        ])  # fmt: skip
    return table


def _shows(found: dict[str, dict[str, Tried]], n: int) -> str:
    first, last = (list(found.values())[i] for i in (0, -1))
    whole = len(KINDS) * n
    before, after = (sum(tried.finished for tried in kinds.values()) for kinds in (first, last))
    planted = sum(tried.wrong for kind, tried in last.items() if kind != "unlucky")
    most = max(kinds["unlucky"].wrong for kinds in found.values())
    ended = sum(tried.ended_wrong for kinds in found.values() for tried in kinds.values())
    every = whole * len(found)
    return (
        f"Without rungs {Share(before, whole).text()} of the runs finish, with all of them "
        f"{Share(after, whole).text()}. Each kind is rescued by its own rungs, and the hopeless one by none: "
        f"{last['hopeless'].finished} of {n} finish, the others stop with a diagnosis. Of {every:,} runs {ended} came "
        f"to their end with a wrong result. With all rungs on, {planted} runs hold a wrong step beside the planted one "
        f"of `unlucky`, which is still there in {last['unlucky'].wrong} of {n} runs when the ladder ends: those "
        f"are stopped, too. A coin flip that is raced again can fall on the wrong side: an `unlucky` step was decided "
        f"wrongly in {first['unlucky'].wrong} runs without rungs, and in up to {most} with some."
    )


def _draw(figure: Figure, found: dict[str, dict[str, Tried]]) -> None:
    axes: Any = figure.subplots()
    shares = [[tried.finished / tried.n for tried in kinds.values()] for kinds in found.values()]
    axes.grid(visible=False)
    axes.imshow(shares, cmap="Greens", vmin=0, vmax=1.3, aspect="auto")
    for y, kinds in enumerate(found.values()):
        for x, tried in enumerate(kinds.values()):
            axes.text(x, y, f"{tried.finished}/{tried.n}", ha="center", va="center", fontsize=9)
    axes.set_xticks(range(len(KINDS)), list(KINDS))
    axes.set_yticks(range(len(found)), list(found))
    axes.set_xlabel("kind of the planted hard step")
    axes.set_ylabel("rungs of the ladder")
    axes.set_title("runs that finish rightly (simulated)")
