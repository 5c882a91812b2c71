"""The decoder against a plain implementation, and what must not change it: packing, padding, other documents."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.models.plain_reference import reference_logits
from tests.models.small import LAYERS, PLANS, VOCABULARY, document_sets, image, logits_of, small_model, text
from unix_lib.models import ModelError, UnixForCausalLM
from unix_lib.models.routing import Documents, build_batch


@pytest.mark.parametrize("composition", list(document_sets()))
@pytest.mark.parametrize("plan", list(PLANS))
def test_logits_and_gradients_equal_the_plain_implementation(plan: str, composition: str) -> None:
    documents = document_sets()[composition][:12]
    model = small_model(PLANS[plan], dtype=torch.float64)
    weights = {name: value.detach().clone().requires_grad_() for name, value in model.named_parameters()}
    expected = [reference_logits(weights, model.config, document) for document in documents]
    expected_loss = sum(
        functional.cross_entropy(logits[:-1], torch.tensor(document[1:], dtype=torch.long), reduction="sum")
        for logits, document in zip(expected, documents, strict=True)
    ) / sum(len(document) - 1 for document in documents)
    expected_loss.backward()

    output = model(**build_batch([Documents.of(documents)], VOCABULARY), return_logits=True)
    output.loss.backward()
    torch.testing.assert_close(output.logits, torch.cat(expected), rtol=0, atol=1e-9)
    torch.testing.assert_close(output.loss, expected_loss, rtol=0, atol=1e-10)
    for name, parameter in model.named_parameters():
        wanted = weights[name].grad
        assert parameter.grad is not None, name
        torch.testing.assert_close(
            parameter.grad, torch.zeros_like(parameter) if wanted is None else wanted, rtol=0, atol=1e-9, msg=name
        )


@pytest.mark.parametrize("plan", list(PLANS))
def test_packed_equals_unpacked_and_padded(plan: str) -> None:
    model = small_model(PLANS[plan])
    documents = document_sets()["many"]
    packed = logits_of(model, documents)
    longest = max(len(document) for document in documents)
    ids, mask = torch.ones(2, len(documents), longest, dtype=torch.long)
    mask.zero_()
    for row, document in enumerate(documents):  # every other one padded on the left
        place = slice(longest - len(document), None) if row % 2 else slice(0, len(document))
        ids[row, place] = torch.tensor(document)
        mask[row, place] = 1
    with torch.no_grad():
        padded = model(ids, attention_mask=mask).logits
    for row, (document, logits) in enumerate(zip(documents, packed, strict=True)):
        torch.testing.assert_close(logits_of(model, [document])[0], logits, rtol=0, atol=1e-5)
        torch.testing.assert_close(padded[row, mask[row].bool()], logits, rtol=0, atol=1e-5)


def test_a_plain_call_without_mask_takes_right_padding() -> None:
    """lm-eval pads on the right with a text id and gives no mask."""
    model, random = small_model(PLANS["unix 1:1"]), np.random.default_rng(6)
    documents = [text(random, 12), text(random, 2) + image(random), text(random, 5)]
    ids = torch.ones(3, 13, dtype=torch.long)
    for row, document in enumerate(documents):
        ids[row, : len(document)] = torch.tensor(document)
    with torch.no_grad():
        logits = model(ids).logits
    for row, (document, expected) in enumerate(zip(documents, logits_of(model, documents), strict=True)):
        torch.testing.assert_close(logits[row, : len(document)], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("plan", list(PLANS))
def test_documents_do_not_see_each_other(plan: str) -> None:
    model, random = small_model(PLANS[plan]), np.random.default_rng(1)
    kept = text(random, 7) + image(random) + text(random, 2)
    before = logits_of(model, [text(random, 8) + image(random), kept])[1]
    same_counts = logits_of(model, [text(random, 8) + image(random), kept])[1]
    assert torch.equal(before, same_counts)
    other_counts = logits_of(model, [text(random, 30), image(random), kept])[2]
    torch.testing.assert_close(before, other_counts, rtol=0, atol=1e-5)


@pytest.mark.parametrize("plan", list(PLANS))
def test_later_tokens_do_not_reach_earlier_ones(plan: str) -> None:
    model, random = small_model(PLANS[plan]), np.random.default_rng(2)
    document = text(random, 5) + image(random) + text(random, 5)
    changed = [*document[:-1], document[-1] % 40 + 5]
    before, after = logits_of(model, [document])[0], logits_of(model, [changed])[0]
    assert torch.equal(before[:-1], after[:-1])
    assert not torch.equal(before[-1], after[-1])


def test_losses_per_modality() -> None:
    model, random = small_model(PLANS["unix 1:1"]), np.random.default_rng(3)
    document = text(random, 5) + image(random) + text(random, 5)
    mask = [random.random() < 0.7 for _ in document]
    mask[0] = True  # has nothing before it, so it can't be a target
    batch = build_batch([Documents.of([document], [mask])], VOCABULARY)
    output = model(**batch, return_logits=True)
    ids = torch.tensor(document)
    losses = functional.cross_entropy(output.logits[:-1], ids[1:], reduction="none")
    wanted = torch.tensor(mask)[1:]
    images = ids[1:] >= VOCABULARY.image_offset
    assert output.targets_image == (wanted & images).sum()
    assert output.targets_text == (wanted & ~images).sum()
    torch.testing.assert_close(output.loss_image_sum, losses[wanted & images].sum())
    torch.testing.assert_close(output.loss_text_sum, losses[wanted & ~images].sum())
    torch.testing.assert_close(output.loss, losses[wanted].mean())
    torch.testing.assert_close(model(**batch, num_items_in_batch=50).loss, losses[wanted].sum() / 50)
    labels = torch.where(torch.tensor(mask), ids, -100)
    labels[0] = -100
    plain = model(ids[None], labels=labels[None])
    torch.testing.assert_close(plain.loss, output.loss)


def test_separators_are_vision_tokens_and_image_targets() -> None:
    vocabulary = replace(VOCABULARY, separator_id=4, separator_every=3)
    codes = list(range(VOCABULARY.image_offset, VOCABULARY.image_offset + 6))
    document = [7, VOCABULARY.vision_start_id, *codes[:3], 4, *codes[3:], 4, VOCABULARY.vision_end_id, 8]
    batch = build_batch([Documents.of([document])], vocabulary)
    assert batch["vision_positions"].tolist() == list(range(1, 10))
    assert batch["target_is_image"].tolist() == [False] + [True] * 8 + [False] * 2
    assert build_batch([Documents.of([document])], VOCABULARY)["vision_positions"].tolist() == [1, 2, 3, 4, 6, 7, 8]


def test_a_batch_without_targets_has_a_zero_loss_and_gradients() -> None:
    model = small_model(PLANS["mot"])
    output = model(**build_batch([Documents.of([[5, 6, 7]], [[False] * 3])], VOCABULARY))
    output.loss.backward()
    assert output.loss == 0
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in model.parameters())


def test_gradient_checkpointing_changes_nothing() -> None:
    model = small_model(PLANS["unix 1:1"]).train()
    batch = build_batch([Documents.of(document_sets()["many"])], VOCABULARY)
    model(**batch).loss.backward()
    straight = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    model.gradient_checkpointing_enable()
    model(**batch).loss.backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, straight[name], rtol=0, atol=1e-6, msg=name)


def test_bfloat16_stays_close_to_float32() -> None:
    model = small_model(PLANS["unix 1:1"])
    documents = document_sets()["interleaved"]
    wide = logits_of(model, documents)[0]
    narrow = model.to(torch.bfloat16)
    output = narrow(**build_batch([Documents.of(documents)], VOCABULARY), return_logits=True)
    output.loss.backward()
    assert output.logits.dtype == torch.bfloat16 and output.loss.dtype == torch.float32
    assert all(torch.isfinite(parameter.grad).all() for parameter in narrow.parameters())
    assert (output.logits.float() - wide).abs().mean() < 0.05 * wide.abs().mean()


@pytest.mark.parametrize("tied", [True, False])
def test_saved_and_loaded_is_the_same(tied: bool, tmp_path) -> None:
    from transformers import AutoModelForCausalLM

    from unix_lib.models.checkpoint import load_model

    model = small_model(PLANS["custom"], tie_embeddings=tied)
    model.save_pretrained(tmp_path)
    for loaded in (AutoModelForCausalLM.from_pretrained(tmp_path), load_model(tmp_path)):
        assert isinstance(loaded, UnixForCausalLM)
        assert loaded.config.plans == model.config.plans and loaded.config.architecture == "custom"
        documents = document_sets()["interleaved"]
        assert torch.equal(logits_of(loaded.eval(), documents)[0], logits_of(model, documents)[0])


def test_a_damaged_checkpoint_is_refused(tmp_path) -> None:
    from safetensors.torch import load_file, save_file

    from unix_lib.models.checkpoint import load_model

    small_model(PLANS["mot"]).save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    poisoned = weights | {"model.norm.weight": weights["model.norm.weight"] * float("nan")}
    save_file(poisoned, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"model\.norm\.weight holds NaN"):
        load_model(tmp_path)
    del weights["model.layers.1.vision_mlp.up_proj.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"missing keys, first model\.layers\.1\.vision_mlp\.up_proj\.weight"):
        load_model(tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"unreadable weights .* damaged, make it again"):
        load_model(tmp_path)
    with pytest.raises(ModelError, match="no checkpoint here"):
        load_model(tmp_path / "elsewhere")


SMALLER = [{"ffn": "shared_plus_vision", "ffn_shared_width": 8}] * LAYERS


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"layer_plan": [{}] * LAYERS, "architecture": "shared"},
            r"unexpected keys, .* config\.json \(plan 'shared'",
        ),
        ({"layer_plan": SMALLER}, r"mismatched keys, first model\.layers\.0\.shared_mlp.* another plan or vocabulary"),
        ({"vocab_size": VOCABULARY.size + 8}, r"mismatched keys, first .* 80 ids"),
        ({"vocab_size": VOCABULARY.size - 8}, "does not hold the image codes"),
        ({"layer_plan": [{}] * 3}, "layer_plan has 3 rows for 5 layers"),
        ({"image_offset": 50}, "the model has image_offset 50, the vocabulary 56; take the checkpoint and"),
    ],
)
def test_a_checkpoint_of_another_plan_or_vocabulary_is_refused(changes: dict, message: str, tmp_path) -> None:
    from unix_lib.models.checkpoint import load_model

    small_model(PLANS["unix_shared_ffn 0:0 16+0"]).save_pretrained(tmp_path)
    VOCABULARY.write(tmp_path)
    assert load_model(tmp_path).config.architecture == "unix_shared_ffn 0:0 16+0"
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(ModelError, match=message):
        load_model(tmp_path)


@pytest.mark.parametrize("wrong", [-1, VOCABULARY.size, VOCABULARY.text_size])
def test_ids_that_name_no_token_are_refused(wrong: int) -> None:
    with pytest.raises(ModelError, match=f"id {wrong} names no token"):
        build_batch([Documents.of([[5, wrong, 6]])], VOCABULARY)


def test_document_lengths_must_cover_the_pack() -> None:
    pack = Documents(np.arange(4, 9, dtype=np.int32), np.ones(5, dtype=bool), np.asarray([3], dtype=np.int32))
    with pytest.raises(ModelError, match="add up to 3 of 5 tokens"):
        build_batch([pack], VOCABULARY)
