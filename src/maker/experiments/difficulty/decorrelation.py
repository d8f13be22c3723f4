"""What makes the draws on a step less alike? `maker experiment decorrelation`.

The same steps, each asked as often in every way: plainly, twice, so that chance is seen; warmer, as the rung `refine`
asks; in the task's other words (its views, in turn), as `reword` does; and in turn with a second model. A language
model (`--model`, given twice for a pool) compares numbers, also under a line of system text that changes from draw to
draw, and after its examples in either order. Without `--model` the bundled network, stopped early, moves disks; what a
language model answered is kept in `data/decorrelation.csv` and stands beside it.

Not covered: pools of more than two.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from maker.engine.ladder.rungs import WARMER
from maker.experiments.difficulty import comparisons
from maker.experiments.difficulty.alike import RESAMPLED, TABLE, Asked, Found, kept
from maker.experiments.kit.bench import DISKS, STEPS, Bench, Way, neural, said_of, sources, spread
from maker.experiments.kit.study import Options, Study
from maker.task.canonical import canonical

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DRAWS = 12  # on each step, in every way
FINISHED = neural(2.2)  # the early network's partner, so warm that it errs as well
IN_PROCESS = ("neural", "oracle")
MEASURED = (  # with what is kept
    " The language model's partner is SmolLM2-135M-Instruct. Of its comparisons no way is told apart from plain draws, "
    "but the weak partner, which costs steps: that the rung `reword` helps follows for the tower alone."
)

Parts = Sequence[tuple[Bench, Way]]  # that the draws on a step are shared among


def run(options: Options) -> Study:
    """Ask the same steps in several ways."""
    if options.model is None or options.model.startswith(IN_PROCESS):
        asked = [_towers(options)]
        used = sources(options, neural(1.0, "early"))
    else:
        asked = [_numbers(options, options.model)]
        used = []
    if options.model is None:
        asked.append(kept())
    return Study(
        "decorrelation", "What makes the draws on a step less alike?", [row for one in asked for row in one.rows()],
        [*TABLE, *(line for one in asked for line in one.table())], lambda figure: _draw(figure, asked),
        " ".join(one.shows() for one in asked) + (MEASURED if options.model is None else ""),
        "That what helps here helps another model at another task: a view of the tower exchanges its pegs, one of a "
        "comparison its numbers, and few tasks have anything like it. The bundled network reads neither a system "
        "message nor examples. Few comparisons were asked of the language model: small differences are chance. Votes "
        "are those under the paper's flags; the default ones, which know the rules, catch most of what is lost of the "
        "tower.",
        f"{'; '.join(one.drawn() for one in asked)}; intervals of rho by {RESAMPLED:,} resamples of the steps",
        said_of(used), options.seed, size=(10.0, 4.4 * len(asked)),
    )  # fmt: skip


def _towers(options: Options) -> Asked:
    """Ask the bundled network, or another model of this process, for moves of the tower."""
    n = options.size(1500, 120)
    (used,) = sources(options, neural(1.0, "early"))
    steps, _ = spread(STEPS, n, options.seed)
    asked = Asked(used.name, used.simulated, f"different steps of the {DISKS}-disk path")
    with ExitStack() as stack:
        bench = stack.enter_context(Bench(used, options.seed))
        partner = stack.enter_context(Bench(FINISHED, options.seed)) if options.model is None else None
        for name, parts in ways(bench, partner).items():
            asked.found[name] = count(steps, parts)
            options.say(f"{used.name}, {name}: loses {sum(asked.found[name].lost)} of {n}")
    return asked


def ways(bench: Bench, partner: Bench | None) -> dict[str, Parts]:
    """Return the ways of asking for moves, each as its parts."""
    heat = bench.source.temperature
    found: dict[str, Parts] = {
        "plain": [(bench, Way(heat))],
        "plain, once more": [(bench, Way(heat, turn=1))],
        f"warmer by {WARMER:g}": [(bench, Way(heat + WARMER))],
    }
    if not bench.source.simulated:  # that one knows the task's own words alone
        found["other words"] = [(bench, Way(heat, views=True))]
    if partner is not None:
        warm = partner.source.temperature
        found[f"partner alone ({partner.source.name})"] = [(partner, Way(warm))]
        found["pool of two"] = [(bench, Way(heat, turn=2)), (partner, Way(warm, turn=2))]
    return found


def count(steps: Sequence[int], parts: Parts) -> Found:
    """Ask the steps in all parts of a way, and count what they brought together."""
    found = Found()
    each = [bench.ask(DISKS, steps, DRAWS // len(parts), way) for bench, way in parts]
    for polls in zip(*each, strict=True):
        samples = [sample for poll in polls for sample in poll.samples]
        found.add(samples, polls[0].step, parts[0][0].right(polls[0]))
    return found


def _numbers(options: Options, model: str) -> Asked:
    """Ask a language model for comparisons."""
    tasks = comparisons.tasks(options.size(40, 12), options.seed)
    every = comparisons.ways(pool=options.partner is not None)
    name = f"{model.partition('#')[2] or model}, T = {options.temperature:g}"
    asked = Asked(name, simulated=False, steps="comparisons of two numbers")
    with comparisons.speakers(model, options.partner, options.temperature, options.seed) as speakers:
        for name, parts in every.items():
            seen = asked.found[name] = Found()
            for task in tasks:
                step = comparisons.step_of(task)
                right = canonical(task.truth(step.state, 0))
                seen.add(comparisons.replies(speakers, task, parts, DRAWS), step, right)
            options.say(f"{asked.name}, {name}: loses {sum(seen.lost)} of {len(tasks)}")
    return asked


def _draw(figure: Figure, asked: Sequence[Asked]) -> None:
    for panels, one in zip(figure.subplots(len(asked), 2, squeeze=False), asked, strict=True):
        one.draw(*panels)
