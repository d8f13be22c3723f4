"""What the journals of small runs hold, byte by byte: pins that a change of the code must not move.

    python tests/golden/bytes.py --write [NAME ...]

writes `bytes.json`; without names all of it. `test_bytes.py` carries out each scene and compares. A pin moves only
together with the journal's format, the header or the rules of voting, and then the change says why.
"""

# ruff: noqa: D401 -- a scene says what it is

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import sqlite3
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import maker
from maker import ladder

HERE = Path(__file__).parent
PINS = HERE / "bytes.json"
TASKS = HERE / "bytes_tasks.py"
MOST_NAMED = 400  # records of a scene that are pinned one by one, too

# All that is not public: what must not wait here, and what a crew starts with.
FIRST_BACKOFF = "maker.sending.dispatcher.FIRST_BACKOFF"
CORES = "maker.engine.crew.processes._cores"


def _models() -> Any:
    spec = importlib.util.spec_from_file_location("pinned_models", HERE / "bytes_models.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["pinned_models"] = module
    spec.loader.exec_module(module)
    return module


models = _models()
Paid, at_steps, noisy, right, scripted, truthful = (
    models.Paid, models.at_steps, models.noisy, models.right, models.scripted, models.truthful
)  # fmt: skip


def task(name: str, **parameters: Any) -> Any:
    """Return one of the pinned tasks."""
    return maker.load_task(f"{TASKS}:{name}", **parameters)


def user(name: str) -> Any:
    """Return something else of the file of the tasks."""
    return getattr(sys.modules[type(task("Count")).__module__], name)


# -- what a journal holds --------------------------------------------------------------------------------------


@contextlib.contextmanager
def stopped_clock() -> Iterator[None]:
    """Stop the clock, and let nothing wait for it."""
    with mock.patch("time.monotonic", return_value=1000.0), mock.patch(FIRST_BACKOFF, 0.0):
        yield


def records(path: Path) -> list[bytes]:
    """Return the records of a journal, read from the database itself."""
    found = []
    with contextlib.closing(sqlite3.connect(path)) as db:
        for (data,) in db.execute("SELECT data FROM groups ORDER BY first"):
            at = 0
            while at < len(data):
                (length,) = struct.unpack_from("<I", data, at)
                found.append(data[at + 4 : at + 4 + length])
                at += 4 + length + 16  # its hash follows it
    return found


def pinned(found: list[bytes], **more: Any) -> dict[str, Any]:
    """Return what is kept of records."""
    whole = hashlib.sha256()
    for record in found:
        whole.update(struct.pack("<I", len(record)) + record)
    pin = {"records": len(found), "sha256": whole.hexdigest(), **more}
    if len(found) <= MOST_NAMED:
        pin["each"] = " ".join(hashlib.sha256(record).hexdigest()[:8] for record in found)
    return pin


def carry_out(name: str, folder: Path) -> tuple[dict[str, Any], list[bytes]]:
    """Carry out a scene; return what is pinned of it, and its records."""
    path = folder / f"{name}.journal"
    with stopped_clock():
        said = SCENES[name](path)
    found = records(path)
    if said is not None:  # several processes took part: the order of their waves is nobody's promise
        found = sorted(record for record in found if record[0] == 2)
    return pinned(found, **(said or {})), found


def difference(pin: dict[str, Any], now: dict[str, Any], found: list[bytes]) -> str:
    """Say where records differ first."""
    before, after = pin.get("each", "").split(), now.get("each", "").split()
    if not before or not after:
        return f"{now['records']} records, {pin['records']} before"
    at = next((i for i, (old, new) in enumerate(zip(before, after, strict=False)) if old != new), None)
    if at is None:
        return f"{len(after)} records, {len(before)} before; the others are equal"
    return f"record {at} of {len(after)} ({len(before)} before) is another one now: {found[at][:600]!r}"


# -- the scenes ------------------------------------------------------------------------------------------------

SCENES: dict[str, Callable[[Path], dict[str, Any] | None]] = {}


def scene(function: Callable[[Path], Any]) -> Callable[[Path], Any]:
    """Register a scene by its name."""
    SCENES[function.__name__.replace("_", "-")] = function
    return function


ONE = {"concurrency": 1}  # call at a time: the order of records is that of the calls


def run(path: Path, model: Any, of: Any = None, **settings: Any) -> maker.RunResult:
    """Carry out a pinned task at k = 3."""
    settings = {"k": 3, "ladder": [], **settings}
    if not model.lockstep:
        settings["limits"] = {**ONE, **settings.get("limits", {})}
    return maker.run_sync(of or task("Count"), model=model, journal=path, **settings)


@scene
def lockstep(path: Path) -> None:
    """Step by step, in one process."""
    run(path, scripted(noisy), seed=5)


@scene
def keep_all(path: Path) -> None:
    """All texts are kept."""
    run(path, scripted(noisy), keep_samples="all")


@scene
def keep_flagged(path: Path) -> None:
    """Texts of flagged samples are kept."""
    run(path, scripted(noisy), keep_samples="flagged")


@scene
def keep_none(path: Path) -> None:
    """No texts are kept but those that answers are read from."""
    run(path, scripted(noisy, simulated=True), keep_samples="none")


@scene
def first_at_zero(path: Path) -> None:
    """The first draw of a step is at another temperature, and the paper's flags judge."""
    run(path, scripted(noisy), flags="paper", temperature=0.7, token_cap=900, long_answer=500, first_temperature=0.0)


@scene
def flags_of_ones_own(path: Path) -> None:
    """A flag of the caller's own says a kind and a detail."""

    def lucky(sample: Any, step: maker.Step, earlier: Any) -> maker.RedFlag | None:
        return maker.RedFlag("unlucky", "it has no luck") if len(earlier) == 1 else None

    run(path, scripted(noisy), flags=[lucky])


@scene
def forms(path: Path) -> None:
    """States and answers have every form that a value may have."""
    run(path, scripted(lambda r: str(r.address.step) if r.address.draw % 5 else "0"), task("Forms"), k=2)


@scene
def until(path: Path) -> None:
    """The run ends when the task is done."""
    run(path, scripted(noisy), task("Until"))


@scene
def missed(path: Path) -> None:
    """All steps are decided, and the goal is not reached."""
    run(path, scripted(lambda r: "500"))


@scene
def paraphrased(path: Path) -> None:
    """Each draw asks in other words."""
    run(path, scripted(lambda r: ("-" if r.prompt.startswith("Minus") else "") + right(r)), paraphrase=True)


@scene
def coarser(path: Path) -> None:
    """Three actions in one answer."""

    def script(request: maker.Request) -> str:
        first = 3 * request.address.step
        return "\n".join(f"# action {i}\n{first + i}" for i in (1, 2, 3))

    run(path, scripted(script), maker.coarse(task("Count"), 3))


# -- over a network: receipts --------------------------------------------------------------------------------------


@scene
def paid(path: Path) -> None:
    """Receipts of calls that cost something, with all that a server may say."""
    run(path, Paid(lambda r: noisy(r).text, mark=lambda r: "fp-1"), limits={"max_cost": 5.0})


@scene
def paid_stopped_and_resumed(path: Path) -> None:
    """A limit stops the run in a wave; the samples that came are used by the next."""
    run(path, Paid(lambda r: noisy(r).text), limits={"max_calls": 16})
    run(path, Paid(lambda r: noisy(r).text), limits={"max_tokens": 12_000})
    run(path, Paid(lambda r: noisy(r).text))


@scene
def three_choices_a_call(path: Path) -> None:
    """Draws of one step share calls."""
    run(path, Paid(lambda r: noisy(r).text, n=3), k=4)


@scene
def figures_that_nobody_reports(path: Path) -> None:
    """Samples without tokens, ids, models or text."""
    run(path, Paid(lambda r: maker.Sample(None if r.address.draw % 4 == 1 else right(r), None, None, None)))


@scene
def retries(path: Path) -> None:
    """Failures are noted and repeated, with what they were billed."""
    asked: dict[Any, int] = {}

    def script(request: maker.Request) -> Any:
        at = (request.address.step, request.address.draw)
        asked[at] = asked.get(at, 0) + 1
        if at[0] % 3 == 1 and asked[at] <= at[1] % 3:
            kind = "again" if at[0] == 4 else "transient"
            return maker.Failure(kind, f"503 at {at}", tokens_in=5, tokens_out=None if at[1] == 2 else 1)
        return right(request)

    run(path, Paid(script))


@scene
def retries_in_lockstep(path: Path) -> None:
    """What failed is noted once for the run."""
    failed: set[Any] = set()

    def script(request: maker.Request) -> Any:
        at = (request.address.step, request.address.draw)
        if at[1] == 1 and at not in failed:
            failed.add(at)
            return maker.Failure("transient", "busy", tokens_in=4, tokens_out=0)
        return right(request)

    run(path, scripted(script))


@scene
def model_lost(path: Path) -> None:
    """A model that is gone in the middle of a wave; and the run that resumes."""
    left = [20]

    def script(request: maker.Request) -> Any:
        left[0] -= 1
        return right(request) if left[0] >= 0 else maker.Failure("fatal", "it is gone")

    with contextlib.suppress(maker.ModelError):
        run(path, Paid(script))
    run(path, Paid(right))


@scene
def attempts_used_up(path: Path) -> None:
    """A model that fails whatever is tried stops the run by name."""
    run(path, Paid(at_steps({2: lambda r: maker.Failure("transient", "busy")})))


@scene
def server_changed(path: Path) -> None:
    """A server's new fingerprint stops a run; then it is accepted and noted."""

    def model() -> Any:
        return Paid(right, mark=lambda r: f"fp-{r.address.step // 5}")

    run(path, model())
    run(path, model(), accept_change=["fingerprint"])


@scene
def copies(path: Path) -> None:
    """Copied samples stop a run."""

    def script(request: maker.Request) -> maker.Sample:
        return maker.Sample(right(request), 5, 1, "stop", f"{request.address.step}-{request.address.draw // 2}")

    run(path, Paid(script), task("Count", steps=40))


# -- k = "auto" ----------------------------------------------------------------------------------------------------


@scene
def calibrated(path: Path) -> None:
    """A calibration against the truth, and the run that it plans."""
    run(path, maker.load_model("oracle:p=0.95,v=0.97,rivals=2"), task("Chain"), k="auto", segments=4)


@scene
def calibrated_by_agreement(path: Path) -> None:
    """A calibration without a truth."""
    run(path, scripted(lambda r: right(r) if r.seed % 16 else "900"), k="auto")


@scene
def calibration_cut_off(path: Path) -> None:
    """A limit in the middle of a calibration; the resume pays for the rest."""
    chain = task("Chain")
    run(path, Paid(truthful(chain)), chain, k="auto", limits={"max_calls": 150}, segments=1)
    run(path, Paid(truthful(chain)), chain, k="auto", segments=1, limits={"max_steps": 4})


# -- stopped, resumed, changed -------------------------------------------------------------------------------------


@scene
def resumed(path: Path) -> None:
    """Stopped by max_steps twice."""
    for limits in ({"max_steps": 4}, {"max_steps": 4}, {"max_steps": 9}, {}, {}):
        run(path, scripted(noisy), limits=limits)


@scene
def interrupted(path: Path) -> None:
    """Interrupted between two waves, and resumed."""
    looks = iter(range(7))
    run(path, scripted(noisy), interrupted=lambda: next(looks, None) is None)
    run(path, scripted(noisy))


@scene
def undecided(path: Path) -> None:
    """A tie that ends at a limit, and goes on with a higher one."""
    tied = at_steps({5: lambda r: "77" if r.address.draw % 2 and r.address.draw < 12 else "6"})
    run(path, scripted(tied), limits={"max_votes": 8})
    run(path, scripted(tied), limits={"max_votes": 40})


@scene
def poisoned(path: Path) -> None:
    """A step that is always refused, and one whose request always fails."""
    run(path, scripted(at_steps({5: lambda r: "I'm sorry, I can't"})))


@scene
def poisoned_request(path: Path) -> None:
    """A request that always fails, over a network; mended, the run goes on."""
    run(path, Paid(at_steps({5: lambda r: maker.Failure("poison", "too long") if r.address.draw == 1 else right(r)})))
    run(path, Paid(right))


@scene
def epochs(path: Path) -> None:
    """Settings that change on purpose, twice, in both cases in the middle of a step."""
    half = at_steps({4: lambda r: "77" if r.address.draw % 2 and r.address.draw < 12 else "5"})
    run(path, scripted(half), limits={"max_votes": 6})
    accepted = {"accept_change": ["k", "temperature", "seed"]}
    run(path, scripted(noisy), k=4, temperature=0.5, limits={"max_steps": 8}, **accepted)
    run(path, scripted(noisy), k=2, temperature=0.5, seed=9, **accepted)


@scene
def epochs_paid(path: Path) -> None:
    """Another model's epoch, over a network."""
    run(path, Paid(right), limits={"max_calls": 10})
    run(path, Paid(right, name="other"), accept_change=["model"])


# -- the ladder ----------------------------------------------------------------------------------------------------


def _rejected(request: maker.Request) -> str:
    return "-1"


@scene
def more_votes(path: Path) -> None:
    """The default lifts a limit that nobody set."""
    script = at_steps({7: lambda r: right(r) if not 6 <= r.address.draw < 230 else "?"})
    run(path, scripted(script), k=10, ladder=[ladder.more_votes])


@scene
def refined(path: Path) -> None:
    """Warmer, and with room for longer replies."""
    script = at_steps({7: lambda r: right(r) if r.temperature > 0.5 else "?" + str(r.address.draw)})
    run(path, scripted(script), ladder=[ladder.refine], token_cap=64, limits={"max_flags": 20})


@scene
def reworded(path: Path) -> None:
    """In other words."""

    def script(request: maker.Request) -> str:
        if not request.prompt.startswith(("What", "Minus")):
            return "I'm sorry, I can't"
        return ("-" if request.prompt.startswith("Minus") else "") + right(request)

    run(path, scripted(at_steps({7: script})), ladder=[ladder.reword])


@scene
def finer_steps(path: Path) -> None:
    """Digit by digit, over a network: parts are booked beside their step."""

    def script(request: maker.Request) -> str:
        if not request.prompt.startswith("digit"):
            return "-1"
        at, number = request.prompt.removeprefix("digit ").removesuffix("?").split(" of ")
        return number[int(at)]

    run(path, Paid(at_steps({10: script})), ladder=[ladder.finer], limits={"max_flags": 12})


@scene
def another_model(path: Path) -> None:
    """Another model, in this process, after the first was no help."""
    rungs = [ladder.another_model(scripted(s, name=n)) for n, s in (("one", _rejected), ("two", noisy))]
    run(path, scripted(at_steps({7: _rejected, 9: _rejected})), ladder=rungs, limits={"max_flags": 20})


@scene
def another_paid_model(path: Path) -> None:
    """Another model over a network: its receipts say who was asked."""
    rungs = [ladder.another_model(Paid(right, name="other"))]
    run(path, Paid(at_steps({7: _rejected})), ladder=rungs, limits={"max_flags": 8})


def _first_round(reply: str) -> Callable[[maker.Request], str]:
    """Return a script that is no use as long as nothing was given up."""
    return lambda request: reply if request.address.draw < 100 else right(request)


@scene
def gone_back(path: Path) -> None:
    """A wrong step is found later, and given up with what came after it."""
    script = at_steps({3: _first_round("950"), 4: _first_round("?")})
    run(path, scripted(script), ladder=[ladder.go_back(2)], limits={"max_flags": 9})


@scene
def gone_back_paid(path: Path) -> None:
    """The same over a network, stopped on the way and resumed."""
    script = at_steps({3: _first_round("950"), 4: _first_round("?")})
    for calls in (26, 34, 10_000):
        run(path, Paid(script), ladder=[ladder.go_back(2)], limits={"max_flags": 9, "max_calls": calls})


@scene
def rungs_of_ones_own(path: Path) -> None:
    """Several changes at once, one after another, and a resume in between."""

    def warmly(trouble: Any) -> Any:
        return ladder.Change(warmer=0.25, paraphrase=True, longer=3)

    def again(trouble: Any) -> Any:
        return ladder.Change(more=2, back=1) if trouble.decided else None

    script = at_steps({7: lambda r: right(r) if r.temperature < 0.2 and r.address.draw > 9000 else "?"})
    settings: dict[str, Any] = {"ladder": [warmly, again, warmly, ladder.go_back(3)], "limits": {"max_flags": 6}}
    run(path, scripted(script), **settings)
    run(path, scripted(right), **settings)


# -- plans ---------------------------------------------------------------------------------------------------------


@scene
def segments(path: Path) -> None:
    """Segments side by side, and a last one that is stopped."""
    for limits in ({"max_steps": 21}, {}):
        run(path, maker.load_model("oracle:p=0.9,v=0.95,confusion=0.03"), task("Chain"), segments=8, limits=limits)


@scene
def segments_paid(path: Path) -> None:
    """Segments over a network."""
    chain = task("Chain")
    run(path, Paid(truthful(chain)), chain, segments=5, k=2)


@scene
def branches(path: Path) -> None:
    """Branches and joins in lock-step, stopped half-way."""
    dag = task("Branches")
    for limits in ({"max_steps": 8}, {}):
        run(path, scripted(truthful(dag, 0.8)), dag, limits=limits)


@scene
def branches_paid(path: Path) -> None:
    """Branches and joins over a network."""
    dag = task("Branches")
    run(path, Paid(truthful(dag, 0.8)), dag, k=2)


@scene
def join_that_does_not_hold(path: Path) -> None:
    """A wrong step shows where branches join an entry that is known."""
    dag = task("Branches")
    run(path, scripted(at_steps({4: lambda r: "5"}, truthful(dag, 1.0))), dag)


@scene
def crew(path: Path) -> dict[str, Any]:
    """A long run in two processes, which brings the waves that one makes."""
    with mock.patch(CORES, return_value=2):
        chain = task("Chain", steps=25_000)
        result = maker.run_sync(chain, model="oracle:p=0.97,v=0.95", k=5, journal=path, segments=8)
    return {"chain": result.chain, "state": result.state_digest, "samples": result.samples}


# -- map -----------------------------------------------------------------------------------------------------------

ITEMS = ["Paris", "Rome", {"name": "Oslo"}, "Bern"]


def mapped(path: Path, script: Any, **settings: Any) -> None:
    """Map over a few items."""
    model = script if hasattr(script, "lockstep") else scripted(script)
    maker.map_sync("Tell of {item}.", ITEMS, model=model, journal=path, **{"k": 2, **settings})


@scene
def map_text(path: Path) -> None:
    """Bare text."""
    mapped(path, lambda r: ["yes", "no", " yes ", "yes", "yes"][(r.address.draw + r.address.step) % 5])


@scene
def map_keyed(path: Path) -> None:
    """Answers with equal keys are one candidate; stopped half-way and resumed."""
    words = ["Paris", "paris", "Rome", "PARIS", "Padua"]
    for limits in ({"max_steps": 2}, {}):
        mapped(path, lambda r: words[r.address.draw % 5], key=user("folded"), limits=limits)


@scene
def map_numbers(path: Path) -> None:
    """Strict JSON numbers."""
    mapped(path, lambda r: ["7", "7.0", '"7"', "8", "7", "8", "8", "8"][r.address.draw % 8], answer=int)


@scene
def map_models(path: Path) -> None:
    """Answers that are pydantic models."""
    words = ['{"width": 1}', '{"width": 1, "unit": "cm"}', '{"width": 2}', '{"width": 1, "width": 1}']
    mapped(path, lambda r: words[r.address.draw % 4], answer=user("Size"))


@scene
def map_models_keyed(path: Path) -> None:
    """The same, counted by a key, over a network."""
    model = Paid(lambda r: f'{{"width": {10 + r.address.draw % 3 % 2}}}')
    mapped(path, model, answer=user("Size"), key=user("wide"), concurrency=1)


@scene
def map_options(path: Path) -> None:
    """One of a few options."""
    mapped(path, lambda r: ["yes", "no", "maybe", "yes"][r.address.draw % 4], answer=Literal["yes", "no"])


@scene
def map_parsed(path: Path) -> None:
    """A parser of the caller's own."""
    mapped(path, lambda r: ["<a|b>", "a|b", "a"][r.address.draw % 3], parse=user("bracketed"))


@scene
def map_undecided(path: Path) -> None:
    """An item that is refused and one that is tied hold up no other; with a higher limit the tie is decided."""

    def script(request: maker.Request) -> str:
        at = request.address
        if at.step == 1:
            return "I'm sorry, I can't"
        return ["2", "3"][at.draw % 2] if at.step == 2 and at.draw < 8 else "1"

    for votes in (6, 30):
        mapped(path, script, answer=int, limits={"max_votes": votes})


@scene
def map_nothing(path: Path) -> None:
    """Of no items."""
    maker.map_sync("Tell of {item}.", [], model=scripted(["1"]), journal=path)


# -- solve ---------------------------------------------------------------------------------------------------------


@scene
def solved(path: Path) -> None:
    """A problem that is split, with proposals that judges choose from."""
    maker.solve_sync("4321 * 8765", model=scripted(models.solving), k=2, depth=4, journal=path, seed=3)


@scene
def solve_resumed(path: Path) -> None:
    """A solve that a limit stops twice."""
    for limits in ({"max_calls": 30}, {"max_steps": 6}, {}):
        maker.solve_sync("321 * 765", model=scripted(models.solving), k=3, journal=path, limits=limits)


@scene
def solve_paid(path: Path) -> None:
    """A solve over a network."""
    maker.solve_sync("321 * 765", model=Paid(models.solving), k=3, depth=3, journal=path, limits={**ONE})


def main() -> None:
    """Write down what the scenes bring now."""
    names = sys.argv[2:] or list(SCENES)
    if sys.argv[1:2] != ["--write"]:
        sys.exit(__doc__)
    pins = json.loads(PINS.read_text()) if PINS.exists() and sys.argv[2:] else {}
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            pins[name] = carry_out(name, Path(folder))[0]
    PINS.write_text(json.dumps(dict(sorted(pins.items())), indent=1) + "\n")


if __name__ == "__main__":
    main()
