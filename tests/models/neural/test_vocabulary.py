"""The vocabularies: text and tokens are one to one, and each has the disks of its edition."""

import pytest

from maker.errors import ModelError
from maker.models.neural.vocabulary import edition
from small_model import FIRST, PROMPT, SECOND, prompts_of

EDITIONS = pytest.mark.parametrize("vocabulary", [FIRST, SECOND])


@EDITIONS
def test_text_and_tokens_are_one_to_one_on_prompts_and_answers(vocabulary):
    """Decoding what was encoded gives the text, without and with a previous move, from 3 disks to the most."""
    for disks in (3, 8, vocabulary.disks):
        for prompt, answer in prompts_of(disks, 60, seed=disks):
            assert vocabulary.decode(vocabulary.encode(prompt)) == prompt
            assert vocabulary.decode(vocabulary.encode(answer)) == answer


@EDITIONS
def test_no_piece_is_there_twice_and_there_are_a_few_hundred_at_most(vocabulary):
    """The pieces are distinct, and one of them is the end, which has no text."""
    assert len(set(vocabulary.pieces)) == vocabulary.size == len(vocabulary.pieces) < 300
    assert vocabulary.decode([vocabulary.end]) == ""


def test_the_first_edition_has_every_number_to_64():
    """Numbers 0 to 64 are single tokens, as the weights that ship were trained."""
    assert all(len(FIRST.encode(str(n))) == 1 for n in range(65))


def test_the_second_edition_takes_together_what_lies_together():
    """A run of up to three disks with gaps of one and three is one token, a bar with its disk another."""
    tokens = SECOND.encode("20, 19, 18, 15, 13], [17, 14, 13, 12], []]")
    assert [SECOND.pieces[token] for token in tokens] == [
        "20", ", 19, 18, 15", ", 13", "], [17", ", 14, 13, 12", "], [", "]]",
    ]  # fmt: skip
    assert [SECOND.pieces[token] for token in SECOND.encode("move = [3, 2, 1]\nnext_state = [[")] == [
        "move = [3", ", 2, 1]\nnext_state = [[",
    ]  # fmt: skip


@EDITIONS
def test_tokens_know_their_disks(vocabulary):
    """The disks of all tokens of a state are those of its text, each in its stack; words and moves are in no stack."""
    parts = [vocabulary.stacked[token] for token in vocabulary.encode("9, 8, 5, 1], [7], [")]
    assert sum(ended for ended, _ in parts) == 2
    assert [disk for _, disks in parts for disk in disks] == [9, 8, 5, 1, 7]
    for text in ("clockwise\nprevious = [", "]]\n", "]]", "move = [3, 2, 1]\nnext_state = [["):
        assert vocabulary.stacked[vocabulary.encode(text)[-1]] is None
    assert list(vocabulary.pegs.values()) == list(range(9))
    assert vocabulary.number[vocabulary.encode("move = [3, 2, 1]\nnext_state = [[")[vocabulary.pegs_at - 1]] == 3


@EDITIONS
@pytest.mark.parametrize("more", [1, 10, 100])
def test_a_disk_beyond_the_edition_is_refused(vocabulary, more):
    """In a stack or as the previous move, a number too large is never read as two smaller ones."""
    number = vocabulary.disks + more
    for prompt in (PROMPT.replace("[4", f"[{number}, 4"), PROMPT.replace("[1, 0", f"[{number}, 0")):
        with pytest.raises(ModelError, match=f"3 to {vocabulary.disks} disks; this prompt has disk {number}"):
            vocabulary.encode_prompt(prompt)


def test_an_edition_that_there_is_not_is_refused():
    """A weight file of a later edition is told so."""
    with pytest.raises(ModelError, match="no edition 'neural-9'"):
        edition("neural-9")
