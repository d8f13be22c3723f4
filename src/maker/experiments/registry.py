"""The experiments by name; each is loaded when it is asked for.

Not covered: the scripts that make and measure the bundled model (`training`).
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import cast

from maker.errors import TaskError
from maker.experiments.kit.study import Options, Study

NAMES = {
    "error-rate": "does the error of one step grow with the size of the problem?",
    "scaling": "what do success and cost do as steps, k and m grow?",
    "convergence": "how fast do steps get decided?",
    "red-flags": "what do flags catch, and does repairing replies help?",
    "correlation": "what happens when errors cluster on a few steps?",
    "stopping-rules": "which stopping rule needs the fewest votes?",
    "margins": "does a margin that widens lose fewer steps at the same cost?",
    "ladder": "what does each rung rescue of steps that do not decide?",
    "decorrelation": "what makes the draws on a step less alike?",
    "look-ahead": "does a look ahead see through a favourite that is wrong?",
    "decomposition": "what does it cost to ask for several steps at once?",
    "self-conditioning": "does a reader that sees its own errors make more of them?",
    "entropy-collapse": "does a policy that lost its entropy lose what a vote adds?",
    "opposite-cures": "which cure helps which illness?",
    "relay": "what is left of a document that is edited there and back, again and again?",
    "detectors": "which signs betray a wrong reply?",
    "token-budget": "what is one long answer worth against many short ones and a vote?",
    "execution-gap": "does a run fail because it does not know what to do, or in doing it?",
}
_FOLDERS = {  # those in a folder of their own
    "voting.": ("stopping-rules", "margins"),
    "difficulty.": ("decorrelation", "look-ahead"),
    "avalanche.": ("self-conditioning",),
    "collapse.": ("entropy-collapse", "opposite-cures"),
    "relaying.": ("relay",),
    "gap.": ("execution-gap",),
    "replies.": ("detectors", "token-budget"),
}
_FOLDER_OF = {name: folder for folder, names in _FOLDERS.items() for name in names}


def load(name: str) -> Callable[[Options], Study]:
    """Return the function of an experiment. Raises TaskError for a name that is none.

    Where numpy is not loaded yet, it will compute in one thread: the draws come from processes of their own, and
    two busy threads can be slower than one.
    """
    if name not in NAMES:
        raise TaskError(f"there is no experiment {name!r}. Known: {', '.join(NAMES)}.")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    folder = _FOLDER_OF.get(name, "")
    module = importlib.import_module(f"maker.experiments.{folder}{name.replace('-', '_')}")
    return cast("Callable[[Options], Study]", module.run)
