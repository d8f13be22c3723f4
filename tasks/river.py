"""River Crossing: actors and their agents cross a river, and no actor is ever with another's agent alone.

Actors a1, a2, .. and agents A1, A2, .. start on the left bank with a boat for two or three. On either bank and in the
boat an actor may be with another's agent only if its own is there too. The shortest solutions have 1, 5 and 11
crossings for 1 to 3 pairs and a boat for two, 1, 3, 5, 9 and 11 for 1 to 5 pairs and a boat for three; there is no way
across for more, and a task of that size is refused.

A strategy finds the shortest solution of each size from who is where and who crossed last: kinds of passengers stand
in an order, and the first group that keeps the rule crosses, but never the one that came over last. So a step has one
right answer. Where nobody else can cross, off the right path, those who came go back.

Two designs of its steps. In `lines` a step is a crossing by that strategy, answered with the passengers and who is on
the left bank after it. In `questions` the code lists the groups in the strategy's order and makes the crossing; the
model looks for actors without their agent, one place a step: which number of one list is not in another.

Not covered: boats for four and more, and other starting positions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import combinations, product
from typing import Any, ClassVar, Literal, NamedTuple

from maker import DEFAULT_SEGMENTS, Line, Plan, TaskError, bare

# crossings of the shortest solution, by the room of the boat and the number of pairs
CROSSINGS = {2: {1: 1, 2: 5, 3: 11}, 3: {1: 1, 2: 3, 3: 5, 4: 9, 5: 11}}

_RULES = """\
You carry out one crossing of a River Crossing puzzle: one crossing, no planning ahead.

Rules: actors a1 to a{pairs} and agents A1 to A{pairs} cross a river; A1 is the agent of a1, and so on. The boat \
holds 1 to {boat} people. On either bank and in the boat, an actor may be with another's agent only if its own agent \
is there too.

Strategy: go through the kinds of passengers in the order below, and of each kind through the actors and then the \
agents, lowest numbers first. The first group that keeps the rules crosses, but never the one that crossed last. If \
there is none, the group that crossed last goes back.
From left to right: {going}.
From right to left: {coming}.

Answer with exactly two lines and nothing else: who crosses, and who is on the left bank after that (actors first, \
then agents):
move = ["a1", "A1"]
left = ["a2", "A2"]

Below are who is on the left bank and on the right bank, where the boat is, and who crossed last.
"""

_GROUP = r'\[\]|\["[aA][0-9]"(?:, ?"[aA][0-9]")*\]'
_MOVE, _LEFT = Line("move", _GROUP), Line("left", _GROUP)
_QUESTION = """\
First list: {first}
Second list: {second}
What is the smallest number of the first list that is not in the second? If there is none, answer 0. Answer with the \
number alone."""

Group = tuple[str, ...]
Kinds = tuple[tuple[int, int], ...]


class RiverState(NamedTuple):
    """All that a step needs: who is on the left bank, whether the boat is there, and who crossed last."""

    left: Group
    here: bool
    last: Group


class RiverAnswer(NamedTuple):
    """What the model writes: who crosses, and who it says is on the left bank after that."""

    move: Group
    left: Group


class AskedState(NamedTuple):
    """The state of the design `questions`: also how many groups were ruled out, and how many of its places are safe."""

    row: RiverState
    tried: int = 0
    safe: int = 0


class _River:
    """The people and the known way, the same in both designs."""

    name = "river"
    designs: ClassVar = {
        "lines": "a crossing a step by the rules of a strategy, with the left bank after it",
        "questions": "each place of each group in turn: which number of one list is not in another",
    }

    def __init__(self, pairs: int, boat: int | None) -> None:
        room = boat or (2 if 0 < pairs <= max(CROSSINGS[2]) else 3)
        if room not in CROSSINGS:
            raise TaskError(f"river: boat = {room}: give 2 or 3")
        if pairs < 1:
            raise TaskError(f"river: pairs = {pairs}: give 1 or more")
        if pairs not in CROSSINGS[room]:
            most = max(CROSSINGS[room])
            raise TaskError(
                f"river: pairs = {pairs}, boat = {room}: there is no way across for more than {most} pairs in a boat "
                f"for {room}. Give at most {most} pairs{', or a boat for 3' if room == 2 and pairs <= 5 else ''}"
            )
        self.pairs, self.boat = pairs, room
        self.crossings = CROSSINGS[room][pairs]
        self.parameters: dict[str, Any] = {"pairs": pairs, "boat": room}
        self.going, self.coming = _orders(pairs, room)
        self.everybody = tuple(f"{letter}{number}" for letter in "aA" for number in range(1, pairs + 1))

    def first(self) -> RiverState:
        """Return all on the left bank, the boat too."""
        return RiverState(self.everybody, True, ())

    def right_bank(self, state: RiverState) -> Group:
        """Return who is on the right bank."""
        return tuple(one for one in self.everybody if one not in state.left)

    def groups(self, state: RiverState) -> Iterator[Group]:
        """Yield the groups that may board, in the strategy's order; the one that crossed last is not among them."""
        bank = state.left if state.here else self.right_bank(state)
        actors, agents = ([one for one in bank if one[0] == letter] for letter in "aA")
        for many, with_them in self.going if state.here else self.coming:
            for some in combinations(actors, many):
                for others in combinations(agents, with_them):
                    if (*some, *others) != state.last:
                        yield (*some, *others)

    def crossed(self, state: RiverState, move: Group) -> RiverState:
        """Return the state after a crossing."""
        left = {*state.left} - {*move} if state.here else {*state.left, *move}
        return RiverState(tuple(one for one in self.everybody if one in left), not state.here, move)

    def places(self, state: RiverState, move: Group) -> list[Group]:
        """Return the boat and both banks after a crossing, in this order."""
        after = self.crossed(state, move)
        return [move, after.left, self.right_bank(after)]

    def strategy(self, state: RiverState) -> Group:
        """Return who crosses by the prompt's strategy."""
        safe = (move for move in self.groups(state) if not any(map(alone, self.places(state, move))))
        return next(safe, state.last)


class River(_River):
    """River Crossing with pairs of actors and agents.

    pairs: how many. boat: for how many people; 2 for up to 3 pairs and 3 for more, where it is not given. Raises
    TaskError for a size that has no solution. design: see `designs`.
    """

    def __new__(cls, pairs: int = 3, boat: int | None = None, design: str = "lines") -> Any:
        """Return a task of the design that is asked for."""
        return Asked(pairs, boat) if design == "questions" else super().__new__(cls)

    def __init__(
        self, pairs: int = 3, boat: int | None = None, design: Literal["lines", "questions"] = "lines"
    ) -> None:
        super().__init__(pairs, boat)
        self.steps: int = self.crossings
        orders = {"going": self.going, "coming": self.coming}
        said = {name: ", ".join(map(_kind_said, order)) for name, order in orders.items()}
        self._head = _RULES.format(pairs=pairs, boat=self.boat, **said)

    # -- the task ------------------------------------------------------------------------------

    def initial_state(self) -> RiverState:
        """Return all on the left bank, the boat too."""
        return self.first()

    def prompt(self, state: RiverState, step: int) -> str:
        """Return the prompt; last come both banks, the boat, and who crossed last."""
        banks = f"left = {_listed(state.left)}\nright = {_listed(self.right_bank(state))}\n"
        return f"{self._head}{banks}boat = {'left' if state.here else 'right'}\nlast = {_listed(state.last)}"

    def parse(self, text: str) -> RiverAnswer:
        """Read `move = ["a1", "A1"]` and `left = [..]`, names in any order; strict, in linear time.

        Raises Ambiguous for several distinct answers, ValueError for none or for any other form.
        """
        move, left = (tuple(sorted(json.loads(line.read(text)), key=_place)) for line in (_MOVE, _LEFT))
        return RiverAnswer(move, left)

    def legal(self, state: RiverState, action: RiverAnswer) -> bool:
        """Say whether they are where the boat is, fit into it, and leave nobody with another's agent alone."""
        move = action.move
        bank = state.left if state.here else self.right_bank(state)
        if not 1 <= len(move) <= self.boat or len({*move}) < len(move) or not {*move} <= {*bank}:
            return False
        return not any(map(alone, self.places(state, move)))

    def apply(self, state: RiverState, action: RiverAnswer) -> RiverState:
        """Return the state after the crossing; only the passengers count, not the claimed bank."""
        return self.crossed(state, action.move)

    def agrees(self, action: RiverAnswer, next_state: RiverState) -> bool:
        """Say whether the claimed bank is what the crossing left."""
        return action.left == next_state.left

    def done(self, state: RiverState) -> bool:
        """Say whether all are across."""
        return not state.left

    def answer(self, state: RiverState) -> list[str]:
        """Return who is on the right bank."""
        return list(self.right_bank(state))

    def plan(self, segments: int = DEFAULT_SEGMENTS) -> Plan:
        """Cut the crossings into segments; the way is known."""
        return Plan.chain(self.steps, self.state_at, segments)

    def state_at(self, step: int) -> RiverState:
        """Return the state before a crossing of the shortest solution."""
        state = self.first()
        for _ in range(step):
            state = self.crossed(state, self.strategy(state))
        return state

    def check(self, actions: Iterable[RiverAnswer]) -> str | None:
        """Replay the crossings person by person, a path of its own; return a complaint or None."""
        return check_moves(self.pairs, self.boat, (action.move for action in actions))

    # -- for simulated models and experiments; flags and votes never see these ----------------------

    def truth(self, state: RiverState, step: int) -> RiverAnswer:
        """Return what the strategy does here, on or off the shortest path."""
        move = self.strategy(state)
        return RiverAnswer(move, self.crossed(state, move).left)

    def render(self, answer: RiverAnswer) -> str:
        """Write an answer as a model would."""
        return f"move = {_listed(answer.move)}\nleft = {_listed(answer.left)}"

    def rivals(self, state: RiverState, step: int) -> list[RiverAnswer]:
        """Return the other crossings that the rules allow, with what they leave: no flag can catch them."""
        right = self.strategy(state)
        answers = [RiverAnswer(move, self.crossed(state, move).left) for move in (*self.groups(state), state.last)]
        return [answer for answer in answers if answer.move != right and self.legal(state, answer)]


class Asked(_River):
    """The design `questions`: the answer of a step is the number of an actor without its agent, 0 for none."""

    def __init__(self, pairs: int, boat: int | None = None, design: str = "questions") -> None:
        super().__init__(pairs, boat)
        self.parameters["design"] = design
        self._path = [self.initial_state()]
        while not self.done(self._path[-1]):
            self._path.append(self.apply(self._path[-1], self.truth(self._path[-1], 0)))
        self.steps: int = len(self._path) - 1

    def initial_state(self) -> AskedState:
        """Return all on the left bank, the boat too, settled so far that there is a question."""
        return self._settled(AskedState(self.first()))

    def _asked(self, state: AskedState) -> tuple[Group, list[Group]]:
        """Return the group in question, and the places where it must be asked for; those who came, when all are out."""
        move = next((group for at, group in enumerate(self.groups(state.row)) if at == state.tried), state.row.last)
        return move, [place for place in self.places(state.row, move) if _mixed(place)]

    def _settled(self, state: AskedState) -> AskedState:
        """Make crossings as long as nothing is in question."""
        move, places = self._asked(state)
        while state.safe == len(places) or move == state.row.last:
            state = AskedState(self.crossed(state.row, move))
            if self.done(state):
                break
            move, places = self._asked(state)
        return state

    def _place(self, state: AskedState) -> Group:
        """Return the place that is asked about."""
        return self._asked(state)[1][state.safe]

    def kind(self, state: AskedState, step: int) -> str:
        """Return whether the boat is looked at, or a bank."""
        move, _ = self._asked(state)
        return "boat" if not state.safe and _mixed(move) else "bank"

    def prompt(self, state: AskedState, step: int) -> str:
        """Return the numbers of the actors and of the agents at a place."""
        first, second = ([int(one[1:]) for one in self._place(state) if one[0] == letter] for letter in "aA")
        return _QUESTION.format(first=first, second=second)

    def parse(self, text: str) -> int:
        """Read a bare number. Raises ValueError for anything else."""
        return int(bare(text, "[0-9]"))

    def legal(self, state: AskedState, action: int) -> bool:
        """Say whether it is 0 or an actor there."""
        return action == 0 or f"a{action}" in self._place(state)

    def apply(self, state: AskedState, action: int) -> AskedState:
        """Return the state with the group ruled out, or with one more safe place; after the last, crossed."""
        if action:
            return self._settled(AskedState(state.row, state.tried + 1))
        return self._settled(state._replace(safe=state.safe + 1))

    def done(self, state: AskedState) -> bool:
        """Say whether all are across."""
        return not state.row.left

    def answer(self, state: AskedState) -> list[str]:
        """Return who is on the right bank."""
        return list(self.right_bank(state.row))

    def plan(self, segments: int = DEFAULT_SEGMENTS) -> Plan:
        """Cut the questions into segments; the way is known."""
        return Plan.chain(self.steps, self.state_at, segments)

    def state_at(self, step: int) -> AskedState:
        """Return the state before a question of the shortest solution."""
        return self._path[step]

    def check(self, actions: Iterable[int]) -> str | None:
        """Compare every answer with sets of people, a path of its own; return a complaint or None."""
        return check_numbers(self.pairs, self.boat, actions)

    def truth(self, state: AskedState, step: int) -> int:
        """Return the right answer, on or off the shortest path."""
        return alone(self._place(state))

    def render(self, answer: int) -> str:
        """Write an answer as a model would."""
        return str(answer)

    def rivals(self, state: AskedState, step: int) -> list[int]:
        """Return 0 and the other actors there: no flag can catch them."""
        right = alone(self._place(state))
        return [number for number in (0, *(int(one[1:]) for one in self._place(state) if one[0] == "a"))
                if number != right]  # fmt: skip


def check_moves(pairs: int, boat: int, moves: Iterable[Group]) -> str | None:
    """Say what is wrong with a whole sequence of crossings, or None if it is a shortest way across.

    Independent of `River`: it keeps the bank of each person, knows no strategy, and shares no code with it.
    """
    bank = {(kind, number): 0 for kind in "aA" for number in range(1, pairs + 1)}
    count = 0
    for move in moves:
        people = [(one[:1], int(one[1:] or 0)) for one in move]
        if not 1 <= len(people) <= boat or len(set(people)) < len(people):
            return f"crossing {count}: {', '.join(move) or 'nobody'} is no load for the boat"
        if any(bank.get(one) != count % 2 for one in people):
            return f"crossing {count}: the boat is not where {', '.join(move)} are"
        bank.update(dict.fromkeys(people, 1 - count % 2))
        at = [{one for one in bank if bank[one] == side} for side in (0, 1)]
        for place in (set(people), *at):
            agents = {number for kind, number in place if kind == "A"}
            if agents and any(kind == "a" and number not in agents for kind, number in place):
                return f"crossing {count}: an actor is with another's agent alone"
        count += 1
    if not all(bank.values()):
        return f"after {count} crossings not all are on the right bank"
    return None if count == CROSSINGS[boat][pairs] else f"{count} crossings, the shortest has {CROSSINGS[boat][pairs]}"


def check_numbers(pairs: int, boat: int, numbers: Iterable[int]) -> str | None:
    """Say what is wrong with the answers, or None if all are right and bring everybody across.

    Independent of `Asked` but for the strategy's order of kinds: it keeps sets of numbers for actors and agents.
    """
    banks = [(frozenset(range(1, pairs + 1)),) * 2, (frozenset[int](),) * 2]  # actors and agents, of both banks
    given, last, side, asked = iter(numbers), (frozenset[int](), frozenset[int]()), 0, 0
    while any(banks[0]):
        for load in _loads(banks[side], _orders(pairs, boat)[side]):
            if load == last:
                continue
            left = banks[side][0] - load[0], banks[side][1] - load[1]
            there = banks[1 - side][0] | load[0], banks[1 - side][1] | load[1]
            said = 0
            for actors, agents in (load, left, there) if not side else (load, there, left):
                if said or not (actors and agents):
                    continue
                right, said = min(actors - agents, default=0), next(given, -1)
                if said != right:
                    return f"question {asked}: {said} is said, of actors {sorted(actors)} with agents {sorted(agents)}"
                asked += 1
            if not said:
                break
        banks[side], banks[1 - side], last, side = left, there, load, 1 - side
    return None if next(given, None) is None else "there are answers after the last crossing"


def _loads(
    bank: tuple[frozenset[int], frozenset[int]], order: Kinds
) -> Iterator[tuple[frozenset[int], frozenset[int]]]:
    """Yield the groups of a bank in an order of kinds, as numbers of actors and of agents."""
    for kind in order:
        some, others = (combinations(sorted(part), many) for part, many in zip(bank, kind, strict=True))
        yield from ((frozenset(one), frozenset(other)) for one, other in product([*some], [*others]))


def alone(place: Group) -> int:
    """Return the lowest number of an actor whose agent is not there while another's is; 0 for none."""
    agents = {one[1:] for one in place if one[0] == "A"}
    return min((int(one[1:]) for one in place if agents and one[0] == "a" and one[1:] not in agents), default=0)


def _orders(pairs: int, boat: int) -> tuple[Kinds, Kinds]:
    """Return in which order kinds of passengers are tried, over and back: each as numbers of actors and agents."""
    going: Kinds
    if boat == 2:
        going = (2, 0), (0, 2), (1, 1), (1, 0), (0, 1)
    elif pairs < 5:
        going = (3, 0), (0, 3), (2, 1), (1, 2), (0, 2), (2, 0), (1, 1), (0, 1), (1, 0)
    else:
        going = (0, 3), (1, 1), (3, 0), (2, 0), (1, 0), (0, 1), (0, 2), (2, 1), (1, 2)
    return going, ((1, 0), (0, 1), (0, 2), (1, 1), (2, 0))


def _kind_said(kind: tuple[int, int]) -> str:
    """Say a kind of passengers in words."""
    words = (f"{many} {name}{'s' * (many > 1)}" for many, name in zip(kind, ("actor", "agent"), strict=True) if many)
    return " and ".join(words)


def _mixed(place: Group) -> bool:
    """Say whether there are actors and agents."""
    return {one[0] for one in place} == {*"aA"}


def _place(name: str) -> tuple[bool, str]:
    """Return where a name stands: actors first, then agents, by their numbers."""
    return name[0] == "A", name[1:]


def _listed(group: Group) -> str:
    """Write names as a JSON list."""
    return json.dumps(group)
