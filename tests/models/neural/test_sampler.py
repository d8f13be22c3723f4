"""Arithmetic and sampling: the plain definition, draw by draw, with shared prefixes."""

import itertools

import numpy as np
import pytest

from maker.models.neural import sampler
from maker.models.neural.bundled import build
from maker.models.neural.sampler import Job
from maker.models.neural.transformer import Cache, Transformer
from small_model import FIRST, PROMPT, SECOND, SMALL, prompts_of, random_weights


def small_sampler(dtype, vocabulary=FIRST):
    """Return a sampler over random weights."""
    shape = SMALL._replace(vocabulary=vocabulary.size, back=2 if vocabulary is SECOND else 0)
    return sampler.Sampler(Transformer(random_weights(shape), shape, dtype), vocabulary)


def plain_logits(w, shape, tokens):
    """Follow the definition of the model, one place, one head and one earlier place at a time."""

    def norm(x, gain):
        return x / np.sqrt(np.mean(x**2) + 1e-5) * gain

    def rotated(x, place):
        half = shape.head_dim // 2
        turn = np.exp(1j * place * shape.rope_base ** (-np.arange(half) / half))
        z = (x[:half] + 1j * x[half:]) * turn
        return np.concatenate([z.real, z.imag])

    before = [0] * shape.back + list(tokens)
    xs = [w["embed"][token] for token in tokens]
    for i in range(1, shape.back + 1):
        xs = [x + w[f"embed_{i}"][token] for x, token in zip(xs, before[shape.back - i :], strict=False)]
    e, groups = shape.head_dim, shape.heads // shape.kv_heads
    for layer in range(shape.layers):
        p = {n: w[f"{layer}.{n}"] for n in ("q", "k", "v", "o", "gate", "up", "down", "norm_attention", "norm_feed")}
        hs = [norm(x, p["norm_attention"]) for x in xs]
        mixed = []
        for i, h in enumerate(hs):
            heads = []
            for head in range(shape.heads):
                kv = slice(head // groups * e, (head // groups + 1) * e)
                q = rotated((h @ p["q"])[head * e : (head + 1) * e], i)
                scores = [q @ rotated((hs[j] @ p["k"])[kv], j) / np.sqrt(e) for j in range(i + 1)]
                share = np.exp(scores - np.max(scores))
                share /= np.sum(share)
                heads.append(sum(share[j] * (hs[j] @ p["v"])[kv] for j in range(i + 1)))
            mixed.append(np.concatenate(heads) @ p["o"])
        xs = [x + m for x, m in zip(xs, mixed, strict=True)]
        for i, x in enumerate(xs):
            h = norm(x, p["norm_feed"])
            gate = h @ p["gate"]
            opened = np.maximum(gate, 0) if shape.gate == "relu" else gate / (1 + np.exp(-gate))
            xs[i] = x + (opened * (h @ p["up"])) @ p["down"]
    return np.array([norm(x, w["norm"]) @ w["head"] for x in xs])


# -- arithmetic and sampling -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape", [SMALL, SMALL._replace(layers=1, kv_heads=4), SMALL._replace(kv_heads=1, back=2, gate="relu")]
)
def test_logits_equal_the_plain_definition(shape):
    """Read at once, in pieces of several tokens or one, tokens give the logits of the model written down naively."""
    weights = random_weights(shape)
    transformer, cache = Transformer(weights, shape, np.float64), Cache(shape, np.float64)
    tokens = np.random.default_rng(1).integers(0, FIRST.size, (3, 12))
    cache.reserve(7, 12)
    slots = np.array([6, 1, 2])
    pieces = [(0, 5, 1), (5, 9, 4), (9, 10, 1), (10, 12, 2)]
    found = [transformer.read(tokens[:, a:b], a, slots, cache, asked) for a, b, asked in pieces]
    at_once = transformer.read(tokens, 0, np.arange(3), cache, 8)
    for row in range(3):
        wanted = plain_logits(weights, shape, tokens[row])[4:]
        np.testing.assert_allclose(np.concatenate(found, 1)[row], wanted, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(at_once[row], wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("back", [0, 2])
def test_places_that_are_not_used_change_nothing(back):
    """A row that begins later, beside longer ones, has the logits that it has alone, read at once or in pieces."""
    shape = SMALL._replace(back=back)
    transformer, cache = Transformer(random_weights(shape), shape, np.float64), Cache(shape, np.float64)
    tokens = np.random.default_rng(1).integers(0, FIRST.size, (3, 12))
    unused = np.array([3, 0, 1])
    tokens[np.arange(12) < unused[:, None]] = 0
    cache.reserve(3, 12)
    pieces = [(0, 8, 5), (8, 9, 1), (9, 12, 3)]
    found = [transformer.read(tokens[:, a:b], a, np.arange(3), cache, asked, unused) for a, b, asked in pieces]
    for row, begin in enumerate(unused):
        alone = transformer.read(tokens[row : row + 1, begin:], 0, np.arange(1), cache, 9)[0]
        np.testing.assert_allclose(np.concatenate(found, 1)[row], alone, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_scores_beyond_the_range_of_exponentials_do_not_spoil_the_softmax(scale):
    """With queries so large that sums of exponentials over- and underflow, logits are those of the definition."""
    weights = random_weights(SMALL)
    weights["0.q"] *= scale * 100
    transformer, cache = Transformer(weights, SMALL, np.float64), Cache(SMALL, np.float64)
    tokens = np.random.default_rng(1).integers(0, FIRST.size, (1, 12))
    cache.reserve(1, 12)
    found = transformer.read(tokens, 0, np.arange(1), cache, 12)[0]
    np.testing.assert_allclose(found, plain_logits(weights, SMALL, tokens[0]), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("vocabulary", [FIRST, SECOND])
def test_sharing_equals_one_by_one_sampling_draw_by_draw(vocabulary):
    """In float64 every draw has the same text, count, reason and probability alone as in a crowded batch."""
    prompts = [vocabulary.encode(prompt) for disks in (3, 6) for prompt, _ in prompts_of(disks, 2)]
    jobs = [
        Job(tokens, heat, [i * 31 + d * 1009 for d in range(9)], [3 + 5 * d for d in range(9)])
        for i, (tokens, heat) in enumerate(itertools.product(prompts, (0.0, 0.7, 2.0)))
    ]
    crowd = small_sampler(np.float64, vocabulary).answer(jobs)
    alone = small_sampler(np.float64, vocabulary)
    for job, (texts, index) in zip(jobs, crowd, strict=True):
        for draw in range(9):
            ((single,), _) = alone.answer([Job(job.tokens, job.temperature, [job.seeds[draw]], [job.limits[draw]])])[0]
            assert texts[index[draw]][:3] == single[:3]
            assert texts[index[draw]].logprob == pytest.approx(single.logprob, abs=1e-9)


@pytest.mark.parametrize("heat", [0.0, 1.8, 2.6])
def test_guesses_change_no_token(heat, monkeypatch):
    """With good guesses, none, wrong ones, and those of whole replies, every draw has the same text and probability."""
    model = build(dtype="float64")
    prompts = [FIRST.encode(prompt) for prompt, _ in prompts_of(5, 3, seed=3)]
    limits = [30, 30, 30, 30, 30, 1, 6, 12]
    jobs = [Job(tokens, heat, [i * 31 + d for d in range(8)], limits) for i, tokens in enumerate(prompts)]
    guessed = model.answer(jobs)
    assert all(len(model.drafts.opening(tokens)) > 10 for tokens in prompts)
    found = [model.answer(jobs)]
    for guess in ([], FIRST.encode("], []]") * 9, FIRST.encode("move = [") * 3):
        monkeypatch.setattr(model.drafts, "expected", lambda prompt, written, rest, guess=guess: list(guess))
        monkeypatch.setattr(model.drafts, "opening", lambda prompt, guess=guess: list(guess))
        found.append(model.answer(jobs))
    for (texts, index), (others, of) in itertools.chain(*(zip(guessed, replies, strict=True) for replies in found)):
        for a, b in zip(index, of, strict=True):
            assert texts[a][:3] == others[b][:3]
            assert texts[a].logprob == pytest.approx(others[b].logprob, abs=1e-9)


def test_shared_draws_follow_the_models_distribution_in_float32():
    """Of 20,000 draws of one prompt the first tokens occur as often as the logits say (chi-square)."""
    model = small_sampler(np.float32)
    tokens = FIRST.encode(PROMPT)
    (texts, index) = model.answer([Job(tokens, 1.0, list(range(20_000)), [1] * 20_000)])[0]
    model.cache.reserve(1, len(tokens))
    logits = model.transformer.read(np.array([tokens]), 0, np.arange(1), model.cache, 1)[0, 0].astype(float)
    wanted = np.exp(logits) / np.exp(logits).sum() * 20_000
    got = np.zeros(FIRST.size)
    for reply, count in zip(texts, np.bincount(index), strict=True):
        got[FIRST.end if reply.finish == "stop" else FIRST.encode(reply.text)[0]] += count
    # 156 degrees of freedom: 4.5 standard deviations above the mean
    assert ((got - wanted) ** 2 / wanted).sum() < 156 + 4.5 * np.sqrt(2 * 156)


def test_uniforms_are_uniform_and_uncorrelated_between_draws_and_places():
    """Neighbouring seeds and places give numbers in [0, 1) with the right mean, spread and no correlation."""
    with np.errstate(over="ignore"):
        keys = sampler._mix(np.arange(50_000, dtype=np.uint64) + sampler._GOLDEN)
    a, b = sampler.uniforms(keys, 0, 2).T
    assert 0 <= min(a.min(), b.min()) <= max(a.max(), b.max()) < 1
    assert abs(a.mean() - 0.5) < 0.006
    assert abs(a.var() - 1 / 12) < 0.002
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.02
    assert abs(np.corrcoef(a[1:], a[:-1])[0, 1]) < 0.02


def test_a_reply_that_does_not_end_is_cut_at_the_context():
    """A model that never ends fills the context of 128 tokens and says "length"."""
    weights = random_weights(SMALL)
    weights["head"][:, FIRST.end] = 0
    weights["head"] *= 40  # sure of something else everywhere
    tokens = FIRST.encode(PROMPT)
    job = Job(tokens, 1.0, [1, 2, 3], [10_000] * 3)
    texts, _ = sampler.Sampler(Transformer(weights, SMALL), FIRST).answer([job])[0]
    assert all(reply.finish == "length" and reply.tokens == sampler.CONTEXT - len(tokens) for reply in texts)
