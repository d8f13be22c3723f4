"""The execution gap: puzzles whose way is known, asked in one call, move by move, step by step, and as a program."""
