"""One line `name = value`: alone on its line, said once or the same each time, or there is no answer."""

import pytest

from maker.task.lines import Ambiguous, Line, bare

RESULT, TAKE = Line("result", Line.INTEGER), Line("take", "left|right")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("result = 42", 42), ("result=42", 42), ("result\t=  42  ", 42), ("result = -7", -7), ("result = 0", 0),
        ("result = 42.", 42), ("`result = 42`", 42), ("**result = 42**", 42), ("result = 42\r\n", 42),
        ("I add.\nresult = 42\nDone.", 42), ("The result = 42", 42), ("result = 42\nresult = 42", 42),
        ("my_result = 1\nresult = 42", 42), ("results = 1\nresult = 42", 42),
        ("result = 12193263111263526900", 12193263111263526900),
    ],
)  # fmt: skip
def test_a_value_alone_on_its_line_is_read(text, value):
    """Spaces, Markdown marks, a full stop, prose on other lines and equal repetitions do not change it."""
    assert RESULT.number(text) == value
    assert type(RESULT.number(text)) is int


@pytest.mark.parametrize(
    "text",
    [
        "", "42", "result", "result: 42", "result = ", "result =\n42", "result = x", "result = 42 or so",
        "result = 4 2",
        "result = 4.2", "result = 4,200", "result = 4_2", "result = 4e2", "result = 042", "result = -0", "result = +4",
        "result = - 4", "result = ٤٢", "result = True", "result = None", "result = '42'", "result = [42]",
        "result = 6 * 7 = 42", "result = 42 = result", "result = 42, I think", "result == 42", "Result = 42",
        "result = 42\nresult = ", "result = 41\nresult = 4x",
    ],
)  # fmt: skip
def test_anything_else_has_no_value(text):
    """Sums, floats, separators, leading zeros, foreign digits, comments and a second one broken off are refused."""
    with pytest.raises(ValueError, match="result") as caught:
        RESULT.read(text)
    assert not isinstance(caught.value, Ambiguous)


@pytest.mark.parametrize("text", ["result = 1\nresult = 2", "result = 2\nNo:\nresult = 1\nresult = 2"])
def test_a_retracted_value_is_ambiguous(text):
    """Two different values are Ambiguous, never the last."""
    with pytest.raises(Ambiguous):
        RESULT.read(text)


def test_a_form_may_have_alternatives():
    """The whole value must have the form: `rightmost` is not `right`, a digit is one digit."""
    assert TAKE.read("take = right") == "right"
    for text in ("take = rightmost", "take = right left", "take = lef"):
        with pytest.raises(ValueError, match="take"):
            TAKE.read(text)
    assert Line("digit", Line.DIGIT).number("digit = 7") == 7
    with pytest.raises(ValueError, match="digit"):
        Line("digit", Line.DIGIT).read("digit = 17")


@pytest.mark.timeout(30)  # a search that is quadratic in these texts takes minutes
@pytest.mark.parametrize("piece", ["result", "result = ", "result = 1", "result =  ", "result = 1.", "1", " ", "="])
def test_reading_is_linear(piece):
    """A million adversarial characters are refused without a search."""
    for head in ("", "result = ", "result = 1", "result = 1 "):
        with pytest.raises(ValueError, match="result"):
            RESULT.read(head + piece * (1_000_000 // len(piece)) + "x")


@pytest.mark.parametrize(
    "text", ["15", " 15\n", "15.", "**15**", "`15`", "**15**.", "**15.**", "```\n15\n```", "```python\n15\n```\n"]
)
def test_a_bare_value_is_all_of_a_reply(text):
    """Space, marks, a full stop and a code fence around the value do not change it."""
    assert bare(text) == "15"


@pytest.mark.parametrize(
    "text",
    [
        "", "8 + 7 = 15", "The sum is 15.", "15 apples", "15\n16", "15\n15", "```\n15", "```\n\n```", "015", "1 5",
        "15.0", "15..", "x", "```15```\nno", "-0", "```\n" * 100_000, "`" * 300_000 + "15 x", " \n" * 150_000 + "x",
    ],
)  # fmt: skip
def test_a_value_with_words_beside_it_is_none(text):
    """Calculations, sentences, several values and broken fences have no answer, in time linear in the reply."""
    with pytest.raises(ValueError, match="bare value"):
        bare(text)


def test_a_bare_value_has_the_form_that_is_asked_for():
    """Any form of a line's value can be asked for."""
    assert bare("left", "left|right") == "left"
    with pytest.raises(ValueError, match="bare value"):
        bare("both", "left|right")
