"""The engine: caches against full recomputation, company against being alone, and requests that come and go."""

import dataclasses

import numpy as np
import pytest
import torch

from tests.inference.prompts import (
    CODES,
    END,
    OFFSET,
    SAMPLING,
    START,
    drawn_without_caches,
    images,
    last_logits,
    numbers_of,
    packed_logits,
    prompts_for_images,
    prompts_for_text,
    written_without_caches,
)
from tests.models.small import PLANS, VOCABULARY, image, logits_of, small_model, text
from unix_lib.inference.batches import generate_images, generate_text
from unix_lib.inference.engine import Engine
from unix_lib.inference.prompts import run_prompts
from unix_lib.inference.requests import Request, TextSampling
from unix_lib.inference.sampling import sample
from unix_lib.models import ModelError

SAMPLED = TextSampling(**SAMPLING, most_tokens=6)
MODES = pytest.mark.parametrize("batch_invariant", [True, False])


def conversation(random: np.random.Generator) -> list[int]:
    """Text, an image, text, an image begun."""
    return text(random, 3) + image(random) + text(random, 2) + image(random, codes=2)[:-1]


@pytest.mark.parametrize("plan", list(PLANS))
def test_cached_steps_of_mixed_sequences_equal_full_recomputation(plan: str) -> None:
    """Rows see windows of their own, and some rows are left out of a step."""
    model, random = small_model(PLANS[plan]), np.random.default_rng(12)
    prompts, fed = prompts_for_text(), conversation(random)
    steps = Engine(model, rows=7)._steps
    with torch.inference_mode():
        steps.reserve(["joint", "text", "vision"], 256)
        for row, prompt in enumerate(run_prompts(model, prompts)):
            steps.begin(row, prompt, 128 if row % 2 else 256)
        for step, token in enumerate(fed, start=1):
            vision = token >= OFFSET or token == START
            for part in (range(4), range(4, len(prompts))):
                steps.step(dict.fromkeys(part, token), vision, 7, [128, 256])
            for row, expected in enumerate(logits_of(model, [prompt + fed[:step] for prompt in prompts])):
                torch.testing.assert_close(model.lm_head(steps.hidden[row]), expected[-1], rtol=0, atol=2e-5)


@MODES
@pytest.mark.parametrize("guidance_scale", [1.0, 3.0])
@pytest.mark.parametrize("plan", ["shared", "unix 1:1", "mot", "moe 1/2"])
def test_images_equal_a_loop_without_caches(plan: str, guidance_scale: float, batch_invariant: bool) -> None:
    model, prompts, free = small_model(PLANS[plan]), prompts_for_images(), [9, START]
    engine = Engine(model, rows=8, batch_invariant=batch_invariant)
    codes = generate_images(engine, prompts, free, list(range(6)), images(guidance_scale))
    assert codes.dtype == np.uint16 and codes.shape == (6, CODES)
    for row, prompt in enumerate(prompts):
        taken = drawn_without_caches(model, prompt, free, numbers_of(row, CODES), guidance_scale)
        assert (codes[row] == np.asarray(taken) - OFFSET).all()


@pytest.mark.parametrize("guidance_scale", [1.0, 3.0])
def test_separators_stand_in_their_places_and_are_not_sampled(guidance_scale: float) -> None:
    model, prompts, free, pad, every = small_model(PLANS["unix 1:1"]), prompts_for_images()[:3], [9, START], 4, 3
    model.config.separator_id, model.config.separator_every = pad, every
    codes = generate_images(Engine(model), prompts, free, list(range(3)), images(guidance_scale))
    for row, prompt in enumerate(prompts):
        taken = drawn_without_caches(model, prompt, free, numbers_of(row, CODES), guidance_scale)
        assert taken.count(pad) == CODES // every
        assert (codes[row] + OFFSET).tolist() == [token for token in taken if token != pad]


@pytest.mark.parametrize("plan", ["shared", "unix 1:1", "moe 1/2"])
def test_text_equals_a_loop_without_caches(plan: str) -> None:
    model, prompts = small_model(PLANS[plan]), prompts_for_text()
    expected = [written_without_caches(model, prompt, 8, []) for prompt in prompts]
    stop = expected[0][3]
    answers = generate_text(Engine(model, rows=4), prompts, TextSampling(most_tokens=8), stop_ids=[stop])
    assert answers == [ids[: ids.index(stop)] if stop in ids else ids for ids in expected]
    sampled = generate_text(Engine(model, rows=4), prompts, SAMPLED, stop_ids=[], seeds=list(range(6)))
    for row, prompt in enumerate(prompts):
        assert sampled[row] == written_without_caches(model, prompt, 6, numbers_of(row, 6))


def test_text_equals_transformers_own_generate() -> None:
    model = small_model(PLANS["shared"])
    prompts = [prompt for prompt in prompts_for_text() if max(prompt) < VOCABULARY.text_size]
    with torch.no_grad():
        model.lm_head.weight[VOCABULARY.text_size :].zero_()  # image codes are never the most probable
        model.lm_head.weight[START].zero_()
    for prompt in prompts:
        own = model.generate(torch.tensor([prompt]), max_new_tokens=8, do_sample=False, eos_token_id=1)
        ids = own[0, len(prompt) :].tolist()
        (answer,) = generate_text(Engine(model), [prompt], TextSampling(most_tokens=8), stop_ids=[1])
        assert answer == (ids[: ids.index(1)] if 1 in ids else ids)


@pytest.mark.parametrize("plan", ["shared", "unix 1:1"])
def test_a_text_opens_images_and_goes_on_behind_them(plan: str) -> None:
    """Every token equals that of a loop without caches: text, an image with guidance, text, no second image."""
    model, prompt, free = small_model(PLANS[plan]), prompts_for_text()[1], [7, 9, START]
    model.config.separator_id, model.config.separator_every = 4, 4  # the last code has one behind it
    flat = {"temperature": 50.0, "top_k": 0, "top_p": 1.0}  # a marker now and then
    opened = 0
    for seed in range(8):
        sampling = TextSampling(**flat, most_tokens=24)
        request = Request(prompt, seed, text=sampling, image=images(3.0), unconditional=free)
        (tokens,) = Engine(model).run([request])
        numbers, taken, written, may_open = iter(numbers_of(seed, 24 + CODES)), [], 0, True
        while written < 24:
            logits = packed_logits(model, prompt + taken)[: VOCABULARY.text_size].clone()
            logits[[4] if may_open else [4, START]] = -torch.inf
            taken.append(int(sample(logits[None], torch.tensor([next(numbers)]), **flat)))
            written += 1
            if taken[-1] == START:
                own = [next(numbers) for _ in range(CODES)]
                taken += [*drawn_without_caches(model, prompt + taken, free, own, 3.0), END]
                may_open = False
        assert tokens == taken
        opened += START in taken
    assert opened


def company(random: np.random.Generator) -> list[Request]:
    """Requests of every kind, with settings of their own."""
    free = [9, START]
    drawn = [
        Request(prompt, seed, image=images(scale, top_k=top_k), unconditional=free)
        for seed, (prompt, scale, top_k) in enumerate(
            zip(prompts_for_images(), [2.0, 1.0, 3.0, 2.0, 1.0, 2.0], [0, 0, 5, 0, 0, 5], strict=True)
        )
    ]
    written = [Request(prompt, seed, text=SAMPLED) for seed, prompt in enumerate(prompts_for_text())]
    greedy = [Request(text(random, 150), 3, text=TextSampling(most_tokens=9))]  # another window
    both = [Request(prompts_for_text()[0], 5, text=SAMPLED, image=images(), unconditional=[5, *free])]
    return drawn + written + greedy + both


@pytest.mark.parametrize(
    ("plan", "dtype"),
    [*((plan, torch.float32) for plan in PLANS), ("unix 1:1", torch.bfloat16), ("mot", torch.bfloat16)],
)
def test_a_request_has_the_same_bits_alone_and_in_a_crowd(plan: str, dtype: torch.dtype) -> None:
    """Not tokens only: hidden states, of every step, wherever the row lies."""
    model, requests = small_model(PLANS[plan]).to(dtype), company(np.random.default_rng(3))
    alone = [_traced(Engine(model, rows=6), [request]) for request in requests]
    order = np.random.default_rng(1).permutation(len(requests)).tolist()
    together = _traced(Engine(model, rows=6), [requests[place] for place in order])
    for place, (tokens, states) in zip(order, together, strict=True):
        ((tokens_alone, states_alone),) = alone[place]
        assert tokens == tokens_alone
        assert len(states) == len(states_alone) > 0
        assert all(torch.equal(state, other) for state, other in zip(states, states_alone, strict=True))


def _traced(engine: Engine, requests: list[Request]) -> list[tuple[list[int], list[torch.Tensor]]]:
    """Tokens of each request, and its row's state after each step that gave it some."""
    tickets = [engine.add(request) for request in requests]
    found: dict[int, tuple[list[int], list[torch.Tensor]]] = {ticket: ([], []) for ticket in tickets}
    rows: dict[int, int] = {}
    while engine.busy:
        before = dict(engine._running)
        for event in engine.step():
            running = engine._running.get(event.ticket) or before.get(event.ticket)
            rows |= {} if running is None else {event.ticket: running.rows[0]}
            found[event.ticket][0].extend(event.tokens)
            if event.ticket in rows:
                found[event.ticket][1].append(engine._steps.hidden[rows[event.ticket]].clone())
    return [found[ticket] for ticket in tickets]


def test_requests_come_go_and_are_forgotten_while_others_run() -> None:
    """Rows are taken up again at once, in the order of arrival; what a request gives does not change by it."""
    model, free = small_model(PLANS["unix 1:1"]), [9, START]
    requests = [Request([5, 6, START], seed, image=images(), unconditional=free) for seed in range(7)]
    expected = [Engine(model, rows=4).run([request])[0] for request in requests]
    engine = Engine(model, rows=4)
    tickets = [engine.add(request) for request in requests[:3]]
    tokens: dict[int, list[int]] = {ticket: [] for ticket in tickets}
    finished = []
    for step in range(200):
        if step == 2:
            tickets += [engine.add(request) for request in requests[3:]]
            tokens |= {ticket: [] for ticket in tickets[3:]}
        if step == 4:
            engine.cancel(tickets[1])  # running
            engine.cancel(tickets[5])  # waiting
            engine.cancel(tickets[1])  # nothing happens twice
        for event in engine.step():
            tokens[event.ticket] += event.tokens
            finished += [event.ticket] if event.finished else []
        assert engine.running <= 2
        if not engine.busy:
            break
    left = [ticket for ticket in tickets if ticket not in (tickets[1], tickets[5])]
    assert finished == left  # nobody overtook
    assert [tokens[ticket] for ticket in left] == [expected[ticket] for ticket in left]
    assert 0 < len(tokens[tickets[1]]) < CODES and tokens[tickets[5]] == []


def test_how_a_request_ended_is_told() -> None:
    model, prompt = small_model(PLANS["shared"]), [5, 6, 7]
    written = written_without_caches(model, prompt, 4, [])
    for stop_ids, most, ending in (([written[2]], 9, "stop"), ([], 3, "length")):
        engine = Engine(model)
        engine.add(Request(prompt, text=TextSampling(most_tokens=most), stop_ids=stop_ids))
        events = []
        while engine.busy:
            events += engine.step()
        assert [event.finished for event in events][-1] == ending
        told = [token for event in events for token in event.tokens]
        assert told == written[: written.index(written[2]) if stop_ids else 3]


def test_a_text_does_not_end_before_it_may() -> None:
    model, prompt = small_model(PLANS["shared"]), [5, 6, 7]
    stop = written_without_caches(model, prompt, 1, [])[0]
    for least in (0, 1, 3):
        (tokens,) = Engine(model).run(
            [Request(prompt, text=TextSampling(most_tokens=9, least_tokens=least), stop_ids=[stop])]
        )
        assert len(tokens) >= least and stop not in tokens
        assert (tokens == []) == (least == 0)


def test_temperature_zero_takes_the_most_probable() -> None:
    model, prompts = small_model(PLANS["unix 1:1"]), prompts_for_images()[:2]
    engine, greedy = Engine(model), images(1.0, temperature=0, top_p=1.0)
    codes = generate_images(engine, prompts, [START], [1, 2], greedy)
    assert (codes == generate_images(engine, prompts, [START], [3, 4], greedy)).all()
    assert codes[:, 0].tolist() == [int(last_logits(model, prompt)[OFFSET:].argmax()) for prompt in prompts]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_recorded_steps_give_the_same_as_launched_ones() -> None:
    model, prompts, seeds = small_model(PLANS["unix 1:1"]).cuda(), prompts_for_images(), list(range(6))
    launched = generate_images(Engine(model), prompts, [START], seeds, images())
    recorded = generate_images(Engine(model, cuda_graph=True), prompts, [START], seeds, images())
    assert (launched == recorded).all()


def test_a_step_can_be_recorded_and_put_back() -> None:
    """What a recording does: a step, its state put back, the step again."""
    model = small_model(PLANS["unix 1:1"])
    engine = Engine(model, rows=4)
    for seed in (1, 2):
        engine.add(Request([5, START], seed, image=images(1.0)))
    for _ in range(3):
        engine.step()
    steps, rows = engine._steps, {0: OFFSET + 1, 1: OFFSET + 2}
    state = [steps.hidden, *steps.slots.filled.values()]
    with torch.inference_mode():
        before = [tensor.clone() for tensor in state]
        steps.step(rows, True, 4, [128])
        once = [tensor.clone() for tensor in state]
        for tensor, value in zip(state, before, strict=True):
            tensor.copy_(value)
        steps.step(rows, True, 4, [128])
    assert not torch.equal(before[0], once[0])
    assert all(torch.equal(tensor, value) for tensor, value in zip(state, once, strict=True))


def test_what_can_not_be_decoded_is_refused() -> None:
    model = small_model(PLANS["shared"])
    engine = Engine(model)
    with pytest.raises(ModelError, match="must end with"):
        generate_images(engine, [[5, 6]], [START], [1], images())
    with pytest.raises(ModelError, match="must end with"):
        generate_images(engine, [[5, START]], [], [1], images())
    with pytest.raises(ModelError, match="2 prompts and 1 seeds"):
        generate_images(engine, [[START], [START]], [START], [1], images())
    with pytest.raises(ModelError, match="cuda_graph needs the model on a GPU, and it is on cpu"):
        Engine(model, cuda_graph=True)
    with pytest.raises(ModelError, match="an engine of 1 rows"):
        Engine(model, rows=1)
    for name, value in {"temperature": -0.5, "top_k": -1, "top_p": 0.0}.items():
        with pytest.raises(ModelError, match=f"{name} {value} must"):
            generate_images(engine, [[START]], [START], [1], images(**{name: value}))
        with pytest.raises(ModelError, match=f"{name} {value} must"):
            engine.add(Request([5], text=dataclasses.replace(SAMPLED, **{name: value})))
    with pytest.raises(ModelError, match="seed -1 must"):
        generate_images(engine, [[START]], [START], [-1], images())
    with pytest.raises(ModelError, match="1 prompts and 0 seeds"):
        generate_text(engine, [[5]], SAMPLED, stop_ids=[1])
    with pytest.raises(ModelError, match="exceed the model's 256 positions"):
        generate_images(engine, [[5] * 250 + [START]], [START], [1], images())
    with pytest.raises(ModelError, match="empty prompt"):
        generate_text(engine, [[]], SAMPLED, stop_ids=[1], seeds=[1])
    with pytest.raises(ModelError, match=r"more than <.vision_start.>"):
        engine.add(Request([5], text=SAMPLED, image=images(), unconditional=[START]))
    assert not engine.busy
    assert generate_images(engine, [], [START], [], images()).shape == (0, CODES)
    assert generate_text(engine, [], SAMPLED, stop_ids=[1], seeds=[]) == []
