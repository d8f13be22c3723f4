"""The bundled model: its vocabulary, arithmetic, sampling, processes, weights, and what it was trained on."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from maker.decision.sample import Address, Request
from maker.errors import ModelError
from maker.experiments.kit import hanoi_data as data
from maker.models.neural import NeuralModel, sampler, vocabulary
from maker.models.neural.bundled import BUNDLED, build, weight_file
from maker.models.neural.sampler import Job
from maker.models.neural.transformer import Cache, Transformer
from maker.models.neural.weights import Shape, read_weights, write_weights
from maker.task.load import load_task

PROMPT = "clockwise\nprevious = [1, 0, 1]\nstate = [[4, 3, 2], [1], []]\n"


def random_weights(shape, seed=0):
    """Return weights large enough for a model that is unsure of everything."""
    rng = np.random.default_rng(seed)
    d, h, kv, f, v = (
        shape.width, shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim, shape.hidden, shape.vocabulary,
    )  # fmt: skip
    sizes = {"q": (d, h), "k": (d, kv), "v": (d, kv), "o": (h, d), "gate": (d, f), "up": (d, f), "down": (f, d)}
    made = {f"{layer}.{n}": rng.normal(0, s[0] ** -0.5, s) for layer in range(shape.layers) for n, s in sizes.items()}
    made |= {f"{layer}.norm_{n}": rng.normal(1, 0.1, d) for layer in range(shape.layers) for n in ("attention", "feed")}
    return made | {"norm": rng.normal(1, 0.1, d), "embed": rng.normal(0, 1, (v, d)), "head": rng.normal(0, 0.1, (d, v))}


SMALL = Shape(2, 16, 24, 4, 2, 8, 1000.0, vocabulary.SIZE)


def small_sampler(dtype):
    """Return a sampler over random weights."""
    return sampler.Sampler(Transformer(random_weights(SMALL), SMALL, dtype))


def plain_logits(w, shape, tokens):
    """Follow the definition of the model, one place, one head and one earlier place at a time."""

    def norm(x, gain):
        return x / np.sqrt(np.mean(x**2) + 1e-5) * gain

    def rotated(x, place):
        half = shape.head_dim // 2
        turn = np.exp(1j * place * shape.rope_base ** (-np.arange(half) / half))
        z = (x[:half] + 1j * x[half:]) * turn
        return np.concatenate([z.real, z.imag])

    xs = [w["embed"][token] for token in tokens]
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
                share = np.exp(scores) / np.sum(np.exp(scores))
                heads.append(sum(share[j] * (hs[j] @ p["v"])[kv] for j in range(i + 1)))
            mixed.append(np.concatenate(heads) @ p["o"])
        xs = [x + m for x, m in zip(xs, mixed, strict=True)]
        for i, x in enumerate(xs):
            h = norm(x, p["norm_feed"])
            gate = h @ p["gate"]
            xs[i] = x + (gate / (1 + np.exp(-gate)) * (h @ p["up"])) @ p["down"]
    return np.array([norm(x, w["norm"]) @ w["head"] for x in xs])


def requests(prompts, draws, temperature=1.0, **more):
    """Return `draws` requests for each prompt, with seeds that depend on prompt and draw alone."""
    return [
        Request(Address("test", i, d), prompt, hash((i, d)) % 2**64, temperature, **more)
        for i, prompt in enumerate(prompts)
        for d in range(draws)
    ]


def prompts_of(disks, count, seed=0):
    """Return random compact prompts and their right answers."""
    batch = data.examples(np.random.default_rng(seed), count, disks)
    tokens, lengths = data.encode_batch(batch)
    return [(vocabulary.decode(row[:n]), vocabulary.decode(row[n:])) for row, n in zip(tokens, lengths, strict=True)]


# -- vocabulary ------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("prompt", "complaint"),
    [
        ("What is the next move?", "no token for 'What is the next mov' at character 0"),
        (PROMPT.replace("[1]", "[x]"), "no token for 'x], []]"),
        (PROMPT.replace("4, 3", "21, 4, 3"), "3 to 20 disks; this prompt has disk 21"),
        (PROMPT.rstrip(), "reads the compact Hanoi prompt only"),
        ("", "reads the compact Hanoi prompt only"),
        (PROMPT.replace("[4, 3, 2]", str([2] * 30)), "34 numbers|33 numbers|32 numbers"),
    ],
)
@pytest.mark.asyncio
async def test_a_prompt_that_cannot_be_read_is_refused_before_sampling(prompt, complaint, monkeypatch):
    """Unknown text and more than 20 disks raise ModelError, and not even the good prompts beside them are sampled."""
    model = NeuralModel(workers=0)
    monkeypatch.setattr(model, "_answer", lambda jobs: pytest.fail("sampling began"))
    with pytest.raises(ModelError, match=complaint.replace("[", r"\[")):
        await model.draw(requests([PROMPT, prompt], 2))


# -- arithmetic and sampling -----------------------------------------------------------------------


@pytest.mark.parametrize("shape", [SMALL, SMALL._replace(layers=1, kv_heads=4), SMALL._replace(kv_heads=1)])
def test_logits_equal_the_plain_definition(shape):
    """Prefill and cached steps give the logits of the model written down naively, to rounding."""
    weights = random_weights(shape)
    transformer, cache = Transformer(weights, shape, np.float64), Cache(shape, np.float64)
    tokens = np.random.default_rng(1).integers(0, vocabulary.SIZE, (3, 12))
    cache.reserve(3, 12)
    found = [transformer.prefill(tokens[:, :7], cache)]
    found += [transformer.step(tokens[:, i], i, cache) for i in range(7, 12)]
    for row in range(3):
        wanted = plain_logits(weights, shape, tokens[row])[6:]
        np.testing.assert_allclose(np.stack(found, 1)[row], wanted, rtol=1e-9, atol=1e-9)


def test_sharing_equals_one_by_one_sampling_draw_by_draw():
    """In float64 every draw has the same text, count, reason and probability alone as in a crowded batch."""
    prompts = [vocabulary.encode(prompt) for disks in (3, 6) for prompt, _ in prompts_of(disks, 2)]
    jobs = [
        Job(tokens, heat, [i * 31 + d * 1009 for d in range(9)], [3 + 5 * d for d in range(9)])
        for i, (tokens, heat) in enumerate(itertools.product(prompts, (0.0, 0.7, 2.0)))
    ]
    crowd = small_sampler(np.float64).answer(jobs)
    alone = small_sampler(np.float64)
    for job, (texts, index) in zip(jobs, crowd, strict=True):
        for draw in range(9):
            ((single,), _) = alone.answer([Job(job.tokens, job.temperature, [job.seeds[draw]], [job.limits[draw]])])[0]
            assert texts[index[draw]][:3] == single[:3]
            assert texts[index[draw]].logprob == pytest.approx(single.logprob, abs=1e-9)


def test_shared_draws_follow_the_models_distribution_in_float32():
    """Of 20,000 draws of one prompt the first tokens occur as often as the logits say (chi-square)."""
    model = small_sampler(np.float32)
    tokens = vocabulary.encode(PROMPT)
    (texts, index) = model.answer([Job(tokens, 1.0, list(range(20_000)), [1] * 20_000)])[0]
    model.cache.reserve(1, len(tokens))
    logits = model.transformer.prefill(np.array([tokens]), model.cache)[0].astype(float)
    wanted = np.exp(logits) / np.exp(logits).sum() * 20_000
    got = np.zeros(vocabulary.SIZE)
    for reply, count in zip(texts, np.bincount(index), strict=True):
        got[vocabulary.END if reply.finish == "stop" else vocabulary.encode(reply.text)[0]] += count
    # 156 degrees of freedom: 4.5 standard deviations above the mean
    assert ((got - wanted) ** 2 / wanted).sum() < 156 + 4.5 * np.sqrt(2 * 156)


def test_uniforms_are_uniform_and_uncorrelated_between_draws_and_places():
    """Neighbouring seeds and places give numbers in [0, 1) with the right mean, spread and no correlation."""
    with np.errstate(over="ignore"):
        keys = sampler._mix(np.arange(50_000, dtype=np.uint64) + sampler._GOLDEN)
    a, b = sampler.uniforms(keys, 0), sampler.uniforms(keys, 1)
    assert 0 <= min(a.min(), b.min()) <= max(a.max(), b.max()) < 1
    assert abs(a.mean() - 0.5) < 0.006
    assert abs(a.var() - 1 / 12) < 0.002
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.02
    assert abs(np.corrcoef(a[1:], a[:-1])[0, 1]) < 0.02


def test_a_reply_that_does_not_end_is_cut_at_the_context():
    """A model that never ends fills the context of 128 tokens and says "length"."""
    weights = random_weights(SMALL)
    weights["head"][:, vocabulary.END] = 0
    weights["head"] *= 40  # sure of something else everywhere
    tokens = vocabulary.encode(PROMPT)
    job = Job(tokens, 1.0, [1, 2, 3], [10_000] * 3)
    texts, _ = sampler.Sampler(Transformer(weights, SMALL)).answer([job])[0]
    assert all(reply.finish == "length" and reply.tokens == sampler.CONTEXT - len(tokens) for reply in texts)


# -- the model the engine sees -----------------------------------------------------------------------


@pytest.mark.asyncio
async def test_it_answers_hanoi_and_reports_what_it_did():
    """Greedy answers to random states of 3 to 20 disks are right nearly always, with true token counts."""
    model = NeuralModel(workers=0)
    wanted = [pair for disks in (3, 7, 12, 20) for pair in prompts_of(disks, 30, seed=5)]
    samples = await model.draw(requests([prompt for prompt, _ in wanted], 1, 0.0))
    right = sum(sample.text == answer for sample, (_, answer) in zip(samples, wanted, strict=True))
    assert right >= 0.95 * len(wanted)
    sample = samples[0]
    assert sample.tokens_in == len(vocabulary.encode(wanted[0][0]))
    assert sample.tokens_out == len(vocabulary.encode(sample.text)) + 1
    assert (sample.finish_reason, sample.model, sample.latency, sample.response_id) == ("stop", "neural", None, None)


@pytest.mark.asyncio
async def test_a_draw_is_the_same_whatever_the_batch_and_the_workers():
    """In float64 a draw's text depends on (prompt, seed, temperature) alone: not on order, company or processes."""
    prompts = [prompt for disks in (4, 9) for prompt, _ in prompts_of(disks, 12, seed=2)]
    asked = requests(prompts, 3, 3.0)
    here, there = NeuralModel("early", dtype="float64", workers=0), NeuralModel("early", dtype="float64", workers=2)
    try:
        texts = [sample.text for sample in await there.draw(asked)]
        assert [sample.text for sample in await here.draw(asked[::-1])] == texts[::-1]
        assert [(await here.draw([one]))[0].text for one in asked[:9]] == texts[:9]
    finally:
        await there.aclose()


@pytest.mark.asyncio
async def test_one_sample_object_is_shared_only_by_equal_texts_of_one_step():
    """Draws of a step with the same text are the same object; different steps never share one."""
    prompts = [prompt for prompt, _ in prompts_of(5, 6)]
    asked = requests([*prompts, prompts[0]], 8, 2.0)
    samples = await NeuralModel("early", workers=0).draw(asked)
    for (a, x), (b, y) in itertools.combinations(zip(asked, samples, strict=True), 2):
        if x is y:
            assert a.prompt == b.prompt
            assert x.text == y.text
        elif a.prompt == b.prompt:
            assert x.text != y.text


@pytest.mark.asyncio
async def test_limits_and_stop_texts_end_a_reply():
    """max_tokens cuts with "length", a stop text with "stop" and is not part of the reply."""
    model = NeuralModel(workers=0)
    (cut,) = await model.draw(requests([PROMPT], 1, 0.0, max_tokens=3))
    (stopped,) = await model.draw(requests([PROMPT], 1, 0.0, stop=("\n",)))
    assert (cut.tokens_out, cut.finish_reason) == (3, "length")
    assert stopped.finish_reason == "stop"
    assert stopped.text.startswith("move = [")
    assert "\n" not in stopped.text


@pytest.mark.asyncio
async def test_a_worker_that_dies_is_an_error_and_the_next_call_works():
    """A killed worker raises ModelError saying what to do; a later draw starts a new one."""
    model = NeuralModel(workers=1)
    asked = requests([PROMPT], 1)
    try:
        before = await model.draw(asked)
        model._workers.processes[0].kill()
        with pytest.raises(ModelError, match="worker process of the bundled model died"):
            await model.draw(asked)
        assert [s.text for s in await model.draw(asked)] == [s.text for s in before]
    finally:
        await model.aclose()


def test_noise_is_seeded_and_changes_the_name():
    """Noised weights are the same for the same seed, others for another, and show in the model's name."""
    heads = [build(noise=0.1, seed=seed).transformer.head for seed in (1, 1, 2)]
    assert np.array_equal(heads[0], heads[1])
    assert not np.array_equal(heads[0], heads[2])
    assert NeuralModel(workers=0).name == "neural"
    assert NeuralModel("early", noise=0.1, workers=0).name == "neural:weights=early,noise=0.1"
    for bad in ({"noise": -1.0}, {"noise": float("nan")}, {"dtype": "int8"}, {"workers": -1}):
        with pytest.raises(ValueError, match="must be"):
            NeuralModel(**bad)


def test_importing_maker_loads_neither_numpy_nor_the_model():
    """`import maker` leaves numpy alone, and the model needs neither jax nor torch nor safetensors."""
    code = (
        "import sys, maker; assert 'numpy' not in sys.modules; import maker.models.neural;"
        "assert not {'jax', 'torch', 'safetensors'} & set(sys.modules)"
    )
    path = os.pathsep.join([str(Path(__file__).parents[1] / "src"), os.environ.get("PYTHONPATH", "")])
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": path})


# -- weights -------------------------------------------------------------------------------------------


def test_the_bundled_files_are_whole_and_small():
    """Both files have their checksum, at most 200,000 parameters each, and fit in 1 MB together."""
    paths = []
    for name in BUNDLED:
        path, checksum = weight_file(name)
        tensors, _ = read_weights(path, sha256=checksum)
        assert checksum
        assert sum(tensor.size for tensor in tensors.values()) <= 200_000
        paths.append(path)
    assert sum(path.stat().st_size for path in paths) <= 1_000_000


@pytest.mark.parametrize("harm", ["flip", "cut", "missing", "text"])
def test_a_damaged_weight_file_is_refused(harm, tmp_path, monkeypatch):
    """One flipped bit, a cut, a missing or a foreign file raise ModelError that names the file."""
    raw = bytearray(weight_file("neural")[0].read_bytes())
    raw[len(raw) // 2] ^= harm == "flip"
    file = tmp_path / "neural.safetensors"
    if harm != "missing":
        file.write_bytes(b"hello, world" if harm == "text" else raw[: 1000 if harm == "cut" else None])
    monkeypatch.setattr("maker.models.neural.bundled._FOLDER", tmp_path)
    with pytest.raises(ModelError, match=r"neural\.safetensors"):
        NeuralModel(workers=0)
    if harm != "flip":  # without a known checksum the format still has to be right
        with pytest.raises(ModelError, match=r"neural\.safetensors"):
            NeuralModel(file, workers=0)


def test_weights_survive_the_file_and_other_readers(tmp_path):
    """What is written is read back to float16 precision, and the safetensors package reads it too."""
    weights = random_weights(SMALL)
    write_weights(tmp_path / "w.safetensors", weights, SMALL)
    tensors, shape = read_weights(tmp_path / "w.safetensors", np.float64)
    assert shape == SMALL
    for name, tensor in weights.items():
        assert np.array_equal(tensors[name], tensor.astype(np.float16))
    numpy_reader = pytest.importorskip("safetensors.numpy")
    assert numpy_reader.load_file(tmp_path / "w.safetensors").keys() == weights.keys()


# -- what it was trained on ----------------------------------------------------------------------------


def on_path_20(stacks):
    """Say whether a state is on the 20-disk solution path; its stacks decide, whatever the previous move."""
    peg = {disk: place for place, stack in enumerate(stacks) for disk in stack}
    return len(peg) == 20 and bool(data.on_path(np.array([[peg[disk] for disk in range(1, 21)]]))[0])


def test_the_path_filter_is_exact():
    """Of all 3^6 towers exactly the 2^6 of the solution path are on it; at 20 disks every path state is."""
    every = np.array(list(itertools.product(range(3), repeat=6)))
    path = {tuple(row) for row in data.path_pegs(np.arange(64), 6).tolist()}
    assert {tuple(row) for row in every[data.on_path(every)].tolist()} == path
    task = load_task("hanoi", disks=20, style="compact")
    steps = [0, 1, 2, 2**19 - 1, 2**19, 2**20 - 1, *np.random.default_rng(0).integers(0, 2**20, 200).tolist()]
    assert all(on_path_20(task.state_at(step).stacks) for step in steps)
    assert not on_path_20(((), tuple(range(20, 0, -1)), ()))
    assert not on_path_20(load_task("hanoi", disks=19).state_at(5).stacks)


def test_no_training_example_lies_on_the_20_disk_path():
    """Examples of 20 disks never have path stacks, although unfiltered ones do."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        assert not data.on_path(data.examples(rng, 500, 20).pegs).any()
        assert not data.on_path(data.examples(rng, 500, 20, runs=True).pegs).any()
    raw, _ = data._under_way(rng, 3000, 20, np.ones(3000, bool))
    assert data.on_path(raw).any()
    both = data.Batch(raw, np.zeros((3000, 3), int), np.ones(3000, bool))
    assert len(data.off_path(both).pegs) == (~data.on_path(raw)).sum()


@pytest.mark.parametrize("disks", [3, 4, 9, 20])
def test_examples_are_legal_states_with_the_tasks_own_answer(disks):
    """Prompt and answer of every example are what the task prints and `truth` says; the previous move fits."""
    task = load_task("hanoi", disks=disks, style="compact")
    batch = data.examples(np.random.default_rng(3), 200, disks, runs=disks in (4, 20))
    tokens, lengths = data.encode_batch(batch)
    state_type = type(task.initial_state())
    for row, n, pegs, previous, way in zip(tokens, lengths, *batch, strict=True):
        stacks = tuple(tuple(d for d in range(disks, 0, -1) if pegs[d - 1] == peg) for peg in range(3))
        state = state_type(stacks, tuple(previous.tolist()) if previous[0] else None)
        if state.previous:
            disk, source, target = state.previous
            assert stacks[target][-1] == disk
            assert not stacks[source] or stacks[source][-1] > disk
        if way == task.clockwise:
            assert vocabulary.decode(row[:n]) == task.prompt(state, 0)
            assert vocabulary.decode(row[n:]) == task.render(task.truth(state, 0))


def test_measured_states_are_the_tasks_path():
    """`path_batch` gives the states, previous moves and answers of the task's own solution."""
    for disks in (5, 8):
        task = load_task("hanoi", disks=disks, style="compact")
        steps = np.arange(2**disks - 1)
        tokens, lengths = data.encode_batch(data.path_batch(steps, disks))
        for step, row, n in zip(steps.tolist(), tokens, lengths, strict=True):
            state = task.state_at(step)
            assert vocabulary.decode(row[:n]) == task.prompt(state, step)
            assert vocabulary.decode(row[n:]) == task.render(task.truth(state, step))
