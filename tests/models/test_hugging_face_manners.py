"""What a Hugging Face user may expect of a causal model: generation defaults, labels, arguments honoured or refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments, pipeline

from tests.evaluate.conftest import SmallExperiment, small  # noqa: F401  a fixture
from tests.models.small import PLANS, VOCABULARY, document_sets, small_model, text
from tests.models.test_hugging_face_generation import UNUSED, padded, prompts
from unix_lib.models import ModelError, UnixForCausalLM
from unix_lib.models.checkpoint import write_model

GREEDY = {"max_new_tokens": 12, "do_sample": False}


def trained(folder: Path) -> UnixForCausalLM:
    """A model that has been through a step of transformers' Trainer and its evaluation."""
    model, random = small_model(PLANS["unix 1:1"]), np.random.default_rng(5)
    rows = [{"input_ids": torch.tensor(text(random, 9))} for _ in range(4)]
    data: Any = [row | {"labels": row["input_ids"]} for row in rows]
    arguments = TrainingArguments(
        output_dir=str(folder / "trainer"), max_steps=1, use_cpu=True, save_strategy="no", report_to="none"
    )
    trainer = Trainer(model=model, args=arguments, train_dataset=data, eval_dataset=data)
    trainer.train()
    with torch.no_grad():
        expected = model(**{name: torch.stack([row[name] for row in data]) for name in data[0]}).loss
    assert trainer.evaluate()["eval_loss"] == pytest.approx(float(expected), abs=1e-5)
    return model


def lengths_of_passes(model: UnixForCausalLM) -> list[int]:
    """The number of tokens of each later forward pass, as they come."""
    seen: list[int] = []
    model.get_input_embeddings().register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].numel()))
    return seen


def test_a_trained_checkpoint_generates_with_its_cache(tmp_path: Path) -> None:
    """As it is written now, as the Trainer itself writes it, and as it was written with `use_cache: false`."""
    model = trained(tmp_path)
    assert model.config.use_cache is False  # the Trainer's doing
    model.save_pretrained(tmp_path / "trainers")
    assert json.loads((tmp_path / "trainers" / "config.json").read_text())["use_cache"] is False
    write_model(tmp_path / "now", model, {name: value.detach() for name, value in model.named_parameters()})
    write_model(tmp_path / "before", model, {name: value.detach() for name, value in model.named_parameters()})
    for name in ("config.json", "generation_config.json"):
        written = json.loads((tmp_path / "now" / name).read_text())
        assert written["use_cache"] is True
        (tmp_path / "before" / name).write_text(json.dumps(written | {"use_cache": False}))

    ids = torch.tensor([[5, 6, 7]])
    expected = model.generate(ids, use_cache=False, **GREEDY)
    draft = small_model(PLANS["shared"], seed=3)
    for folder in ("trainers", "now", "before"):
        loaded = AutoModelForCausalLM.from_pretrained(tmp_path / folder).eval()
        assert loaded.config.use_cache is True
        passes = lengths_of_passes(loaded)
        assert torch.equal(loaded.generate(ids, **GREEDY), expected)
        assert passes == [3] + [1] * 11
        assert torch.equal(loaded.generate(ids, assistant_model=draft, **GREEDY), expected)
        assert torch.equal(loaded.generate(ids, prompt_lookup_num_tokens=3, **GREEDY), expected)


@pytest.mark.parametrize("use_cache", [True, False])
@pytest.mark.parametrize(
    "settings",
    [
        {"do_sample": True, "max_new_tokens": 120, "top_k": 0, "temperature": 1.5},
        {"do_sample": True, "max_new_tokens": 25, "num_beams": 3, "num_return_sequences": 2},
        {"do_sample": False, "max_new_tokens": 25, "num_beams": 3},
        {"do_sample": False, "max_new_tokens": 25, "guidance_scale": 2.0},
    ],
    ids=["sampled", "sampled beams", "beams", "guided"],
)
def test_generate_never_draws_a_row_that_names_no_token(settings: dict[str, Any], use_cache: bool) -> None:
    model = small_model(PLANS["unix 1:1"], tie_embeddings=False)
    with torch.no_grad():
        model.lm_head.weight[UNUSED] *= 5  # often the most probable
    batch = padded(prompts())
    probable = model(**batch).logits[batch["attention_mask"].bool()].argmax(-1)
    assert torch.isin(probable, torch.tensor(UNUSED)).any()
    torch.manual_seed(1)
    drawn = model.generate(**batch, use_cache=use_cache, eos_token_id=None, pad_token_id=1, **settings)
    new = drawn[:, batch["input_ids"].shape[1] :]
    assert new.shape[1] == settings["max_new_tokens"]
    assert not torch.isin(new, torch.tensor(UNUSED)).any()
    assert (new >= VOCABULARY.image_offset).any()  # image codes are tokens like others ...
    drawn = model.generate(**batch, use_cache=use_cache, suppress_tokens=model.config.image_ids, **settings)
    new = drawn[:, batch["input_ids"].shape[1] :]
    assert (new < VOCABULARY.text_size).all() and not (new == VOCABULARY.vision_start_id).any()  # ... unless suppressed


@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("plan", ["shared", "unix 1:3", "mot"])
def test_labels_are_what_is_predicted(plan: str, left: bool) -> None:
    """The loss is the cross-entropy of the logits at real places against the next place's label."""
    model, random = small_model(PLANS[plan]), np.random.default_rng(2)
    batch = padded(document_sets()["many"], left=left)
    drawn = random.choice([*range(VOCABULARY.text_size), *range(VOCABULARY.image_offset, VOCABULARY.size)], (39, 41))
    labels = torch.from_numpy(np.where(random.random((39, 41)) < 0.3, -100, drawn))[:, : batch["input_ids"].shape[1]]
    labels[batch["attention_mask"] == 0] = -100
    output = model(**batch, labels=labels)
    real = batch["attention_mask"].bool()[:, :-1]
    targets = labels[:, 1:].masked_fill(~real, -100)
    each = functional.cross_entropy(output.logits[:, :-1].flatten(0, 1), targets.flatten(), reduction="none")
    counted = targets.flatten() != -100
    torch.testing.assert_close(output.loss, each[counted].mean(), rtol=0, atol=1e-5)
    images = counted & (targets.flatten() >= VOCABULARY.image_offset)
    assert (output.targets_image, output.targets_text) == (images.sum(), (counted & ~images).sum())
    torch.testing.assert_close(output.loss_image_sum, each[images].sum())
    summed = model(**batch, labels=labels, num_items_in_batch=7).loss
    torch.testing.assert_close(summed, each[counted].sum() / 7)
    output.loss.backward()
    assert model.lm_head.weight.grad is not None


def test_the_logits_that_are_asked_for() -> None:
    model, batch = small_model(PLANS["unix 1:1"]), padded(prompts())
    whole = model(**batch).logits
    for use_cache in (True, False):
        last = model(**batch, use_cache=use_cache, logits_to_keep=2).logits
        torch.testing.assert_close(last, whole[:, -2:], rtol=0, atol=1e-5)
        chosen = model(**batch, use_cache=use_cache, logits_to_keep=torch.tensor([-2, -1])).logits
        torch.testing.assert_close(chosen, whole[:, [-2, -1]], rtol=0, atol=1e-5)
    logits, *others = model(**batch, return_dict=False)
    assert torch.equal(logits, whole) and not others


def test_positions_that_are_the_models_own_are_taken() -> None:
    model, batch = small_model(PLANS["mot"]), padded(prompts())
    counted = (batch["attention_mask"].cumsum(1) - 1).masked_fill(batch["attention_mask"] == 0, 1)
    for use_cache in (True, False):
        given = model(**batch, position_ids=counted, use_cache=use_cache).logits
        assert torch.equal(given, model(**batch, use_cache=use_cache).logits)
    ids = torch.tensor([[5, 6, 7], [8, 9, 10]])
    assert torch.equal(model(ids, position_ids=torch.arange(3)[None]).logits, model(ids).logits)


IDS = torch.tensor([[5, 6, 7], [8, 9, 10]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"input_ids": IDS, "position_ids": torch.tensor([[0, 1, 0]])},
            "position_ids has 0 in row 0 at 2, .* counts 2",
        ),
        ({"input_ids": IDS, "position_ids": torch.arange(2)[None]}, r"position_ids is \(1, 2\), tokens are \(2, 3\)"),
        ({"inputs_embeds": torch.zeros(1, 3, 32)}, "argument 'inputs_embeds' isn't supported"),
        ({"input_ids": IDS, "output_hidden_states": True}, "argument 'output_hidden_states' isn't supported"),
        ({"input_ids": IDS, "output_attentions": True}, "argument 'output_attentions' isn't supported"),
        ({"input_ids": IDS, "token_type_ids": torch.zeros(2, 3)}, "argument 'token_type_ids' isn't supported"),
        ({"input_ids": IDS, "labels": IDS[:, 1:]}, r"labels is \(2, 2\), .* \(2, 3\)"),
        ({"input_ids": IDS, "labels": torch.full_like(IDS, 50)}, "id 50 names no token"),
        ({"input_ids": IDS, "attention_mask": torch.ones(2, 1, 3, 3)}, r"attention_mask is \(2, 1, 3, 3\)"),
        ({"input_ids": torch.tensor([[5, 50]]), "use_cache": True}, "id 50 names no token"),
        ({"input_ids": IDS[:, :0], "use_cache": True}, r"input_ids is \(2, 0\); give at least one token"),
        ({"input_ids": IDS[0]}, r"input_ids is \(3,\); give token ids \(B, T\), or a batch of build_batch"),
        ({}, "input_ids is missing"),
    ],
)
def test_what_can_not_be_honoured_is_refused(arguments: dict[str, Any], message: str) -> None:
    model = small_model(PLANS["unix 1:1"])
    with pytest.raises(ModelError, match=message):
        model(**arguments)


def test_arguments_that_ask_for_nothing_are_taken() -> None:
    model = small_model(PLANS["shared"])
    given = model(IDS, output_attentions=False, output_hidden_states=None, inputs_embeds=None, use_cache=None)
    assert torch.equal(given.logits, model(IDS).logits)


def test_the_embedding_keeps_its_rows() -> None:
    model = small_model(PLANS["shared"])
    assert model.resize_token_embeddings() is model.get_input_embeddings()
    assert model.resize_token_embeddings(VOCABULARY.size) is model.get_input_embeddings()
    with pytest.raises(ModelError, match="can't be resized from 72 to 60 rows: image codes follow the text ids"):
        model.resize_token_embeddings(60)


def test_a_cache_is_cropped_and_taken_up_again() -> None:
    from transformers import DynamicCache

    model, cache = small_model(PLANS["unix 1:1"]), DynamicCache()
    first = torch.tensor([prompts()[3]])
    more = torch.cat([first, torch.tensor([[9, 8]])], dim=1)
    with torch.no_grad():
        model(more, past_key_values=cache)
        cache.crop(-4)
        assert cache.get_seq_length() == first.shape[1] - 2
        answer = model.generate(more, past_key_values=cache, **GREEDY)
    assert torch.equal(answer, model.generate(more, **GREEDY))


def test_a_text_generation_pipeline(small: SmallExperiment) -> None:  # noqa: F811
    folder = str(small.results / small.checkpoint / "model")
    generator = pipeline("text-generation", model=folder, device="cpu")
    texts = ["the value of", "a function is called when"]
    generator.tokenizer.pad_token_id = small.vocabulary.pad_id
    suppressed = generator.model.config.image_ids
    one, several = (
        generator(texts, batch_size=size, suppress_tokens=suppressed, max_new_tokens=5, do_sample=False)
        for size in (1, 2)
    )
    assert one == several
    assert all(answer["generated_text"].startswith(prompt) for prompt, [answer] in zip(texts, one, strict=True))
