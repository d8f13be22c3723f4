"""How a step that does not decide is tried again: the rungs, their changes, and the look ahead."""
