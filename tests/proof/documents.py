"""The proof's documents: a ledger edited there and back, and a pile of invoices read into records.

    python tests/proof/documents.py SERVER#MODEL [relay] [invoices]    # http://127.0.0.1:8080/v1#name; both, or one
    python tests/proof/documents.py --table                            # what is known so far

The same model at the same temperature is asked in single calls and by maker, as in `proof.py`, and results are kept the
same way, in `$MAKER_PROOF/documents.jsonl`: it may be stopped at any time.

relay: twelve records, ten round trips of edits. A single call edits the whole ledger, or one record, by the same
instruction; a try ends at its first edit that is not exact, since what was lost is not there to come back. invoices:
forty of them; a single call reads a whole one, as lines or as JSON, as lines also after the four examples that maker's
questions have, and each field counts that can be read at all. What smaller margins say is recounted from the votes of
the largest.
Never part of the test suite: it asks a real model for a long time.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "kit"))

import maker
from maker.journal.story import Story
from proving import FOLDER, ask, each, interval, keep, kept

AT_ONCE, TEMPERATURE = 4, 0.7
RECORDS, TRIPS, TRIES, RUNS = 12, 10, 10, 1
INVOICES, K, RECOUNTED = 40, 5, (3, 1)
LIMITS = {"concurrency": AT_ONCE, "max_seconds": 7200, "max_votes": 60}

WHOLE = (
    "Make the same small, exact edit in every record of a ledger.\n\nEdit of each record: {edit}\nChange nothing else; "
    "all other fields keep their names, values and order. Answer with the {n} edited records alone, each as JSON on a "
    "line of its own.\n\n{ledger}"
)
AS_JSON = (
    "{text}\n\nRead this invoice. Answer with one JSON object alone, with these keys, values as texts as they stand in "
    'the invoice: "number" (of the invoice), "date" (of the invoice), "buyer" (who has to pay), "first", "second", '
    '"third" (amounts of the three items), "tax" (its amount), "total" (to pay).'
)


def tried(work: str) -> dict[str, list[dict[str, Any]]]:
    """Return what is known of a work: its tries by way."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for said in kept(FOLDER / "documents.jsonl"):
        if said["work"] == work:
            found[said["way"]].append(said)
    return found


def make(work: str, way: str, tries: int, one: Callable[[int], dict[str, Any]], at_once: int = AT_ONCE) -> None:
    """Make the tries of a way that were not made yet, and keep what comes of each."""

    def made(number: int) -> None:
        begun = time.monotonic()
        said = one(number)
        said = {"work": work, "way": way, "try": number, **said, "seconds": round(time.monotonic() - begun, 1)}
        keep(FOLDER / "documents.jsonl", said)
        print(json.dumps(said), file=sys.stderr, flush=True)

    each(range(tries), tried(work)[way], made, at_once)


# -- the ledger ------------------------------------------------------------------------------------------------


def ledger(number: int, design: str) -> Any:
    """Return the ledger of that number."""
    return maker.load_task("relay", records=RECORDS, trips=TRIPS, data_seed=number, design=design)


def legs(task: Any) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield the instruction of each edit of the whole ledger, with the ledger before and after it."""
    state = task.initial_state()
    for _ in range(2 * TRIPS):
        before, words = list(state.ledger), task.prompt(state, 0)
        for _ in range(RECORDS):
            state = task.apply(state, task.truth(state, 0))
        yield re.findall(r"Edit: (.*)", words)[0], before, list(state.ledger)


def same(reply: str, right: list[str]) -> bool:
    """Say whether a reply has these records and no others, each on a line, spaces between their parts aside."""
    found = []
    for line in reply.splitlines():
        start, end = line.find("{"), line.rfind("}")
        if 0 <= start < end:
            try:
                found.append(json.dumps(json.loads(line[start : end + 1])))
            except ValueError:
                return False
    return found == right


def edited(model: str, number: int, records: int) -> dict[str, Any]:
    """Edit the ledger, so many records a call, until an edit is not exact; return how many edits of all were."""
    tokens = exact = 0
    for leg, (words, before, after) in enumerate(legs(ledger(number, "lines"))):
        for at in range(0, RECORDS, records):
            part = slice(at, at + records)
            asked = WHOLE.format(edit=words, n=records, ledger="\n".join(before[part]))
            if records == 1:
                asked = asked.replace("the 1 edited records alone, each", "the edited record alone,")
            said = ask(model, asked, 1000 * number + 100 * leg + at, TEMPERATURE, 120 * records)
            tokens += said["tokens"]
            if not same(said["reply"], after[part]):
                return {"right": False, "exact": exact, "tokens": tokens}
            exact += records
    return {"right": True, "exact": exact, "tokens": tokens}


def relay(model: str) -> None:
    """Let maker edit the ledger, then single calls."""

    def voted(number: int) -> dict[str, Any]:
        said = ran(ledger(number, "questions"), model, 3, FOLDER / f"relay-{number}.journal")
        return {name: value for name, value in said.items() if name != "state"}

    make("relay", "maker, k = 3", RUNS, voted, at_once=1)
    make("relay", "one call an edit of one record", TRIES, lambda number: edited(model, number, 1))
    make("relay", "one call an edit of all records", TRIES, lambda number: edited(model, number, RECORDS))


def ran(task: Any, model: str, k: int, journal: Path) -> dict[str, Any]:
    """Run a task, or go on with it where it was cut off; return what it brought."""
    result = maker.run_sync(
        task, model=model, k=k, temperature=TEMPERATURE, max_tokens=96, limits=LIMITS, journal=journal
    )
    if result.stopped and result.stopped != "undecided":
        raise SystemExit(f"{journal}: stopped by {result.stopped}: {result.detail}")
    return {"right": result.solved, "steps": result.steps, "samples": result.samples, "flagged": result.flagged,
            "wrong": result.wrong, "stopped": result.stopped, "state": result.state,
            "tokens": result.usage.tokens_in + result.usage.tokens_out}  # fmt: skip


# -- the invoices ----------------------------------------------------------------------------------------------


def invoice(number: int, design: str) -> Any:
    """Return the invoice of that number, a pile of one."""
    return maker.load_task("invoices", invoices=1, data_seed=number, design=design)


def fields(task: Any, reply: str) -> list[bool]:
    """Say of each of the eight fields whether a reply, lines or JSON, has it right; what can't be read is wrong."""
    names = sys.modules[type(task).__module__].FIELDS
    try:
        said = json.loads(reply[reply.find("{") : reply.rfind("}") + 1])
    except ValueError:
        said = {name: value.strip(" `") for name, value in re.findall(r"^\W*(\w+)\s*=\s*(.*)$", reply, re.MULTILINE)}
    step = invoice(task.parameters["data_seed"], "questions")
    right = []
    for name, value in zip(names, task.drawn[0].fields, strict=True):
        try:
            right.append(step.parse(str(said.get(name, ""))) == value)
        except ValueError:
            right.append(False)
    return right


def shown(asked: str) -> list[dict[str, str]]:
    """Return what is asked as a talk, after the examples of the questions, each answered with all its lines."""
    module = sys.modules[type(invoice(0, "lines")).__module__]
    told = module.examples()
    turns = []
    for at in range(0, len(told), 2 * len(module.FIELDS)):
        text, _, _ = told[at]["content"].rpartition("\n\n")
        values = (turn["content"] for turn in told[at + 1 : at + 2 * len(module.FIELDS) : 2])
        lines = "\n".join(f"{name} = {value}" for name, value in zip(module.FIELDS, values, strict=True))
        question = (
            invoice(0, "lines").prompt(module.InvoicesState(), 0).replace(invoice(0, "lines").drawn[0].text, text)
        )
        turns += [{"role": "user", "content": question}, {"role": "assistant", "content": lines}]
    return [*turns, {"role": "user", "content": asked}]


def recounted(number: int, k: int) -> dict[str, Any]:
    """Return what the votes of an invoice say at a smaller margin than that at which it was read."""
    task, journal = invoice(number, "questions"), FOLDER / f"invoice-{number}.journal"
    first = maker.revote(journal, k=k)
    changes = {change.step: task.parse(change.now) for change in first.changes}
    voted = {verdict.step: verdict.answer for verdict in Story(journal).verdicts(task.parse)}
    read = [changes.get(step, voted[step]) for step in sorted(voted)]
    right = [one == other for one, other in zip(read, task.drawn[0].fields, strict=False)]
    return {"right": sum(right) == len(task.drawn[0].fields), "fields": sum(right), "samples": first.samples}


def invoices(model: str) -> None:
    """Let maker read the invoices, recount at smaller margins, then ask single calls in three ways."""

    def voted(number: int) -> dict[str, Any]:
        task = invoice(number, "questions")
        said = ran(task, model, K, FOLDER / f"invoice-{number}.journal")
        state = said.pop("state")
        read = (*state.invoices[0],) if state.invoices else state.fields
        return {**said, "fields": sum(map(lambda one, other: one == other, read, task.drawn[0].fields))}

    make("invoices", f"maker, k = {K}", INVOICES, voted, at_once=1)  # a server reads each invoice once
    for k in RECOUNTED:
        make("invoices", f"maker, k = {k}", INVOICES, lambda number, k=k: recounted(number, k))
    for way in ("lines", "JSON", "lines after four examples"):

        def single(number: int, way: str = way) -> dict[str, Any]:
            task = invoice(number, "lines")
            text = task.drawn[0].text
            asked = AS_JSON.format(text=text) if way == "JSON" else task.prompt(task.initial_state(), 0)
            said = ask(model, shown(asked) if "after" in way else asked, number, TEMPERATURE, 300)
            right = fields(task, said["reply"])
            return {"right": all(right), "fields": sum(right), "reply": said["reply"], "tokens": said["tokens"]}

        make("invoices", f"one call, as {way}", INVOICES, single)


# -- the table -------------------------------------------------------------------------------------------------


def table() -> Iterator[str]:
    """Yield the table's lines: each way with its tries, the exact 95% interval, and parts of one that were right."""
    yield "| work | asked | right | 95% | parts right | tokens | seconds |"
    yield "|---|---|---|---|---|---|---|"
    for work in ("relay", "invoices"):
        for way, tries in sorted(tried(work).items(), reverse=True):
            n, right = len(tries), sum(said["right"] for said in tries)
            low, high = interval(right, n)
            parts = {
                "relay": lambda said: said.get("exact", said.get("steps")), "invoices": lambda said: said["fields"]
            }[work]  # fmt: skip
            spent = [
                f"{sum(said[what] for said in tries) / n:,.0f}" if all(said.get(what) for said in tries) else ""
                for what in ("tokens", "seconds")
            ]
            yield (f"| {work} | {way} | {right} of {n} | {low:.2f} to {high:.2f} | {sum(map(parts, tries)) / n:.1f} | "
                   f"{' | '.join(spent)} |")  # fmt: skip


def main() -> None:
    """Do what is left to do; print the table."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    model, *names = sys.argv[1:] or sys.exit(__doc__)
    for name in [] if model == "--table" else names or ("relay", "invoices"):
        {"relay": relay, "invoices": invoices}[name](model)
    print("\n".join(table()))


if __name__ == "__main__":
    main()
