"""Canonical bytes: equal exactly for values that are the same answer."""

import dataclasses
import enum
import json
import random
from collections import OrderedDict
from types import MappingProxyType
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from maker.api.answers import Keyed
from maker.task import canonical as canonical_module
from maker.task.canonical import DIGEST_SIZE, canonical, digest

exactly = settings(derandomize=True, max_examples=150, deadline=None)


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Shade(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


class Word(enum.StrEnum):
    YES = "yes"


class Pair(NamedTuple):
    a: int
    b: int


@dataclasses.dataclass
class Point:
    x: int
    y: int


@dataclasses.dataclass
class Vector:
    x: int
    y: int


class Answer(BaseModel):
    x: int
    y: int


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    x: int


def _same(a, b):
    """Say whether two values are the same answer: the definition, type by type, slow and obvious."""
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return len(a) == len(b) and all(any(_same(k, m) and _same(a[k], b[m]) for m in b) for k in a)
    if isinstance(a, frozenset) and isinstance(b, frozenset):
        return len(a) == len(b) and all(any(_same(x, y) for y in b) for x in a)
    if isinstance(a, float) and isinstance(b, float):
        return repr(a) == repr(b)
    return type(a) is type(b) and a == b


_any_character = st.text(st.characters(exclude_categories=()), max_size=3)
_atoms = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.integers()
    | st.sampled_from([0.0, -0.0, 1.0, 0.5, 1e300])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "1", "true", "null", "set", "bytes", "{", '"', "\\", "\x00", "[1]"])
    | _any_character
    | st.binary(max_size=2)
)
_keys = st.none() | st.booleans() | st.integers(-1, 2) | st.sampled_from(["", "1", "true", "null", "set", "!", 1.5])
_values = st.recursive(
    _atoms,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(_keys, inner, max_size=3)
        | st.frozensets(_atoms, max_size=2)
    ),
    max_leaves=6,
)


@exactly
@given(_values, _values)
@example({"set": [1]}, frozenset({1}))
@example({"set": []}, frozenset())
@example("\ud83d\ude00", "\U0001f600")
@example({1: 2}, {"1": 2})
@example([[], [1]], [[[], 1]])
@example([1, 2], ["1,2"])
@example({"bytes": "00"}, b"\x00")
def test_bytes_are_equal_exactly_for_the_same_answer(a, b):
    """Two values have equal bytes if and only if a type-strict comparison calls them the same."""
    assert (canonical(a) == canonical(b)) == _same(a, b)


@exactly
@given(_values, st.randoms(use_true_random=False))
def test_sequence_type_and_mapping_order_do_not_matter(value, rng):
    """Lists may become tuples, and mappings change their order, anywhere inside without changing the bytes."""

    def shaken(item):
        if isinstance(item, (list, tuple)):
            return rng.choice([list, tuple])(map(shaken, item))
        if isinstance(item, dict):
            pairs = list(item.items())
            rng.shuffle(pairs)
            return {key: shaken(inner) for key, inner in pairs}
        return item

    assert canonical(shaken(value)) == canonical(value)


@pytest.mark.parametrize(
    "values",
    [
        [True, 1, 1.0, "1", "True", "true", [1], {1}, b"1", {"1": 1}, {1: 1}],
        [False, 0, 0.0, "0", "", None, [], {}, set(), b"", "null", "None"],
        [{1: "a"}, {"1": "a"}, {1.0: "a"}, {True: "a"}, [[1, "a"]], {None: "a"}, {"null": "a"}],
        [{True: 0}, {"true": 0}, {1: 0}, {1.0: 0}],
        [[1, [2]], [[1], 2], [1, 2], [[1, 2]], [1, 2, []], "[1,2]"],
        [Colour.RED, Colour.BLUE, Shade.RED, 1, "RED", "Colour.RED"],
        [Point(1, 2), Point(2, 1), Vector(1, 2), Answer(x=1, y=2), {"x": 1, "y": 2}, [1, 2]],
        [b"ab", "ab", [97, 98], "6162", {"bytes": "6162"}],
        [{1, 2}, [1, 2], {1: 2}, {"set": [1, 2]}, {1}, {2}],
        ["\ud800", "\ufffd", "\\ud800", "\udc00", "?"],
        ["a\x00b", "ab", "a\\u0000b", "a", "\x00"],
        ["é", "e\u0301", "É"],
        [10**20, 10**20 + 1, float(10**20), str(10**20)],
        [0.1 + 0.2, 0.3],
    ],
)
def test_look_alikes_differ(values):
    """Answers that Python or JSON would confuse have pairwise different bytes."""
    assert len({canonical(value) for value in values}) == len(values)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((1, (2, 3)), [1, [2, 3]]),
        (Pair(1, 2), [1, 2]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (OrderedDict(b=[1], a=2), {"a": 2, "b": (1,)}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        ({3, 1, 2}, frozenset([2, 3, 1])),
        (bytearray(b"ab"), b"ab"),
        (Level.LOW, 1),
        ([Level.LOW, {"a": Level.LOW}], [1, {"a": 1}]),
        ({Level.LOW: 0}, {1: 0}),
        (Word.YES, "yes"),
        ({Word.YES: Word.YES}, {"yes": "yes"}),
        (Point(1, (2,)), Point(1, [2])),
        (Answer(x=1, y=2), Answer(y=2, x=1)),
        ({1: True, "1": False}, {"1": False, 1: True}),
    ],
)
def test_the_same_answer_written_differently_is_equal(a, b):
    """Sequence types, order of keys and members, and enums of int and str leave no trace in the bytes."""
    assert canonical(a) == canonical(b)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda x: x, lambda x: [1, x], lambda x: {"a": x}, lambda x: {x: 1}, lambda x: {1: [x]}, lambda x: {x},
        lambda x: (b"", x), lambda x: Point(x, 1),
    ],
)  # fmt: skip
def test_numbers_that_are_not_finite_are_refused(bad, wrap):
    """NaN and infinities raise ValueError wherever they stand, since NaN is not even equal to itself."""
    with pytest.raises(ValueError, match=r"(?i)nan|inf|compliant"):
        canonical(wrap(bad))


@pytest.mark.parametrize("bad", [object(), len, 1j, Point, int, iter([]), range(3), Ellipsis])
@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: [x], lambda x: {"a": x}, lambda x: Point(1, x)])
def test_unknown_types_are_refused_by_name(bad, wrap):
    """A value of a class without a canonical form raises TypeError that names the class."""
    with pytest.raises(TypeError, match=type(bad).__qualname__):
        canonical(wrap(bad))


@pytest.mark.parametrize("digits", [20, 308, 309, 1000, 4300])
def test_big_integers_are_exact(digits):
    """Integers of any printable length keep every digit: neighbours differ, nothing passes through a float."""
    big = 10 ** (digits - 1)
    assert canonical(big) == b"1" + b"0" * (digits - 1)
    assert len({canonical(n) for n in (big - 1, big, big + 1, -big)}) == 4


def test_the_extra_fields_of_a_model_count():
    """Models that accept extra fields differ when those fields do."""
    assert canonical(Open(x=1, y=1)) != canonical(Open(x=1, y=2))
    assert canonical(Open(x=1, y=[1])) == canonical(Open(x=1, y=(1,)))


def test_deep_nesting_is_exact_or_a_recursion_error():
    """A hundred levels are told from a hundred and one; a bottomless list is a RecursionError, not a crash."""

    def nested(depth, core=()):
        value = core
        for _ in range(depth):
            value = [value]
        return value

    assert canonical(nested(100)) != canonical(nested(101))
    assert canonical(nested(100, {"a": 1})) == b"[" * 100 + b'{"a":1}' + b"]" * 100
    loop: list = []
    loop.append(loop)
    for bottomless in (nested(100_000), loop):
        with pytest.raises(RecursionError):
            canonical(bottomless)


_basic = st.text(st.characters(max_codepoint=0xFFFF))
_plain = st.recursive(
    st.none() | st.booleans() | st.integers() | _basic, lambda inner: st.lists(inner, max_size=4), max_leaves=8
)


@exactly
@given(_plain)
def test_plain_values_are_compact_json(value):
    """What JSON already tells apart is compact ASCII JSON, readable by anyone who opens a journal."""
    assert canonical(value) == json.dumps(value, separators=(",", ":")).encode("ascii")


def test_values_are_not_changed():
    """Taking the bytes of a value leaves the value as it was, order of keys included."""
    value = {"b": [3, 1, {2, 1}], "a": {"z": (1,), "y": None}}
    before = repr(value)
    canonical(value)
    assert repr(value) == before


def test_bytes_of_sets_and_mappings_do_not_depend_on_insertion():
    """A hundred random insertion orders of one set and one mapping give one byte string each."""
    rng = random.Random(0)
    items = ["a", "b", "10", 10, 9, None, True, 2.5, "aa", ("x", 1)]
    seen = set()
    for _ in range(100):
        rng.shuffle(items)
        seen.add((canonical(set(items)), canonical({item: str(item) for item in items})))
    assert len(seen) == 1


def test_digest_is_16_bytes_of_blake2b():
    """The digest has 16 bytes, is that of BLAKE2b at this size, and differs for a flipped bit."""
    assert len(digest(b"")) == DIGEST_SIZE == 16
    assert digest(b"abc").hex() == "cf4ab791c62b8d2b2109c90275287816"
    assert digest(b"abc") != digest(b"abb")


@pytest.mark.parametrize("module", ["maker.api.answers", "maker.elsewhere.answers"])
def test_the_tag_of_a_keyed_answer_is_kept(monkeypatch, module):
    """The bytes of an answer that has a key are those of every journal so far, whatever file its class is in."""
    monkeypatch.setattr(Keyed, "__module__", module)
    assert canonical(Keyed("Paris", str.casefold)) == b'{!"maker.answers.Keyed":{"key":"paris"}}'
    assert canonical([Keyed("Paris", len)]) == b'[{!"maker.answers.Keyed":{"key":5}}]'


def test_nobody_else_chooses_a_tag():
    """A class of somebody else that claims a tag has its own all the same, and so has one that inherits one."""

    @dataclasses.dataclass
    class Impostor:
        key: str
        __canonical_name__ = "maker.answers.Keyed"

    class Heir(Keyed):
        pass

    own = canonical(Keyed("paris", str.casefold))
    for other in (Impostor("paris"), Heir("paris", str.casefold)):
        assert canonical(other) != own
        assert type(other).__qualname__.encode() in canonical(other)


def test_whole_numbers_are_written_as_anything_else_is(monkeypatch):
    """Nested sequences of whole numbers have a quicker way, which gives the same bytes and takes nothing else."""
    leaves = [
        0, -7, 10**9, 2**63 - 1, 2**64, -(2**63) - 1, True, None, 1.0, 1e22, "1", "", b"1", {}, {1: 2}, set(),
        Colour.RED, Level.LOW, float("nan"), object(),
    ]  # fmt: skip
    draw = random.Random(1)

    def made(depth):
        if depth == 0 or draw.random() < 0.3:
            return draw.choice(leaves if draw.random() < 0.2 else leaves[:3])
        items = [made(depth - 1) for _ in range(draw.randrange(4))]
        return draw.choice([tuple, list, lambda given: Pair(items, items)])(items)

    def written(value):
        try:
            return canonical(value)
        except (TypeError, ValueError) as error:
            return repr(error)

    values = [made(4) for _ in range(2000)]
    quick = [written(value) for value in values]
    assert sum(canonical_module._whole_numbers(value) is not None for value in values if type(value) is list) > 100
    monkeypatch.setattr(canonical_module, "_whole_numbers", lambda value: None)
    assert quick == [written(value) for value in values]
