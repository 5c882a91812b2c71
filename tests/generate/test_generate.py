"""Decoding: caches against full recomputation, batches against single requests, samples against their distribution."""

import numpy as np
import pytest
import torch

from tests.generate.log_probabilities import sequence_log_probabilities
from tests.models.small import PLANS, VOCABULARY, image, logits_of, small_model, text
from unix_lib.generate import generate_images, generate_text
from unix_lib.generate.columns import Columns, GraphColumns
from unix_lib.generate.decoding import Decoding
from unix_lib.generate.sampling import sample, uniforms
from unix_lib.models import ModelError, UnixForCausalLM
from unix_lib.models.routing import Documents, build_batch

START, OFFSET, CODES = VOCABULARY.vision_start_id, VOCABULARY.image_offset, VOCABULARY.codes_per_image
SAMPLING = {"temperature": 0.9, "top_k": 0, "top_p": 0.95}


def prompts_for_images() -> list[list[int]]:
    random = np.random.default_rng(4)
    return [
        [*text(random, 3), START],
        [START],
        [*text(random, 11), START],
        text(random, 2) + image(random) + text(random, 3) + [START],
        [*text(random, 3), START],
        image(random) + image(random) + [START],
    ]


def prompts_for_text() -> list[list[int]]:
    random = np.random.default_rng(6)
    return [
        text(random, 1),
        image(random) + text(random, 6),
        text(random, 20),
        text(random, 4) + image(random),
        [START, OFFSET + 4],
        image(random) + text(random, 2) + image(random) + text(random, 2),
    ]


@torch.no_grad()
def last_logits(model: UnixForCausalLM, ids: list[int]) -> torch.Tensor:
    return logits_of(model, [ids])[0][-1]


@pytest.mark.parametrize("vision", [True, False])
@pytest.mark.parametrize("plan", list(PLANS))
def test_cached_steps_equal_full_recomputation(plan: str, vision: bool) -> None:
    model, random, steps = small_model(PLANS[plan]), np.random.default_rng(8), 7
    prompts = prompts_for_images() if vision else prompts_for_text()
    low, high = (OFFSET, VOCABULARY.size) if vision else (4, VOCABULARY.text_size)
    fed = random.integers(low, high, (steps, len(prompts)))
    with torch.no_grad():
        decoding = Decoding(model, prompts, **{"vision" if vision else "text": steps})
        for step in range(steps + 1):
            logits = model.lm_head(decoding.hidden)
            for row, prompt in enumerate(prompts):
                expected = last_logits(model, prompt + fed[:step, row].tolist())
                torch.testing.assert_close(logits[row], expected, rtol=0, atol=2e-5)
            if step < steps:
                decoding.step(torch.from_numpy(fed[step]), vision=vision)


def conversation(random: np.random.Generator) -> list[tuple[int, bool]]:
    """Text, an image, text, an image begun: ids and whether they take the vision branch."""
    ids = text(random, 3) + image(random) + text(random, 2) + image(random, codes=2)[:-1]
    return [(token, token >= OFFSET or token == START) for token in ids]


@pytest.mark.parametrize("columns", [Columns, GraphColumns])
@pytest.mark.parametrize("plan", list(PLANS))
def test_cached_steps_of_mixed_sequences_equal_full_recomputation(
    plan: str, columns: type[Columns], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both kinds of columns: those of a recorded step are plain tensor operations, which any device runs."""
    monkeypatch.setattr("unix_lib.generate.decoding.Columns", columns)
    model, random = small_model(PLANS[plan]), np.random.default_rng(12)
    prompts, fed = prompts_for_text(), conversation(random)
    with torch.no_grad():
        decoding = Decoding(model, prompts, text=sum(not v for _, v in fed), vision=sum(v for _, v in fed))
        for step, (token, vision) in enumerate(fed, start=1):
            begun = [tensor.clone() for tensor in decoding.state()]
            ids = torch.full((len(prompts),), token)
            decoding.step(ids, vision=vision)
            if columns is GraphColumns:  # as a recording does it: once, then again from the same state
                for tensor, value in zip(decoding.state(), begun, strict=True):
                    tensor.copy_(value)
                decoding.step(ids, vision=vision)
            logits = model.lm_head(decoding.hidden)
            before = [token for token, _ in fed[:step]]
            for row, expected in enumerate(logits_of(model, [prompt + before for prompt in prompts])):
                torch.testing.assert_close(logits[row], expected[-1], rtol=0, atol=2e-5)


@pytest.mark.parametrize("guidance_scale", [1.0, 3.0])
@pytest.mark.parametrize("plan", ["shared", "unix 1:1", "mot", "moe 1/2"])
def test_images_equal_a_loop_without_caches(plan: str, guidance_scale: float) -> None:
    model, prompts, free = small_model(PLANS[plan]), prompts_for_images(), [9, START]
    codes = generate_images(
        model, prompts, free, list(range(6)), guidance_scale=guidance_scale, batch_size=4, **SAMPLING
    )
    assert codes.dtype == np.uint16 and codes.shape == (6, CODES)
    for row, prompt in enumerate(prompts):
        drawn = uniforms([row], CODES)[0]
        taken: list[int] = []
        for position in range(CODES):
            rows = slice(OFFSET, VOCABULARY.size)
            conditional, unconditional = last_logits(model, prompt + taken), last_logits(model, free + taken)
            logits = (unconditional + guidance_scale * (conditional - unconditional))[rows]
            chosen = sample(logits[None], torch.from_numpy(drawn[position : position + 1]), **SAMPLING)
            taken.append(int(chosen) + OFFSET)
        assert (codes[row] == np.asarray(taken) - OFFSET).all()


@pytest.mark.parametrize("guidance_scale", [1.0, 3.0])
def test_separators_stand_in_their_places_and_are_not_sampled(guidance_scale: float) -> None:
    model, prompts, free, pad, every = small_model(PLANS["unix 1:1"]), prompts_for_images()[:3], [9, START], 4, 3
    model.config.separator_id, model.config.separator_every = pad, every
    codes = generate_images(
        model, prompts, free, list(range(3)), guidance_scale=guidance_scale, batch_size=3, **SAMPLING
    )

    def logits_after(ids: list[int]) -> torch.Tensor:
        with torch.no_grad():
            return model(**build_batch([Documents.of([ids])], model.config), return_logits=True).logits[-1]

    for row, prompt in enumerate(prompts):
        drawn = uniforms([row], CODES)[0]
        taken: list[int] = []
        for position in range(CODES):
            conditional, unconditional = logits_after(prompt + taken), logits_after(free + taken)
            logits = (unconditional + guidance_scale * (conditional - unconditional))[OFFSET:]
            chosen = int(sample(logits[None], torch.from_numpy(drawn[position : position + 1]), **SAMPLING))
            assert chosen == codes[row, position]
            taken.append(chosen + OFFSET)
            if (position + 1) % every == 0:
                taken.append(pad)


@pytest.mark.parametrize("plan", list(PLANS))
def test_a_request_gives_the_same_alone_and_in_any_batch(plan: str) -> None:
    model, prompts = small_model(PLANS[plan]), prompts_for_images()
    seeds = [11, 12, 13, 14, 15, 16]
    options = SAMPLING | {"guidance_scale": 2.0}
    together = generate_images(model, prompts, [START], seeds, batch_size=6, **options)
    for batch_size in (1, 2, 5):
        assert (generate_images(model, prompts, [START], seeds, batch_size=batch_size, **options) == together).all()
    backwards = generate_images(model, prompts[::-1], [START], seeds[::-1], batch_size=3, **options)
    assert (backwards[::-1] == together).all()
    assert (together[0] != together[4]).any()  # the same prompt with another seed
    for settings in ({"temperature": 0.0}, SAMPLING):
        options = {"max_new_tokens": 6, "stop_ids": [1], **settings}
        answers = generate_text(model, prompts_for_text(), seeds=seeds, batch_size=6, **options)
        alone = [
            generate_text(model, [prompt], seeds=[seed], batch_size=1, **options)[0]
            for prompt, seed in zip(prompts_for_text(), seeds, strict=True)
        ]
        assert answers == alone


@pytest.mark.parametrize("plan", ["shared", "unix 1:1", "moe 1/2"])
def test_text_equals_a_greedy_loop_without_caches(plan: str) -> None:
    model, prompts = small_model(PLANS[plan]), prompts_for_text()
    expected = []
    for prompt in prompts:
        ids = list(prompt)
        for _ in range(8):
            logits = last_logits(model, ids)[: VOCABULARY.text_size].clone()
            logits[START] = -torch.inf
            ids.append(int(logits.argmax()))
        expected.append(ids[len(prompt) :])
    stop = expected[0][3]
    answers = generate_text(model, prompts, max_new_tokens=8, stop_ids=[stop], batch_size=4)
    assert answers == [ids[: ids.index(stop)] if stop in ids else ids for ids in expected]


@pytest.mark.parametrize("plan", ["shared", "unix 1:1", "moe 1/2"])
def test_sampled_text_equals_a_loop_without_caches(plan: str) -> None:
    model, prompts = small_model(PLANS[plan]), prompts_for_text()
    answers = generate_text(
        model, prompts, max_new_tokens=5, stop_ids=[], batch_size=4, seeds=list(range(6)), **SAMPLING
    )
    for row, prompt in enumerate(prompts):
        taken: list[int] = []
        for number in uniforms([row], 5)[0]:
            logits = last_logits(model, prompt + taken)[: VOCABULARY.text_size].clone()
            logits[START] = -torch.inf
            taken.append(int(sample(logits[None], torch.tensor([number]), **SAMPLING)))
        assert answers[row] == taken


def test_text_equals_transformers_own_generate() -> None:
    model = small_model(PLANS["shared"])
    prompts = [prompt for prompt in prompts_for_text() if max(prompt) < VOCABULARY.text_size]
    with torch.no_grad():
        model.lm_head.weight[VOCABULARY.text_size :].zero_()  # image codes are never the most probable
        model.lm_head.weight[START].zero_()
    for prompt in prompts:
        own = model.generate(torch.tensor([prompt]), max_new_tokens=8, do_sample=False, eos_token_id=1)
        ids = own[0, len(prompt) :].tolist()
        answer = generate_text(model, [prompt], max_new_tokens=8, stop_ids=[1], batch_size=1)[0]
        assert answer == (ids[: ids.index(1)] if 1 in ids else ids)


def test_scores_are_log_probabilities() -> None:
    model, random = small_model(PLANS["unix 1:1"]), np.random.default_rng(9)
    prompts = prompts_for_text() * 2
    continuations = [text(random, 1 + place % 4) for place in range(11)] + [image(random)]
    scores = sequence_log_probabilities(model, prompts, continuations, batch_size=5)
    for score, prompt, continuation in zip(scores, prompts, continuations, strict=True):
        logits = torch.log_softmax(logits_of(model, [prompt + continuation])[0].double(), -1)
        expected = sum(logits[len(prompt) - 1 + place, token] for place, token in enumerate(continuation))
        assert abs(score - float(expected)) < 1e-4


def test_samples_follow_the_kept_distribution() -> None:
    probability = torch.tensor([0.4, 0.1, 0.3, 0.15, 0.05], dtype=torch.float64)
    grid = torch.arange(0.5, 20000) / 20000
    logits = probability.log().expand(len(grid), -1)

    def shares(**options: float) -> list[float]:
        drawn = sample(logits, grid, **({"temperature": 1.0, "top_k": 0, "top_p": 1.0} | options))
        return (torch.bincount(drawn, minlength=5) / len(grid)).tolist()

    assert shares() == pytest.approx(probability.tolist(), abs=1e-4)
    assert shares(temperature=0.5) == pytest.approx((probability**2 / (probability**2).sum()).tolist(), abs=1e-4)
    assert shares(top_k=2) == pytest.approx([4 / 7, 0, 3 / 7, 0, 0], abs=1e-4)
    assert shares(top_p=0.75) == pytest.approx([0.4 / 0.85, 0, 0.3 / 0.85, 0.15 / 0.85, 0], abs=1e-4)
    assert shares(top_k=2, top_p=0.5) == pytest.approx([1, 0, 0, 0, 0], abs=1e-4)  # 4/7 of what top-k kept
    assert shares(top_p=0.01) == pytest.approx([1, 0, 0, 0, 0], abs=1e-4)
    edge = torch.tensor([0.0, 1 - 2**-53], dtype=torch.float64)
    assert sample(logits[:2], edge, temperature=1.0, top_k=0, top_p=1.0).tolist() == [0, 4]
    assert sample(logits[:2], edge, temperature=1.0, top_k=0, top_p=0.8).tolist() == [0, 3]


def test_temperature_zero_takes_the_most_probable() -> None:
    model, prompts = small_model(PLANS["unix 1:1"]), prompts_for_images()[:2]
    options = {"guidance_scale": 1.0, "batch_size": 2, "top_k": 0, "top_p": 1.0}
    codes = generate_images(model, prompts, [START], [1, 2], temperature=0, **options)
    assert (codes == generate_images(model, prompts, [START], [3, 4], temperature=0, **options)).all()
    best = [int(last_logits(model, prompt)[OFFSET:].argmax()) for prompt in prompts]
    assert codes[:, 0].tolist() == best


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_recorded_steps_give_the_same_as_launched_ones() -> None:
    model = small_model(PLANS["unix 1:1"]).cuda()
    options = SAMPLING | {"guidance_scale": 2.0, "batch_size": 6}
    seeds = list(range(6))
    launched = generate_images(model, prompts_for_images(), [START], seeds, **options)
    recorded = generate_images(model, prompts_for_images(), [START], seeds, cuda_graph=True, **options)
    assert (launched == recorded).all()


def test_random_numbers_depend_on_seed_and_position_only() -> None:
    drawn = uniforms([5, 6, 5], 4)
    assert (drawn[0] == drawn[2]).all() and (drawn[0] != drawn[1]).all()
    assert (uniforms([5], 9)[0, :4] == drawn[0]).all()


def test_what_can_not_be_decoded_is_refused() -> None:
    model = small_model(PLANS["shared"])
    options = SAMPLING | {"guidance_scale": 2.0, "batch_size": 2}
    with pytest.raises(ModelError, match="must end with"):
        generate_images(model, [[5, 6]], [START], [1], **options)
    with pytest.raises(ModelError, match="2 prompts and 1 seeds"):
        generate_images(model, [[START], [START]], [START], [1], **options)
    with pytest.raises(ModelError, match="cuda_graph needs the model on a GPU, and it is on cpu"):
        generate_images(model, [[START]], [START], [1], cuda_graph=True, **options)
    wrong = {"temperature": -0.5, "top_k": -1, "top_p": 0.0}
    for name, value in wrong.items():
        with pytest.raises(ModelError, match=f"{name} {value} must"):
            generate_images(model, [[START]], [START], [1], **options | {name: value})
    with pytest.raises(ModelError, match="seed -1 must"):
        generate_images(model, [[START]], [START], [-1], **options)
    with pytest.raises(ModelError, match="1 prompts and 0 seeds"):
        generate_text(model, [[5]], max_new_tokens=2, stop_ids=[1], batch_size=1, temperature=1.0)
    with pytest.raises(ModelError, match="exceed the model's 256 positions"):
        generate_images(model, [[5] * 250 + [START]], [START], [1], **options)
    with pytest.raises(ModelError, match="empty prompt"):
        generate_text(model, [[]], max_new_tokens=2, stop_ids=[1], batch_size=1)
    with pytest.raises(ModelError, match="empty prompt or continuation"):
        sequence_log_probabilities(model, [[5]], [[]])
    assert generate_images(model, [], [START], [], **options).shape == (0, CODES)
    assert generate_text(model, [], max_new_tokens=2, stop_ids=[1], batch_size=1) == []
