"""Write docs/experiments.md, docs/figures and their rows, all anew: `python -m maker.experiments.page`.

Every figure, table and sentence of the page comes from the runs that this makes, at full size; nothing on
it is written by hand but the introduction below and the answers that follow it (`answers.py`).

Not covered: the bundled model's card (`training/card.py`).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path

from maker.experiments.answers import ANSWERS
from maker.experiments.kit.files import can_draw, write
from maker.experiments.kit.study import Options, Study, markdown
from maker.experiments.registry import NAMES, load

_INTRODUCTION = """\
# Experiments

One question each. This page, its figures and their rows ([docs/figures](figures)) are written by
`python -m maker.experiments.page`; each part by itself comes from `maker experiment NAME --seed {seed}`, with `--quick`
in less than half a minute and with wider intervals. `--model` puts another model in the place of the bundled one.

Experiments with language models ask any with `--model http://HOST:PORT/v1#NAME`. They say beforehand how many replies
that takes, and after ten of them how long; each reply is kept in the folder of `--out` as it comes, and the same
command goes on where it was cut off, or makes table and figure again without a server. Rows of models that were asked
are kept with the code and stand beside what is simulated.

Shares have exact 95% intervals in brackets (Clopper-Pearson). What is simulated is called so: the `oracle` is a
simulated model with planted errors: it says how engine and theory behave, never how a language model does. "Bundled"
is the [small network that ships](model-card.md), "early" the same one stopped early in its training; their errors are
real.
"""


def section(study: Study) -> str:
    """Return an experiment's part of the page."""
    return f"""\
## {study.name}

{study.question}{f" **{study.answer}**" if study.answer else ""}

![{study.question}](figures/{study.name}.png)

{markdown(study.table)}

{study.shows}

**Not shown.** {study.shows_not}

Drawn: {study.n}; seed {study.seed}. Simulated: {study.simulated}.
Rows: [{study.name}.csv](figures/{study.name}.csv).
"""


def main() -> None:
    """Run all experiments, or those named, and write the page; the others' parts stay as they are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", help="experiments to run again (default: all)")
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if not can_draw():
        parser.error("the figures need matplotlib: pip install 'maker[plots]'")
    page = options.docs / "experiments.md"
    parts = _parts(page.read_text()) if page.exists() and options.names else {}
    for name in options.names or NAMES:
        began = time.perf_counter()
        study = load(name)(Options(options.quick, options.seed, say=print))
        write(study, options.docs / "figures", parquet=False)
        parts[name] = section(study)
        print(f"{name}: {time.perf_counter() - began:.0f} s")
    page.write_text(whole(parts, options.seed))


def whole(parts: Mapping[str, str], seed: int) -> str:
    """Return the page: introduction, answers, and the part of each experiment."""
    answers = [f"- **[{name}](#{name})**: {NAMES[name]} {ANSWERS[name]}\n" for name in NAMES if name in parts]
    body = "\n".join(parts[name] for name in NAMES if name in parts)
    return f"{_INTRODUCTION.format(seed=seed)}\n{''.join(answers)}\n{body}"


def _parts(text: str) -> dict[str, str]:
    """Return the parts of a page by the experiment's name."""
    return {part.split("\n", 1)[0]: f"## {part.rstrip()}\n" for part in text.split("\n## ")[1:]}


if __name__ == "__main__":
    main()
