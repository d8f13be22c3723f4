"""The proof: one call against many voted ones, the same model at the same temperature, on work that code checks.

    python tests/proof/proof.py SERVER#MODEL [ROW ...]      # http://127.0.0.1:8080/v1#name; all rows, or some
    python tests/proof/proof.py --table                     # what is known so far, as the table of docs/proof.md
    python tests/proof/proof.py --figure FILE.png           # the same as a figure

Each try is one line of `$MAKER_PROOF/results.jsonl` (default `~/.cache/maker-proof`), written when it ends; what stands
there is not asked again, and a run of maker goes on from its journal there. So it may be stopped at any time.

A single call is asked in several ways, thinking aloud in one of them; each way has ten tries on ten problems, and the
best way is the one that counts. A long number, or a list, is right where it stands anywhere in the reply, numbers that
count its lines aside. Maker gets
the first few of the same problems. Never part of the test suite: it asks a real model for a long time.
"""

from __future__ import annotations

import random
import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "kit"))

import maker
from maker.experiments import side_by_side
from maker.experiments.side_by_side import ALOUD, TEMPERATURE
from proving import FOLDER, ask, each, interval, keep, kept

TRIES, AT_ONCE = 10, 4
MOST_TOKENS = 2048  # of a single call's reply
LIMITS = {"concurrency": AT_ONCE, "max_seconds": 3600}


@dataclass(frozen=True)
class Row:
    """One kind of work.

    runs: of maker, on the first problems. views: whether its draws take turns at the ways of the task to ask.
    problem: number -> the parameters of the task. ask: a task -> the words of a
    single call. right: a task -> its exact answer, as the last numbers of a reply.
    """

    what: str
    task: str
    runs: int
    k: int
    problem: Callable[[random.Random], dict[str, Any]]
    ask: Callable[[Any], str]
    right: Callable[[Any], list[int]]
    views: bool = False


def _two(digits: int) -> Callable[[random.Random], dict[str, Any]]:
    return lambda drawn: {name: drawn.randrange(10 ** (digits - 1), 10**digits) for name in ("x", "y")}


def _words(task: Any) -> str:
    listed = "\n".join(f"{word}: {value}" for word, value in task.dictionary.items())
    return f"{listed}\n\nWhat is the sum of the values of these words? {', '.join(task.asked)}."


def _moves_wanted(task: Any) -> str:
    return (
        f"Solve the Towers of Hanoi with {task.disks} disks on pegs 0, 1 and 2, all of them on peg 0, to be moved to "
        "peg 2 in as few moves as can be. Disk 1 is the smallest. Write each move on a line of its own as three "
        "numbers: the disk, the peg it comes from, the peg it goes to, as in `1 0 2`."
    )


def optimal(task: Any) -> Iterator[tuple[int, int, int]]:
    """Yield the moves of the one shortest solution, each told by the states before and after it."""
    for step in range(1, task.steps + 1):
        yield task.state_at(step).previous


ROWS = {
    "sum": Row(
        "sum of two 40-digit numbers", "addition", 5, 3, _two(40), lambda task: f"What is {task.x} + {task.y}?",
        lambda task: [task.x + task.y],
    ),
    "product": Row(
        "product of two 6-digit numbers", "multiplication", 3, 3, _two(6), lambda task: f"What is {task.x} x {task.y}?",
        lambda task: [task.x * task.y],
    ),
    "sort": Row(
        "60 numbers of 3 digits, sorted", "sorting", 3, 3,
        lambda drawn: {"numbers": [drawn.randrange(100, 1000) for _ in range(60)]},
        lambda task: f"Sort these numbers from smallest to largest: {', '.join(map(str, task.numbers))}.",
        lambda task: sorted(task.numbers), views=True,
    ),
    "hanoi": Row(
        "Towers of Hanoi, 7 disks, 127 moves", "hanoi", 2, 3, lambda _: {"disks": 7}, _moves_wanted,
        lambda task: [place for action in optimal(task) for place in action],
    ),
    "turns": Row(
        "100 words looked up among 40 and added", "dict-sum", 1, 3,
        lambda drawn: {"keys": 1, "data_seed": drawn.randrange(10**6)}, _words,
        lambda task: [sum(task.dictionary[word] for word in task.asked)], views=True,
    ),
}  # fmt: skip


def prompts(words: str = "", answer: str = "number") -> dict[str, str]:
    """Return the ways to ask in one call, by name."""
    return {"the answer alone": f"{words} Answer with the {answer} alone.", "thinking aloud": ALOUD.format(words)}


def holds(reply: str, right: list[int]) -> bool:
    """Say whether a reply has the answer, its lines counted or not."""
    return any(side_by_side.holds(text, right) for text in (reply, re.sub(r"(?m)^\s*\d+[.):]\s", "", reply)))


def task_of(row: Row, number: int) -> Any:
    """Return the problem of that number."""
    drawn = random.Random(f"{row.task} {number}")
    return maker.load_task(row.task, **row.problem(drawn), design="questions")


def tried() -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Return what is known: the tries by row and way to ask; that of maker is "maker"."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for said in kept(FOLDER / "results.jsonl"):
        found[said["row"], said["way"]].append(said)
    return found


def note(**said: Any) -> None:
    """Keep one try, and say it."""
    keep(FOLDER / "results.jsonl", said)
    print(", ".join(f"{name} {value}" for name, value in said.items() if name != "reply"), file=sys.stderr, flush=True)


def single(name: str, row: Row, model: str) -> None:
    """Ask in single calls what was not asked yet."""
    for way in prompts():

        def one(number: int, way: str = way) -> None:
            task = task_of(row, number)
            right = row.right(task)
            words = prompts(row.ask(task), "number" if len(right) == 1 else "sorted numbers")[way]
            said = ask(model, words, number, TEMPERATURE, MOST_TOKENS)
            note(row=name, way=way, **{"try": number}, right=holds(said["reply"], right), **said)

        each(range(TRIES), tried()[name, way], one, AT_ONCE)


def voted(name: str, row: Row, model: str) -> None:
    """Let maker do what it has not done yet; a run that was cut off goes on."""

    def one(number: int) -> None:
        task, begun = task_of(row, number), time.monotonic()
        result = maker.run_sync(
            task, model=model, k=row.k, temperature=TEMPERATURE, max_tokens=24, limits=LIMITS,
            paraphrases=row.views, journal=FOLDER / f"{name}-{number}.journal",
        )  # fmt: skip
        if result.stopped:
            print(f"{name} {number}: stopped by {result.stopped}: {result.detail}", file=sys.stderr, flush=True)
            return
        usage = result.usage
        note(row=name, way="maker", **{"try": number}, right=result.solved, tokens=usage.tokens_in + usage.tokens_out,
             seconds=round(time.monotonic() - begun, 1), steps=result.steps, samples=result.samples,
             wrong=result.wrong, flagged=result.flagged)  # fmt: skip

    each(range(row.runs), tried()[name, "maker"], one, at_once=1)


def counted(tries: list[dict[str, Any]]) -> tuple[int, int, float, float]:
    """Return how many tries there are, and right ones, and the exact 95% interval of their share."""
    n, right = len(tries), sum(said["right"] for said in tries)
    return n, right, *interval(right, n)


def table() -> Iterator[str]:
    """Yield the table's lines: each way with its tries, the exact 95% interval, tokens and seconds of one try."""
    found = tried()
    yield "| work | asked | right | 95% | tokens | seconds |"
    yield "|---|---|---|---|---|---|"
    for name, row in ROWS.items():
        for way in (*prompts(), "maker"):
            tries = found[name, way]
            if tries:
                n, right, low, high = counted(tries)
                mean = {what: sum(said[what] for said in tries) / n for what in ("tokens", "seconds")}
                asked = f"maker, k = {row.k}" if way == "maker" else f"one call, {way}"
                yield (f"| {row.what} | {asked} | {right} of {n} | {low:.2f} to {high:.2f} | {mean['tokens']:,.0f} | "
                       f"{mean['seconds']:,.0f} |")  # fmt: skip


def figure(file: Path) -> None:
    """Draw the share of right answers by row, of the better single call and of maker, with its interval."""
    from matplotlib.figure import Figure

    found = tried()
    rows = [name for name in ROWS if found[name, "maker"] and all(found[name, way] for way in prompts())]
    drawn = Figure(figsize=(7, 0.4 + 0.62 * len(rows)), layout="constrained")
    axes = drawn.subplots()
    for at, name in enumerate(reversed(rows)):
        best = max((counted(found[name, way]) for way in prompts()), key=lambda seen: seen[1] / seen[0])
        for offset, seen, colour in ((-0.17, best, "#b4462f"), (0.17, counted(found[name, "maker"]), "#2a6f97")):
            n, right, low, high = seen
            axes.plot([low, high], [at + offset] * 2, color=colour, lw=2, alpha=0.5)
            axes.plot(right / n, at + offset, "o", color=colour, ms=7)
            axes.annotate(f"{right} of {n}", (right / n, at + offset), (8 if 2 * right < n else -8, 0), color=colour,
                          textcoords="offset points", va="bottom", ha="left" if 2 * right < n else "right")  # fmt: skip
    axes.set_yticks(range(len(rows)), [ROWS[name].what for name in reversed(rows)])
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel(
        "exact answers, share and 95% interval; red: one call, the better way; blue: maker", fontsize=8, x=0.3
    )
    axes.spines[["top", "right"]].set_visible(False)
    drawn.savefig(file, dpi=150)


def main() -> None:
    """Do what is left to do, row by row; print the table."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    model, *names = sys.argv[1:] or sys.exit(__doc__)
    if model == "--figure":
        figure(Path(names[0]))
        return
    for name in [] if model == "--table" else names or ROWS:
        voted(name, ROWS[name], model)
        single(name, ROWS[name], model)
    print("\n".join(table()))


if __name__ == "__main__":
    main()
