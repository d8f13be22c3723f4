"""A task that counts its calls, for tests of who calls it."""


class Counted:
    """A number to guess: every method counts its calls."""

    steps = 3

    def __init__(self):
        self.calls = []

    def initial_state(self):
        return 0

    def prompt(self, state, step):
        return "add"

    def parse(self, text):
        self.calls.append(("parse", text))
        return int(text)

    def legal(self, state, action):
        self.calls.append(("legal", action))
        return action > 0

    def apply(self, state, action):
        self.calls.append(("apply", action))
        return state + action

    def agrees(self, action, next_state):
        self.calls.append(("agrees", action))
        return action != 7

    def done(self, state):
        return state >= 3

    def answer(self, state):
        return state
