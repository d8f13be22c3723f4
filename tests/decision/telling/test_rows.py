"""Names and values: lines for a person, and HTML in which nothing runs."""

from __future__ import annotations

from maker.decision.telling.rows import LONGEST, brief, html_of, lines_of


def test_lines_are_name_and_value():
    """Each row is one line, and the last ends without a break."""
    assert lines_of([("steps", "3"), ("cost", "not known")]) == "steps: 3\ncost: not known"


def test_a_value_is_one_short_line_that_drives_nothing():
    """Breaks become blanks, controls are written out, the end of a long value is left out."""
    assert brief("a\n b\x1b[31m") == "a b\\x1b[31m"
    assert len(brief("x" * 999)) == LONGEST and brief("x" * 999).endswith("x ...")
    assert brief("x" * LONGEST) == "x" * LONGEST


def test_html_is_escaped_everywhere():
    """Caption, head, names and values may hold markup: it is shown, not obeyed."""
    evil = "<script>alert('x')</script>&"
    said = html_of(evil, [(evil, evil), (None, 1)], (evil, "n"))
    assert "<script" not in said and said.count("&lt;script&gt;") == 4 and "&amp;" in said
    assert said.endswith("<tr><td></td><td>1</td></tr></table>")


def test_rows_without_a_head_have_their_names_first():
    """The first column holds names where no head names the columns."""
    assert html_of("run", [("steps", 3)]) == ("<table><caption>run</caption><tr><th>steps</th><td>3</td></tr></table>")
