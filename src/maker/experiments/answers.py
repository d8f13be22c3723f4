"""What each experiment answered, in a sentence: what docs/experiments.md begins with.

Written by hand about the runs that the page shows; the figures are theirs. Where an experiment is run anew and says
otherwise, its sentence has to follow.

Not covered: intervals and what is not shown, which stand with each experiment.
"""

from __future__ import annotations

ANSWERS = {
    "error-rate": (
        "Only of a model that errs often: at T = 2.2 the bundled one has .024 of its replies not right with 3 "
        "disks and .105 with 20, at T = 1.4 no difference shows."
    ),
    "scaling": (
        "The margin grows like the logarithm of the steps: at p = .9 k = 5 carries 1,000 of them, k = 17 1e14."
    ),
    "convergence": ("Each round decides the same share of what is left; a tail that flattens is a few hard steps."),
    "red-flags": (
        "Repaired replies vote wrongly more often than those that the paper's flags leave (.096 and .068 at T = "
        "2.2), and the default flags leave none; that errors get less alike is not seen."
    ),
    "correlation": (
        "No k helps a step that is wrong more often than right: at rho = .3 k = 8 still loses .021 of the steps, "
        "and the floor is .019."
    ),
    "stopping-rules": ("At an error of 1% ahead by k needs the fewest votes in all four settings."),
    "margins": (
        "Where difficulty is spread as believed, yes, and more steps stay undecided (Beta: .0023 wrong become "
        ".0017, .0048 undecided); where all steps are alike it is constant k, and where the belief is wrong it "
        "can do worse."
    ),
    "ladder": ("All rungs together let .84 of the runs finish where .12 do without, none of them with a wrong result."),
    "decorrelation": (
        "Other words: 1 of 1,500 steps is lost, where plain draws lose 65, warmer ones 70 and a pool of two 19; on 40 "
        "comparisons by a language model no way is told apart from plain draws, but a pool with a weak partner, which "
        "loses more."
    ),
    "look-ahead": (
        "As a check of wins that others voted against, in .62 of the runs, where no k does in any; as a rung for "
        "steps that do not decide, in none."
    ),
    "decomposition": (
        "It grows exponentially with the steps in a reply: at T = 2.2 a step takes 3.5 calls alone and 11 among 16."
    ),
    "self-conditioning": (
        "The exact reader does (slope -.38, -.43 to -.33), and not on the state alone; of a small net that its writers "
        "taught to add it is not shown (-.07, -.21 to .07), nor of language models of 1.5B and 0.5B at 12 turns."
    ),
    "entropy-collapse": (
        "Yes: a vote adds .165 to the share of right steps before plain training and .089 after it; with Clip-Cov"
        " .149 is kept, with KL-Cov .137."
    ),
    "opposite-cures": (
        "By the sign of each illness its own: history taken away ends the avalanche and does nothing for the "
        "vote; variety kept helps the vote, and keeps more of the avalanche than plain training does."
    ),
    "relay": (
        "Of a ledger handed on whole 4% is left after 100 edits, of one edited record by record 79%, with a vote "
        "99.7% (simulated)."
    ),
    "detectors": (
        "Of six, illegal moves alone are shown to pay as a flag; 73 of 124 wrong replies show no sign at all."
    ),
    "token-budget": (
        "By its counts a 0.5B model does better with a short thought, 17 to 19 of 24 products right, than by votes for "
        "the same tokens, 10 to 14; eight products are too few to show it."
    ),
    "execution-gap": (
        "Not answered of language models: of the simulated writer's failures half are of execution, which is what"
        " was planted."
    ),
}
