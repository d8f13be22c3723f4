"""The vocabulary: text and tokens are one to one."""

import numpy as np

from maker.experiments.kit import hanoi_data as data
from maker.models.neural import vocabulary


def test_text_and_tokens_are_one_to_one_on_prompts_and_answers():
    """Decoding what was encoded gives the text, and encoding what was decoded gives the tokens."""
    for disks in (3, 8, 20):
        tokens, lengths = data.encode_batch(data.examples(np.random.default_rng(disks), 60, disks))
        for row, n in zip(tokens.tolist(), lengths.tolist(), strict=True):
            prompt, answer = row[:n], [token for token in row[n:] if token != vocabulary.END]
            assert vocabulary.encode(vocabulary.decode(prompt)) == prompt
            assert vocabulary.encode(vocabulary.decode(answer)) == answer


def test_the_vocabulary_has_every_number_to_64_and_no_piece_twice():
    """Numbers 0 to 64 are single tokens, the pieces are distinct, and there are a few hundred at most."""
    assert all(len(vocabulary.encode(str(n))) == 1 for n in range(65))
    assert len(set(vocabulary.PIECES)) == vocabulary.SIZE < 300
