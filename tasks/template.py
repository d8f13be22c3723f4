"""A task to copy: shift every letter of a text in the alphabet, one letter a step.

Copy this file, change what a step is, and run it:

    maker run my_task.py:Shift --text "hello world" --by 3 --model oracle:p=0.95

A task says what the state is, what to ask, how to read a reply, and how an answer changes the state. The engine
does the rest: sampling, red flags, voting, the journal. `maker.testing.check_task(Shift())` finds most mistakes.
"""

from __future__ import annotations

from string import ascii_lowercase as alphabet

from maker import Line, TaskError


class Shift:
    """Shift the letters of a text by some places.

    text: small letters and spaces. by: places in the alphabet, -25 to 25.
    """

    name = "template"

    def __init__(self, text: str = "hello world", by: int = 3) -> None:
        # The command line's --text and --by come here, converted by these annotations. Refuse what does not fit.
        if not text or set(text) - set(alphabet + " "):
            raise TaskError(f"template: text = {text!r}: give small letters a to z and spaces, at least one")
        if not -25 <= by <= 25:
            raise TaskError(f"template: by = {by}: give -25 to 25")
        self.text, self.by = text, by
        self.parameters = {"text": text, "by": by}  # shown, and compared when a run is resumed
        self.steps: int = len(text)  # None where only `done` can tell
        self._line = Line("letter", '"[a-z ]"')  # a strict reader of `letter = "x"`

    # -- what every task has -------------------------------------------------------------------

    def initial_state(self) -> str:
        """Return the state before the first step. Any value made of numbers, texts and tuples will do."""
        return ""

    def prompt(self, state: str, step: int) -> str:
        """Return all that the model reads: how to do it, the form of the answer, and only what this step needs."""
        return (
            f"Move one letter {abs(self.by)} places {'on' if self.by >= 0 else 'back'} in the alphabet; "
            "after z comes a again. A space stays a space.\n"
            'Answer with exactly one line and nothing else: letter = "<the new letter>"\n\n'
            f'The letter is "{self.text[len(state)]}".'
        )

    def parse(self, text: str) -> str:
        """Return the answer in a reply, or raise anything: the reply is then flagged and drawn again."""
        return self._line.read(text)[1:-1]

    def legal(self, state: str, action: str) -> bool:
        """Say what the rules allow, never what is right: that is the vote's affair."""
        return (action == " ") == (self.text[len(state)] == " ")

    def apply(self, state: str, action: str) -> str:
        """Return the next state as a new value; leave the old one as it was."""
        return state + action

    def done(self, state: str) -> bool:
        """Say whether the goal is reached."""
        return len(state) == len(self.text)

    def answer(self, state: str) -> str:
        """Return the result of the whole task."""
        return state

    # -- optional: only simulated models, `estimate` and `wrong` use these --------------------------------

    def truth(self, state: str, step: int) -> str:
        """Return the right answer at any state. Leave it out where you do not know it."""
        return self._shifted(self.text[len(state)], self.by)

    def rivals(self, state: str, step: int) -> list[str]:
        """Return wrong answers that a model might give and no flag can catch."""
        letter = self.text[len(state)]
        return ["x"] if letter == " " else [self._shifted(letter, self.by + slip) for slip in (1, -1)]

    def render(self, answer: str) -> str:
        """Write an answer as a model would: the inverse of `parse`."""
        return f'letter = "{answer}"'

    @staticmethod
    def _shifted(letter: str, by: int) -> str:
        return letter if letter == " " else alphabet[(alphabet.index(letter) + by) % 26]
