"""The bundled model as the engine sees it: seeded draws, limits, processes."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from maker.errors import ModelError
from maker.models.neural import NeuralModel
from maker.models.neural.bundled import build
from small_model import FIRST, PROMPT, prompts_of, requests


@pytest.mark.parametrize(
    ("prompt", "complaint"),
    [
        ("What is the next move?", "no token for 'What is the next mov' at character 0"),
        (PROMPT.replace("[1]", "[x]"), "no token for 'x], []]"),
        (PROMPT.replace("4, 3", "21, 4, 3"), "3 to 20 disks; this prompt has disk 21"),
        (PROMPT.rstrip(), "reads the compact Hanoi prompt only"),
        ("", "reads the compact Hanoi prompt only"),
        (PROMPT.replace("[4, 3, 2]", str([2] * 30)), "has disk 2 or 31 numbers"),
    ],
)
@pytest.mark.asyncio
async def test_a_prompt_that_cannot_be_read_is_refused_before_sampling(prompt, complaint, monkeypatch):
    """Unknown text and more than 20 disks raise ModelError, and not even the good prompts beside them are sampled."""
    model = NeuralModel(workers=0)
    monkeypatch.setattr(model, "_answer", lambda jobs: pytest.fail("sampling began"))
    with pytest.raises(ModelError, match=complaint.replace("[", r"\[")):
        await model.draw(requests([PROMPT, prompt], 2))


@pytest.mark.asyncio
async def test_it_answers_hanoi_and_reports_what_it_did():
    """Greedy answers to random states of 3 to 20 disks are right nearly always, with true token counts."""
    model = NeuralModel(workers=0)
    wanted = [pair for disks in (3, 7, 12, 20) for pair in prompts_of(disks, 30, seed=5)]
    samples = await model.draw(requests([prompt for prompt, _ in wanted], 1, 0.0))
    right = sum(sample.text == answer for sample, (_, answer) in zip(samples, wanted, strict=True))
    assert right >= 0.95 * len(wanted)
    sample = samples[0]
    assert sample.tokens_in == len(FIRST.encode(wanted[0][0]))
    assert sample.tokens_out == len(FIRST.encode(sample.text)) + 1
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


def test_a_worker_whose_parent_is_gone_ends_without_a_word():
    """Nobody reads its answer any more: it leaves with 0, and prints no traceback over whatever comes next."""
    begin = "from maker.models.neural.worker import main; main()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", begin], stdin=pipe, stdout=pipe, stderr=pipe) as worker:
        worker.stdout.close()
        _, said = worker.communicate(b'{"weights":null,"dtype":"float32","noise":0.0,"seed":0}\n[]\n')
    assert (worker.returncode, said) == (0, b"")


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
    path = os.pathsep.join([str(Path(__file__).parents[3] / "src"), os.environ.get("PYTHONPATH", "")])
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": path})
